package v1alpha1

import (
	"fmt"
	"time"
)

// Noon is the middle of the day in a time zone. Its midnight may not exist, where clocks are set forward at that hour,
// and would then be taken for the day before. It fails on anything that is not a date of the calendar.
func (d Date) Noon(in *time.Location) (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly+"T15", string(d)+"T12", in)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse date %q: want a day that exists, as year-month-day, for example 2026-12-25", string(d))
	}
	return day, nil
}
