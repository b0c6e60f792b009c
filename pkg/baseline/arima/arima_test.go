package arima

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"
)

// simulate draws a series of an order with the given coefficients and shocks of variance 1.
func simulate(rng *rand.Rand, n, d int, mean float64, ar, ma []float64) []float64 {
	const before = 200
	x, shocks := make([]float64, n+before), make([]float64, n+before)
	for t := range x {
		shocks[t] = rng.NormFloat64()
		x[t] = shocks[t]
		for i, a := range ar {
			if t > i {
				x[t] += a * x[t-i-1]
			}
		}
		for i, b := range ma {
			if t > i {
				x[t] += b * shocks[t-i-1]
			}
		}
	}
	x = x[before:]
	for i := range x {
		x[i] += mean
	}
	for range d {
		for i := 1; i < n; i++ {
			x[i] += x[i-1]
		}
	}
	return x
}

// The standard error of each coefficient is below 0.03 with 2000 values.
func TestFitRecoversWhatASeriesWasDrawnFrom(t *testing.T) {
	tests := map[string]struct {
		d      int
		ar, ma []float64
	}{
		"noise":                    {0, nil, nil},
		"one lag":                  {0, []float64{0.7}, nil},
		"two lags that oscillate":  {0, []float64{0.5, -0.6}, nil},
		"a moving average":         {0, nil, []float64{0.5}},
		"both":                     {0, []float64{0.6}, []float64{0.3}},
		"the same, summed up once": {1, []float64{0.6}, []float64{0.3}},
		"exponential smoothing's, summed up once":  {1, nil, []float64{-0.6}},
		"a moving average of two, summed up twice": {2, nil, []float64{-0.4, 0.2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Order{P: len(tt.ar), D: tt.d, Q: len(tt.ma), Intercept: tt.d == 0}
			x := simulate(rand.New(rand.NewPCG(3, 1)), 2000, tt.d, 0, tt.ar, tt.ma)
			m, err := Fit(x, o)
			if err != nil {
				t.Fatal(err)
			}
			_, ar, ma, variance := m.Coefficients()
			for i, want := range slices.Concat(tt.ar, tt.ma) {
				if got := slices.Concat(ar, ma)[i]; math.Abs(got-want) > 0.09 {
					t.Errorf("coefficient %d of %v: %.3f, want %.3f", i+1, o, got, want)
				}
			}
			if math.Abs(variance-1) > 0.1 {
				t.Errorf("variance %.3f, want 1", variance)
			}
		})
	}
}

func TestForecastsInClosedForm(t *testing.T) {
	x := []float64{7, 3, 9, 4, 6, 8}
	tests := map[string]struct {
		o    Order
		want float64
	}{
		"a random walk stays where it is":                      {Order{D: 1}, 8},
		"with drift it goes on by its mean step":               {Order{D: 1, Intercept: true}, 8 + (8.0-7)/5},
		"noise returns to its mean":                            {Order{Intercept: true}, 37.0 / 6},
		"noise about zero returns to it":                       {Order{}, 0},
		"two differences without more draw the last line":      {Order{D: 2}, 8 + (8 - 6)},
		"one lag without intercept scales, as far as it knows": {Order{P: 1}, math.NaN()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := Fit(x, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if _, ar, _, _ := m.Coefficients(); len(ar) > 0 {
				want = ar[0] * x[len(x)-1]
			}
			if math.Abs(m.Forecast()-want) > 1e-3 {
				t.Errorf("%v: got %.6f, want %.6f", tt.o, m.Forecast(), want)
			}
		})
	}
}

// One's own forecasts, taken for values, leave no surprise: those of one lag go back to the mean geometrically.
func TestOneLagForecastsDecayToTheMean(t *testing.T) {
	o := Order{P: 1, Intercept: true}
	const mean, ratio = 50.0, 0.8
	s := o.space([]float64{mean * (1 - ratio), ratio, 4})
	x := []float64{52, 47, 90}
	for k := 1; k <= 20; k++ {
		_, next := s.run(x)
		if want := mean + math.Pow(ratio, float64(k))*(90-mean); math.Abs(next-want) > 1e-9 {
			t.Fatalf("%d steps ahead: %.6f, want %.6f", k, next, want)
		}
		x = append(x, next)
	}
}

// White noise: n/2 times the logarithm of 2πe times the variance, and two parameters.
func TestAICOfNoise(t *testing.T) {
	m, err := Fit(abc, Order{Intercept: true})
	if err != nil {
		t.Fatal(err)
	}
	n := float64(len(abc))
	want := n*(math.Log(2*math.Pi*stat.PopVariance(abc, nil))+1) + 4
	if math.Abs(m.AIC()-want) > 1e-4 {
		t.Errorf("got %.6f, want %.6f", m.AIC(), want)
	}
}

func line(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(i + 1)
	}
	return x
}

func TestSearchOfSeriesWithoutNoise(t *testing.T) {
	tests := map[string]struct {
		x    []float64
		want Order
		next float64
	}{
		"one value all the time: upstream expects zero, and its callers know": {[]float64{5, 5, 5, 5, 5}, Order{}, 0},
		"a straight line goes on": {line(20), Order{D: 1, Intercept: true}, 21},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := Auto(tt.x)
			if err != nil {
				t.Fatal(err)
			}
			if m.Order() != tt.want || math.Abs(m.Forecast()-tt.next) > 1e-3 {
				t.Errorf("got %v, next %g; want %v, %g", m.Order(), m.Forecast(), tt.want, tt.next)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	five := []float64{1, 3, 2, 5, 4}
	fit := func(x []float64, o Order) error {
		_, err := Fit(x, o)
		return err
	}
	auto := func(x ...float64) error {
		_, err := Auto(x)
		return err
	}
	update := func(x ...float64) error {
		m, err := Fit(five, Order{D: 1})
		if err != nil {
			t.Fatal(err)
		}
		return m.Update(100, x...)
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"nothing":                   {auto(), "a series of 0 values: needs at least 1"},
		"not a number":              {auto(1, 2, math.NaN(), 4), "value 3 of 4 is NaN: must be finite"},
		"infinite":                  {fit([]float64{1, math.Inf(1), 2}, Order{}), "value 2 of 3 is +Inf: must be finite"},
		"too short for differences": {fit([]float64{1, 2, 4}, Order{D: 2}), "a series of 3 values: needs at least 4"},
		"a value that is none":      {update(math.Inf(-1)), "value 6 of 6 is -Inf: must be finite"},
		"too many lags":             {fit(five, Order{P: 6}), "order (6,0,0): 6 lags, must lie between 0 and 5"},
		"too many differences":      {fit(five, Order{D: 3}), "order (0,3,0): 3 differences, must lie between 0 and 2"},
		"fewer than none":           {fit(five, Order{Q: -1, Intercept: true}), "order (0,0,-1)+c: -1 lags of the moving average, must lie between 0 and 5"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.err == nil || tt.err.Error() != tt.want {
				t.Errorf("got %v, want %s", tt.err, tt.want)
			}
		})
	}
}

func TestUpdateForgetsBeyondWhatItKeeps(t *testing.T) {
	x := simulate(rand.New(rand.NewPCG(5, 5)), 60, 0, 20, []float64{0.5}, nil)
	o := Order{P: 1, Intercept: true}
	m, err := Fit(x[:30], o)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range x[30:] {
		if err := m.Update(40, v); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(x[20:], m.series); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	fresh, err := Fit(x[20:], o)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(m.Forecast()-fresh.Forecast()) > 0.05 {
		t.Errorf("next %g, want what a fit to the same values expects, %g", m.Forecast(), fresh.Forecast())
	}
}

func TestFailedUpdateChangesNothing(t *testing.T) {
	m, err := Fit(abc, Order{P: 1, Intercept: true})
	if err != nil {
		t.Fatal(err)
	}
	next, aic := m.Forecast(), m.AIC()
	if err := m.Update(100, 1e300); !errors.Is(err, ErrNoFit) {
		t.Fatalf("a value of 1e300: got %v, want %v", err, ErrNoFit)
	}
	if m.Forecast() != next || m.AIC() != aic || len(m.series) != len(abc) {
		t.Errorf("next %g of %d values, AIC %g: want %g, %d, %g", m.Forecast(), len(m.series), m.AIC(), next, len(abc), aic)
	}
}

func TestSearchIsDeterministic(t *testing.T) {
	x := simulate(rand.New(rand.NewPCG(8, 8)), 80, 1, 1, []float64{0.5}, []float64{0.4})
	first, err := Auto(x)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := Auto(x)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again, cmp.AllowUnexported(Model{})); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	}
}

// Whatever the values, a search ends with a finite forecast or says why not.
func FuzzAuto(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5}, 1.0)
	f.Add([]byte{0, 0, 9, 0, 0, 0, 0, 200}, 1e6)
	f.Add([]byte{7, 7, 7, 7, 7, 8}, 1e-9)
	f.Add([]byte{255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0}, 1e150)
	f.Fuzz(func(t *testing.T, raw []byte, unit float64) {
		x := make([]float64, min(len(raw), 40))
		for i := range x {
			x[i] = float64(raw[i]) * unit
		}
		m, err := Auto(x)
		if err != nil {
			return
		}
		if v := m.Forecast(); math.IsNaN(v) || math.IsInf(v, 0) || math.IsNaN(m.AIC()) {
			t.Errorf("%v: next %g, AIC %g", m.Order(), v, m.AIC())
		}
		if err := m.Update(30, unit); err == nil && (math.IsNaN(m.Forecast()) || math.IsInf(m.Forecast(), 0)) {
			t.Errorf("%v: next %g after an update", m.Order(), m.Forecast())
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	x := simulate(rand.New(rand.NewPCG(5, 5)), 500, 0, 900, []float64{0.5}, nil)
	m, err := Fit(x, Order{P: 1, Intercept: true})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := m.Update(500, 901); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuto(b *testing.B) {
	for _, n := range []int{5, 20, 500} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			x := simulate(rand.New(rand.NewPCG(5, 5)), n, 0, 900, []float64{0.5}, nil)
			for b.Loop() {
				if _, err := Auto(x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
