package forecast

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

var config = Config{Step: 10 * time.Second, Quantile: 0.9}

const horizon = 5 * time.Minute

// run feeds one value a step for n steps and calls each with every forecast.
func run(s *State, n int, value func(step int) float64, each func(step int, f Forecast)) {
	for i := range n {
		f := s.Advance(t0.Add(time.Duration(i)*config.Step), value(i), horizon, config)
		if each != nil {
			each(i, f)
		}
	}
}

func TestThereIsNoForecastBeforeAWholeRow(t *testing.T) {
	var s State
	for _, seconds := range []int{3, 9, 33, 59} { // a quarter of the horizon, at most a minute, is a row
		if f := s.Advance(t0.Add(time.Duration(seconds)*time.Second), 5, horizon, config); f.Known() {
			t.Fatalf("%d s are no row: %+v", seconds, f)
		}
	}
	f := s.Advance(t0.Add(61*time.Second), 5, horizon, config)
	if !f.Known() || f.Horizon != horizon || math.Abs(f.Point-5) > 0.2 || f.Skill.Known || !f.At.Equal(t0.Add(time.Minute)) {
		t.Fatalf("got %+v", f)
	}
	if f.Upper < 1.1*5 {
		t.Fatalf("upper %v: without errors seen there is still doubt", f.Upper)
	}
}

func TestARampIsMetByTheUpperQuantile(t *testing.T) {
	var s State
	met, n := 0, 0
	ramp := func(i int) float64 { return 10 + 0.05*float64(i) } // 1.5 more each horizon
	run(&s, 3000, ramp, func(i int, f Forecast) {
		if i < 1000 {
			return
		}
		due := int(f.At.Add(f.Horizon).Sub(t0) / config.Step)
		actual := ramp(due - 3) // the mean of the minute that ends then
		if n++; f.Upper > actual-0.2 {
			met++
		}
		if f.Upper > 1.15*actual {
			t.Fatalf("step %d: upper %v where %v will be", i, f.Upper, actual)
		}
	})
	if met < n*9/10 {
		t.Fatalf("the ramp was met at %d of %d steps", met, n)
	}
}

func TestTheDailyPeakIsSeenAhead(t *testing.T) {
	const day = 8640
	var s State
	caught, n := 0, 0
	run(&s, 8*day, func(i int) float64 { // flat but for a peak at 09:00, one hour long, that begins at once
		if minute := (i / 6) % 1440; minute >= 540 && minute < 600 {
			return 40
		}
		return 10
	}, func(i int, f Forecast) {
		if step := i % day; i > 5*day && step >= 540*6-18 && step < 540*6 {
			if n++; f.Upper > 25 {
				caught++
			}
		}
	})
	t.Logf("the daily peak was seen at %d of %d steps within the half horizon before it", caught, n)
	if caught < n*2/3 {
		t.Errorf("a peak that comes every day at nine was seen at %d of %d steps before it", caught, n)
	}
}

func TestOnlyFixesTheForecaster(t *testing.T) {
	const day = 8640
	season := func(step int) float64 { return 20 + 15*math.Sin(2*math.Pi*float64(step)/day) }
	for _, only := range []string{LastValue, SeasonalNaive} {
		t.Run(only, func(t *testing.T) {
			c := config
			c.Only = only
			var s State
			var lastMiss, dayMiss float64
			for i := range 3 * day {
				f := s.Advance(t0.Add(time.Duration(i)*c.Step), season(i), horizon, c)
				if !f.Known() {
					continue
				}
				if f.Model != only || f.Withdrawn != "" || f.Weights[0].Expert != only || math.Abs(f.Weights[0].Share-1) > 1e-12 {
					t.Fatalf("step %d: %+v", i, f)
				}
				if i > 2*day+60 {
					end := int(f.At.Sub(t0) / c.Step)
					dayMiss = max(dayMiss, math.Abs(f.Point-season(end+27))) // the middle of the minute that is due
					lastMiss = max(lastMiss, math.Abs(f.Point-season(end-3)))
				}
			}
			// in five minutes the season moves by up to 0.33
			if miss := map[string]float64{LastValue: lastMiss, SeasonalNaive: dayMiss}[only]; miss > 0.3 {
				t.Errorf("the point is %.3f off what the forecaster's name says", miss)
			}
			if only == LastValue && dayMiss < lastMiss || only == SeasonalNaive && lastMiss < dayMiss {
				t.Errorf("the two forecasters are one: %.3f from the last value, %.3f from the day before", lastMiss, dayMiss)
			}
		})
	}
}

func TestBeforeADayIsKnownTheSeasonIsTheLastValue(t *testing.T) {
	c := config
	c.Only = SeasonalNaive
	var s State
	for i := range 400 {
		f := s.Advance(t0.Add(time.Duration(i)*c.Step), 7, horizon, c)
		if f.Known() && (math.Abs(f.Point-7) > 0.1*7 || f.Upper < f.Point) {
			t.Fatalf("step %d: %+v", i, f)
		}
	}
}

func TestNothingPoisonsAState(t *testing.T) {
	var s State
	rng := rand.New(rand.NewPCG(6, 6))
	run(&s, 7000, func(int) float64 {
		return []float64{0, math.NaN(), math.Inf(1), -5, 1e300, 9e18, 10, 1000}[rng.IntN(8)]
	}, func(i int, f Forecast) {
		finite(t, reflect.ValueOf(f), "forecast")
		if f.Point < 0 || f.Upper < f.Point {
			t.Fatalf("step %d: %+v", i, f)
		}
	})
	finite(t, reflect.ValueOf(s), "state")
	var f Forecast
	for i := range 900 {
		f = s.Advance(t0.Add(time.Duration(7000+i)*config.Step), 10, horizon, config)
	}
	if math.Abs(f.Point-10) > 1 {
		t.Errorf("after 900 steps of 10 the point is %v", f.Point)
	}
}

func TestUpperOfAStateStaysBelievableAfterTheFirstJump(t *testing.T) {
	for name, before := range map[string]float64{"from nothing": 0, "from next to nothing": 0.02, "from one": 1} {
		for _, quiet := range []int{60, 120, 400, 5000} {
			var s State
			run(&s, quiet+400, func(i int) float64 {
				if i < quiet {
					return before
				}
				return 20
			}, func(i int, f Forecast) {
				if f.Upper > 60 || f.Point > 40 {
					t.Fatalf("%s, %d quiet steps: %d steps after a jump to 20 the forecast is %v, %v", name, quiet, i-quiet, f.Point, f.Upper)
				}
			})
		}
	}
}
