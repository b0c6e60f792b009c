package forecast

import (
	"math"
	"slices"
	"time"
)

// pastDays is how many days are kept value by value, for what comes at a certain minute only.
const pastDays = 3

// Clock is what was seen at each time of a period: a wall clock of an hour, a day or a week in local time, so that
// seasons follow changes of the clock; or of a period that was found.
type Clock struct {
	// Period is the time that it goes round in; zero: there is none.
	Period time.Duration
	// Share is the weight that the newest round has in the means.
	Share float64
	// Mean is the mean at each phase, Count how often it was seen.
	Mean  []float32
	Count []uint16
	// Newest are the values of the last rounds at each phase, the newest first; Silent whether there was nothing at all at
	// it the last time. Both are empty where they are not kept.
	Newest [][]float32
	Silent []bool
}

// newClock returns a clock of a period that keeps the given number of rounds, one without phases where the period has
// too few steps to tell anything.
func newClock(period, step time.Duration, rounds int, share float64) Clock {
	phases := int((period + step - 1) / step)
	if phases < 4 {
		return Clock{}
	}
	c := Clock{Period: period, Share: share, Mean: make([]float32, phases), Count: make([]uint16, phases)}
	for range rounds {
		c.Newest = append(c.Newest, make([]float32, phases))
	}
	if rounds > 0 {
		c.Silent = make([]bool, phases)
	}
	return c
}

// place is one row's place in time: nanoseconds since 1970 of its middle, by UTC and by the wall clock.
type place struct {
	utc, local int64
	holiday    bool
}

const (
	nanosADay  = int64(24 * time.Hour)
	nanosAWeek = 7 * nanosADay
)

// place returns the place of the row that ends at end: that of its middle, so that an end that is a little early or late
// is in no other phase.
func (s *Spec) place(end time.Time) place {
	t := end.Add(-s.Step / 2)
	p := place{utc: t.UnixNano(), holiday: s.Calendar.isHoliday(t)}
	p.local = p.utc
	if s.Calendar.Location != nil {
		_, offset := t.In(s.Calendar.Location).Zone()
		p.local += int64(offset) * int64(time.Second)
	}
	return p
}

// phase is the place on the clock. What goes with the day goes by the wall clock, other periods do not; a week's clock
// takes holidays for Sundays.
func (c *Clock) phase(p place, step time.Duration) int {
	period := int64(c.Period)
	t := p.local
	switch {
	case period == nanosAWeek && p.holiday:
		days := int64(math.Floor(float64(t) / float64(nanosADay)))
		t -= ((days+4)%7 + 7) % 7 * nanosADay // 1970 began on a Thursday; 0 is Sunday
	case nanosADay%period != 0 && period%nanosADay != 0:
		t = p.utc
	}
	return int(((t%period)+period)%period) / int(step)
}

// isHoliday reports whether t is within a day of a holiday's first instant.
func (c *Calendar) isHoliday(t time.Time) bool {
	lo, hi := 0, len(c.Holidays) // the first holiday after t is in [lo, hi]
	for lo < hi {
		if mid := (lo + hi) / 2; c.Holidays[mid].After(t) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo > 0 && t.Before(c.Holidays[lo-1].AddDate(0, 0, 1))
}

// take takes a value at a place. Where the clock keeps rounds it does not learn from a hole, unless there was nothing at
// that time of the round before either (then it is a night), nor from holidays.
func (c *Clock) take(at place, v float64, hole bool, step time.Duration) {
	if c.Period == 0 {
		return
	}
	p := c.phase(at, step)
	if len(c.Newest) == 0 {
		c.learn(p, v)
		return
	}
	again := c.Silent[p] || c.Count[p] == 0
	c.Silent[p] = v == 0
	if !at.holiday && (v > 0 || !hole || again) {
		c.learn(p, v)
	}
}

// learn takes the value at a phase.
func (c *Clock) learn(p int, v float64) {
	if c.Count[p] < math.MaxUint16 {
		c.Count[p]++
	}
	c.Mean[p] += float32(math.Max(1/float64(c.Count[p]), c.Share) * (v - float64(c.Mean[p])))
	for i := len(c.Newest) - 1; i > 0; i-- {
		c.Newest[i][p] = c.Newest[i-1][p]
	}
	if len(c.Newest) > 0 {
		c.Newest[0][p] = float32(v)
	}
}

// around is the mean of a table within width phases of p, of those that were seen.
func (c *Clock) around(table []float32, p, width int) float64 {
	var sum, n float64
	for i := p - width; i <= p+width; i++ {
		j := i
		if j < 0 {
			j += len(table)
		} else if j >= len(table) {
			j -= len(table)
		}
		if c.Count[j] > 0 {
			sum, n = sum+float64(table[j]), n+1
		}
	}
	return sum / math.Max(n, 1)
}

// peak is the largest value of the last rounds within one phase of p.
func (c *Clock) peak(p int) float64 {
	var most float32
	for _, table := range c.Newest {
		for i := p - 1; i <= p+1; i++ {
			most = max(most, table[(i+len(table))%len(table)])
		}
	}
	return float64(most)
}

// Shares of the newest round in the means of the clocks.
const (
	newestHour = 0.05
	newestDay  = 0.3 // seven days weigh 0.3, 0.21, 0.147, …
)

// learnSeasons takes the newest row into the clocks. An outage teaches none of them.
func (f *Forecaster) learnSeasons(s *Spec, v float64) {
	at := s.place(f.End)
	if f.Outage && f.Day.Period > 0 {
		if p := f.Day.phase(at, s.Step); !f.Day.Silent[p] && f.Day.Count[p] > 0 {
			f.Day.take(at, v, true, s.Step)
			return
		}
	}
	f.Hour.take(at, v, f.Outage, s.Step)
	f.Day.take(at, v, f.Outage, s.Step)
	f.Week.take(at, v, f.Outage, s.Step)
}

// smoothing is the half width over which seasons are smoothed; what comes at a certain minute is seen unsmoothed too.
const smoothing = 7 * time.Minute

// seasons is what the clocks say of now and of the time one horizon ahead, the present level where they say nothing.
type seasons struct {
	// day and week are smoothed means there, dayRaw, weekRaw and hour unsmoothed ones; yesterday and yesterdayRaw are the
	// last round's; peak is the largest of the last rounds there.
	day, dayRaw, week, weekRaw, hour, yesterday, yesterdayRaw, peak float64
	// shape, addDay, addWeek and addHour are the present level carried on by the clock: times its ratio, plus its change.
	shape, addDay, addWeek, addHour float64
}

// seasons reads the clocks h rows ahead of the newest row.
func (f *Forecaster) seasons(s *Spec, h int) seasons {
	last, level := f.Levels.Last, f.Levels.Averages[2]
	out := seasons{
		day: level, dayRaw: level, week: level, weekRaw: level, hour: last, yesterday: level, yesterdayRaw: last,
		peak: last, shape: level, addDay: level, addWeek: level, addHour: level,
	}
	if slices.Contains(s.Without, stageSeasons) {
		return out
	}
	now, then := s.place(f.End), s.place(f.End.Add(time.Duration(h)*s.Step))
	width := int(math.Round(float64(smoothing) / float64(s.Step)))
	if a, b, ok := f.Day.between(now, then, s.Step); ok {
		here, there := f.Day.around(f.Day.Mean, a, width), f.Day.around(f.Day.Mean, b, width)
		out.day, out.dayRaw, out.addDay = there, float64(f.Day.Mean[b]), level+there-here
		out.yesterday, out.yesterdayRaw = f.Day.around(f.Day.Newest[0], b, width), float64(f.Day.Newest[0][b])
		out.peak = f.Day.peak(b)
		if here > 0 {
			out.shape = level * math.Min(math.Max(there/here, 0.2), 5)
		}
	}
	out.week, out.weekRaw, out.addWeek = out.day, out.dayRaw, out.addDay
	if a, b, ok := f.Week.between(now, then, s.Step); ok {
		out.week, out.weekRaw = f.Week.around(f.Week.Mean, b, width), float64(f.Week.Mean[b])
		out.addWeek = level + out.week - f.Week.around(f.Week.Mean, a, width)
	}
	if then.holiday || now.holiday {
		out.day, out.dayRaw, out.addDay = out.week, out.weekRaw, out.addWeek
	}
	if a, b, ok := f.Hour.between(now, then, s.Step); ok {
		out.hour = float64(f.Hour.Mean[b])
		out.addHour = level + out.hour - float64(f.Hour.Mean[a])
	}
	return out
}

// between returns the phases of now and of then, false where too little is known of them: now has been seen once, which
// is the present round.
func (c *Clock) between(now, then place, step time.Duration) (a, b int, ok bool) {
	if c.Period == 0 {
		return 0, 0, false
	}
	a, b = c.phase(now, step), c.phase(then, step)
	return a, b, c.Count[a] > 1 && c.Count[b] > 0
}
