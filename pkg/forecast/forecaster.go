package forecast

import (
	"math"
	"time"
)

// Sources of a Prediction.
const (
	// Mixture is that of all experts by their recent losses.
	Mixture = "experts"
	// LastValue expects what was of late, with the errors that this has made.
	LastValue = "last-value"
)

// unbelievable values are faults of what measured them; the square of a believable one is still a number.
const unbelievable = 1e15

// tiny values are nothing: what is divided by them is no number any more.
const tiny = 1e-30

// unknown stands in a Ring for a row of which nothing is known: no value is below zero.
const unknown = -1

// Forecaster is what has been learned of one series: plain data, the zero value knows nothing. It is advanced in place;
// a copy shares its slices. Its size is bounded (see DESIGN.md).
type Forecaster struct {
	// End is the end of the newest row, Row its number since the first one, gaps included.
	End time.Time
	Row int
	// Known counts the rows of which something was known, Seen those since the first demand, Silent the newest of them
	// that were exactly zero.
	Known, Seen, Silent int
	// Outage is set while nothing comes where the level was far above nothing when it stopped.
	Outage bool
	// Doubted is the last value that was too large to believe at once.
	Doubted float64
	// Levels are running statistics of the series.
	Levels Levels
	// Recent holds the newest rows, as many as the longest horizon and one.
	Recent Ring
	// Past holds the newest rows in which seasons are sought.
	Past Past
	// Hour, Day and Week are what was seen at each time of the hour, day and week, or of other periods where these are found.
	Hour, Day, Week Clock
	// States ranks the present level among those seen.
	States Residuals
	// Lanes are what is learned at each of the Spec's horizons.
	Lanes []Lane
}

// Observe takes the value of the row that ends at end: a mean over one step. Rows come in order of time. A value that
// is not finite, is negative or beyond believing is a row of which nothing is known, as is every row left out; a row
// that ends no later than the newest is dropped.
func (f *Forecaster) Observe(s *Spec, end time.Time, value float64) {
	if !f.proceed(s, end) {
		return
	}
	if !f.believes(value, &f.Doubted) {
		f.Recent.push(unknown)
		f.Past.push(unknown)
		return
	}
	f.Recent.push(value)
	f.Past.push(value)
	f.Known++
	if value < tiny {
		value = 0
	}
	f.take(s, value)
}

// remember takes a row of a past that is too long ago to learn more of than seasons.
func (f *Forecaster) remember(s *Spec, end time.Time, value float64) {
	if !f.proceed(s, end) {
		return
	}
	f.Recent.push(value)
	f.Past.push(value)
	f.Known++
	for _, c := range []*Clock{&f.Hour, &f.Day, &f.Week} {
		c.take(s.place(end), value, true, s.Step)
	}
}

// proceed goes on to the row that ends at end, past rows of which nothing is known; false where it is not after the newest.
func (f *Forecaster) proceed(s *Spec, end time.Time) bool {
	if f.Lanes == nil {
		f.start(s, end)
	}
	rows := int(end.Sub(f.End).Round(s.Step) / s.Step)
	if rows <= 0 {
		return false
	}
	f.Row += rows
	f.End = end
	f.Recent.skip(rows - 1)
	f.Past.skip(rows - 1)
	return true
}

// forget goes back to the row that ends at end: later ones are no past any more. What was learned of them stays.
func (f *Forecaster) forget(end time.Time, step time.Duration) {
	if rows := int(f.End.Sub(end) / step); rows > 0 {
		f.Recent.drop(rows)
		f.Past.drop(rows)
		f.End = end
	}
}

// believes reports whether a value can be demand. One that is far beyond the most seen of late is believed when it is
// not the first of its size: a counter that was read wrong once is not to be provided for all week. Doubted is the last
// one that was not believed at once.
func (f *Forecaster) believes(value float64, doubted *float64) bool {
	const far, experience, alike = 50, 30, 5
	switch {
	case !(value >= 0 && value < unbelievable):
		return false
	case f.Seen <= experience || value <= far*f.Levels.Peak:
		return true
	case value <= alike**doubted && value >= *doubted/alike:
		return true
	}
	*doubted = value
	return false
}

// start makes room for what the spec asks. The first row ends one step after End.
func (f *Forecaster) start(s *Spec, end time.Time) {
	f.End = end.Add(-s.Step)
	longest := int(s.Horizons[len(s.Horizons)-1] / s.Step)
	f.Recent = Ring{Values: make([]float64, 0, longest+1), Size: longest + 1}
	f.Hour = newClock(time.Hour, s.Step, 0, newestHour)
	f.Day, f.Week = newClock(24*time.Hour, s.Step, pastDays, newestDay), newClock(7*24*time.Hour, s.Step, 0, newestDay)
	f.States = newResiduals(memoryOf(7*24*time.Hour, s.Step))
	f.Lanes = make([]Lane, len(s.Horizons))
	for i, h := range s.Horizons {
		f.Lanes[i] = newLane(s, int(h/s.Step))
	}
}

// take learns from a known row: first what was forecast for it, then the row itself, and makes the forecasts from it.
// Before the first demand there is nothing to forecast, and no error to learn from.
func (f *Forecaster) take(s *Spec, value float64) {
	if f.Seen == 0 && value == 0 {
		return
	}
	f.Seen++
	f.hush(value, s.Step)
	f.Levels.learn(value, f.Seen, s.Step)
	for i := range f.Lanes {
		f.Lanes[i].judge(s, f)
	}
	f.States.add(f.Levels.Averages[1])
	f.learnSeasons(s, value)
	for i := range f.Lanes {
		f.Lanes[i].extend(s, f)
	}
	f.seek(s)
}

// hush counts the newest zeros. They look like an outage or a logging hole where the level was far above nothing when
// they began; what lasts for a day is the new normal.
func (f *Forecaster) hush(value float64, step time.Duration) {
	if value > 0 {
		f.Silent, f.Outage = 0, false
		return
	}
	if f.Silent++; f.Silent == 1 {
		f.Outage = f.Levels.Averages[6] > 0.02*f.Levels.Mean
	}
	f.Outage = f.Outage && time.Duration(f.Silent)*step < 24*time.Hour
}

// Predict returns one Prediction for each horizon, nil before the first row of which something is known.
func (f *Forecaster) Predict(s *Spec) []Prediction {
	if f.Known == 0 {
		return nil
	}
	out := make([]Prediction, len(f.Lanes))
	for i := range f.Lanes {
		if f.Seen == 0 {
			out[i] = Prediction{Values: make([]float64, len(s.Quantiles)), LastValue: make([]float64, len(s.Quantiles)), Source: LastValue, Withdrawn: "there has been no demand yet"}
		} else {
			out[i] = f.Lanes[i].state(s, f)
		}
		out[i].At, out[i].Horizon = f.End, s.Horizons[i]
	}
	return out
}

// Levels are running statistics of a series, in its unit.
type Levels struct {
	// Last is the newest value, Before the one before it.
	Last, Before float64
	// Mean is the mean of days, Peak the largest value of late, which fades over a week, Most the same over months.
	Mean, Peak, Most float64
	// Averages are exponentially weighted means over about 1, 2, 4, … 128 rows.
	Averages [8]float64
	// Change is the mean size of a step from one row to the next over the last hour or so.
	Change float64
}

// mostFades is how long Levels.Most takes to fade: a service that has its peak each week comes back to it.
const mostFades = 90 * 24 * time.Hour

// meanHalfLife is that of Levels.Mean: long against a day, so that it is a unit to measure by and no level.
const meanHalfLife = 4 * 24 * time.Hour

// learn takes a value, the n-th.
func (l *Levels) learn(v float64, n int, step time.Duration) {
	first := 1 / float64(n)
	if n == 1 {
		l.Last = v
	} else {
		l.Change += math.Max(1/float64(n-1), 1/rowsOf(time.Hour, step)) * (math.Abs(v-l.Last) - l.Change)
	}
	l.Before, l.Last = l.Last, v
	l.Mean += math.Min(1, math.Max(first, math.Ln2*float64(step)/float64(meanHalfLife))) * (v - l.Mean)
	l.Peak = math.Max(v, l.Peak*(1-1/rowsOf(7*24*time.Hour, step)))
	l.Most = math.Max(v, l.Most*(1-1/rowsOf(mostFades, step)))
	for k := range l.Averages {
		l.Averages[k] += math.Max(first, 1/float64(int(1)<<k)) * (v - l.Averages[k])
	}
}

// rowsOf is how many rows a span has, at least six.
func rowsOf(span, step time.Duration) float64 { return math.Max(6, float64(span)/float64(step)) }

// unit is what everything is measured in, so that forecasts scale with the series. It is above zero.
func (l *Levels) unit() float64 { return math.Max(l.Mean+1e-9*l.Peak, tiny) }

// Ring holds the newest values of a series, oldest overwritten.
type Ring struct {
	Values []float64
	// Size is how many are kept, Next where the next one goes once there are as many.
	Size, Next int
}

func (r *Ring) push(v float64) {
	if len(r.Values) < r.Size {
		r.Values = append(r.Values, v)
		return
	}
	r.Values[r.Next] = v
	r.Next = (r.Next + 1) % r.Size
}

// drop forgets the newest n values.
func (r *Ring) drop(n int) {
	r.Values = append(append(make([]float64, 0, r.Size), r.Values[r.Next:]...), r.Values[:r.Next]...)
	r.Values, r.Next = r.Values[:max(0, len(r.Values)-n)], 0
}

// skip takes n rows of which nothing is known.
func (r *Ring) skip(n int) {
	for range min(n, r.Size) {
		r.push(unknown)
	}
}

// back returns the value n rows before the newest, false where it is not known.
func (r *Ring) back(n int) (float64, bool) {
	if n >= len(r.Values) {
		return 0, false
	}
	i := r.Next - 1 - n
	if i < 0 {
		i += len(r.Values)
	}
	return r.Values[i], r.Values[i] >= 0
}
