package forecast

import (
	"math"
	"testing"
	"time"
)

func TestANewHorizonLearnsFromWhatIsKept(t *testing.T) {
	var s State
	now := t0
	rng := seeded(2)
	step := func(h time.Duration) Forecast {
		now = now.Add(config.Step)
		return s.Advance(now, 50+5*rng.NormFloat64(), h, config)
	}
	for range 3000 {
		step(5 * time.Minute)
	}
	if f := step(5*time.Minute + 30*time.Second); f.Horizon != 5*time.Minute || !f.Skill.Known {
		t.Fatalf("a drift of a tenth gave up what was learned: %+v", f)
	}
	f := step(8 * time.Minute)
	if f.Horizon != 8*time.Minute || !f.Known() || !f.Skill.Known {
		t.Fatalf("a longer horizon in rows of the same length begins anew: %+v", f)
	}
	if f.Point < 40 || f.Point > 60 || f.Upper > 70 {
		t.Errorf("right after the change of the horizon: %+v", f)
	}
	if f = step(10 * time.Second); f.Horizon != 10*time.Second {
		t.Fatalf("got %+v", f)
	}
	for range 600 {
		f = step(10 * time.Second)
	}
	if f.Point < 40 || f.Point > 60 || f.Upper > 75 {
		t.Errorf("after a hundred minutes at a horizon of one step: %+v", f)
	}
}

func TestOddHorizonsAreBounded(t *testing.T) {
	for _, odd := range []time.Duration{0, -time.Hour, time.Nanosecond, 7 * time.Second, 61 * time.Second, 1000 * time.Hour, math.MaxInt64} {
		var s State
		var f Forecast
		for i := range 300 {
			f = s.Advance(t0.Add(time.Duration(i)*config.Step), 10, odd, config)
		}
		if !f.Known() || f.Horizon <= 0 || f.Horizon > maxHorizon*longestRow || math.Abs(f.Point-10) > 1 {
			t.Errorf("horizon %v: %+v", odd, f)
		}
	}
}

func TestAGapIsLeftOut(t *testing.T) {
	var s State
	run(&s, 300, func(int) float64 { return 5 }, nil)
	before := s.Forecaster.Seen
	now := t0.Add(300 * config.Step)
	for i := range 600 { // a hundred minutes of nothing
		s.Skip(now.Add(time.Duration(i) * config.Step))
	}
	if s.Forecaster.Seen != before {
		t.Fatalf("%d rows were learned from a gap", s.Forecaster.Seen-before)
	}
	after := now.Add(600 * config.Step)
	var f Forecast
	for i := range 7 {
		f = s.Advance(after.Add(time.Duration(i)*config.Step), 9, horizon, config)
	}
	if got := s.Forecaster.Seen - before; got != 2 { // of the last minute of the gap some seconds are known
		t.Fatalf("%d rows came out of the gap and a minute", got)
	}
	if f.Point < 5 || f.Point > 9.1 {
		t.Fatalf("got %+v", f)
	}
}

// What came before a gap is no part of the row that ends after it.
func TestARowAfterAGapIsThatOfItsOwnTime(t *testing.T) {
	var s State
	run(&s, 303, func(int) float64 { return 5 }, nil) // to 20 s into a minute
	for i := range 600 {
		s.Skip(t0.Add(time.Duration(303+i) * config.Step)) // to 20 s into another
	}
	for i := range 5 {
		s.Advance(t0.Add(time.Duration(903+i)*config.Step), 9, horizon, config)
	}
	if got := s.Forecaster.Levels.Last; got != 9 {
		t.Errorf("40 s of a demand of 9 after a gap make a row of %v", got)
	}
}

// A caller that was away, and does not skip, is believed for four horizons and no more.
func TestAGapWithoutSkipIsKnownToTheRightMinutes(t *testing.T) {
	var s State
	run(&s, 66, func(int) float64 { return 5 }, nil)
	noon := t0.Add(12 * time.Hour)
	s.Advance(noon, 50, horizon, config)
	c := s.Forecaster.Day
	for minute, n := range c.Count {
		if n == 0 {
			continue
		}
		if early, late := minute <= 10 && c.Mean[minute] <= 5.1, minute >= 700 && minute < 720 && c.Mean[minute] == 50; !early && !late {
			t.Errorf("minute %d of the day is said to have seen %v", minute, c.Mean[minute])
		}
	}
	if c.Count[719] == 0 || c.Mean[719] != 50 {
		t.Errorf("the minute before noon was not learned: %v", c.Mean[719])
	}
}

func TestTimeThatStandsStillOrGoesBackTeachesNothing(t *testing.T) {
	var s State
	run(&s, 100, func(int) float64 { return 5 }, nil)
	rows := s.Forecaster.Row
	for _, at := range []time.Duration{99, 99, 50, 0} {
		f := s.Advance(t0.Add(at*config.Step), 500, horizon, config)
		if s.Forecaster.Row != rows || f.Point > 6 {
			t.Fatalf("time %v: %d rows, %+v", at, s.Forecaster.Row-rows, f)
		}
	}
}

func TestAnyTimeIsAsGoodAsNow(t *testing.T) {
	for name, from := range map[string]time.Time{
		"over the turn of 1970":     time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC),
		"from the zero time on":     {},
		"beyond what 64 bits count": time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		var s State
		var f Forecast
		for i := range 900 {
			f = s.Advance(from.Add(time.Duration(i+1)*config.Step), 5, horizon, config)
		}
		if s.Forecaster.Seen < 140 || math.Abs(f.Point-5) > 0.1 {
			t.Errorf("%s: %d rows, %+v", name, s.Forecaster.Seen, f)
		}
	}
}
