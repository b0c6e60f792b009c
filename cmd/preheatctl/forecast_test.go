package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// firstRow is when the series of these tests begin.
const firstRow = 1_700_000_400

// waves are n rows of a demand with a short season and noise.
func waves(n int, seed uint64) []float64 {
	rng, out := rand.New(rand.NewPCG(seed, 7)), make([]float64, n)
	for i := range out {
		out[i] = math.Round(1000*max(0, 50+30*math.Sin(float64(i)/40)+5*rng.NormFloat64())) / 1000
	}
	return out
}

// table writes rows as a file of timestamp_unix,value, gzipped where its name says so.
func table(t *testing.T, path string, step int, values []float64) string {
	t.Helper()
	var text bytes.Buffer
	text.WriteString("timestamp_unix,value\n")
	for i, v := range values {
		fmt.Fprintf(&text, "%d,%v\n", firstRow+i*step, v)
	}
	if strings.HasSuffix(path, ".gz") {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		if _, err := text.WriteTo(z); err != nil {
			t.Fatal(err)
		}
		z.Close()
		text = zipped
	}
	return file(t, path, text.String())
}

func file(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// rowsOf are the rows of a CSV without its header.
func rowsOf(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"series", "origin_unix", "horizon_s", "quantile", "value"}, rows[0]); diff != "" {
		t.Fatal(diff)
	}
	return rows[1:]
}

// Whatever comes after an origin, also in another order, the forecast made at it is the same to the last digit.
func TestAForecastKnowsNothingOfTheFuture(t *testing.T) {
	const n, origin = 600, 400
	dir, values := t.TempDir(), waves(n, 1)
	origins := file(t, filepath.Join(dir, "origins.csv"), fmt.Sprintf("series,origin_unix\na,%d\na,%d\n", firstRow+(origin-30)*60, firstRow+origin*60))
	run := func(name string, future []float64) string {
		place := filepath.Join(dir, name)
		if err := os.Mkdir(place, 0o755); err != nil {
			t.Fatal(err)
		}
		path := table(t, filepath.Join(place, "a.csv"), 60, append(slices.Clone(values[:origin]), future...))
		return must(t, "forecast", "--series", path, "--origins", origins, "-o", "csv")
	}
	want := run("true", values[origin:])
	if len(rowsOf(t, want)) != 2*4*4 {
		t.Fatalf("want two origins, four horizons, four quantiles: %s", want)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 5 {
		future := slices.Clone(values[origin:])
		rng.Shuffle(len(future), func(i, j int) { future[i], future[j] = future[j], future[i] })
		for j := range future {
			future[j] *= float64(i + 1)
		}
		if diff := cmp.Diff(want, run(fmt.Sprint("shuffled", i), future)); diff != "" {
			t.Fatalf("another future, another forecast: %s", diff)
		}
	}
	if diff := cmp.Diff(want, run("cut", nil)); diff != "" {
		t.Errorf("a series that ends at the origin: %s", diff)
	}
	changed := slices.Clone(values)
	changed[origin-1] *= 2 // the row that ends at the last origin
	values = changed
	if want == run("changed", values[origin:]) {
		t.Error("the last row before the origin changes nothing")
	}
}

// The output has the order of the origins, names and times as they stand there, horizons and quantiles ascending.
func TestForecastsAreInTheOrderOfTheOrigins(t *testing.T) {
	dir := t.TempDir()
	a := table(t, filepath.Join(dir, "a.csv"), 60, waves(500, 1))
	b := table(t, filepath.Join(dir, "b.csv.gz"), 300, waves(500, 2))
	second, first, third := firstRow+400*60, firstRow+300*60, firstRow+400*300
	origins := file(t, filepath.Join(dir, "o.csv"), fmt.Sprintf("series,origin_unix\na,%d\nb.csv.gz,%d.0\na,%d\na,%d\n", second, third, first, second))
	for name, files := range map[string][]string{
		"a flag each":    {"--series", a, "--series", b},
		"commas":         {"--series", a + "," + b},
		"the shell's":    {"--series", a, b},
		"the other way":  {b, "--series", a},
		"without a flag": {a, b},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"forecast", "--origins", origins, "--horizons", "300s,60s,60s", "--quantiles", "0.9,0.5", "-o", "csv"}, files...)
			var got []string
			for _, r := range rowsOf(t, must(t, args...)) {
				if v, err := strconv.ParseFloat(r[4], 64); err != nil || !(v >= 0) || math.IsInf(v, 0) {
					t.Errorf("value %q", r[4])
				}
				got = append(got, strings.Join(r[:4], " "))
			}
			var want []string
			for _, o := range []struct{ name, at, horizons string }{
				{"a", fmt.Sprint(second), "60 300"}, {"b.csv.gz", fmt.Sprint(third) + ".0", "300"}, {"a", fmt.Sprint(first), "60 300"}, {"a", fmt.Sprint(second), "60 300"},
			} {
				for h := range strings.FieldsSeq(o.horizons) {
					want = append(want, fmt.Sprintf("%s %s %s 0.5", o.name, o.at, h), fmt.Sprintf("%s %s %s 0.9", o.name, o.at, h))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without --origins and --every a series has about a thousand origins in its second half, none of them twice.
func TestOriginsOfItsOwn(t *testing.T) {
	const n = 2016 // of which the second half is hardly more than wanted
	a := table(t, filepath.Join(t.TempDir(), "a.csv"), 600, waves(n, 1))
	rows := rowsOf(t, must(t, "forecast", a, "--horizons", "10m", "--quantiles", "0.9", "-o", "csv"))
	seen := map[string]bool{}
	for _, r := range rows {
		at, err := strconv.Atoi(r[1])
		if err != nil || at <= firstRow+n/2*600 || at > firstRow+n*600 || seen[r[1]] {
			t.Fatalf("origin %s, seen before: %v", r[1], seen[r[1]])
		}
		seen[r[1]] = true
	}
	if len(rows) < ownOrigins*2/3 || len(rows) > ownOrigins {
		t.Errorf("%d origins, want about %d", len(rows), ownOrigins)
	}
}

// On a terminal a line says how far the passes are, and it is gone at the end.
func TestTheProgressOfAForecast(t *testing.T) {
	m := passMeter{total: 2000}
	m.done.Store(500)
	if got, want := m.text(10*time.Second), " 25 %  500 of 2,000 rows  30s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var errs bytes.Buffer
	stop := m.show(t.Context(), &errs)
	time.Sleep(2 * redraw)
	stop()
	if text := errs.String(); !strings.Contains(text, "500 of 2,000 rows") || !strings.HasSuffix(text, " \r") {
		t.Errorf("%q is not drawn, or not wiped", text)
	}
}

// The results do not depend on how many passes go on at once.
func TestWorkersDoNotMatterToForecasts(t *testing.T) {
	dir := t.TempDir()
	args := []string{"forecast", "-o", "json", "--every", "17m"}
	for i := range 5 {
		args = append(args, table(t, filepath.Join(dir, fmt.Sprintf("s%d.csv", i)), 60, waves(400, uint64(i))))
	}
	one := must(t, append(args, "--workers", "1")...)
	if diff := cmp.Diff(one, must(t, append(args, "--workers", "4")...)); diff != "" {
		t.Error(diff)
	}
}

// What an origin is that is not the end of a row that is known, and what is said of it.
func TestOddOrigins(t *testing.T) {
	dir, values := t.TempDir(), waves(300, 1)
	for i := 100; i < 110; i++ {
		values[i] = math.NaN()
	}
	a := table(t, filepath.Join(dir, "a.csv"), 60, values)
	at := func(row int) int { return firstRow + row*60 } // the end of the row before
	for name, tc := range map[string]struct {
		origin string
		same   int    // the row whose end gives the same forecast, 0 for no forecast
		note   string // part of stderr, empty for silence
	}{
		"the end of a row":                    {fmt.Sprint(at(200)), 200, ""},
		"a float":                             {fmt.Sprintf("%d.0000001", at(200)), 200, ""},
		"within a row":                        {fmt.Sprint(at(200) + 30), 200, "lie within a row of 1m: forecast at the end of the row before"},
		"within a gap":                        {fmt.Sprint(at(105)), -1, "end of a row of which nothing is known: forecast from those before"},
		"the end of the series":               {fmt.Sprint(at(300)), 300, ""},
		"just after the series":               {fmt.Sprint(at(310)), -1, "end of a row of which nothing is known"},
		"years after the series":              {"1999999980", 0, "more than a week after the end of the last row: no forecast"},
		"the start of the series":             {fmt.Sprint(at(0)), 0, "before the end of the first row of which something is known: no forecast"},
		"before the series":                   {fmt.Sprint(at(-100)), 0, "before the end of the first row"},
		"a series that is not given, beside":  {fmt.Sprintf("%d\nstranger,%d", at(200), at(200)), 200, "1 row is of series that are not given"},
		"comments and blank lines in between": {fmt.Sprintf("%d\n\n# end\n", at(200)), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(text string) (out [][]string, notes string) {
				origins := file(t, filepath.Join(t.TempDir(), "o.csv"), "series,origin_unix\na,"+text+"\n")
				code, csv, errs := call(t.Context(), "forecast", a, "--origins", origins, "-o", "csv")
				if code != exitOK {
					t.Fatalf("exit %d: %s", code, errs)
				}
				for _, r := range rowsOf(t, csv) {
					out = append(out, r[2:])
				}
				return out, errs
			}
			got, notes := ask(tc.origin)
			if !strings.Contains(notes, tc.note) || (notes == "") != (tc.note == "") {
				t.Errorf("stderr %q, want %q", notes, tc.note)
			}
			switch {
			case tc.same > 0:
				want, _ := ask(fmt.Sprint(at(tc.same)))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			case (len(got) == 0) != (tc.same == 0):
				t.Errorf("%d forecasts", len(got))
			}
		})
	}
}

// What a trace's requests ask for is forecast like their number.
func TestTokensOfATraceAreForecast(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("arrival_s,input_tokens,output_tokens\n")
	for i := range 200 {
		fmt.Fprintf(&rows, "%d,1200,60\n%d,600,60\n", 60*i, 60*i+30)
	}
	trace := file(t, filepath.Join(t.TempDir(), "requests.csv"), rows.String())
	for of, want := range map[string]string{"requests": "0.0333 requests/s on average", "prompt-tokens": "30 tokens/s on average", "generation-tokens": "2 tokens/s on average"} {
		code, out, errs := call(t.Context(), "forecast", trace, "--of", of, "--horizons", "60s")
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("--of %s: exit %d, %s%s, want %q", of, code, errs, out, want)
		}
	}
}

func TestVerdictsThatSayLittle(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		step   int
		values []float64
		want   string
	}{
		"few forecasts": {60, waves(60, 1), "with 29 forecasts that says little"},
		"no demand":     {60, make([]float64, 300), "there was no demand: nothing can be said of forecasts"},
		"no horizon":    {432, waves(300, 1), "nothing was forecast: no horizon is a whole multiple of its step"},
	} {
		code, out, errs := call(t.Context(), "forecast", table(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".csv"), tc.step, tc.values), "--horizons", "60s")
		if code != exitOK || !strings.Contains(out, tc.want) {
			t.Errorf("%s: exit %d, %s%s, want %q", name, code, errs, out, tc.want)
		}
	}
}

func TestFaultsOfAForecast(t *testing.T) {
	dir := t.TempDir()
	a := table(t, filepath.Join(dir, "a.csv"), 60, waves(50, 1))
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	twin := table(t, filepath.Join(dir, "b", "a.csv.gz"), 60, waves(50, 1))
	broken := file(t, filepath.Join(dir, "broken.csv"), "timestamp_unix,value\n1,2\n2,x\n")
	origins := func(text string) string { return file(t, filepath.Join(t.TempDir(), "o.csv"), text) }
	for name, tc := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"no series":                     {nil, exitUsage, []string{"--series", "timestamp_unix,value"}},
		"a file that is not there":      {[]string{"nowhere.csv"}, exitFault, []string{"nowhere.csv"}},
		"all faults of files at once":   {[]string{"nowhere.csv", broken}, exitFault, []string{"nowhere.csv", broken + ": line 3, column 2", `"x"`}},
		"two series of one name":        {[]string{a, twin}, exitUsage, []string{a, twin, "rename"}},
		"a horizon of nothing":          {[]string{a, "--horizons", "0s"}, exitUsage, []string{"--horizons 0s"}},
		"a horizon without a unit":      {[]string{a, "--horizons", "60"}, exitUsage, []string{"--horizons", `"60"`, "90s"}},
		"a quantile of one":             {[]string{a, "--quantiles", "0.5,1"}, exitUsage, []string{"--quantiles 1"}},
		"a statistic of nobody":         {[]string{a, "--statistic", "mode"}, exitUsage, []string{`--statistic "mode"`, "value or max"}},
		"a quantity of nobody":          {[]string{a, "--of", "tokens"}, exitUsage, []string{`--of "tokens"`, "requests, prompt-tokens, generation-tokens"}},
		"tokens of a CSV of values":     {[]string{a, "--of", "prompt-tokens"}, exitFault, []string{"a.csv", "leave --of out"}},
		"a file of nothing":             {[]string{file(t, filepath.Join(dir, "empty.csv"), "")}, exitFault, []string{"empty.csv: is empty"}},
		"a zone of nobody":              {[]string{a, "--time-zone", "Mars/Olympus"}, exitUsage, []string{"--time-zone", "Europe/Berlin"}},
		"a holiday that is none":        {[]string{a, "--holidays", "someday"}, exitFault, []string{"--holidays someday", "2026-12-25"}},
		"two ways to say when":          {[]string{a, "--every", "1m", "--origins", "o.csv"}, exitUsage, []string{"--origins and --every"}},
		"origins that are not there":    {[]string{a, "--origins", "nowhere.csv"}, exitFault, []string{"--origins", "nowhere.csv"}},
		"an origin that is no time":     {[]string{a, "--origins", origins("series,origin_unix\na,noon\n")}, exitFault, []string{"o.csv: line 2, column 2", `"noon"`}},
		"an origin in milliseconds":     {[]string{a, "--origins", origins("a,1700000400000\n")}, exitFault, []string{"o.csv", "milliseconds"}},
		"origins of another header":     {[]string{a, "--origins", origins("when,who\na,1\n")}, exitFault, []string{"o.csv: line 1", "series,origin_unix"}},
		"origins of one column":         {[]string{a, "--origins", origins("origin_unix\n1700000400\n")}, exitFault, []string{"o.csv: line 1", "series,origin_unix"}},
		"origins of other series alone": {[]string{a, "--origins", origins("z,1700000400\n")}, exitFault, []string{"o.csv", "none of its rows", "a"}},
		"a format of nobody":            {[]string{a, "-o", "xml"}, exitUsage, []string{"--output xml"}},
		"a file for a directory":        {[]string{a, "--out", "x.csv"}, exitUsage, []string{"--out x.csv", "-o csv > FILE"}},
		"a step that does not divide":   {[]string{a, "--step", "90s"}, exitFault, []string{"a.csv", "--step 1m30s", "whole multiple"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errs := call(t.Context(), append([]string{"forecast"}, tc.args...)...)
			if code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q lacks %q", errs, want)
				}
			}
		})
	}
}

// Where no horizon fits a series there is nothing to forecast, which is said and is no fault: others may be given with it.
func TestHorizonsThatDoNotFit(t *testing.T) {
	a := table(t, filepath.Join(t.TempDir(), "a.csv"), 600, waves(200, 1))
	code, out, errs := call(t.Context(), "forecast", a, "--horizons", "60s,300s,10m,15m", "--every", "1h", "-o", "csv")
	if code != exitOK || !strings.Contains(errs, "Note: a: left out 1m, 5m, 15m, no whole multiple of the step 10m") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, r := range rowsOf(t, out) {
		if r[2] != "600" {
			t.Fatalf("a forecast for %s s", r[2])
		}
	}
	code, out, errs = call(t.Context(), "forecast", a, "--horizons", "60s", "-o", "csv")
	if code != exitOK || len(rowsOf(t, out)) != 0 || !strings.Contains(errs, "nothing is forecast") {
		t.Errorf("exit %d, %q: %s", code, out, errs)
	}
	if code, out, errs := call(t.Context(), "forecast", a, "--horizons", "60s"); code != exitOK || !strings.Contains(out, "nothing was forecast") {
		t.Errorf("exit %d, %q: %s", code, out, errs)
	}
}

// The relative loss of the table is the measure of package backtest.
func TestTheLossIsTheMeasure(t *testing.T) {
	a := table(t, filepath.Join(t.TempDir(), "a.csv"), 60, waves(2000, 1))
	var got forecastSummary
	if err := json.Unmarshal([]byte(must(t, "forecast", a, "--every", "5m", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	s := backtest.Series{Name: "a", Start: time.Unix(firstRow, 0), Step: time.Minute, Values: waves(2000, 1)}
	spec := forecast.Spec{Step: s.Step, Horizons: []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}, Quantiles: []float64{0.5, 0.9, 0.95, 0.99}}
	run := backtest.Run{Series: s, Spec: spec, Origins: s.Every(5 * time.Minute)}
	reference, err := backtest.Of(&run, backtest.NewBaseline(backtest.LastValue))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]backtest.Forecaster{preheatForecast: &forecast.Forecaster{}, backtest.Drift: backtest.NewBaseline(backtest.Drift)} {
		score, err := backtest.Of(&run, f)
		if err != nil {
			t.Fatal(err)
		}
		want, err := backtest.Compare(&score, &reference)
		if err != nil {
			t.Fatal(err)
		}
		if x := got.Series[0].Loss[name]; math.Abs(x-want.Ratio) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, x, want.Ratio)
		}
		for i, h := range want.Horizons {
			if x := got.Series[0].Horizons[i].Loss[name]; math.Abs(x-h.Ratio) > 1e-9 {
				t.Errorf("%s %v ahead: %v, want %v", name, h.Horizon, x, h.Ratio)
			}
		}
	}
}

func TestTheVerdictSaysWhatTheFiguresSay(t *testing.T) {
	horizons := func(own, rule float64, withdrawn int) []horizonScore {
		loss := map[string]float64{}
		for _, name := range forecasters() {
			loss[name] = 1.5
		}
		loss[preheatForecast], loss[backtest.RecentMean] = own, rule
		return []horizonScore{{HorizonS: 60, Forecasts: 100, Withdrawn: withdrawn, Loss: loss, Quantiles: []quantileScore{{Quantile: 0.5, Coverage: 0.5}, {Quantile: 0.9, Coverage: 0.912}}}}
	}
	for name, tc := range map[string]struct {
		horizons []horizonScore
		want     []string
	}{
		"better":                       {horizons(0.83, 1.2, 0), []string{"loses 17 % less than the last value", "no simple rule beats the last value", "below its 0.9 quantile in 91.2 % of cases."}},
		"alike":                        {horizons(1.01, 1.2, 100), []string{"as well as the last value", "in 100 % of the forecasts it stood back"}},
		"worse":                        {horizons(1.3, 1.2, 0), []string{"loses 30 % more", "does not help here", "no simple rule beats the last value"}},
		"better, and a rule is, too":   {horizons(0.8, 0.9, 0), []string{"the best simple rule is recent-mean, 0.90x"}},
		"a rule is better":             {horizons(0.8, 0.7, 0), []string{"recent-mean alone does better still, 0.70x"}},
		"nothing came to be known yet": {[]horizonScore{{HorizonS: 60, Unknown: 3}}, []string{"nothing could be scored"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := seriesScore{Horizons: tc.horizons, Loss: overall(tc.horizons)}
			for _, want := range tc.want {
				if got := verdictOn(&s); !strings.Contains(got, want) {
					t.Errorf("%q lacks %q", got, want)
				}
			}
		})
	}
}

// A forecast writes into a directory that is empty, or that a forecast wrote.
func TestTheFilesOfAForecast(t *testing.T) {
	dir := t.TempDir()
	a, out := table(t, filepath.Join(dir, "a.csv"), 60, waves(400, 1)), filepath.Join(dir, "out")
	args := []string{"forecast", a, "--every", "10m", "--out", out}
	text := must(t, args...)
	for _, name := range forecastFiles {
		if !strings.Contains(text, filepath.Join(out, name)) {
			t.Errorf("%s is not told of: %s", name, text)
		}
	}
	first := contents(t, out)
	if diff := cmp.Diff(must(t, "forecast", a, "--every", "10m", "-o", "csv"), first[forecastsFile]); diff != "" {
		t.Error(diff)
	}
	must(t, args...) // over its own
	if diff := cmp.Diff(first, contents(t, out)); diff != "" {
		t.Error(diff)
	}
	code, _, errs := call(t.Context(), "forecast", a, "--out", dir)
	if code != exitUsage || !strings.Contains(errs, "--force") {
		t.Errorf("exit %d over foreign files: %s", code, errs)
	}
	must(t, "forecast", a, "--every", "10m", "--out", dir, "--force")
}

func TestHolidaysOfFlagsAndFiles(t *testing.T) {
	path := file(t, filepath.Join(t.TempDir(), "days.csv"), "date,name\n2026-12-25,Christmas\n# moved\n\n2027-01-01\n")
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	days, err := holidays([]string{"2026-05-01", path}, berlin)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range days {
		got = append(got, d.Format("2006-01-02 15:04 MST"))
	}
	if diff := cmp.Diff([]string{"2026-05-01 00:00 CEST", "2026-12-25 00:00 CET", "2027-01-01 00:00 CET"}, got); diff != "" {
		t.Error(diff)
	}
	_, err = holidays([]string{file(t, path, "2026-12-25\nsoon\n")}, berlin)
	if err == nil || !strings.Contains(err.Error(), "days.csv: line 2") {
		t.Errorf("error %v", err)
	}
}

// An interrupted forecast ends with nothing: half a table would look like a whole one.
func TestAnInterruptedForecast(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := table(t, filepath.Join(t.TempDir(), "a.csv"), 60, waves(400, 1))
	if code, out, _ := call(ctx, "forecast", a); code != exitInterrupted || out != "" {
		t.Errorf("exit %d: %s", code, out)
	}
}
