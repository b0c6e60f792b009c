package report

import (
	"math"
	"time"
)

// bin is what happened in one slice of time.
type bin struct {
	// arrived requests came in the slice, missed of them did not meet the SLO in the end; ttft are their times to the
	// first token, or, where there was none, until they were given up.
	arrived, missed int64
	ttft            sketch
	// waitSteps is by how much more or fewer requests wait for their first token at the end of the slice than at its
	// begin, waitLag the request-seconds that this makes within it.
	waitSteps int64
	waitLag   float64
	// Replica-seconds by phase over the covered seconds of the slice; desired is what was asked for.
	starting, ready, draining, unschedulable, desired, covered float64
	// queued is held by the gateway, a mean of what it was at decisions; point and upper are the demand that was
	// forecast for this slice, in requests per second.
	queued, point, upper mean
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
}

// bins are consecutive slices of time from zero, all of one width in seconds. There are never more than most: where time
// goes beyond, the width doubles.
type bins struct {
	width float64
	most  int
	list  []bin
}

// at returns the bin of an instant, in seconds; instants before zero belong to the first. It is valid until the next
// call.
func (b *bins) at(t float64) *bin {
	t = math.Max(t, 0)
	for t >= b.width*float64(b.most) {
		b.fold()
	}
	i := int(t / b.width)
	for len(b.list) <= i {
		b.list = append(b.list, bin{})
	}
	return &b.list[i]
}

// fold doubles the width.
func (b *bins) fold() {
	half := (len(b.list) + 1) / 2
	for i := range half {
		first := b.list[2*i]
		if 2*i+1 < len(b.list) {
			first.merge(&b.list[2*i+1], b.width)
		} else {
			first.merge(&bin{}, b.width)
		}
		b.list[i] = first
	}
	b.list = b.list[:half]
	b.width *= 2
}

// spread calls add for each bin between two instants, in seconds, with the seconds of it that lie between them.
func (b *bins) spread(from, to float64, add func(in *bin, seconds float64)) {
	if !(to > from) {
		return
	}
	b.at(to) // folds before the loop, not within it
	for from < to {
		end := math.Min(to, (math.Floor(from/b.width)+1)*b.width)
		add(b.at(from), end-from)
		from = end
	}
}

// step notes that from an instant on, n more requests wait.
func (b *bins) step(t float64, n int64) {
	in := b.at(t)
	end := (math.Floor(t/b.width) + 1) * b.width
	in.waitSteps += n
	in.waitLag += float64(n) * (end - t)
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
	if n := int(math.Ceil(end.Seconds() / b.width)); n < len(b.list) {
		b.list = b.list[:n]
	}
}
