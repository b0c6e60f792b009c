package forecast

import (
	"math"
	"testing"
	"time"
)

// losses are the mean pinball losses at 0.9 of forecasts from rows from to len(values), of the mixture and of each expert.
func losses(s Spec, values []float64, from int) (mixture float64, experts map[string]float64) {
	rows := int(s.Horizons[0] / s.Step)
	x := newStream(s)
	x.feed(from, at(values))
	experts = map[string]float64{}
	n := float64(len(values) - rows - from)
	x.follow(len(values)-rows-from, at(values), func(i int, p []Prediction) {
		actual := values[i+rows]
		mixture += pinball(actual, p[0].Values[1], 0.9) / n
		for e, name := range Experts() {
			experts[name] += pinball(actual, x.now()[e], 0.9) / n
		}
	})
	return mixture, experts
}

// now are the experts' 0.9 quantiles from the newest row on, at the first horizon.
func (x *stream) now() []float64 {
	n := len(x.spec.Quantiles)
	p := Pending{Raw: make([]float64, n*numRidges), Quantiles: make([]float64, n*numExperts), Mixed: make([]float64, n)}
	x.Lanes[0].ask(&x.spec, &x.Forecaster, &p)
	return p.Quantiles[numExperts : 2*numExperts]
}

// Where one expert is right the mixture comes to lose little more than it.
func TestTheMixtureIsAsGoodAsItsBestExpert(t *testing.T) {
	hour := func(i int) float64 { return float64(i) * 2 * math.Pi }
	cases := map[string]struct {
		step   time.Duration
		rows   int
		series func() []float64
	}{
		"a walk: the last value": {time.Minute, 3000, func() []float64 {
			rng, v := seeded(1), 100.
			return series(3000, func(int) float64 { v = math.Max(20, v+2*rng.NormFloat64()); return v })
		}},
		"noise: the mean": {time.Minute, 3000, func() []float64 { return series(3000, noise(seeded(1), 100, 20)) }},
		"a daily curve: the day's clock": {10 * time.Minute, 2500, func() []float64 {
			rng := seeded(1)
			return series(2500, func(i int) float64 { return 50 + 30*math.Sin(hour(i)/144) + 3*rng.NormFloat64() })
		}},
		"a weekly curve: the week's clock": {30 * time.Minute, 2500, func() []float64 {
			rng := seeded(1)
			return series(2500, func(i int) float64 {
				return 50 + 15*math.Sin(hour(i)/48) + 20*math.Sin(hour(i)/336) + 3*rng.NormFloat64()
			})
		}},
		"a service that is on or off: the states": {time.Minute, 4000, func() []float64 {
			rng, on := seeded(1), false
			return series(4000, func(int) float64 {
				if rng.IntN(20) == 0 {
					on = !on
				}
				if on {
					return 30 + 2*rng.NormFloat64()
				}
				return 2 + rng.Float64()
			})
		}},
		"spikes on the hour: the hour's clock": {time.Minute, 4000, func() []float64 {
			rng := seeded(1)
			return series(4000, func(i int) float64 {
				if i%60 == 0 {
					return 100 + rng.NormFloat64()
				}
				return 10 + rng.NormFloat64()
			})
		}},
		"an echo: the regressions": {time.Minute, 4000, func() []float64 {
			rng, a, b := seeded(1), 0., 0.
			return series(4000, func(int) float64 { a, b = 0.6*a-0.5*b+rng.NormFloat64(), a; return 30 + 3*a })
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := asked(c.step, 2)
			s.Without = []string{stageWithdrawal}
			values := c.series()
			mixture, experts := losses(s, values, c.rows/2)
			best, who := math.Inf(1), ""
			for e, loss := range experts {
				if loss < best {
					best, who = loss, e
				}
			}
			t.Logf("mixture %.4f, %s %.4f (%.3f), last value %.4f", mixture, who, best, mixture/best, experts[LastValue])
			if mixture > 1.06*best {
				t.Errorf("loss %.4f, of %s %.4f", mixture, who, best)
			}
			if mixture > 1.03*experts[LastValue] {
				t.Errorf("loss %.4f, of the last value %.4f", mixture, experts[LastValue])
			}
		})
	}
}

// On walks there is nothing to be known but the last value: whatever is tried costs little.
func TestAWalkCostsLittle(t *testing.T) {
	var own, last float64
	for seed := range uint64(5) {
		rng, v := seeded(seed+10), 100.
		values := series(1500, func(int) float64 { v = math.Max(30, v+2*rng.NormFloat64()); return v })
		mixture, experts := losses(asked(time.Minute, 5), values, 100)
		t.Logf("%.3f", mixture/experts[LastValue])
		own, last = own+mixture, last+experts[LastValue]
		if mixture > 1.1*experts[LastValue] {
			t.Errorf("walk %d: loss %.4f, of the last value %.4f", seed, mixture, experts[LastValue])
		}
	}
	if own > 1.05*last {
		t.Errorf("over all walks the loss is %.3f times the last value's", own/last)
	}
}

// Where all experts are too narrow, or too wide, by the same factor the mixture comes to cover what it says.
func TestTheSpreadFollowsWhatIsCovered(t *testing.T) {
	s := asked(time.Minute, 1)
	normal := []float64{0, 1.2816, 1.6449, 2.3263}
	for _, factor := range []float64{0.6, 1, 1.5} {
		l := newLane(&s, 1)
		rng := seeded(3)
		p := due(rng, &s, 1)
		const n = 8000
		var covered [4]float64
		for i := range 2 * n {
			for k := range p.Quantiles {
				p.Quantiles[k] = 10 + factor*normal[k/numExperts]
			}
			l.mix(&s, p)
			actual := 10 + rng.NormFloat64()
			for k, v := range p.Mixed {
				if i >= n && actual <= v {
					covered[k] += 1. / n
				}
			}
			l.widen(&s, p, actual)
		}
		for k, q := range s.Quantiles {
			if math.Abs(covered[k]-q) > 0.015 {
				t.Errorf("experts %v times as wide as they should be: the %v quantile of the mixture covers %.3f", factor, q, covered[k])
			}
		}
	}
}
