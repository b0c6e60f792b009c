// Package leadtime learns how long a replica of one target takes from its creation until it serves, from the replicas
// that it has seen start: by phase, by what the cluster had ready for them, and as the time that one which is starting
// still needs.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness. It does not decide what to do about it.
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
	// P50 and P90 are quantiles of the whole time from creation until it serves, time spent without a GPU left out. They
	// are those of Whole.
	P50, P90 time.Duration
	// Source is where they come from, Samples the number of observed starts behind them.
	Source  Source
	Samples int
	// Scheduling, Startup, Loading and WarmUp are the phases as they were observed: creation to node, node to started
	// container, container to readiness, readiness to the first token; zero where unknown.
	Scheduling, Startup, Loading, WarmUp Phase
	// WithoutGPU is how long the replicas that had to wait for a GPU did so, before the phases; Waits is their number.
	WithoutGPU Phase
	Waits      int
	// Made is the scheduling of the replicas for which a node was made, Pulled the startup of those whose image had to be
	// pulled; Nodes and Pulls are their numbers.
	Made, Pulled Phase
	Nodes, Pulls int
	// Whole is the distribution of the whole time.
	Whole Distribution
}

// Phase is how long one part of a start takes: quantiles of what was observed.
type Phase struct{ P50, P90 time.Duration }

// Quantile returns the time within which a replica ordered now serves with probability q.
func (e Estimate) Quantile(q float64) time.Duration { return e.distribution().Quantile(q) }

// Remaining returns how much longer a replica of a given age will take in the median, going by its age alone;
// State.Remaining also goes by the phase in which it is.
func (e Estimate) Remaining(age time.Duration) time.Duration {
	return e.distribution().Remaining(age, 0.5)
}

// distribution is Whole, or of an estimate that was made without one the log-normal distribution through P50 and P90.
func (e Estimate) distribution() Distribution {
	if e.Whole != (Distribution{}) || e.P50 <= 0 {
		return e.Whole
	}
	return through(e.P50, max(e.P50, e.P90))
}
