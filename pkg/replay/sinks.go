package replay

import (
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Sinks tells each of several sinks, in order.
type Sinks []Sink

// Ended implements Sink.
func (s Sinks) Ended(r Request) {
	for _, to := range s {
		to.Ended(r)
	}
}

// Counted implements Sink.
func (s Sinks) Counted(c Census) {
	for _, to := range s {
		to.Counted(c)
	}
}

// Decided implements Sink.
func (s Sinks) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	for _, to := range s {
		to.Decided(target, d, g)
	}
}
