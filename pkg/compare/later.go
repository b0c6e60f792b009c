package compare

import (
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// later passes on what happens from a time on: requests that arrive, decisions that are made, and replicas as they are
// from then on. Of what goes before, the replicas in force at that time are told, as of that time.
type later struct {
	replay.Sink
	// from counts from the trace's zero, of which start is the date.
	from  time.Duration
	start time.Time

	inForce replay.Census
	begun   bool
}

// Ended implements replay.Sink.
func (l *later) Ended(r replay.Request) {
	if r.Arrival >= l.from {
		l.Sink.Ended(r)
	}
}

// Counted implements replay.Sink.
func (l *later) Counted(c replay.Census) {
	if c.At <= l.from {
		l.inForce = c
		return
	}
	if !l.begun {
		l.begun, l.inForce.At = true, l.from
		l.Sink.Counted(l.inForce)
	}
	l.Sink.Counted(c)
}

// Decided implements replay.Sink.
func (l *later) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	if d.Time.Sub(l.start) >= l.from {
		l.Sink.Decided(target, d, g)
	}
}

// counting is a cluster whose totals begin where scoring does.
func (c *comparison) counting(cluster replay.Config) replay.Config {
	if c.from == 0 {
		return cluster
	}
	i := 0
	for i < len(cluster.Events) && cluster.Events[i].At <= c.from {
		i++
	}
	cluster.Events = slices.Insert(slices.Clone(cluster.Events), i, replay.Event{At: c.from, Kind: replay.TotalsBegin})
	return cluster
}
