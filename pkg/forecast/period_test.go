package forecast

import (
	"math"
	"testing"
	"time"
)

func TestPeriodsAreFound(t *testing.T) {
	wave := func(rows float64) func(int) float64 {
		rng := seeded(1)
		return func(i int) float64 { return 50 + 30*math.Sin(2*math.Pi*float64(i)/rows) + 3*rng.NormFloat64() }
	}
	pulse := func(every int) func(int) float64 {
		rng := seeded(1)
		return func(i int) float64 {
			if i%every < 3 {
				return 80 + 3*rng.NormFloat64()
			}
			return 20 + 3*rng.NormFloat64()
		}
	}
	cases := map[string]struct {
		step      time.Duration
		rows      int
		series    func(int) float64
		day, hour time.Duration
	}{
		"a day is a day":                  {10 * time.Minute, 6 * 144, wave(144), 24 * time.Hour, time.Hour},
		"a shift of eight hours":          {10 * time.Minute, 6 * 144, wave(48), 8 * time.Hour, time.Hour},
		"a day of thirty hours":           {10 * time.Minute, 8 * 144, wave(180), 30 * time.Hour, time.Hour},
		"a batch each forty-five minutes": {time.Minute, 1440, pulse(45), 0, 45 * time.Minute},
		"noise has no season":             {10 * time.Minute, 6 * 144, noise(seeded(2), 50, 10), 24 * time.Hour, time.Hour},
		"a constant has no season":        {10 * time.Minute, 6 * 144, func(int) float64 { return 5 }, 24 * time.Hour, time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			x := newStream(asked(c.step, 1))
			x.feed(c.rows, c.series)
			close := func(a, b time.Duration) bool { return math.Abs(float64(a-b)) <= 0.03*float64(b) }
			if c.day > 0 && !close(x.Day.Period, c.day) || !close(x.Hour.Period, c.hour) {
				t.Errorf("the clocks go round in %v and %v, should in %v and %v", x.Day.Period, x.Hour.Period, c.day, c.hour)
			}
		})
	}
}

// A day of which half-hours stand out is a day still.
func TestAShortPeriodDoesNotHideTheDay(t *testing.T) {
	rng := seeded(1)
	x := newStream(asked(time.Minute, 1))
	x.feed(6*daysOfMinutes, func(i int) float64 {
		v := 50 + 40*math.Sin(2*math.Pi*float64(i)/daysOfMinutes) + 3*rng.NormFloat64()
		if i%45 < 3 {
			v += 40
		}
		return math.Max(0, v)
	})
	if x.Day.Period != 24*time.Hour || x.Hour.Period != 45*time.Minute {
		t.Errorf("after six days the clocks go round in %v and %v", x.Day.Period, x.Hour.Period)
	}
}

// A season that nobody told of is forecast once it has come round a few times.
func TestAFoundSeasonIsForecast(t *testing.T) {
	for name, c := range map[string]struct{ every, rows int }{"each 45 minutes": {45, 4000}, "each 7 hours": {420, 9000}} {
		t.Run(name, func(t *testing.T) {
			rng := seeded(1)
			values := series(c.rows, func(i int) float64 {
				if i%c.every < c.every/9 {
					return 80 + 3*rng.NormFloat64()
				}
				return 20 + 3*rng.NormFloat64()
			})
			s := asked(time.Minute, 10)
			mixture, experts := losses(s, values, c.rows*3/4)
			s.Without = []string{stageSeasons}
			unseasoned, _ := losses(s, values, c.rows*3/4)
			t.Logf("loss %.3f, of the last value %.3f, without seasons %.3f", mixture, experts[LastValue], unseasoned)
			if mixture > 0.5*experts[LastValue] || mixture > 0.8*unseasoned {
				t.Errorf("loss %.3f, of the last value %.3f, without seasons %.3f", mixture, experts[LastValue], unseasoned)
			}
		})
	}
}
