package forecast

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// odd values are what faulty counters, clocks and divisions give.
var odd = []float64{
	0, math.NaN(), math.Inf(1), math.Inf(-1), -5, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, 9e18, 1e-12, 1e-40, 9e14, 10, 1000,
}

func TestNothingPoisonsAForecast(t *testing.T) {
	cases := map[string]func(rng *rand.Rand, i int) float64{
		"zeros with a rare spike":        func(rng *rand.Rand, _ int) float64 { return 1000 * float64(rng.IntN(200)/199) },
		"odd values":                     func(rng *rand.Rand, _ int) float64 { return odd[rng.IntN(len(odd))] },
		"huge and tiny":                  func(rng *rand.Rand, _ int) float64 { return math.Exp2(float64(rng.IntN(100) - 50)) },
		"the smallest numbers":           func(rng *rand.Rand, _ int) float64 { return float64(rng.IntN(9)) * math.SmallestNonzeroFloat64 },
		"nothing known but a rare value": func(rng *rand.Rand, _ int) float64 { return math.Log(rng.Float64()-0.99) + 10 },
		"long zeros, then a busy minute": func(_ *rand.Rand, i int) float64 { return float64(i/600%2) * 30 },
		"the smallest number, then some": func(_ *rand.Rand, i int) float64 {
			return map[bool]float64{true: math.SmallestNonzeroFloat64, false: 20}[i < 100]
		},
	}
	for name, value := range cases {
		for _, statistic := range []Statistic{Value, Maximum} {
			t.Run(name+"/"+string(statistic), func(t *testing.T) {
				rng := seeded(6)
				s := asked(10*time.Second, 1, 30)
				s.Statistic = statistic
				x := newStream(s)
				x.follow(800, func(i int) float64 { return value(rng, i) }, func(_ int, p []Prediction) { sane(t, &x.spec, p) })
				finite(t, reflect.ValueOf(x.Forecaster), "forecaster")
			})
		}
	}
}

// While the jump takes place, within the first horizon, and for as long again, more is feared; later three times the new
// level at most, and twice by 0.9.
func TestUpperStaysBelievableAfterTheFirstJump(t *testing.T) {
	for name, before := range map[string]float64{
		"from nothing": 0, "from a denormal": 5e-324, "from next to nothing": 1e-6, "from little": 0.02, "from one": 1,
	} {
		for _, quiet := range []int{60, 400, 2000} {
			x := newStream(asked(10*time.Second, 1, 30))
			x.feed(quiet, func(int) float64 { return before })
			x.follow(400, func(int) float64 { return 20 }, func(row int, p []Prediction) {
				most := [4]float64{40, 100, 150, 200}
				if row-quiet > 60 {
					most = [4]float64{30, 40, 50, 60}
				}
				for _, p := range p {
					for k, v := range p.Values {
						if !(v <= most[k]) {
							t.Fatalf("%s, %d quiet rows: %d rows after a jump to 20, for %v ahead: %.4g", name, quiet, row-quiet, p.Horizon, p.Values)
						}
					}
				}
			})
		}
	}
}

// A counter that is misread once, or a division by a moment, gives one row that is orders of magnitude off.
func TestOneAbsurdRowIsForgotten(t *testing.T) {
	const rows = 300
	for _, absurd := range []float64{1e3, 1e6, 1e9, 9e14} {
		for _, step := range []time.Duration{10 * time.Second, time.Minute} {
			x := newStream(asked(step, 1, 10))
			usual := noise(seeded(1), 10, 1)
			x.feed(1000, usual)
			x.feed(1, func(int) float64 { return absurd })
			x.feed(rows, usual)
			for _, p := range x.Predict(&x.spec) {
				if p.Values[0] > 12 || p.Values[2] > 20 {
					t.Errorf("%d rows of %v after one row of %.0e in a noise around 10, for %v ahead: %.4g", rows, step, absurd, p.Horizon, p.Values)
				}
			}
		}
	}
}

// A scrape that goes wrong falls into two rows where it crosses from one minute to the next.
func TestOneAbsurdScrapeIsForgotten(t *testing.T) {
	for _, seconds := range []int{0, 3} {
		var s State
		var f Forecast
		rng := seeded(1)
		for i := range 3000 {
			demand := 10 + rng.NormFloat64()
			if i == 1200 {
				demand = 1e7
			}
			f = s.Advance(t0.Add(time.Duration(10*i+seconds)*time.Second), demand, horizon, config)
		}
		if f.Point > 12 || f.Upper > 15 {
			t.Errorf("scrapes at second %d: five hours after one that told of 1e7 the forecast of a noise around 10 is %.4g, %.4g", seconds, f.Point, f.Upper)
		}
	}
}

// A jump seen once, in rows of little noise, is not expected again on top of the new level.
func TestAJumpSeenOnceIsNotExpectedTwice(t *testing.T) {
	rng := seeded(8)
	worst := 0.0
	x := newStream(asked(10*time.Second, 1, 30))
	x.follow(300, func(i int) float64 {
		if i < 120 {
			return 20 + rng.NormFloat64()
		}
		return 50 + 1.5*rng.NormFloat64()
	}, func(i int, p []Prediction) {
		if i > 160 {
			worst = math.Max(worst, p[1].Values[1])
		}
	})
	if worst > 1.9*50 {
		t.Fatalf("after one jump from 20 to 50 the 0.9 quantile goes up to %.0f", worst)
	}
}

// A clock that ran ahead by a year and was set right costs no more than the forecasts of some minutes.
func TestAClockSetBackIsFollowed(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"a minute": time.Minute, "an hour": time.Hour, "a year": 365 * 24 * time.Hour} {
		var s State
		run(&s, 300, func(int) float64 { return 5 }, nil)
		wrong := t0.Add(300 * config.Step).Add(ahead)
		for i := range 12 {
			s.Advance(wrong.Add(time.Duration(i)*config.Step), 5, horizon, config)
		}
		var f Forecast
		for i := range 720 {
			f = s.Advance(t0.Add(time.Duration(312+i)*config.Step), 9, horizon, config)
		}
		if math.Abs(f.Point-9) > 1 {
			t.Errorf("%s ahead: two hours after the clock was set back, at a demand of 9, it says %.2f of %v", name, f.Point, f.At)
		}
	}
}
