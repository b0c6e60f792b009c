package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// quick are options for a small run.
func quick(t *testing.T, only ...string) options {
	t.Helper()
	o := options{traces: "../../../shared/traces", only: only, most: 50}
	o.output = "table"
	if err := o.set("value", nil); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTheFiguresDoNotDependOnHowManyAreScoredAtOnce(t *testing.T) {
	var printed []string
	for _, workers := range []int{1, 4} {
		o := quick(t, "days-of-6h", "on-off-slow")
		o.traces, o.workers = t.TempDir(), workers
		var out bytes.Buffer
		if err := run(o, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		printed = append(printed, out.String())
	}
	if diff := cmp.Diff(printed[0], printed[1]); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"== generated:", "== generated-first-hours:", "days-of-6h", "seasonal-week", "measure: "} {
		if !strings.Contains(printed[0], want) {
			t.Errorf("%q is not in\n%s", want, printed[0])
		}
	}
}

func TestTheAblationLeavesOutEachInTurn(t *testing.T) {
	expert, stage := forecast.Experts()[0], forecast.Stages()[0]
	o := quick(t, "business-hours-10m")
	o.groups, o.ablate = []string{"generated"}, []string{expert, expert + "+" + stage}
	var out bytes.Buffer
	if err := run(o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"without " + expert, "without " + expert + "+" + stage, "change", "+0.00%"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	o.ablate, o.without = []string{"all"}, []string{expert}
	if n := len(o.parts()); n != len(forecast.Experts())+len(forecast.Stages())-1 || slices.Contains(o.parts(), expert) {
		t.Errorf("all is %q", o.parts())
	}
}

func TestWithoutTracesTheRecordedSeriesAreLeftOutWithAMessage(t *testing.T) {
	o := quick(t, "nasa", "low-rate")
	o.traces = t.TempDir()
	var aside bytes.Buffer
	groups, err := subjects(o, &aside)
	if err != nil || len(groups) != 2 || !strings.Contains(aside.String(), "1 recorded series are left out") {
		t.Errorf("%v groups, %v, said %q", len(groups), err, aside.String())
	}
	o.only = []string{"nasa"}
	if _, err := subjects(o, io.Discard); err == nil {
		t.Error("nothing to score is no error")
	}
}

func TestEveryFaultOfTheFlagsIsTold(t *testing.T) {
	o := options{most: 0, every: -1, workers: -1, output: "yaml", groups: []string{"guessed"}, without: []string{"oracle"}}
	err := o.set("mean", []string{"nasa"})
	for _, want := range []string{"--most 0", "--every", "--workers -1", `-o "yaml"`, `--statistic "mean"`, `--group "guessed"`, `"oracle": no expert`, `unexpected ["nasa"]`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestResampledRowsAreMeansWeightedByTime(t *testing.T) {
	nan := math.NaN()
	cases := map[string]struct {
		values       []float64
		period, step time.Duration
		want         []float64
	}{
		"the same step":                    {[]float64{1, 2}, time.Minute, time.Minute, []float64{1, 2}},
		"seconds to minutes, rest dropped": {slices.Concat(slices.Repeat([]float64{3}, 90), slices.Repeat([]float64{6}, 60)), time.Second, time.Minute, []float64{3, 4.5}},
		"6 minutes to 10":                  {[]float64{10, 20, 30, 40, 50}, 6 * time.Minute, 10 * time.Minute, []float64{14, 32 - 2, 46}},
		"half unknown is unknown":          {[]float64{1, nan, 5, nan, nan, 7}, time.Minute, 3 * time.Minute, []float64{3, nan}},
		"to shorter rows":                  {[]float64{1, 2}, 2 * time.Minute, time.Minute, []float64{1, 1, 2, 2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := resample(c.values, c.period, c.step)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// archive packs files as ServeGen does.
func archive(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	pack := tar.NewWriter(zip)
	for name, text := range files {
		if err := pack.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(pack, text)
	}
	pack.Close()
	zip.Close()
	return &out
}

func TestClientsAreReadLargestFirstWithTheirHoles(t *testing.T) {
	all, err := readClients(archive(t, map[string]string{
		"data/chunk-0-trace.csv":    "0,1,1,Gamma,1,1\n600,2,1,,0,0\n",
		"data/chunk-1-trace.csv":    "0,4,1,,0,0\n1200,8,1,,0,0\n",
		"data/chunk-0-dataset.json": "{}",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float64{{4, math.NaN(), 8}, {1, 2}}
	got := [][]float64{all[0].Values, all[1].Values}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{"x,1\n": "line 1", "600,1\n0,1\n": "line 2", "5\n": ""} {
		_, err := readClients(archive(t, map[string]string{"chunk-0-trace.csv": text}))
		if want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chunk-0-trace.csv")) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestGeneratedSeriesAreTheSameEachTimeAndWhatTheyAreCalled(t *testing.T) {
	made := map[string]subject{}
	for _, g := range generators {
		s := g.series()
		made[g.name] = s
		if !slices.Equal(s.Values, g.series().Values) {
			t.Errorf("%s: another series the second time", g.name)
		}
		if m := s.Mean(); !(m > 0.02 && m < 1000) {
			t.Errorf("%s: mean %v requests/s", g.name, m)
		}
	}
	at := func(name string, at time.Time) float64 { // mean of half an hour
		s := made[name]
		i := int(at.Sub(monday) / s.Step)
		return (&backtest.Series{Values: s.Values[i : i+int(30*time.Minute/s.Step)]}).Mean()
	}
	day := func(n, hour, minute int) time.Time {
		return monday.AddDate(0, 0, n).Add(time.Duration(60*hour+minute) * time.Minute)
	}
	cases := map[string]struct{ more, less, by float64 }{
		"business hours are busier than nights":     {at("business-hours", day(1, 10, 0)), at("business-hours", day(1, 3, 0)), 5},
		"and than weekends":                         {at("business-hours", day(1, 10, 0)), at("business-hours", day(5, 10, 0)), 5},
		"clocks drive the night job":                {at("clock-driven", day(3, 3, 5)), at("clock-driven", day(3, 2, 5)), 2},
		"it grows":                                  {at("growth", day(20, 12, 0)), at("growth", day(0, 12, 0)), 2},
		"summer time opens an hour earlier in UTC":  {at("daylight-saving", day(29, 6, 15)), at("daylight-saving", day(22, 6, 15)), 2},
		"days of 6 h come back after a quarter day": {at("days-of-6h", day(2, 3, 30)), at("days-of-6h", day(2, 5, 50)), 1.3},
	}
	for name, c := range cases {
		if !(c.more > c.by*c.less) {
			t.Errorf("%s: %.3g beside %.3g", name, c.more, c.less)
		}
	}
}

func TestFirstHoursBeginAfreshAtSeveralPlaces(t *testing.T) {
	s := generators[0].series()
	o := quick(t)
	runs := firstHours(&o, &s)
	if len(runs) != firstStarts {
		t.Fatalf("%d passes", len(runs))
	}
	for _, r := range runs {
		if span := r.Origins[len(r.Origins)-1].Sub(r.Series.Start); span != firstSpan || len(r.Origins) != 360 {
			t.Errorf("%d origins up to %v after the start", len(r.Origins), span)
		}
	}
	if last := runs[len(runs)-1].Series; !last.End(len(last.Values) - 1).Equal(s.End(len(s.Values) - 1)) {
		t.Error("the last pass does not reach the end of the series")
	}
	short := s
	short.Values = s.Values[:58]
	if runs := firstHours(&o, &short); len(runs) != 1 || len(runs[0].Origins) != 58 {
		t.Errorf("a short series has %d passes", len(runs))
	}
}

func TestSilenceIsJudgedAsTheLastValue(t *testing.T) {
	s := subject{Series: backtest.Series{Name: "silent", Start: monday, Step: time.Minute, Values: []float64{math.NaN(), 7, 8, math.NaN(), 9}}}
	o := quick(t)
	run := backtest.Run{Series: s.Series, Spec: o.spec(&s), Origins: []time.Time{s.End(0), s.End(3)}}
	var rows []backtest.Row
	if err := run.Forecast(&willing{Forecaster: silent{}}, func(r backtest.Row) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(horizons) || !slices.Equal(rows[0].Values, []float64{8, 8, 8, 8}) || rows[0].Withdrawn == "" || rows[0].Actual != 9 {
		t.Errorf("%+v: want the last value, 8, at the second origin only", rows)
	}
}

// silent never forecasts.
type silent struct{}

func (silent) Observe(*forecast.Spec, time.Time, float64)   {}
func (silent) Predict(*forecast.Spec) []forecast.Prediction { return nil }

func TestEveryIntervalTheSecondHalfHasAnOrigin(t *testing.T) {
	s := generators[0].series()
	o := quick(t)
	o.every = time.Hour
	origins := secondHalf(&o, &s)[0].Origins
	if first := s.End(len(s.Values)/2 - 1).Add(time.Hour); len(origins) != 7*24 || !origins[0].Equal(first) {
		t.Errorf("%d origins from %v, want 168 from %v", len(origins), origins[0], first)
	}
}

func TestRecordedSeriesAreTheTwentyOne(t *testing.T) {
	o := quick(t)
	if _, err := os.Stat(o.traces); err != nil {
		t.Skip("there are no traces beside the repository")
	}
	all, err := readAll(o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	steps := map[time.Duration]int{}
	for _, s := range all {
		steps[s.Step]++
	}
	want := map[time.Duration]int{time.Minute: 8, 5 * time.Minute: 4, 10 * time.Minute: 8, 30 * time.Minute: 1}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
	facts := map[string]struct {
		rows int
		mean float64 // per minute
	}{
		"worldcup":         {57750, 2690},
		"worldcup-thinned": {57750, 15},
		"twitter-stream":   {15840, 3834},
		"nasa":             {38880, 47.96},
		"azure-week":       {1008, 2708.8},
		"servegen":         {2016, 70464},
		"nab-goog":         {15842, 4.15},
	}
	for _, s := range all {
		f, ok := facts[s.Name]
		if ok && (math.Abs(float64(len(s.Values)-f.rows)) > 60 || math.Abs(60*s.Mean()/f.mean-1) > 0.02) {
			t.Errorf("%s: %d rows with a mean of %.4g a minute, want %d and %v", s.Name, len(s.Values), 60*s.Mean(), f.rows, f.mean)
		}
	}
}
