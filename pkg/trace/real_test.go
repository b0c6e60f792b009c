package trace

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// publicTraces is where the public traces may lie beside the repository.
var publicTraces = filepath.Join("..", "..", "..", "shared", "traces")

// public is the path of a public trace; the test is skipped where it is not there.
func public(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(publicTraces, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no public traces beside the repository")
	}
	return path
}

// near compares within a share.
func near(got, want, share float64) bool { return math.Abs(got-want) <= share*want }

func TestPublicRequestTraces(t *testing.T) {
	tests := map[string]struct {
		format         Format
		requests       int64
		length         time.Duration
		prompt, output float64 // means, zero where they are drawn
	}{
		// Counts, spans and means as published with the traces.
		"AzureLLMInferenceTrace_conv.csv.gz":                  {AzureLLM, 19366, 58 * time.Minute, 1155, 211},
		"format_samples/vidur_splitwise_conv.csv.gz":          {Vidur, 19366, 58 * time.Minute, 1155, 211},
		"mooncake_conversation_trace.jsonl.gz":                {Mooncake, 12031, 59 * time.Minute, 12035, 343},
		"format_samples/BurstGPT_format_SYNTHETIC_ROWS_1.csv": {BurstGPT, 0, 0, 0, 0},
		"format_samples/BurstGPT_format_SYNTHETIC_ROWS_2.csv": {BurstGPT, 0, 0, 0, 0},
		"format_samples/Azure2021_200.csv":                    {Functions2021, 0, 0, 0, 0},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			path := public(t, name)
			got, err := Survey(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if rows := rowsOf(t, path); want.requests == 0 {
				want.requests = rows - got.Failed
			}
			if got.Format != want.format || got.Requests != want.requests || !got.Ended {
				t.Errorf("%d requests of %s, want %d of %s", got.Requests, got.Format, want.requests, want.format)
			}
			prompt, output := got.MeanTokens()
			if want.prompt > 0 && !(near(prompt, want.prompt, 0.002) && near(output, want.output, 0.003)) {
				t.Errorf("mean tokens %.1f and %.1f, want %.0f and %.0f", prompt, output, want.prompt, want.output)
			}
			if want.length > 0 && !near(got.Reached.Seconds(), want.length.Seconds(), 0.01) {
				t.Errorf("the last request is at %v, want about %v", got.Reached, want.length)
			}
			if got.Size == 0 || got.Read != got.Size {
				t.Errorf("%d of %d bytes were read", got.Read, got.Size)
			}
		})
	}
}

// rowsOf counts the lines of a plain CSV after its header.
func rowsOf(t *testing.T, path string) int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return int64(strings.Count(strings.TrimSpace(string(text)), "\n"))
}

func TestPublicRateSeries(t *testing.T) {
	const day = 24 * time.Hour
	tests := map[string]struct {
		period time.Duration
		length time.Duration
		// mean is in requests per second over what is not a hole.
		mean float64
	}{
		"AzureLLM2024_conv_1week_DIGITISED_7.2min.csv.gz":                     {432927650430, 7 * day, 45.1},
		"nasa_http_1995-07_d00-26_rps_per_sec.txt.gz":                         {time.Second, 27 * day, 47.96 / 60},
		"twitter_stream_2021-08_d00-10_rps_per_sec.txt.gz":                    {time.Second, 11 * day, 0},
		"worldcup98_per_min_May01-Jun09.csv.gz":                               {time.Minute, 40 * day, 0},
		"NAB_Twitter_volume_AMZN.csv.gz":                                      {5 * time.Minute, 55 * day, 53.3 / 300},
		"NAB_Twitter_volume_GOOG.csv.gz":                                      {5 * time.Minute, 55 * day, 20.75 / 300},
		"NAB_Twitter_volume_IBM.csv.gz":                                       {5 * time.Minute, 55 * day, 4.4 / 300},
		"NAB_elb_request_count_8c0756.csv.gz":                                 {5 * time.Minute, 14 * day, 61.85 / 300},
		"NAB_nyc_taxi_2014-07_2014-10.csv.gz":                                 {30 * time.Minute, 123 * day, 0},
		"servegen_language_m-small_rate_10min.csv.gz":                         {10 * time.Minute, 14 * day, 1174},
		"servegen_multimodal_mm-image_rate_10min.csv.gz":                      {10 * time.Minute, day, 9.5},
		"format_samples/azure_functions_2019_invitro_example_invocations.csv": {time.Minute, day, 0},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRatesFile(public(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if got.Period != want.period || !near(got.Length().Hours(), want.length.Hours(), 0.02) {
				t.Errorf("%v in periods of %v, want %v in %v", got.Length(), got.Period, want.length, want.period)
			}
			there := slices.DeleteFunc(slices.Clone(got.PerSecond), math.IsNaN)
			sum := 0.0
			for _, v := range there {
				sum += v
			}
			if mean := sum / float64(len(there)); want.mean > 0 && !near(mean, want.mean, 0.01) {
				t.Errorf("mean rate %.4f requests/s, want %.4f", mean, want.mean)
			}
		})
	}
}

func TestThePublicWeekHasItsPublishedTotal(t *testing.T) {
	in, err := Open(public(t, "AzureLLM2024_conv_1week_DIGITISED_7.2min.csv.gz"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := in.Facts().Expected; !near(float64(got), 27_303_999, 0.001) {
		t.Errorf("%d requests are expected, want 27,303,999", got)
	}
	if got := in.Facts().Start; !got.Equal(time.Date(2024, 5, 12, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("it starts at %v", got)
	}
}

func TestPublicClients(t *testing.T) {
	for name, want := range map[string]struct {
		series  string
		clients int
	}{
		"servegen_language_m-small_client_traces.tar.gz":    {"servegen_language_m-small_rate_10min.csv.gz", 43},
		"servegen_multimodal_mm-image_client_traces.tar.gz": {"servegen_multimodal_mm-image_rate_10min.csv.gz", 35},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := openPath(public(t, name), "")
			if err != nil {
				t.Fatal(err)
			}
			clients, err := f.readClients()
			if err != nil || len(clients) != want.clients {
				t.Fatalf("%d clients (%v), want %d", len(clients), err, want.clients)
			}
			// The sum of the clients is the series derived from them, window by window.
			series, err := ReadRatesFile(public(t, want.series))
			if err != nil {
				t.Fatal(err)
			}
			sums := make([]float64, len(series.PerSecond))
			for _, c := range clients {
				for i, w := range c.windows {
					sums[i] += w.rate
				}
			}
			for i, sum := range sums {
				if math.Abs(sum-series.PerSecond[i]) > 1e-4 {
					t.Fatalf("window %d: clients sum to %v requests/s, the series has %v", i, sum, series.PerSecond[i])
				}
			}
		})
	}
}

func TestPublicClientsInAWindow(t *testing.T) {
	path := public(t, "servegen_multimodal_mm-image_client_traces.tar.gz")
	o := Options{From: 12 * time.Hour, For: 20 * time.Minute, Seed: 5}
	in, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	want := in.Facts().Expected
	got, err := Collect(in)
	if err != nil || int64(len(got)) != want {
		t.Errorf("%d requests (%v), want exactly %d: whole windows have their recorded numbers", len(got), err, want)
	}
}

func TestFilesThatAreNoTraces(t *testing.T) {
	for _, name := range []string{
		"format_samples/azure_functions_2019_invitro_example_durations.csv",
		"format_samples/azure_functions_2019_invitro_example_memory.csv",
		"MANIFEST.md",
	} {
		if _, err := Open(public(t, name), Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
