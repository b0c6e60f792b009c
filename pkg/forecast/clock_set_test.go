package forecast

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// ticker advances a State minute by minute.
type ticker struct {
	State
	now     time.Time
	config  Config
	horizon time.Duration
}

func newTicker(step time.Duration) *ticker {
	return &ticker{now: t0, config: Config{Step: step, Quantile: 0.9}, horizon: 5 * time.Minute}
}

// tick tells what demand was in the last step.
func (x *ticker) tick(n int, demand func(begin time.Time) float64) {
	for range n {
		begin := x.now
		x.now = begin.Add(x.config.Step)
		x.Advance(x.now, demand(begin), x.horizon, x.config)
	}
}

// known counts the rows of the past that are known.
func (x *ticker) known() int {
	n := 0
	for i := range x.Forecaster.Past.Values {
		if x.Forecaster.Past.at(i) >= 0 {
			n++
		}
	}
	return n
}

// always is a demand that stays.
func always(v float64) func(time.Time) float64 { return func(time.Time) float64 { return v } }

// atNine is a demand that is high in the hour from nine by UTC.
func atNine(begin time.Time) float64 {
	if begin.UTC().Hour() == 9 {
		return 40
	}
	return 10
}

// The difference of two times that have monotonic readings does not tell that the wall clock was set between them.
func TestTimesAreTakenByTheWallClockAlone(t *testing.T) {
	var monotonic, wall State
	now := time.Now()
	c := Config{Step: 15 * time.Second, Quantile: 0.9}
	for i := range 100 {
		at := now.Add(time.Duration(i) * c.Step)
		if i%10 == 9 {
			monotonic.Skip(at)
			wall.Skip(at.Round(0))
			continue
		}
		monotonic.Advance(at, 10, 5*time.Minute, c)
		wall.Advance(at.Round(0), 10, 5*time.Minute, c)
	}
	if !reflect.DeepEqual(monotonic, wall) {
		t.Error("a monotonic reading makes a difference")
	}
	if s := fmt.Sprint(monotonic.Resampler.At, monotonic.Relearned, monotonic.Newest.At, monotonic.Forecaster.End); strings.Contains(s, "m=") {
		t.Errorf("a monotonic reading is kept: %s", s)
	}
}

// After the clock was set back the past lies where it was, also when it is gone through again.
func TestAPeakStaysAtItsHourWhenTheClockIsSetBack(t *testing.T) {
	x := newTicker(time.Minute)
	x.tick(5*daysOfMinutes, atNine)
	x.now = x.now.Add(-3 * time.Hour)
	x.tick(10, always(10))
	x.horizon = 10 * time.Minute
	x.tick(1, always(10))
	if x.Rows != 10 {
		t.Fatalf("%d rows: the horizon was not taken anew", x.Rows)
	}
	day := x.Forecaster.Day
	for _, hour := range []int{3, 6, 9, 12, 15, 18} {
		want := float32(10)
		if hour == 9 {
			want = 40
		}
		if got := day.Mean[hour*60+30]; day.Period != 24*time.Hour || got < want-1 || got > want+1 {
			t.Errorf("at half past %d it says %v, should be %v", hour, got, want)
		}
	}
}

// A tick from far ahead is only believed when the next one confirms it: else five weeks would be forgotten for it.
func TestOneTickAYearAheadLosesNoHistory(t *testing.T) {
	x := newTicker(time.Minute)
	x.tick(3*daysOfMinutes, always(10))
	before, rows := x.known(), x.Forecaster.Row
	x.Advance(x.now.AddDate(1, 0, 0), 10, x.horizon, x.config)
	x.tick(30, always(10))
	if got := x.known(); got != before+30 || x.Forecaster.Row != rows+30 || !x.Newest.Known() {
		t.Errorf("of %d rows and half an hour %d are known, over %d; %+v", before, got, x.Forecaster.Row-rows, x.Newest)
	}
	x.now = x.now.AddDate(1, 0, 0)
	x.tick(30, always(10))
	if !x.Newest.Known() || x.Newest.At.Before(x.now.Add(-time.Minute)) {
		t.Errorf("a clock that stays a year ahead is not followed: %+v", x.Newest)
	}
}

// The hours of another time zone are others.
func TestAnotherTimeZoneIsLearnedAnew(t *testing.T) {
	x := newTicker(time.Minute)
	x.tick(4*daysOfMinutes, atNine)
	x.config.Calendar.Location = time.FixedZone("five hours behind", -5*3600)
	x.tick(1, atNine)
	nine, four := x.Forecaster.Day.Mean[9*60+30], x.Forecaster.Day.Mean[4*60+30]
	if nine > 11 || four < 39 {
		t.Errorf("five hours west of Greenwich the hour from nine by UTC is that from four: at half past four it says %v, at half past nine %v", four, nine)
	}
}

// Lead times that waver between two horizons do not have all learned anew at every tick.
func TestAHorizonThatAlternatesIsChangedOnceAnHour(t *testing.T) {
	x := newTicker(time.Minute)
	x.tick(relearnedRows+100, always(10))
	changes, rows := 0, x.Rows
	for i := range 118 { // two hours
		x.horizon = []time.Duration{5 * time.Minute, 7 * time.Minute}[i%2]
		if x.tick(1, always(10)); x.Rows != rows {
			changes, rows = changes+1, x.Rows
		}
	}
	if changes == 0 || changes > 2 {
		t.Errorf("learned anew %d times in two hours", changes)
	}
}

// However much is kept, errors are learned anew from a bounded number of rows; the others are remembered for seasons.
func TestANewHorizonLearnsErrorsFromBoundedlyManyRows(t *testing.T) {
	x := newTicker(time.Second)
	x.horizon = 4 * time.Second
	x.tick(3*relearnedRows, always(10))
	x.horizon = 10 * time.Second
	x.tick(1, always(10))
	f := &x.Forecaster
	if x.Resampler.Step > 2*time.Second || f.Known*int(x.Resampler.Step/time.Second) < 3*relearnedRows-10 {
		t.Fatalf("of %d seconds %d rows of %v are known", 3*relearnedRows, f.Known, x.Resampler.Step)
	}
	if f.Seen > relearnedRows+1 {
		t.Errorf("errors were learned from %d of %d rows, at most %d should be", f.Seen, f.Known, relearnedRows)
	}
}

// A row is a whole number of ticks, and an hour a whole number of rows where that can be.
func TestRowsGoIntoTheHour(t *testing.T) {
	for _, c := range []struct{ tick, horizon, row time.Duration }{
		{time.Second, 5 * time.Minute, time.Minute},
		{time.Second, 90 * time.Second, 20 * time.Second},
		{5 * time.Second, 90 * time.Second, 20 * time.Second},
		{5 * time.Second, 150 * time.Second, 30 * time.Second},
		{7 * time.Second, 5 * time.Minute, 56 * time.Second}, // no number of sevens goes into an hour
		{15 * time.Second, 5 * time.Minute, time.Minute},
		{15 * time.Second, 3*time.Minute + 15*time.Second, 45 * time.Second},
		{25 * time.Second, 30 * time.Minute, 50 * time.Second},
		{45 * time.Second, 30 * time.Minute, 45 * time.Second},
		{2 * time.Minute, 30 * time.Minute, 2 * time.Minute},
		{2 * time.Minute, 10 * time.Second, 2 * time.Minute},
	} {
		var s State
		s.Advance(t0, 1, c.horizon, Config{Step: c.tick, Quantile: 0.9})
		if got := s.Resampler.Step; got != c.row {
			t.Errorf("ticks of %v, %v ahead: rows of %v, should be %v", c.tick, c.horizon, got, c.row)
		}
	}
}
