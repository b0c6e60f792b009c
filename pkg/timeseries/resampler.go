package timeseries

import "time"

// Resampler turns values that each hold over the time up to their instant (rates between two scrapes) into their
// time-weighted means over even steps. It is plain data; its zero value, with Step set, is ready for use.
type Resampler struct {
	// Step is the length of a step; steps begin at multiples of it since the zero time.
	Step time.Duration
	// At is the instant up to which values are in, zero before the first.
	At time.Time
	// Sum is the integral (value × seconds) since the present step began, Known the seconds that it covers.
	Sum, Known float64
}

// Add takes a value that held from the instant of the previous Add until t and returns the means of the steps that
// came to their end by then, oldest first. The first value only sets the instant. After a long gap at most limit steps
// are returned, the newest.
func (r *Resampler) Add(t time.Time, value float64, limit int) []float64 {
	if r.At.IsZero() || !t.After(r.At) {
		if r.At.IsZero() {
			r.At = t
		}
		return nil
	}
	if earliest := t.Add(-time.Duration(limit) * r.Step); r.At.Before(earliest) {
		r.At, r.Sum, r.Known = earliest.Truncate(r.Step), 0, 0
	}
	var means []float64
	for {
		end := r.At.Truncate(r.Step).Add(r.Step)
		if end.After(t) {
			break
		}
		r.take(end, value)
		means = append(means, r.Sum/r.Known)
		r.Sum, r.Known = 0, 0
	}
	r.take(t, value)
	return means
}

// take adds the value up to t.
func (r *Resampler) take(t time.Time, value float64) {
	dt := t.Sub(r.At).Seconds()
	r.Sum += value * dt
	r.Known += dt
	r.At = t
}
