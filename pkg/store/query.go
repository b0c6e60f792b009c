package store

import (
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Sample is one answer.
type Sample struct {
	// Value is in the quantity's unit.
	Value float64
	// Time is when the newest reading used was taken; of a group, the oldest of these.
	Time time.Time
	// Window is the time between the first and the last reading used, 0 for a gauge; of a group, the longest.
	Window time.Duration
	// Saturated says that a quantile lies above the engine's highest bucket bound, which Value is then: the true value
	// is larger.
	Saturated bool
}

// Pod returns a quantity of one pod; false where it is unknown or stale, or where a rate or quantile has nothing to go
// by: fewer than two readings, no request finished, no token looked up.
func (s *Store) Pod(id PodID, q Quantity, now time.Time) (Sample, bool) {
	sample, _, ok := s.Group([]PodID{id}, q, now)
	return sample, ok
}

// Group returns a quantity over pods. known is the number of pods that it is of: the others are unknown or stale and
// left out, so a sum over fewer pods than were asked for is too low, and the caller decides whether it serves. False
// where no pod is known.
func (s *Store) Group(ids []PodID, q Quantity, now time.Time) (sample Sample, known int, ok bool) {
	info := &quantityTable[q]
	g := group{info: info}
	var buffer [32]*signals.Reading
	for _, id := range ids {
		readings, fresh := s.fresh(buffer[:0], id, now)
		if fresh {
			g.add(readings)
		}
	}
	sample, ok = g.result()
	return sample, g.known, ok
}

// group accumulates a quantity over pods.
type group struct {
	info  *quantityInfo
	known int

	sum, plainSum, weight float64 // of values; for a RatioOfSums, sum is above and weight below the line
	unweighted            bool
	observed              *signals.Histogram
	time                  time.Time
	window                time.Duration
}

// add takes in the readings of one pod, oldest first.
func (g *group) add(readings []*signals.Reading) {
	switch g.info.eval {
	case gauges:
		g.addGauge(readings[len(readings)-1])
	case rates:
		g.addRate(readings)
	case histograms:
		g.addHistogram(readings)
	}
}

// count notes that a pod is known, its readings reaching from first to last.
func (g *group) count(first, last *signals.Reading) {
	g.known++
	if g.time.IsZero() || last.Time.Before(g.time) {
		g.time = last.Time
	}
	g.window = max(g.window, last.Time.Sub(first.Time))
}

func (g *group) addGauge(r *signals.Reading) {
	sum, ok := total(r, g.info.metrics)
	if !ok && len(g.info.instead) > 0 {
		sum, ok = total(r, g.info.instead)
	}
	if !ok {
		return
	}
	g.count(r, r)
	weight, ok := r.Value(signals.KVCacheCapacityTokens)
	g.unweighted = g.unweighted || !ok || weight == 0
	g.plainSum += sum
	g.sum += sum * weight
	g.weight += weight
}

// total adds up metrics, false where one of them is not known.
func total(r *signals.Reading, metrics []signals.Metric) (sum float64, ok bool) {
	for _, m := range metrics {
		v, ok := r.Value(m)
		if !ok {
			return 0, false
		}
		sum += v
	}
	return sum, true
}

// addDifference takes in the rate of what is left of one counter without others. Each is taken for itself: the
// difference of two counters on one page is no counter, since they do not move at the same instant.
func (g *group) addDifference(readings []*signals.Reading) {
	left, first, last, ok := increase(readings, g.info.instead[0])
	if !ok {
		return
	}
	for _, m := range g.info.instead[1:] {
		less, from, to, ok := increase(readings, m)
		if !ok || from != first || to != last {
			return
		}
		left -= less
	}
	g.count(first, last)
	g.plainSum += math.Max(0, left) / last.Time.Sub(first.Time).Seconds()
}

func (g *group) addRate(readings []*signals.Reading) {
	if newest := readings[len(readings)-1]; len(g.info.instead) > 0 {
		if _, stated := newest.Value(g.info.metrics[0]); !stated {
			g.addDifference(readings)
			return
		}
	}
	var sums [2]float64
	var first, last *signals.Reading
	for i, m := range g.info.metrics {
		in, from, to, ok := increase(readings, m)
		if !ok {
			return
		}
		sums[i], first, last = in, from, to
		if g.info.aggregation == Sum {
			sums[i] /= to.Time.Sub(from.Time).Seconds()
		}
	}
	g.count(first, last)
	g.plainSum += sums[0] + sums[1]
	g.sum += sums[0]
	g.weight += sums[1]
}

// increase returns how much a counter rose over the readings, each step reset-safe. The newest reading must know it.
func increase(readings []*signals.Reading, m signals.Metric) (sum float64, first, last *signals.Reading, ok bool) {
	for _, r := range readings {
		if _, known := r.Value(m); !known {
			continue
		}
		if first == nil {
			first = r
		} else {
			step, _ := signals.Increase(last, r, m)
			sum += step
		}
		last = r
	}
	return sum, first, last, first != last && last == readings[len(readings)-1]
}

func (g *group) addHistogram(readings []*signals.Reading) {
	observed, first, last, ok := observations(readings, g.info.latency)
	if !ok {
		return
	}
	g.count(first, last)
	g.observed = signals.Merge(g.observed, observed)
}

// observations returns what was observed over the readings, reset-safe, nil where that is nothing. The newest reading
// must know the distribution, and another one.
func observations(readings []*signals.Reading, l signals.Latency) (sum *signals.Histogram, first, last *signals.Reading, ok bool) {
	i := slices.IndexFunc(readings, func(r *signals.Reading) bool { return r.Histogram(l) != nil })
	if i < 0 {
		return nil, nil, nil, false
	}
	first, last = readings[i], readings[len(readings)-1]
	if first == last || last.Histogram(l) == nil {
		return nil, nil, nil, false
	}
	return signals.HistogramIncreases(readings[i:], l), first, last, true
}

// result returns what has been accumulated, false where nothing was or it has no value.
func (g *group) result() (Sample, bool) {
	if g.known == 0 {
		return Sample{}, false
	}
	s := Sample{Time: g.time, Window: g.window}
	ok := true
	switch g.info.aggregation {
	case Sum:
		s.Value = g.plainSum
	case CapacityWeightedMean:
		s.Value = g.sum / g.weight
		if g.unweighted {
			s.Value = g.plainSum / float64(g.known)
		}
	case RatioOfSums:
		s.Value, ok = math.Min(1, g.sum/g.weight), g.weight > 0
	case HistogramMerge:
		s.Value, s.Saturated, ok = statistic(g.observed, g.info.statistic)
	}
	if !ok {
		return Sample{}, false
	}
	return s, true
}

func statistic(h *signals.Histogram, stat Statistic) (v float64, saturated, ok bool) {
	if stat == Mean {
		v, ok = h.Mean()
		return v, false, ok
	}
	return h.Quantile(statistics[stat].q)
}
