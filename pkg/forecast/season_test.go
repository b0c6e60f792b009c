package forecast

import (
	"math"
	"testing"
	"time"
)

// office is a day's demand: quiet, and busy from nine to five by the wall clock of a place, but for Sundays and days off.
func office(place *time.Location, off func(time.Time) bool) func(start time.Time) float64 {
	return func(start time.Time) float64 {
		now := start.In(place)
		if hour := now.Hour(); hour >= 9 && hour < 17 && now.Weekday() != time.Sunday && !off(now) {
			return 40
		}
		return 10
	}
}

func never(time.Time) bool { return false }

// dayLosses is the mean pinball loss at 0.9 of forecasts for each of the stream's next days, at its only horizon.
func dayLosses(x *stream, days int, value func(row int) float64) []float64 {
	perDay := int(24 * time.Hour / x.spec.Step)
	rows := int(x.spec.Horizons[0] / x.spec.Step)
	out := make([]float64, days)
	for d := range out {
		x.follow(perDay, value, func(i int, p []Prediction) {
			out[d] += pinball(value(i+rows), p[0].Values[1], 0.9) / float64(perDay)
		})
	}
	return out
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v / float64(len(values))
	}
	return sum
}

func TestSeasonsFollowTheChangesOfTheClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for name, change := range map[string]time.Time{
		"to summer time": time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), "to winter time": time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			demand := office(berlin, never)
			losses := func(place *time.Location) (usual, after float64) {
				s := asked(10*time.Minute, 3)
				s.Calendar.Location = place
				x := newStream(s)
				x.from = change.AddDate(0, 0, -24)
				rng := seeded(2)
				values := series(28*144+3, func(i int) float64 { return demand(x.start(i)) + rng.NormFloat64() })
				x.feed(17*144, at(values))
				days := dayLosses(x, 10, at(values)) // of two Sundays the second is that of the change
				t.Logf("%.2f", days)
				return mean(days[:3]), mean(days[7:])
			}
			usual, after := losses(berlin)
			_, elsewhere := losses(nil)
			t.Logf("loss %.3f on a Sunday to Tuesday, %.3f on those after the change, %.3f there without the place", usual, after, elsewhere)
			if after > 1.3*usual {
				t.Errorf("after the change of the clock the loss is %.3f, %.3f before", after, usual)
			}
			if elsewhere < 1.3*after {
				t.Errorf("the place made no difference: %.3f with it, %.3f without", after, elsewhere)
			}
		})
	}
}

func TestAHolidayIsASunday(t *testing.T) {
	holidays := []time.Time{t0.AddDate(0, 0, 30), t0.AddDate(0, 0, 37)} // two Wednesdays
	off := func(now time.Time) bool {
		return now.Truncate(24*time.Hour).Equal(holidays[0]) || now.Truncate(24*time.Hour).Equal(holidays[1])
	}
	demand := office(time.UTC, off)
	losses := func(holidays []time.Time) (days []float64) {
		s := asked(10*time.Minute, 3)
		s.Calendar.Holidays = holidays
		x := newStream(s)
		rng := seeded(2)
		values := series(45*144, func(i int) float64 { return demand(x.start(i)) + rng.NormFloat64() })
		x.feed(28*144, at(values))
		return dayLosses(x, 12, at(values))
	}
	told, untold := losses(holidays), losses(nil)
	t.Logf("told %.2f, untold %.2f", told, untold)
	if told[2] > 0.6*untold[2] || told[9] > 0.6*untold[9] {
		t.Errorf("on the holidays the loss is %.3f and %.3f, of who does not know of them %.3f and %.3f", told[2], told[9], untold[2], untold[9])
	}
	if told[3] > 1.1*untold[3] {
		t.Errorf("on the day after the holiday the loss is %.3f, of who does not know of it %.3f", told[3], untold[3])
	}
}

func TestAHoleDoesNotSpoilTheSeason(t *testing.T) {
	holes := map[string]func(values []float64){
		"rows not known":         func(v []float64) { fill(v, math.NaN()) },
		"zeros of a logging gap": func(v []float64) { fill(v, 0) },
	}
	for name, dig := range holes {
		for _, hours := range []int{1, 3, 6} {
			demand := office(time.UTC, never)
			losses := func(hole bool) (days []float64) {
				x := newStream(asked(time.Minute, 10))
				rng := seeded(2)
				values := series(11*daysOfMinutes, func(i int) float64 { return demand(x.start(i)) + rng.NormFloat64() })
				if from := 8*daysOfMinutes + 10*60; hole { // a Tuesday at ten
					dig(values[from : from+hours*60])
				}
				x.feed(9*daysOfMinutes, at(values))
				return dayLosses(x, 1, at(values))
			}
			with, without := losses(true)[0], losses(false)[0]
			t.Logf("%s for %d h: loss of the next day %.4f, without the hole %.4f", name, hours, with, without)
			if with > 1.15*without {
				t.Errorf("%s for %d h: on the next day the loss is %.4f, without the hole %.4f", name, hours, with, without)
			}
		}
	}
}

func fill(values []float64, with float64) {
	for i := range values {
		values[i] = with
	}
}

// A gap leaves seasons where they are on the clock: what comes at nine comes at nine.
func TestAGapLeavesTheSeasonInPlace(t *testing.T) {
	for name, gap := range map[string]time.Duration{
		"a moment": 17 * time.Minute, "half a day": 13*time.Hour + 20*time.Minute, "a day": 24 * time.Hour, "most of a week": 6*24*time.Hour + 7*time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			demand := office(time.UTC, never)
			x := newStream(asked(time.Minute, 20))
			rng := seeded(2)
			value := func(i int) float64 { return demand(x.start(i)) + rng.NormFloat64() }
			x.feed(4*daysOfMinutes+4*60, value) // to Friday at four
			x.row += int(gap / time.Minute)
			seen, early := 0, 0
			x.follow(2*daysOfMinutes, value, func(i int, p []Prediction) {
				then := x.start(i + 20)
				if demand(then) == 40 && demand(x.start(i)) == 10 && then.Minute() >= 2 && p[0].Values[1] > 30 {
					seen++
				}
				if now := then.Hour()*60 + then.Minute(); now >= 7*60 && now < 8*60+45 && p[0].Values[1] > 30 {
					early++
				}
			})
			t.Logf("the morning is seen at %d of at most 36 minutes before it, %d times too early", seen, early)
			if seen < 14 || early > 10 {
				t.Errorf("the morning is seen at %d minutes before it, %d times too early", seen, early)
			}
		})
	}
}

// Before the first demand none is expected, and no error is learned from: then a forecast soon rests on what came.
func TestNothingIsForecastBeforeTheFirstDemand(t *testing.T) {
	x := newStream(asked(10*time.Second, 1, 3))
	x.follow(200, func(int) float64 { return 0 }, func(i int, p []Prediction) {
		for _, p := range p {
			if p.Values[3] != 0 || p.Source != LastValue || p.Withdrawn == "" || p.Skill.Known {
				t.Fatalf("row %d: without any demand: %+v", i, p)
			}
		}
	})
	x.follow(100, func(int) float64 { return 28 }, func(i int, p []Prediction) {
		for _, p := range p {
			if p.Values[0] < 25 || p.Values[0] > 31 || p.Values[3] > 2.2*28 || i > 230 && p.Values[1] > 1.2*28 {
				t.Fatalf("%d rows into a constant demand of 28: %v", i-199, p.Values)
			}
		}
	})
}

// A service that is off each night is no logging hole: its nights are learned.
func TestNightlySilenceIsLearned(t *testing.T) {
	x := newStream(asked(10*time.Minute, 3))
	rng := seeded(2)
	value := func(i int) float64 {
		if hour := x.start(i).Hour(); hour < 6 || hour >= 22 {
			return 0
		}
		return 20 + 2*rng.NormFloat64()
	}
	x.feed(12*144, value)
	night, morning := 0.0, 0
	x.follow(144, value, func(i int, p []Prediction) {
		switch then := x.start(i + 3); {
		case then.Hour() >= 1 && then.Hour() < 5:
			night = math.Max(night, p[0].Values[2])
		case then.Hour() == 6 && then.Minute() < 30 && p[0].Values[1] > 15:
			morning++
		}
	})
	if night > 1 || morning < 3 {
		t.Errorf("at night 0.95 reaches %.2f; of the three rows before the morning %d saw it", night, morning)
	}
}
