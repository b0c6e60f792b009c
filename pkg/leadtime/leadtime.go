// Package leadtime learns how long a replica of one target takes from its creation to its first readiness, by phase,
// from the replicas that it has seen start.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness.
package leadtime

import "time"

// Source says where an estimate comes from.
type Source string

// The sources of an Estimate.
const (
	// Prior: no replica has been seen starting.
	Prior Source = "Prior"
	// Measured: quantiles of observed starts, shrunk towards the prior while there are few.
	Measured Source = "Measured"
	// Override: the spec says so.
	Override Source = "Override"
)

// Estimate is what a replica ordered now will take until it serves.
type Estimate struct {
	// P50 and P90 are quantiles of the whole time from creation to readiness, time spent unschedulable left out.
	P50, P90 time.Duration
	// Source is where they come from, Samples the number of observed starts behind them.
	Source  Source
	Samples int
	// Scheduling, Startup and Loading are the phases: creation to node, node to started container, container to
	// readiness; zero where unknown.
	Scheduling, Startup, Loading Phase
}

// Phase is how long one part of a start takes: quantiles of what was observed.
type Phase struct{ P50, P90 time.Duration }

// Remaining returns how much longer a replica of a given age is expected to take: the lead time's median less the
// age, but never less than a tenth of P90, since a replica that is late is not a replica that is there.
func (e Estimate) Remaining(age time.Duration) time.Duration {
	return max(e.P50-age, e.P90/10)
}
