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
	// Mean is the mean at each phase, in which the newest round counts most; Count how often it was seen.
	Mean  []float32
	Count []uint16
	// Newest are the values of the last rounds at each phase, the newest first; Silent whether there was nothing at all at
	// it the last time. Both are empty where they are not kept.
	Newest [][]float32
	Silent []bool
}

// newClock returns a clock of a period that keeps the given number of rounds, one without phases where the period has
// too few steps to tell anything.
func newClock(period, step time.Duration, rounds int) Clock {
	phases := int((period + step - 1) / step)
	if phases < 4 {
		return Clock{}
	}
	c := Clock{Period: period, Mean: make([]float32, phases), Count: make([]uint16, phases)}
	for range rounds {
		c.Newest = append(c.Newest, make([]float32, phases))
	}
	if rounds > 0 {
		c.Silent = make([]bool, phases)
	}
	return c
}

// instant is one row's place on the clocks.
type instant struct {
	// local is the wall-clock time at which the row starts, in nanoseconds since 1970; weekly is the same but for
	// holidays, which are Sundays there.
	local, weekly int64
	holiday       bool
}

// at returns the place of the row that starts at t.
func (c *Calendar) at(t time.Time) instant {
	local := t.UnixNano()
	if c.Location != nil {
		_, offset := t.In(c.Location).Zone()
		local += int64(offset) * int64(time.Second)
	}
	i := instant{local: local, weekly: local}
	if c.isHoliday(t) {
		const day = int64(24 * time.Hour)
		days := int64(math.Floor(float64(local) / float64(day)))
		weekday := ((days+4)%7 + 7) % 7 // 1970 began on a Thursday; 0 is Sunday
		i.weekly, i.holiday = local-weekday*day, true
	}
	return i
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

// phase is the place of a wall-clock time on the clock.
func (c *Clock) phase(local int64, step time.Duration) int {
	p := local % int64(c.Period)
	if p < 0 {
		p += int64(c.Period)
	}
	return int(p / int64(step))
}

// learn takes the value at a phase; newest is the weight that the newest round has in the mean.
func (c *Clock) learn(p int, v, newest float64) {
	if c.Count[p] < math.MaxUint16 {
		c.Count[p]++
	}
	c.Mean[p] += float32(math.Max(1/float64(c.Count[p]), newest) * (v - float64(c.Mean[p])))
	for i := len(c.Newest) - 1; i > 0; i-- {
		c.Newest[i][p] = c.Newest[i-1][p]
	}
	if len(c.Newest) > 0 {
		c.Newest[0][p] = float32(v)
	}
}

// knows reports whether the phase has been seen.
func (c *Clock) knows(p int) bool { return c.Period > 0 && c.Count[p] > 0 }

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

// learnSeasons takes the newest row into the clocks. They do not learn from a hole, unless there was nothing at that time
// of the day before either: then it is a night.
func (f *Forecaster) learnSeasons(s *Spec, v float64) {
	now := s.Calendar.at(f.End.Add(-s.Step))
	if f.Day.Period > 0 {
		p := f.Day.phase(now.local, s.Step)
		again := f.Day.Silent[p] || f.Day.Count[p] == 0
		if f.Day.Silent[p] = v == 0; v == 0 && f.hole() && !again {
			return
		}
	}
	if f.Hour.Period > 0 {
		f.Hour.learn(f.Hour.phase(now.local, s.Step), v, newestHour)
	}
	if f.Day.Period > 0 && !now.holiday {
		f.Day.learn(f.Day.phase(now.local, s.Step), v, newestDay)
	}
	if f.Week.Period > 0 {
		f.Week.learn(f.Week.phase(now.weekly, s.Step), v, newestDay)
	}
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
	start := f.End.Add(-s.Step)
	now, then := s.Calendar.at(start), s.Calendar.at(start.Add(time.Duration(h)*s.Step))
	last, level := f.Levels.Last, f.Levels.Averages[2]
	out := seasons{
		day: level, dayRaw: level, week: level, weekRaw: level, hour: last, yesterday: level, yesterdayRaw: last,
		peak: last, shape: level, addDay: level, addWeek: level, addHour: level,
	}
	if slices.Contains(s.Without, stageSeasons) {
		return out
	}
	width := int(math.Round(float64(smoothing) / float64(s.Step)))
	out.readDay(&f.Day, f.Day.at(now, s.Step), f.Day.at(then, s.Step), level, width)
	out.week, out.weekRaw, out.addWeek = out.day, out.dayRaw, out.addDay
	out.readWeek(&f.Week, f.Week.atWeekly(now, s.Step), f.Week.atWeekly(then, s.Step), level, width)
	if then.holiday || now.holiday {
		out.day, out.dayRaw, out.addDay = out.week, out.weekRaw, out.addWeek
	}
	if a, b := f.Hour.at(now, s.Step), f.Hour.at(then, s.Step); f.Hour.knows(a) && f.Hour.Count[a] > 1 && f.Hour.knows(b) {
		out.hour = float64(f.Hour.Mean[b])
		out.addHour = level + out.hour - float64(f.Hour.Mean[a])
	}
	return out
}

func (c *Clock) at(i instant, step time.Duration) int {
	if c.Period == 0 {
		return 0
	}
	return c.phase(i.local, step)
}

func (c *Clock) atWeekly(i instant, step time.Duration) int {
	if c.Period == 0 {
		return 0
	}
	return c.phase(i.weekly, step)
}

func (o *seasons) readDay(c *Clock, now, then int, level float64, width int) {
	if !c.knows(now) || c.Count[now] < 2 || !c.knows(then) {
		return
	}
	here := c.around(c.Mean, now, width)
	o.day, o.dayRaw = c.around(c.Mean, then, width), float64(c.Mean[then])
	o.yesterday, o.yesterdayRaw = c.around(c.Newest[0], then, width), float64(c.Newest[0][then])
	o.peak = c.peak(then)
	o.addDay = level + o.day - here
	o.shape = level
	if here > 0 {
		o.shape = level * math.Min(math.Max(o.day/here, 0.2), 5)
	}
}

func (o *seasons) readWeek(c *Clock, now, then int, level float64, width int) {
	if !c.knows(now) || c.Count[now] < 2 || !c.knows(then) {
		return
	}
	o.week, o.weekRaw = c.around(c.Mean, then, width), float64(c.Mean[then])
	o.addWeek = level + o.week - c.around(c.Mean, now, width)
}
