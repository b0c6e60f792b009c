package oracle

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Orders records what a policy asked for during a run, as a schedule that can be run again. It is a replay.Sink whose
// memory grows with the changes only.
type Orders struct {
	target   string
	start    time.Time
	schedule Schedule
}

// NewOrders returns a recorder of one target's orders; an empty target takes all. Start is the date of the trace's zero.
func NewOrders(target string, start time.Time) *Orders {
	return &Orders{target: target, start: start}
}

// Ended implements replay.Sink.
func (o *Orders) Ended(replay.Request) {}

// Counted implements replay.Sink.
func (o *Orders) Counted(replay.Census) {}

// Decided implements replay.Sink.
func (o *Orders) Decided(target string, d scaling.Decision, _ baseline.Gateway) {
	if o.target == "" || o.target == target {
		o.schedule = o.schedule.then(d.Time.Sub(o.start), d.Replicas)
	}
}

// Schedule returns what has been recorded.
func (o *Orders) Schedule() Schedule { return o.schedule }
