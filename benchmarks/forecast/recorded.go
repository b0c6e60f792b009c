package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// recording is a series made from a public trace.
type recording struct {
	name string
	// read makes it from the files of a folder.
	read func(folder string) (backtest.Series, error)
}

// The public traces, by file.
const (
	worldCup = "worldcup98_per_min_May01-Jun09.csv.gz"
	twitter  = "twitter_stream_2021-08_d00-10_rps_per_sec.txt.gz"
	nasa     = "nasa_http_1995-07_d00-26_rps_per_sec.txt.gz"
	azure    = "AzureLLMInferenceTrace_conv.csv.gz"
	mooncake = "mooncake_conversation_trace.jsonl.gz"
	amzn     = "NAB_Twitter_volume_AMZN.csv.gz"
	goog     = "NAB_Twitter_volume_GOOG.csv.gz"
	ibm      = "NAB_Twitter_volume_IBM.csv.gz"
	elb      = "NAB_elb_request_count_8c0756.csv.gz"
	week     = "AzureLLM2024_conv_1week_DIGITISED_7.2min.csv.gz"
	serveGen = "servegen_language_m-small_rate_10min.csv.gz"
	clients  = "servegen_language_m-small_client_traces.tar.gz"
	taxi     = "NAB_nyc_taxi_2014-07_2014-10.csv.gz"
)

// numClients is how many of ServeGen's clients are series of their own: the largest.
const numClients = 6

// recorded are the series of the measure: 8 of minutes, 4 of 5 minutes, 8 of 10 minutes and one of half hours.
func recorded() []recording {
	out := []recording{
		{"worldcup", rates(worldCup, time.Minute)},
		{"worldcup-thinned", thinned(worldCup, 15./60)},
		{"twitter-stream", rates(twitter, time.Minute)},
		{"nasa", rates(nasa, time.Minute)},
		{"azure-hour-requests", requests(azure, func(trace.Request) float64 { return 1 })},
		{"azure-hour-prompt-tokens", requests(azure, func(q trace.Request) float64 { return float64(q.PromptTokens) })},
		{"mooncake-hour-requests", requests(mooncake, func(trace.Request) float64 { return 1 })},
		{"mooncake-hour-prompt-tokens", requests(mooncake, func(q trace.Request) float64 { return float64(q.PromptTokens) })},
		{"nab-amzn", rates(amzn, 5*time.Minute)},
		{"nab-goog", rates(goog, 5*time.Minute)},
		{"nab-ibm", rates(ibm, 5*time.Minute)},
		{"nab-elb", rates(elb, 5*time.Minute)},
		{"azure-week", rates(week, 10*time.Minute)},
		{"servegen", rates(serveGen, 10*time.Minute)},
	}
	for k := range numClients {
		out = append(out, recording{fmt.Sprintf("servegen-client-%d", k+1), func(folder string) (backtest.Series, error) {
			return client(filepath.Join(folder, clients), k)
		}})
	}
	return append(out, recording{"taxi", rates(taxi, 30*time.Minute)})
}

// rates reads a file of rates as rows of the step.
func rates(file string, step time.Duration) func(string) (backtest.Series, error) {
	return func(folder string) (backtest.Series, error) {
		r, err := trace.ReadRatesFile(filepath.Join(folder, file))
		if err != nil {
			return backtest.Series{}, err
		}
		return backtest.Series{Start: dated(r.Start), Step: step, Values: resample(r.PerSecond, r.Period, step)}, nil
	}
}

// dated is the start of a series: where none is known a midnight, that of a Monday.
func dated(start time.Time) time.Time {
	if start.IsZero() {
		return monday
	}
	return start
}

// requests reads a file of requests and adds up what of each counts, by whole minutes; the last, begun minute is dropped.
func requests(file string, counts func(trace.Request) float64) func(string) (backtest.Series, error) {
	return func(folder string) (backtest.Series, error) {
		all, err := trace.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return backtest.Series{}, err
		}
		s := backtest.Series{Start: monday, Step: time.Minute}
		for _, q := range all {
			minute := int(q.At / time.Minute)
			for minute >= len(s.Values) {
				s.Values = append(s.Values, 0) // within a trace of requests a minute without any is one of zero
			}
			s.Values[minute] += counts(q) / time.Minute.Seconds()
		}
		s.Values = s.Values[:len(s.Values)-1]
		return s, nil
	}
}

// thinned keeps each request of a file of counts with such a chance that so many a second are left in the mean.
func thinned(file string, mean float64) func(string) (backtest.Series, error) {
	return func(folder string) (backtest.Series, error) {
		s, err := rates(file, time.Minute)(folder)
		if err != nil {
			return s, err
		}
		rng, share, seconds := rand.New(rand.NewPCG(15, 60)), mean/s.Mean(), s.Step.Seconds()
		for i, v := range s.Values {
			if v > 0 {
				s.Values[i] = distuv.Binomial{N: float64(int(v*seconds + 0.5)), P: share, Src: rng}.Rand() / seconds
			}
		}
		return s, nil
	}
}
