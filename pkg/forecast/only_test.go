package forecast

import (
	"math"
	"testing"
	"time"
)

// daily is a season that no straight line follows.
func daily(step int) float64 {
	return 20 + 15*math.Sin(2*math.Pi*float64(step)*config.Step.Hours()/24)
}

func TestAComparisonFixesTheForecaster(t *testing.T) {
	const day = int(24 * time.Hour / (10 * time.Second))
	for _, only := range []string{LastValue, SeasonalNaive} {
		t.Run(only, func(t *testing.T) {
			c := config
			c.Only = only
			var s State
			var lastMiss, dayMiss float64
			for i := range 2 * day {
				f := s.Advance(t0.Add(time.Duration(i)*c.Step), daily(i), horizon, c)
				if !f.Known() {
					continue
				}
				if f.Model != only || f.Withdrawn != "" || f.SkillKnown {
					t.Fatalf("step %d: %+v", i, f)
				}
				if i > day+60 {
					coming := daily(i + int(f.Horizon/c.Step))
					lastMiss = max(lastMiss, math.Abs(f.Point-daily(i)))
					dayMiss = max(dayMiss, math.Abs(f.Point-coming))
				}
			}
			// in five minutes the season moves by up to 0.33, in the minute's mean of a day before by a fifth of that
			if miss := map[string]float64{LastValue: lastMiss, SeasonalNaive: dayMiss}[only]; miss > 0.1 {
				t.Errorf("the point is %.3f off what the forecaster's name says", miss)
			}
			if dayMiss < 0.2 && only == LastValue || lastMiss < 0.2 && only == SeasonalNaive {
				t.Errorf("the two forecasters are one: %.3f from the last value, %.3f from the day before", lastMiss, dayMiss)
			}
		})
	}
}

func TestBeforeADayIsKnownTheSeasonIsTheLastValue(t *testing.T) {
	c := config
	c.Only = SeasonalNaive
	var s State
	for i := range 100 {
		f := s.Advance(t0.Add(time.Duration(i)*c.Step), 7, horizon, c)
		if f.Known() && (f.Point != 7 || f.Upper < 7) {
			t.Fatalf("step %d: %+v", i, f)
		}
	}
}
