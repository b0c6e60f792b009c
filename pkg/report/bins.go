package report

import "time"

// bin is what happened in one slice of time.
type bin struct {
	// arrived requests came in the slice, missed of them did not meet the SLO in the end; ttft are their times to the
	// first token, vain are those of them that had none.
	arrived, missed, vain int64
	ttft                  sketch
	// waitSteps is by how much more or fewer requests wait for their first token at the end of the slice than at its
	// begin, waitLag the request-seconds that this makes within it.
	waitSteps int64
	waitLag   float64
	// Replica-seconds by phase over the covered seconds of the slice; desired is what was asked for.
	starting, ready, draining, unschedulable, desired, covered float64
	// queued is held by the gateway, a mean of what it was at decisions; point and upper are the demand that was
	// forecast for this slice, in requests per second. skillHours and skillDays are what its decisions said of the forecasts
	// so far, withdrawn the share of the decisions with a forecast in which the last value stood in.
	queued, point, upper, skillHours, skillDays, withdrawn mean
}

// mean is the running mean of some values.
type mean struct {
	sum float64
	n   int64
}

func (m *mean) add(x float64)  { m.sum, m.n = m.sum+x, m.n+1 }
func (m *mean) merge(o *mean)  { m.sum, m.n = m.sum+o.sum, m.n+o.n }
func (m *mean) value() float64 { return m.sum / float64(m.n) } // NaN of none

// merge takes in the slice that follows, as long as the receiver's; width is the seconds of each.
func (b *bin) merge(next *bin, width float64) {
	b.arrived += next.arrived
	b.missed += next.missed
	b.vain += next.vain
	b.ttft.merge(&next.ttft)
	b.waitLag += float64(b.waitSteps)*width + next.waitLag
	b.waitSteps += next.waitSteps
	b.starting += next.starting
	b.ready += next.ready
	b.draining += next.draining
	b.unschedulable += next.unschedulable
	b.desired += next.desired
	b.covered += next.covered
	b.queued.merge(&next.queued)
	b.point.merge(&next.point)
	b.upper.merge(&next.upper)
	b.skillHours.merge(&next.skillHours)
	b.skillDays.merge(&next.skillDays)
	b.withdrawn.merge(&next.withdrawn)
}

// firstToken is the q-quantile (0 to 1) of the times to the first token, in seconds; NaN where no request came. Requests
// without one stand behind all others, at the longest wait of the run, as in the score.
func (b *bin) firstToken(q, longest float64) float64 {
	had := b.ttft.count()
	rank := q * (had + float64(b.vain))
	if b.vain > 0 && rank > had {
		return longest
	}
	return b.ttft.quantile(rank / had)
}

// bins are consecutive slices of time from zero, all of one width. There are never more than most: where time goes
// beyond, the width doubles.
type bins struct {
	width time.Duration
	most  int
	list  []bin
}

// at returns the bin of an instant; instants before zero belong to the first. It is valid until the next call.
func (b *bins) at(t time.Duration) *bin {
	i := int(max(t, 0) / b.width)
	for ; i >= b.most; i = int(t / b.width) {
		b.fold()
	}
	for len(b.list) <= i {
		b.list = append(b.list, bin{})
	}
	return &b.list[i]
}

// fold doubles the width.
func (b *bins) fold() {
	half := (len(b.list) + 1) / 2
	for i := range half {
		first, next := b.list[2*i], bin{}
		if 2*i+1 < len(b.list) {
			next = b.list[2*i+1]
		}
		first.merge(&next, b.width.Seconds())
		b.list[i] = first
	}
	b.list = b.list[:half]
	b.width *= 2
}

// spread calls add for each bin between two instants, with the seconds of it that lie between them.
func (b *bins) spread(from, to time.Duration, add func(in *bin, seconds float64)) {
	if to <= from {
		return
	}
	b.at(to) // folds before the loop, not within it
	for from < to {
		end := min(to, from-from%b.width+b.width)
		add(b.at(from), (end - from).Seconds())
		from = end
	}
}

// step notes that from an instant on, n more requests wait.
func (b *bins) step(t time.Duration, n int64) {
	in := b.at(t)
	in.waitSteps += n
	in.waitLag += float64(n) * (b.width - t%b.width).Seconds()
}

// clone returns a copy of at most most bins.
func (b *bins) clone(most int) bins {
	c := bins{width: b.width, most: max(most, 1), list: append([]bin(nil), b.list...)}
	for len(c.list) > c.most {
		c.fold()
	}
	return c
}

// trim cuts off what lies beyond an instant.
func (b *bins) trim(end time.Duration) {
	if n := int((end + b.width - 1) / b.width); n < len(b.list) {
		b.list = b.list[:n]
	}
}

// length is the part of a bin that lies before an instant, in seconds.
func (b *bins) length(i int, end time.Duration) float64 {
	return min(b.width, end-time.Duration(i)*b.width).Seconds()
}

// waiting is the mean number of requests that wait for their first token, for each bin of a run that ends at end.
func (b *bins) waiting(end time.Duration) []float64 {
	out, base := make([]float64, len(b.list)), 0.0
	for i := range b.list {
		in, width, seconds := &b.list[i], b.width.Seconds(), b.length(i, end)
		// What waits beyond the end does so in the bin's part that is not there.
		beyond := (width - seconds) * (base + float64(in.waitSteps))
		out[i] = max(0, (base*width+in.waitLag-beyond)/seconds)
		base += float64(in.waitSteps)
	}
	return out
}
