package arima

import (
	"errors"
	"math"
	"testing"
)

func TestDescendFindsTheMinimum(t *testing.T) {
	tests := map[string]struct {
		f       func([]float64) float64
		x, want []float64
	}{
		"of a bowl":                {func(x []float64) float64 { return math.Pow(x[0]-3, 2) + 10*math.Pow(x[1]+1, 2) }, []float64{0, 0}, []float64{3, -1}},
		"of a long narrow bowl":    {func(x []float64) float64 { return x[0]*x[0] + 1e4*x[1]*x[1] }, []float64{5, 1}, []float64{0, 0}},
		"of Rosenbrock's valley":   {rosenbrock, []float64{-1.2, 1}, []float64{1, 1}},
		"of a curve of order four": {func(x []float64) float64 { return math.Pow(x[0], 4) - 2*x[0]*x[0] }, []float64{0.1}, []float64{1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := descend(tt.f, tt.x, 200); err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				if math.Abs(tt.x[i]-want) > 1e-2 {
					t.Errorf("got %.4f, want %.4f", tt.x, tt.want)
				}
			}
		})
	}
}

func rosenbrock(x []float64) float64 {
	return math.Pow(1-x[0], 2) + 100*math.Pow(x[1]-x[0]*x[0], 2)
}

func TestDescendNeverClimbs(t *testing.T) {
	before := rosenbrock([]float64{-1.2, 1})
	for n := 1; n < 40; n++ {
		x := []float64{-1.2, 1}
		if err := descend(rosenbrock, x, n); err != nil {
			t.Fatal(err)
		}
		after := rosenbrock(x)
		if after > before {
			t.Errorf("%d iterations: %g, %g with one less", n, after, before)
		}
		before = after
	}
}

// Each value is asked for with one more for each coordinate, at most twenty times in a line search.
func TestDescendAsksABoundedNumberOfTimes(t *testing.T) {
	asked := 0
	f := func(x []float64) float64 {
		asked++
		return rosenbrock(x) + 0.1*math.Sin(1e7*x[0]) // no line search succeeds for long
	}
	if err := descend(f, []float64{-1.2, 1}, 5); err != nil {
		t.Fatal(err)
	}
	if most := 3 * (1 + 2*5*searchRounds); asked > most {
		t.Errorf("asked %d times, want at most %d", asked, most)
	}
}

func TestDescendRefusesAStartWithoutValue(t *testing.T) {
	nothing := func([]float64) float64 { return math.NaN() }
	if err := descend(nothing, []float64{0}, 10); !errors.Is(err, ErrNoFit) {
		t.Errorf("got %v, want %v", err, ErrNoFit)
	}
}

// The slope leads on and on, over the cliff; the search is given up.
func TestDescendStaysBeforeACliff(t *testing.T) {
	cliff := func(x []float64) float64 {
		if x[0] > 2.5 {
			return math.Inf(1)
		}
		return -x[0]
	}
	x := []float64{0.5}
	if err := descend(cliff, x, 10); err != nil || x[0] != 0.5 {
		t.Errorf("got %g, %v; want 0.5, where it was", x[0], err)
	}
}
