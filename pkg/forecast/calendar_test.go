package forecast

import (
	"slices"
	"testing"
	"time"
)

func TestAHolidayIsADayFromItsFirstInstant(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	day := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, berlin)
	}
	c := Calendar{Location: berlin, Holidays: []time.Time{
		day(1965, 5, 1), day(2026, 3, 29), day(2026, 10, 25), day(2026, 12, 25), day(2026, 12, 26),
	}}
	cases := map[string]struct {
		at   time.Time
		want bool
	}{
		"before all":                           {day(1900, 1, 1), false},
		"before 1970":                          {day(1965, 5, 1).Add(5 * time.Hour), true},
		"the day after one before 1970":        {day(1965, 5, 2), false},
		"its first instant":                    {day(2026, 12, 25), true},
		"the instant before":                   {day(2026, 12, 25).Add(-1), false},
		"the first of two has gone by":         {day(2026, 12, 26), true},
		"the last instant of the second":       {day(2026, 12, 27).Add(-1), true},
		"after all":                            {day(2026, 12, 27), false},
		"long after all":                       {day(2226, 12, 27), false},
		"it ends after 23 hours in March":      {day(2026, 3, 29).Add(23 * time.Hour), false},
		"it goes on for 25 hours in October":   {day(2026, 10, 25).Add(24*time.Hour + 30*time.Minute), true},
		"the same instant said in other zones": {day(2026, 12, 25).UTC(), true},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.isHoliday(x.at); got != x.want {
				t.Errorf("%v: %v", x.at, got)
			}
			plain := slices.ContainsFunc(c.Holidays, func(h time.Time) bool { return !x.at.Before(h) && x.at.Before(h.AddDate(0, 0, 1)) })
			if plain != x.want {
				t.Errorf("%v: the plain search says %v", x.at, plain)
			}
		})
	}
}

// A row's phase on the clocks of the day and the week is its wall-clock time, holidays being Sundays to the week.
func TestThePhaseIsTheTimeOnTheWall(t *testing.T) {
	const step = 10 * time.Minute
	day, week := newClock(24*time.Hour, step, 0, newestDay), newClock(7*24*time.Hour, step, 0, newestDay)
	for _, name := range []string{"", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati"} {
		place, err := time.LoadLocation(name)
		if err != nil {
			t.Skip(err)
		}
		s := Spec{Step: step, Calendar: Calendar{Location: place}}
		c := &s.Calendar
		rng := seeded(1)
		for range 3000 {
			at := time.Unix(rng.Int64N(8e9)-4e9, rng.Int64N(1e9)) // from 1843 to 2096
			local := at.In(place)
			i := s.place(at.Add(step / 2))
			if want := local.Hour()*6 + local.Minute()/10; day.phase(i, step) != want {
				t.Fatalf("%v: phase %d of the day, should be %d", local, day.phase(i, step), want)
			}
			weekday := (week.phase(i, step)/144 + 4) % 7 // 1970 began on a Thursday
			if weekday != int(local.Weekday()) {
				t.Fatalf("%v: weekday %d on the clock", local, weekday)
			}
			c.Holidays = []time.Time{time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, place)}
			i = s.place(at.Add(step / 2))
			weekday = (week.phase(i, step)/144 + 4) % 7
			if weekday != 0 || week.phase(i, step)%144 != day.phase(i, step) || !i.holiday {
				t.Fatalf("%v, a holiday: weekday %d on the clock, %+v", local, weekday, i)
			}
			c.Holidays = nil
		}
	}
}

func TestAClockNeedsFourPhases(t *testing.T) {
	cases := map[string]struct {
		period, step time.Duration
		phases       int
	}{
		"minutes of an hour":           {time.Hour, time.Minute, 60},
		"an hour of steps that do not": {time.Hour, 433 * time.Second, 9},
		"quarters":                     {time.Hour, 15 * time.Minute, 4},
		"thirds are too few":           {time.Hour, 20 * time.Minute, 0},
		"a step longer than the hour":  {time.Hour, 2 * time.Hour, 0},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			c := newClock(x.period, x.step, pastDays, newestDay)
			if len(c.Mean) != x.phases || len(c.Count) != x.phases || (c.Period == 0) != (x.phases == 0) {
				t.Fatalf("%d phases of %v", len(c.Mean), c.Period)
			}
			for _, at := range []int64{0, 1, -1, int64(x.period) - 1, -int64(x.period), 1 << 62, -1 << 62} {
				if x.phases > 0 {
					if p := c.phase(place{utc: at, local: at}, x.step); p < 0 || p >= x.phases {
						t.Errorf("phase %d of instant %d", p, at)
					}
				}
			}
		})
	}
}
