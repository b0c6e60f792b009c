package forecast

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// t0 is a Monday.
var t0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const daysOfMinutes = 24 * 60

// asked is a Spec of the four usual quantiles and horizons in rows.
func asked(step time.Duration, rows ...int) Spec {
	s := Spec{Step: step, Quantiles: []float64{0.5, 0.9, 0.95, 0.99}}
	for _, h := range rows {
		s.Horizons = append(s.Horizons, time.Duration(h)*step)
	}
	return s
}

// stream feeds a Forecaster one series, row by row.
type stream struct {
	Forecaster
	spec Spec
	// row is the number of the next row, which starts at from + row·step.
	row  int
	from time.Time
}

func newStream(s Spec) *stream { return &stream{spec: s, from: t0} }

// start is the start of a row.
func (x *stream) start(row int) time.Time { return x.from.Add(time.Duration(row) * x.spec.Step) }

// feed observes n rows of a series.
func (x *stream) feed(n int, value func(row int) float64) {
	for range n {
		x.Observe(&x.spec, x.start(x.row+1), value(x.row))
		x.row++
	}
}

// follow observes n rows and hands what is then forecast to each, with the number of the newest row.
func (x *stream) follow(n int, value func(row int) float64, each func(row int, p []Prediction)) {
	for range n {
		x.feed(1, value)
		each(x.row-1, x.Predict(&x.spec))
	}
}

// series is what a function of the row's number gives, drawn once so that it can be looked up again.
func series(n int, value func(row int) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = value(i)
	}
	return out
}

func at(values []float64) func(int) float64 { return func(i int) float64 { return values[i] } }

// largest is the maximum of the h values after row.
func largest(values []float64, row, h int) float64 { return slices.Max(values[row+1 : row+1+h]) }

// seeded is a source of chance that is the same in each run.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// noise is a level with a noise of the given size, never below zero.
func noise(rng *rand.Rand, level, size float64) func(int) float64 {
	return func(int) float64 { return math.Max(0, level+size*rng.NormFloat64()) }
}

// sane fails where predictions are not numbers, are below zero or cross.
func sane(t *testing.T, s *Spec, predictions []Prediction) {
	t.Helper()
	for _, p := range predictions {
		finite(t, reflect.ValueOf(p), "prediction")
		if len(p.Values) != len(s.Quantiles) || p.Values[0] < 0 || !slices.IsSorted(p.Values) {
			t.Fatalf("at %v for %v: %v", p.At, p.Horizon, p.Values)
		}
	}
}

// finite fails where v holds a number that is none.
func finite(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			t.Fatalf("%s is %v", path, f)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			finite(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			finite(t, v.Index(i), path+"[]")
		}
	}
}

// holds fails where a quantile is not covered as it says, by more than a point and what chance does to n forecasts, of
// which those within one horizon of rows overlap and tell the same.
func holds(t *testing.T, what string, q, covered float64, n, rows int) {
	t.Helper()
	if tolerance := 0.01 + 2.5*math.Sqrt(q*(1-q)*float64(rows)/float64(n)); math.Abs(covered-q) > tolerance {
		t.Errorf("%s: the %v quantile covers %.3f", what, q, covered)
	}
}
