package activator

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Snapshot is what an Activator has at one instant.
type Snapshot struct {
	// Targets are all that were named, by name.
	Targets []TargetSnapshot
	// Held is the number of requests that wait, and HeldBytes what is buffered for requests, over all targets.
	Held      int
	HeldBytes int64
}

// TargetSnapshot is the demand for one target, and what became of it.
type TargetSnapshot struct {
	Target string
	// Endpoints is the number of ready ones.
	Endpoints int
	// Held is the number of requests that wait, HeldBytes what is buffered for them and for those on their way to endpoints
	// that have not answered yet.
	Held      int
	HeldBytes int64
	// OldestAge is the time that the first of those who wait has waited; 0 where none waits.
	OldestAge time.Duration
	// InFlight is the number of requests that endpoints work on.
	InFlight int
	// Arrivals counts all requests since the start, whatever became of them: its rate is the demand.
	Arrivals uint64
	// Wakes counts calls of Wake, Refused the errors that were answered here.
	Wakes   uint64
	Refused map[Reason]uint64
}

// Snapshot returns the demand at this instant.
func (a *Activator) Snapshot() Snapshot {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Snapshot{Held: a.held, HeldBytes: a.bytes, Targets: make([]TargetSnapshot, 0, len(a.targets))}
	for _, t := range a.targets {
		s.Targets = append(s.Targets, t.snapshot(now))
	}
	slices.SortFunc(s.Targets, func(a, b TargetSnapshot) int { return cmp.Compare(a.Target, b.Target) })
	return s
}

func (t *target) snapshot(now time.Time) TargetSnapshot {
	s := TargetSnapshot{
		Target: t.name, Endpoints: len(t.endpoints), Held: t.held.Len(), HeldBytes: t.bytes, InFlight: t.inFlight,
		Arrivals: t.arrivals, Wakes: t.wakes, Refused: maps.Clone(t.refused),
	}
	if first := t.held.Front(); first != nil {
		s.OldestAge = max(now.Sub(first.Value.(*exchange).arrived), 0)
	}
	return s
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("preheat_activator_"+name, help, append([]string{"target"}, labels...), nil)
}

var (
	heldDesc     = desc("held_requests", "Requests that wait for an endpoint.")
	bytesDesc    = desc("held_bytes", "Bytes of bodies that are buffered.")
	oldestDesc   = desc("oldest_held_age_seconds", "Time that the first of the requests that wait has waited.")
	inFlightDesc = desc("in_flight_requests", "Requests that endpoints work on.")
	readyDesc    = desc("endpoints", "Endpoints that are ready.")
	arrivalsDesc = desc("requests_total", "Requests, whatever became of them.")
	wakesDesc    = desc("wakes_total", "Times that a target was said to be needed.")
	refusedDesc  = desc("errors_total", "Requests that were answered with an error here, by reason.", "reason")
)

func newWaits() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "preheat_activator_hold_duration_seconds", Help: "Time from a held request's arrival until an endpoint was free for it.",
		Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
	})
}

// Describe implements prometheus.Collector.
func (a *Activator) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{heldDesc, bytesDesc, oldestDesc, inFlightDesc, readyDesc, arrivalsDesc, wakesDesc, refusedDesc} {
		descs <- d
	}
	a.waits.Describe(descs)
}

// Collect implements prometheus.Collector.
func (a *Activator) Collect(metrics chan<- prometheus.Metric) {
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	for _, t := range a.Snapshot().Targets {
		emit := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(d, kind, v, append([]string{t.Target}, labels...)...)
		}
		emit(heldDesc, gauge, float64(t.Held))
		emit(bytesDesc, gauge, float64(t.HeldBytes))
		emit(oldestDesc, gauge, t.OldestAge.Seconds())
		emit(inFlightDesc, gauge, float64(t.InFlight))
		emit(readyDesc, gauge, float64(t.Endpoints))
		emit(arrivalsDesc, counter, float64(t.Arrivals))
		emit(wakesDesc, counter, float64(t.Wakes))
		for reason, n := range t.Refused {
			emit(refusedDesc, counter, float64(n), string(reason))
		}
	}
	a.waits.Collect(metrics)
}
