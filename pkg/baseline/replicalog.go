package baseline

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// replicaLog keeps the readings of each ready replica over a span, the oldest first.
type replicaLog struct {
	keep time.Duration
	byID map[string][]signals.Reading
}

// add takes the new readings of the ready replicas and forgets replicas that are not.
func (l *replicaLog) add(o *Observation) {
	kept := make(map[string][]signals.Reading, len(o.Replicas))
	for i := range o.Replicas {
		if r := &o.Replicas[i]; r.Phase == scaling.Ready {
			kept[r.ID] = l.with(l.byID[r.ID], r.Reading, o.Time)
		}
	}
	l.byID = kept
}

func (l *replicaLog) with(readings []signals.Reading, r *signals.Reading, now time.Time) []signals.Reading {
	if n := len(readings); r != nil && (n == 0 || r.Time.After(readings[n-1].Time)) {
		readings = append(readings, *r)
	}
	first := 0
	for first < len(readings) && now.Sub(readings[first].Time) > l.keep {
		first++
	}
	if first > 0 {
		readings = append(readings[:0], readings[first:]...)
	}
	return readings
}

// most returns the largest value of a gauge that a replica reported within a span, false where it reported none.
func (l *replicaLog) most(id string, m signals.Metric, since time.Time) (float64, bool) {
	best, ok := 0.0, false
	for i := range l.byID[id] {
		if r := &l.byID[id][i]; r.Time.After(since) {
			if x, has := r.Value(m); has && (!ok || x > best) {
				best, ok = x, true
			}
		}
	}
	return best, ok
}

// gain returns what a replica's counter gained over the readings kept, false where that is not known.
func (l *replicaLog) gain(id string, m signals.Metric) (float64, bool) {
	readings := l.byID[id]
	sum, ok := 0.0, false
	for i := 1; i < len(readings); i++ {
		if x, has := signals.Increase(&readings[i-1], &readings[i], m); has {
			sum, ok = sum+x, true
		}
	}
	return sum, ok
}

// perRequest returns what a counter gained for each request that ended, zero where none did.
func (l *replicaLog) perRequest(id string, m signals.Metric) float64 {
	n, okN := l.gain(id, signals.RequestsFinished)
	x, okX := l.gain(id, m)
	if !okN || !okX || n <= 0 {
		return 0
	}
	return x / n
}

// share returns one counter's gain over another's, zero where that is not known.
func (l *replicaLog) share(id string, of, in signals.Metric) float64 {
	a, okA := l.gain(id, of)
	b, okB := l.gain(id, in)
	if !okA || !okB || b <= 0 {
		return 0
	}
	return min(a/b, 1)
}
