package forecast

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// restless is a day of demand with noise, bursts, silent hours and rows that are not known.
func restless(seed uint64, n int, step time.Duration) []float64 {
	rng := seeded(seed)
	perDay := float64(24*time.Hour) / float64(step)
	return series(n, func(i int) float64 {
		v := 20 + 12*math.Sin(2*math.Pi*float64(i)/perDay) + 2*rng.NormFloat64()
		switch {
		case rng.IntN(40) == 0:
			return math.NaN()
		case rng.IntN(60) == 0:
			v *= 4
		case int(float64(i)/perDay*24)%7 == 0:
			v = 0
		}
		return math.Max(0, v)
	})
}

func TestAForecastScalesWithTheSeries(t *testing.T) {
	for name, c := range map[string]struct{ by, tolerance float64 }{
		"a power of two":         {1 << 20, 0},
		"a small power of two":   {1. / (1 << 30), 0},
		"another unit":           {60, 1e-4},
		"tokens for requests":    {1e5, 1e-4},
		"thousands for requests": {1e-3, 1e-4},
	} {
		for _, statistic := range []Statistic{Value, Maximum} {
			t.Run(name+"/"+string(statistic), func(t *testing.T) {
				s := asked(10*time.Minute, 1, 6)
				s.Statistic = statistic
				values := restless(1, 6*144, s.Step)
				scaled := newStream(s)
				newStream(s).follow(len(values), at(values), func(i int, want []Prediction) {
					scaled.feed(1, func(i int) float64 { return c.by * values[i] })
					for h, got := range scaled.Predict(&s) {
						for k, v := range want[h].Values {
							if math.Abs(got.Values[k]-c.by*v) > c.tolerance*c.by*v {
								t.Fatalf("row %d, for %v ahead: %v, times %v it is %v", i, got.Horizon, want[h].Values, c.by, got.Values)
							}
						}
					}
				})
			})
		}
	}
}

// A constant is forecast as itself, and doubt fades: after a thousand rows there is less than a thousandth of it left.
func TestAConstantIsForecastAsItself(t *testing.T) {
	for _, statistic := range []Statistic{Value, Maximum} {
		for _, step := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute} {
			t.Run(fmt.Sprintf("%s/%v", statistic, step), func(t *testing.T) {
				s := asked(step, 1, 5, 10, 30)
				s.Statistic = statistic
				newStream(s).follow(1200, func(int) float64 { return 7 }, func(i int, p []Prediction) {
					for h, p := range p {
						rows := int(s.Horizons[h] / step)
						spread, off := 1., 0.25 // a new series is doubted
						switch {
						case i >= 1000:
							spread, off = 0.001, 0.0001
						case i >= 500:
							spread, off = 0.01, 0.001
						case i >= 5*rows+20:
							spread, off = 0.3, 0.05
						}
						if math.Abs(p.Values[0]-7) > off*7 || p.Values[3]-7 > spread*7 {
							t.Fatalf("row %d, for %v ahead: %v", i, p.Horizon, p.Values)
						}
					}
				})
			})
		}
	}
}

// After a shift to three times the level, and of the noise, the median is within 5 % of it one horizon and twenty rows
// later, and quantiles cover what they say from three hundred rows on; no more than twice the new level is expected in
// between.
func TestALevelShiftIsAbsorbed(t *testing.T) {
	const before, settled, after = 1500, 300, 2100
	for _, step := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute} {
		t.Run(step.String(), func(t *testing.T) {
			s := asked(step, 1, 5, 30)
			rng := seeded(1)
			values := series(before+after+30, func(i int) float64 {
				level := 20.
				if i >= before {
					level = 60
				}
				return math.Max(0, level*(1+0.1*rng.NormFloat64()))
			})
			median, extreme, covered := make([]float64, 3), make([]float64, 3), make([][4]float64, 3)
			x := newStream(s)
			x.feed(before, at(values))
			x.follow(after, at(values), func(i int, p []Prediction) {
				for h, p := range p {
					rows, since := int(s.Horizons[h]/step), i-before
					if since >= rows+20 && since < rows+120 {
						median[h] += p.Values[0] / 100
					}
					extreme[h] = math.Max(extreme[h], p.Values[2])
					for k, v := range p.Values {
						if since >= settled && values[i+rows] <= v {
							covered[h][k] += 1. / (after - settled)
						}
					}
				}
			})
			for h, horizon := range s.Horizons {
				t.Logf("%v ahead: median %.1f, 0.95 at most %.1f, covered %.3f", horizon, median[h], extreme[h], covered[h])
				if math.Abs(median[h]-60) > 0.05*60 || extreme[h] > 2*60 {
					t.Errorf("%v ahead: after a shift from 20 to 60 the median is %.1f, and 0.95 reaches %.1f", horizon, median[h], extreme[h])
				}
				for k, q := range s.Quantiles {
					holds(t, fmt.Sprintf("%v ahead, %d rows after the shift", horizon, settled), q, covered[h][k], after-settled, int(horizon/step))
				}
			}
		})
	}
}
