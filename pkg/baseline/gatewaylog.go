package baseline

import (
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// gatewayLog keeps the gateway's readings of a span, the oldest first, with its own copies of their distributions.
type gatewayLog struct {
	keep     time.Duration
	readings []Gateway
}

// add takes a reading that is newer than the last one; others are no news.
func (l *gatewayLog) add(g Gateway) {
	if n := len(l.readings); g.Time.IsZero() || n > 0 && !g.Time.After(l.readings[n-1].Time) {
		return
	}
	g.TTFT, g.TPOT, g.E2E = g.TTFT.Scaled(1), g.TPOT.Scaled(1), g.E2E.Scaled(1)
	l.readings = append(l.readings, g)
	oldest := g.Time.Add(-l.keep)
	first := slices.IndexFunc(l.readings, func(g Gateway) bool { return !g.Time.Before(oldest) })
	if first > 1 {
		l.readings = append(l.readings[:0], l.readings[first-1:]...)
	}
}

// window returns the newest reading and the one that a window of the given length before it begins with: the oldest
// inside, or the one just before where that is all there is. False where there are no two readings.
func (l *gatewayLog) window(span time.Duration) (from, to Gateway, ok bool) {
	n := len(l.readings)
	if n < 2 {
		return from, to, false
	}
	to = l.readings[n-1]
	start := to.Time.Add(-span)
	i := slices.IndexFunc(l.readings, func(g Gateway) bool { return !g.Time.Before(start) })
	return l.readings[min(i, n-2)], to, true
}

// rate returns the mean of a cumulative quantity's increase per second between two readings.
func rate(from, to Gateway, of func(Gateway) float64) float64 {
	s := to.Time.Sub(from.Time).Seconds()
	if s <= 0 {
		return 0
	}
	return max(0, of(to)-of(from)) / s
}

// concurrency is the mean number of requests inside between two readings.
func concurrency(from, to Gateway) float64 {
	return rate(from, to, func(g Gateway) float64 { return g.Concurrency })
}

// quantile returns a quantile of what a distribution gained between two readings, false where that is nothing.
func quantile(from, to *signals.Histogram, q float64) (float64, bool) {
	var a, b signals.Reading
	if from == nil && to != nil {
		from = &signals.Histogram{Bounds: to.Bounds, Counts: make([]float64, len(to.Counts))}
	}
	a.SetHistogram(signals.TTFT, from)
	b.SetHistogram(signals.TTFT, to)
	x, _, ok := signals.HistogramIncrease(&a, &b, signals.TTFT).Quantile(q)
	return x, ok
}
