package constraint

import (
	"fmt"
	"slices"
	"time"
)

// Schedule is a daily span of the clock in which other bounds hold.
type Schedule struct {
	Name string
	// Location is the time zone of Start and End.
	Location *time.Location
	// Days on which the span begins; none means every day.
	Days []time.Weekday
	// Start and End are times of day, since midnight by the wall clock. An End that is not after Start lies on the next
	// day.
	Start, End time.Duration
	// Min and Max are the bounds within the span, negative for none.
	Min, Max int32
}

// noBound stands for a bound that a schedule does not set.
const noBound = -1

// Active reports whether an instant lies within the schedule: at its start or later and before its end. It goes by the
// wall clock of the schedule's zone, so that a start at 09:00 stays at 09:00 when the clocks change.
func (s Schedule) Active(now time.Time) bool {
	local := now.In(s.Location)
	hour, minute, second := local.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	if s.Start < s.End {
		return s.on(local.Weekday()) && s.Start <= clock && clock < s.End
	}
	yesterday := (local.Weekday() + 6) % 7
	return s.on(local.Weekday()) && clock >= s.Start || s.on(yesterday) && clock < s.End
}

// begins reports whether the schedule begins within lead after now. A start that the clocks skip in spring is looked for
// within an hour of it.
func (s Schedule) begins(now time.Time, lead time.Duration) bool {
	year, month, day := now.In(s.Location).Date()
	hour, minute := int(s.Start/time.Hour), int(s.Start%time.Hour/time.Minute)
	for ; ; day++ {
		start := time.Date(year, month, day, hour, minute, 0, 0, s.Location)
		if start.After(now.Add(lead)) {
			return false
		}
		if start.After(now) && s.on(start.Weekday()) {
			return true
		}
	}
}

func (s Schedule) on(d time.Weekday) bool { return len(s.Days) == 0 || slices.Contains(s.Days, d) }

// ParseClock reads a time of day, "HH:MM", 00:00 to 24:00.
func ParseClock(s string) (time.Duration, error) {
	var digits [4]int
	ok := len(s) == 5 && s[2] == ':'
	for i, at := range [...]int{0, 1, 3, 4} {
		if ok = ok && '0' <= s[at] && s[at] <= '9'; ok {
			digits[i] = int(s[at] - '0')
		}
	}
	hour, minute := 10*digits[0]+digits[1], 10*digits[2]+digits[3]
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if !ok || minute > 59 || clock > 24*time.Hour {
		return 0, fmt.Errorf("time of day %q: must be HH:MM, 00:00 to 24:00", s)
	}
	return clock, nil
}
