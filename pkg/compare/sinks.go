package compare

import (
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// sinks tell several.
type sinks []replay.Sink

// Ended implements replay.Sink.
func (s sinks) Ended(r replay.Request) {
	for _, to := range s {
		to.Ended(r)
	}
}

// Counted implements replay.Sink.
func (s sinks) Counted(c replay.Census) {
	for _, to := range s {
		to.Counted(c)
	}
}

// Decided implements replay.Sink.
func (s sinks) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	for _, to := range s {
		to.Decided(target, d, g)
	}
}
