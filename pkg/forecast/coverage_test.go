package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// coverage is the share of forecasts from rows from to to that came true, by horizon and quantile.
func coverage(s Spec, values []float64, from, to int) [][]float64 {
	out := make([][]float64, len(s.Horizons))
	for h := range out {
		out[h] = make([]float64, len(s.Quantiles))
	}
	x := newStream(s)
	x.feed(from, at(values))
	x.follow(to-from, at(values), func(i int, p []Prediction) {
		for h, p := range p {
			rows := int(s.Horizons[h] / s.Step)
			actual := values[i+rows]
			if s.Statistic == Maximum {
				actual = largest(values, i, rows)
			}
			for k, v := range p.Values {
				if actual <= v {
					out[h][k] += 1 / float64(to-from)
				}
			}
		}
	})
	return out
}

func TestQuantilesCoverWhatTheySay(t *testing.T) {
	const n, known = 9000, 1500
	cases := map[string]func(rng *rand.Rand, i int) float64{
		"white noise":                  func(rng *rand.Rand, _ int) float64 { return math.Max(0, 50+8*rng.NormFloat64()) },
		"noise in proportion to level": func(rng *rand.Rand, _ int) float64 { return 5 * math.Exp(0.4*rng.NormFloat64()) },
		"counts":                       func(rng *rand.Rand, _ int) float64 { return poisson(rng, 30) },
		"a level shift":                func(rng *rand.Rand, i int) float64 { return []float64{20, 80}[i*2/(n+100)] + 4*rng.NormFloat64() },
	}
	for name, value := range cases {
		for _, statistic := range []Statistic{Value, Maximum} {
			t.Run(name+"/"+string(statistic), func(t *testing.T) {
				s := asked(time.Minute, 1, 10)
				s.Statistic = statistic
				rng := seeded(4)
				values := series(n+10, func(i int) float64 { return value(rng, i) })
				for h, covered := range coverage(s, values, known, n) {
					t.Logf("%v ahead: %.3f", s.Horizons[h], covered)
					for k, q := range s.Quantiles {
						holds(t, s.Horizons[h].String()+" ahead", q, covered[k], n-known, int(s.Horizons[h]/s.Step))
					}
				}
			})
		}
	}
}

// poisson draws a count whose mean is small enough for the textbook's product of uniform numbers.
func poisson(rng *rand.Rand, mean float64) float64 {
	n, product, until := -1.0, 1.0, math.Exp(-mean)
	for product > until {
		n, product = n+1, product*rng.Float64()
	}
	return n
}

// The largest of the rows to come is no smaller than the last of them, and the more rows the larger.
func TestTheMaximumIsAboveTheValueAndGrowsWithTheHorizon(t *testing.T) {
	rng := seeded(5)
	s := asked(time.Minute, 1, 5, 30)
	values := series(3000, noise(rng, 50, 8))
	maximum := s
	maximum.Statistic = Maximum
	x, checked := newStream(maximum), 0
	newStream(s).follow(len(values), at(values), func(i int, value []Prediction) {
		x.feed(1, at(values))
		if i < 1000 || i%10 > 0 {
			return
		}
		most := x.Predict(&maximum)
		checked++
		for k, q := range s.Quantiles {
			for h := range most {
				if slack := 1 - []float64{0.02, 0.03, 0.04, 0.08}[k]; most[h].Values[k] < slack*value[h].Values[k] {
					t.Fatalf("row %d, %v ahead, quantile %v: maximum %v below value %v", i, s.Horizons[h], q, most[h].Values[k], value[h].Values[k])
				}
				if h > 0 && q <= 0.95 && most[h].Values[k] < 0.97*most[h-1].Values[k] {
					t.Fatalf("row %d, quantile %v: the maximum over %v is %v, over %v %v", i, q, s.Horizons[h], most[h].Values[k], s.Horizons[h-1], most[h-1].Values[k])
				}
			}
		}
		// of n normal values 0.5^(1/n) is the median's rank
		if median := most[2].Values[0]; math.Abs(median-(50+8*2.0)) > 4 {
			t.Fatalf("row %d: the median of the maximum of 30 normal values of 50±8 is said to be %v", i, median)
		}
	})
	if checked < 100 {
		t.Fatalf("%d checked", checked)
	}
}
