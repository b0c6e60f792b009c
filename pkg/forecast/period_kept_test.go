package forecast

import (
	"math"
	"testing"
	"time"
)

const week = 7 * 24 * time.Hour

// shifts is a demand that is high in the first half of every period, and a quarter of that on days off.
func shifts(period, step time.Duration) func(row int) float64 {
	rng := seeded(1)
	return func(row int) float64 {
		at := time.Duration(row) * step
		v := 10.0
		if at%period < period/2 {
			v = 40
		}
		if at%week >= 5*24*time.Hour {
			v /= 4
		}
		return v + rng.Float64()
	}
}

// A day that turns out to be a shift of some hours is no reason to forget the days off.
func TestAFoundShiftLeavesTheWeekAlone(t *testing.T) {
	const step = 10 * time.Minute
	x := newStream(asked(step, 3))
	x.feed(22*144, shifts(8*time.Hour, step)) // three weeks, and a Monday
	if x.Day.Period != 8*time.Hour || x.Week.Period != week {
		t.Fatalf("the clocks go round in %v and %v", x.Day.Period, x.Week.Period)
	}
	busy, off := float64(x.Week.Mean[4*144+6]), float64(x.Week.Mean[2*144+6]) // 1970 began on a Thursday
	if math.Abs(busy-40) > 2 || math.Abs(off-10) > 2 {
		t.Errorf("at one o'clock on Mondays it is %.1f, on Saturdays %.1f, should be 40 and 10", busy, off)
	}
}

// Where much is kept a period is sought in bins of several rows. One that is a row off is wrong after as many rounds as
// it has rows, and is given up for another, and that again.
func TestAFoundPeriodIsExactAndStays(t *testing.T) {
	const noisy, periodic = 8, 10 // days
	for _, minutes := range []int{95, 110, 125, 150} {
		rng := seeded(1)
		want := time.Duration(minutes) * time.Minute
		x := newStream(Spec{Step: time.Minute, Horizons: []time.Duration{time.Minute}, Quantiles: []float64{0.5}})
		x.feed(noisy*daysOfMinutes, noise(seeded(1), 20, 5))
		var found time.Duration
		for day := range periodic {
			x.feed(daysOfMinutes, func(i int) float64 {
				if i%minutes < minutes/4 {
					return 40 + rng.Float64()
				}
				return 10 + rng.Float64()
			})
			switch period := x.Day.Period; {
			case found == 0 && period == 24*time.Hour: // not found yet
			case period%want != 0 || period == 24*time.Hour || found%period != 0: // twice it is as exact, and may be halved later
				t.Errorf("a period of %v is taken for %v on day %d, the day before for %v", want, period, day+1, found)
			default:
				found = period
			}
		}
		if found == 0 {
			t.Errorf("a period of %v is not found", want)
		}
	}
}

// Machines that meet every hundred minutes do not put their watches forward.
func TestAPeriodThatDoesNotGoIntoADayGoesByUTC(t *testing.T) {
	place, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip(err)
	}
	const step, every, ahead, day = 5 * time.Minute, 20, 2, 288 // rows
	s := asked(step, ahead)
	s.Calendar.Location = place
	rng := seeded(1)
	pulse := func(i int) float64 {
		if i%every < 4 {
			return 40 + rng.Float64()
		}
		return 10 + rng.Float64()
	}
	x := newStream(s)
	var before, after float64 // on the fifth day, and from the change of the clock at 7:00 UTC of the seventh on
	x.follow(8*day, pulse, func(row int, p []Prediction) {
		loss := math.Abs(pulse(row+ahead) - p[0].Values[0])
		switch {
		case row >= 4*day && row < 5*day:
			before += loss / day
		case row >= 6*day+84 && row < 7*day+84:
			after += loss / day
		}
	})
	if x.Day.Period != every*step {
		t.Fatalf("the clock goes round in %v", x.Day.Period)
	}
	t.Logf("the median is off by %.2f before the change of the clock, by %.2f after it", before, after)
	if after > 1.5*before+0.1 {
		t.Errorf("the median is off by %.2f before the change of the clock, by %.2f after it", before, after)
	}
}

// What is no season when it happens is none when the past is gone through for a clock of another period.
func TestAClockThatTurnsLearnsNoHolidaysAndNoOutage(t *testing.T) {
	s := asked(10*time.Minute, 1)
	s.Calendar.Holidays = []time.Time{t0.AddDate(0, 0, 2)}
	x := newStream(s)
	x.feed(3*144, func(i int) float64 {
		switch {
		case i >= 2*144: // a holiday
			return 1
		case i >= 144+60 && i < 144+66: // an hour of the second day
			return 0
		}
		return 50
	})
	x.turn(&s, &x.Day, 24*time.Hour)
	if x.Day.Mean[30] != 50 || x.Day.Mean[63] != 50 {
		t.Errorf("of a constant 50 the clock says %v at the time of day of a holiday, %v at that of an outage", x.Day.Mean[30], x.Day.Mean[63])
	}
}

// An end that is a little early or late is that of the same row.
func TestAnEndAMillisecondEarlyIsInTheSamePhase(t *testing.T) {
	for _, off := range []time.Duration{0, -time.Millisecond, time.Millisecond} {
		x := newStream(asked(time.Minute, 1))
		for i := range 3 * daysOfMinutes {
			v := 10.0
			if i%daysOfMinutes == 600 {
				v = 40
			}
			x.Observe(&x.spec, x.start(i+1).Add(off*time.Duration(i%2)), v)
		}
		for phase, n := range x.Day.Count {
			want := float32(10)
			if phase == 600 {
				want = 40
			}
			if n != 3 || x.Day.Mean[phase] != want {
				t.Fatalf("every other row ends off by %v: in three days minute %d was seen %d times, on average %v", off, phase, n, x.Day.Mean[phase])
			}
		}
	}
}
