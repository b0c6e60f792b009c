package backtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

var t0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// spec is for steps of a minute.
func spec(statistic forecast.Statistic) forecast.Spec {
	return forecast.Spec{
		Step: time.Minute, Horizons: []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute},
		Quantiles: []float64{0.5, 0.9, 0.95, 0.99}, Statistic: statistic,
	}
}

// noisy is a noisy day, with some rows unknown.
func noisy(seed uint64, rows int) Series {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := Series{Name: "noisy", Start: t0, Step: time.Minute, Values: make([]float64, rows)}
	for i := range s.Values {
		s.Values[i] = 100 + 50*math.Sin(2*math.Pi*float64(i)/1440) + 10*rng.ExpFloat64()
		if rng.IntN(50) == 0 {
			s.Values[i] = math.NaN()
		}
	}
	return s
}

// forecasters are all that a Run can ask here.
func forecasters() map[string]func() Forecaster {
	out := map[string]func() Forecaster{"preheat": func() Forecaster { return &forecast.Forecaster{} }}
	for _, name := range Baselines() {
		out[name] = func() Forecaster { return NewBaseline(name) }
	}
	return out
}

func rowsOf(t *testing.T, r Run, f Forecaster) []Row {
	t.Helper()
	var out []Row
	if err := r.Forecast(f, func(row Row) { out = append(out, row) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAForecastDoesNotChangeWithTheFuture(t *testing.T) {
	const rows, now = 2 * 1440, 1440 + 700
	futures := map[string]func(rng *rand.Rand, future []float64){
		"shuffled":  func(rng *rand.Rand, f []float64) { rng.Shuffle(len(f), func(i, j int) { f[i], f[j] = f[j], f[i] }) },
		"unknown":   func(_ *rand.Rand, f []float64) { fill(f, math.NaN()) },
		"a million": func(_ *rand.Rand, f []float64) { fill(f, 1e6) },
	}
	for who, make := range forecasters() {
		for how, change := range futures {
			for _, statistic := range []forecast.Statistic{forecast.Value, forecast.Maximum} {
				t.Run(who+"/"+how+"/"+string(statistic), func(t *testing.T) {
					series := noisy(7, rows)
					run := Run{Series: series, Spec: spec(statistic), Origins: series.Origins(now-60, now+60, 1)}
					before := rowsOf(t, run, make())
					run.Series.Values = slices.Clone(series.Values)
					change(rand.New(rand.NewPCG(1, 2)), run.Series.Values[now:])
					after := rowsOf(t, run, make())
					known := series.End(now - 1)
					same, changed := 0, 0
					for i := range before {
						switch equal := slices.Equal(before[i].Values, after[i].Values); {
						case before[i].Origin.After(known):
							if !equal {
								changed++
							}
						case !equal:
							t.Fatalf("the forecast at %v for %v was %v, with the rows from %v on changed it is %v",
								before[i].Origin, before[i].Horizon, before[i].Values, known, after[i].Values)
						default:
							same++
						}
					}
					if same < 150 || changed < 20 || !slices.ContainsFunc(run.Origins, known.Equal) {
						t.Fatalf("%d forecasts up to the change, %d after it differ, the last at %v: this proves nothing", same, changed, known)
					}
				})
			}
		}
	}
}

func fill(values []float64, with float64) {
	for i := range values {
		values[i] = with
	}
}

// recorder says what it was given.
type recorder struct {
	ends   []time.Time
	values []float64
}

func (r *recorder) Observe(_ *forecast.Spec, end time.Time, v float64) {
	r.ends, r.values = append(r.ends, end), append(r.values, v)
}

func (r *recorder) Predict(s *forecast.Spec) []forecast.Prediction {
	var out []forecast.Prediction
	for _, h := range s.Horizons {
		out = append(out, forecast.Prediction{At: r.ends[len(r.ends)-1], Horizon: h, Values: []float64{float64(len(r.values))}, Source: "recorder"})
	}
	return out
}

func TestARunPairsEachForecastWithWhatCameTrue(t *testing.T) {
	nan := math.NaN()
	series := Series{Name: "s", Start: t0, Step: time.Minute, Values: []float64{1, 5, 2, nan, 4, 3}}
	cases := map[string]struct {
		statistic forecast.Statistic
		origin    int
		want      []float64 // for 1 and 2 minutes
	}{
		"the value is that of the row which ends at the horizon": {forecast.Value, 0, []float64{5, 2}},
		"the maximum is over the rows up to the horizon":         {forecast.Maximum, 0, []float64{5, 5}},
		"an unknown row is unknown":                              {forecast.Value, 1, []float64{2, nan}},
		"a maximum with an unknown row is unknown":               {forecast.Maximum, 2, []float64{nan, nan}},
		"beyond the series nothing is known":                     {forecast.Value, 4, []float64{3, nan}},
		"at its end nothing is known":                            {forecast.Maximum, 5, []float64{nan, nan}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := forecast.Spec{Step: time.Minute, Horizons: []time.Duration{time.Minute, 2 * time.Minute}, Quantiles: []float64{0.5}, Statistic: c.statistic}
			var f recorder
			rows := rowsOf(t, Run{Series: series, Spec: s, Origins: []time.Time{series.End(c.origin)}}, &f)
			var want []Row
			for i, h := range s.Horizons {
				want = append(want, Row{Origin: series.End(c.origin), Horizon: h, Values: []float64{float64(c.origin + 1)}, Actual: c.want[i], Source: "recorder"})
			}
			if diff := cmp.Diff(want, rows, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
			if len(f.values) != c.origin+1 || !f.ends[c.origin].Equal(t0.Add(time.Duration(c.origin+1)*time.Minute)) {
				t.Errorf("at the end of row %d the forecaster had seen %d rows, the newest of which ended at %v", c.origin, len(f.values), f.ends)
			}
		})
	}
}

func TestARunRefusesWhatItCannotDo(t *testing.T) {
	good := Run{Series: noisy(1, 10), Spec: spec(forecast.Value)}
	cases := map[string]struct {
		change func(r *Run)
		want   string
	}{
		"an origin within a row":          {func(r *Run) { r.Origins = []time.Time{t0.Add(90 * time.Second)} }, "no row of 1m0s ends at the origin"},
		"an origin beyond the series":     {func(r *Run) { r.Origins = []time.Time{t0.Add(time.Hour)} }, "rows end from 2026-03-02 00:01:00"},
		"the start, which no row ends":    {func(r *Run) { r.Origins = []time.Time{t0} }, "no row of 1m0s"},
		"origins out of order":            {func(r *Run) { r.Origins = []time.Time{r.Series.End(3), r.Series.End(2)} }, "sort the origins"},
		"a series without rows":           {func(r *Run) { r.Series.Values = nil }, "no rows"},
		"another step than the spec's":    {func(r *Run) { r.Series.Step = time.Second }, "that of the spec 1m0s"},
		"a horizon that is no multiple":   {func(r *Run) { r.Spec.Horizons = []time.Duration{90 * time.Second} }, "whole multiple"},
		"a step of nothing in the series": {func(r *Run) { r.Series.Step = 0 }, "must be positive"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			err := r.Forecast(&recorder{}, func(Row) { t.Error("a forecast was made") })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

func TestThinnedOriginsTakeEveryMinuteOfTheHourAlike(t *testing.T) {
	series := Series{Name: "s", Start: t0, Step: time.Minute, Values: make([]float64, 40*1440)}
	origins := series.SecondHalf(2000)
	minutes := make([]int, 60)
	for i, o := range origins {
		minutes[o.Minute()]++
		if i > 0 && !o.After(origins[i-1]) {
			t.Fatalf("origin %v after %v", o, origins[i-1])
		}
	}
	if len(origins) != 2000 || slices.Min(minutes) < 25 || slices.Max(minutes) > 42 {
		t.Errorf("%d origins, by minute of the hour %v", len(origins), minutes)
	}
	if half := series.End(20 * 1440); origins[0].Before(half) || origins[1999].Before(series.End(40*1440-60)) {
		t.Errorf("they go from %v to %v: want all of the second half, from %v on", origins[0], origins[1999], half)
	}
	short := series.Cut(0, 600)
	if all := short.SecondHalf(2000); len(all) != 300 || !all[0].Equal(series.End(300)) {
		t.Errorf("of a short series %d origins are left, want all 300", len(all))
	}
}

func TestOriginsAreEndsOfKnownRows(t *testing.T) {
	series := Series{Name: "s", Start: t0, Step: time.Minute, Values: []float64{1, math.NaN(), 3, 4, 5, 6, 7}}
	minutes := func(origins []time.Time) (out []int) {
		for _, o := range origins {
			out = append(out, int(o.Sub(t0)/time.Minute))
		}
		return out
	}
	if got := minutes(series.Origins(0, 4, 1)); !slices.Equal(got, []int{1, 3, 4}) {
		t.Errorf("Origins: %v", got)
	}
	if got := minutes(series.Every(2 * time.Minute)); !slices.Equal(got, []int{3, 4, 6}) {
		t.Errorf("Every: %v", got)
	}
}

func TestHorizonsThatAreNoMultipleOfTheStepAreLeftOut(t *testing.T) {
	kept, left := Divisible([]time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 0}, 5*time.Minute)
	if !slices.Equal(kept, []time.Duration{5 * time.Minute, 10 * time.Minute}) || !slices.Equal(left, []time.Duration{time.Minute, 0}) {
		t.Errorf("kept %v, left %v", kept, left)
	}
}
