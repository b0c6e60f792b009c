package v1alpha1

import (
	"fmt"
	"time"
)

// quarter divides every offset between a zone's clock and UTC of this century, and every change of a clock.
const quarter = 15 * time.Minute

// Start returns the first instant of the day in a time zone: not always midnight, which clocks may leave out or show
// twice. It fails on anything that is not a date of the calendar.
func (d Date) Start(in *time.Location) (time.Time, error) {
	noon, err := time.ParseInLocation(time.DateOnly+"T15", string(d)+"T12", in)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse date %q: want a day that exists, as year-month-day, for example 2026-12-25", string(d))
	}
	first := noon
	for earlier := noon; earlier.Day() == noon.Day(); earlier = earlier.Add(-quarter) {
		first = earlier
	}
	return first, nil
}
