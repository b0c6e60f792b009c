package replay

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// latencies is a distribution that is cheap to add to.
type latencies struct {
	bounds []float64
	limits []time.Duration // bounds as durations
	counts []uint64        // one more than bounds, not cumulative
	sum    time.Duration
}

func newLatencies(bounds []float64) *latencies {
	l := &latencies{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
	for _, b := range bounds {
		l.limits = append(l.limits, time.Duration(b*float64(time.Second)))
	}
	return l
}

func (l *latencies) observe(d time.Duration) {
	low, high := 0, len(l.limits)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if l.limits[middle] < d {
			low = middle + 1
		} else {
			high = middle
		}
	}
	l.counts[low]++
	l.sum += d
}

// snapshot returns the distribution as it is now; nil of nil, which nobody reads.
func (l *latencies) snapshot() *signals.Histogram {
	if l == nil {
		return nil
	}
	return &signals.Histogram{Bounds: l.bounds, Counts: appendCumulative(make([]float64, 0, len(l.counts)), l.counts), Sum: l.sum.Seconds()}
}

// appendCumulative appends the running sums of counts.
func appendCumulative(to []float64, counts []uint64) []float64 {
	var below uint64
	for _, n := range counts {
		below += n
		to = append(to, float64(below))
	}
	return to
}
