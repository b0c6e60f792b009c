package forecast

import (
	"bufio"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const traces = "../../../shared/traces"

// trace is one recorded series: where, from when on, and the span of one value.
type trace struct {
	file    string
	from    time.Time
	step    time.Duration
	most    int
	horizon time.Duration
}

func (x trace) values(t *testing.T) []float64 {
	t.Helper()
	f, err := os.Open(filepath.Join(traces, x.file))
	if err != nil {
		t.Skipf("recorded series are not at hand: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(x.file, ".txt.gz") {
		return perSecond(t, z, x)
	}
	var values []float64
	for lines := bufio.NewScanner(z); lines.Scan() && len(values) < x.most; {
		v, err := strconv.ParseFloat(strings.Split(lines.Text(), ",")[1], 64)
		if err == nil { // the first line is a heading
			values = append(values, v/x.step.Seconds())
		}
	}
	return values
}

// perSecond returns the means over steps of counts of single seconds.
func perSecond(t *testing.T, r io.Reader, x trace) []float64 {
	t.Helper()
	words := bufio.NewScanner(r)
	words.Split(bufio.ScanWords)
	var values []float64
	var sum, n float64
	for words.Scan() && len(values) < x.most {
		v, err := strconv.ParseFloat(words.Text(), 64)
		if err != nil {
			t.Fatal(err)
		}
		if sum, n = sum+v, n+1; n == x.step.Seconds() {
			values = append(values, sum/n)
			sum, n = 0, 0
		}
	}
	return values
}

// losses returns the mean pinball losses of what was forecast and of the last value, and the coverage of the former.
func (x trace) losses(values []float64) (chosen, last, coverage float64) {
	c := Config{Step: x.step, Quantile: 0.9}
	var s State
	var uppers, uppersLast []float64
	var n float64
	for i, v := range values {
		f := s.Advance(x.from.Add(time.Duration(i)*x.step), v, x.horizon, c)
		if len(s.Pending) == 0 {
			uppers, uppersLast = append(uppers, math.NaN()), append(uppersLast, math.NaN())
			continue
		}
		uppers, uppersLast = append(uppers, f.Upper), append(uppersLast, s.Pending[len(s.Pending)-1].UpperLast)
		due := i - s.Horizon
		if due < 200 {
			continue
		}
		actual := s.smoothedLast()
		chosen += pinball(actual, uppers[due], c.Quantile)
		last += pinball(actual, uppersLast[due], c.Quantile)
		if n++; actual <= uppers[due] {
			coverage++
		}
	}
	return chosen / n, last / n, coverage / n
}

// What is chosen must never cost much more than the last value, wherever the series comes from, and less where there is
// something to be seen.
func TestRecordedSeries(t *testing.T) {
	cases := map[string]struct {
		trace
		seasonal bool
	}{
		"World Cup 1998, requests a minute":    {trace{"worldcup98_per_min_May01-Jun09.csv.gz", time.Date(1998, 4, 30, 21, 30, 0, 0, time.UTC), time.Minute, 20 * 1440, 10 * time.Minute}, true},
		"Twitter 2021, 10 s":                   {trace{"twitter_stream_2021-08_d00-10_rps_per_sec.txt.gz", t0, 10 * time.Second, 4 * 8640, 5 * time.Minute}, false},
		"NASA 1995, 10 s":                      {trace{"nasa_http_1995-07_d00-26_rps_per_sec.txt.gz", t0, 10 * time.Second, 4 * 8640, 5 * time.Minute}, false},
		"New York taxis 2014, half an hour":    {trace{"NAB_nyc_taxi_2014-07_2014-10.csv.gz", t0, 30 * time.Minute, 5904, 30 * time.Minute}, true},
		"a load balancer 2014, five minutes":   {trace{"NAB_elb_request_count_8c0756.csv.gz", t0, 5 * time.Minute, 4032, 5 * time.Minute}, false},
		"a language model 2024, seven minutes": {trace{"AzureLLM2024_conv_1week_DIGITISED_7.2min.csv.gz", t0, 433 * time.Second, 1397, 433 * time.Second}, true},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			chosen, last, coverage := x.losses(x.values(t))
			t.Logf("pinball loss %.4f, of the last value %.4f (%+.1f %%), coverage %.3f", chosen, last, 100*(chosen/last-1), coverage)
			if chosen > 1.05*last {
				t.Errorf("%.1f %% more than the last value", 100*(chosen/last-1))
			}
			if x.seasonal && chosen >= last {
				t.Errorf("nothing gained on a seasonal series")
			}
			if math.Abs(coverage-0.9) > 0.05 {
				t.Errorf("the 90 %% quantile covers %.1f %%", 100*coverage)
			}
		})
	}
}
