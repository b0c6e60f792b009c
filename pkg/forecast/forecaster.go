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
	// Doubtful is set while the newest row was too large to believe before another one confirms it.
	Doubtful bool
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
	if f.Lanes == nil {
		f.start(s, end)
	}
	rows := int(end.Sub(f.End).Round(s.Step) / s.Step)
	if rows <= 0 {
		return
	}
	f.Row += rows
	f.End = end
	if !f.believes(value, &f.Doubtful) {
		f.Recent.skip(rows)
		f.Past.skip(rows)
		return
	}
	f.Recent.skip(rows - 1)
	f.Recent.push(value)
	f.Past.skip(rows - 1)
	f.Past.push(value)
	f.Known++
	if value < tiny {
		value = 0
	}
	f.take(s, value)
}

// believes reports whether a value can be demand. One that is far beyond the most seen of late is believed when the next
// one is as large: a counter that was read wrong once is not to be provided for all week. Doubtful says that the one
// before was not believed.
func (f *Forecaster) believes(value float64, doubtful *bool) bool {
	const far, experience = 50, 30
	if !(value >= 0 && value < unbelievable) {
		return false
	}
	confirmed := *doubtful
	*doubtful = f.Seen > experience && value > far*f.Levels.Peak
	return confirmed || !*doubtful
}

// start makes room for what the spec asks. The first row ends one step after End.
func (f *Forecaster) start(s *Spec, end time.Time) {
	f.End = end.Add(-s.Step)
	longest := int(s.Horizons[len(s.Horizons)-1] / s.Step)
	f.Recent = Ring{Values: make([]float64, 0, longest+1), Size: longest + 1}
	f.Hour, f.Day, f.Week = newClock(time.Hour, s.Step, 0), newClock(24*time.Hour, s.Step, pastDays), newClock(7*24*time.Hour, s.Step, 0)
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
	f.Silent++
	if value > 0 {
		f.Silent = 0
	}
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

// hole reports whether the newest zeros look like a logging hole or an outage: nothing at all where the level was far
// above nothing shortly before. What lasts for a day is the new normal.
func (f *Forecaster) hole() bool {
	return f.Silent > 0 && f.Silent < len(f.Day.Mean) && f.Levels.Averages[6] > 0.02*f.Levels.Mean
}

// Predict returns one Prediction for each horizon, nil before the first row of which something is known.
func (f *Forecaster) Predict(s *Spec) []Prediction {
	if f.Known == 0 {
		return nil
	}
	out := make([]Prediction, len(f.Lanes))
	for i := range f.Lanes {
		if f.Seen == 0 {
			out[i] = Prediction{Values: make([]float64, len(s.Quantiles)), Source: LastValue, Withdrawn: "there has been no demand yet"}
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
	// Mean is the mean of days, Peak the largest value of late, which fades over a week.
	Mean, Peak float64
	// Averages are exponentially weighted means over about 1, 2, 4, … 128 rows.
	Averages [8]float64
	// Change is the mean size of a step from one row to the next over the last hour or so.
	Change float64
}

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
