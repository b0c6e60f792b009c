package leadtime

import (
	"math"
	"slices"
	"time"
)

// DefaultPrior is assumed of a target of which no start has been seen: the value that llm-d's proposal for
// load-time-aware scaling starts from (llm-d-autoscaling issue 1071).
const DefaultPrior = 5 * time.Minute

const (
	// maxSamples bounds the memory: the newest starts count, since images, nodes and caches change.
	maxSamples = 32
	// priorWeight is how many observed starts the prior is worth. Half a start lets the first observation dominate
	// (30 s seen against a prior of 300 s gives 65 s, three of them 42 s) without believing it blindly.
	priorWeight = 0.5
	// longestStart is more than any real start takes: 13 to 26 minutes were reported for the worst chains of new node,
	// image and weights. Beyond it the node's clock is wrong.
	longestStart = time.Hour
)

// Start is one observed start, from creation to first readiness.
type Start struct {
	// Scheduling is creation to node; negative where it was spoilt by waiting for a GPU that did not exist, which says
	// nothing about the next start.
	Scheduling time.Duration
	// Startup is node to started container (image pull included), Loading container to readiness.
	Startup, Loading time.Duration
}

// State is what has been learned: the newest starts, oldest first. The zero value knows nothing.
type State struct {
	Starts []Start
}

// Learn takes one observed start; one with a negative or impossibly long startup or loading time (a node's clock is
// wrong) is passed over.
func (s *State) Learn(x Start) {
	if x.Startup < 0 || x.Loading < 0 || x.Startup > longestStart || x.Loading > longestStart {
		return
	}
	if len(s.Starts) >= maxSamples {
		s.Starts = append(s.Starts[:0], s.Starts[1:]...)
	}
	s.Starts = append(s.Starts, x)
}

// Config is what the user says of lead times.
type Config struct {
	// Prior is assumed while nothing has been seen; zero means DefaultPrior.
	Prior time.Duration
	// Override, where it is set, is taken for the truth whatever is seen.
	Override time.Duration
}

// Estimate returns the quantiles of the lead time: those of the observed starts, shrunk in the logarithm towards the
// prior, which counts as half a start.
func (s *State) Estimate(c Config) Estimate {
	e := s.phases()
	e.Samples = len(s.Starts)
	prior := c.Prior
	if prior <= 0 {
		prior = DefaultPrior
	}
	switch {
	case c.Override > 0:
		e.P50, e.P90, e.Source = c.Override, c.Override, Override
	case len(s.Starts) == 0:
		e.P50, e.P90, e.Source = prior, prior, Prior
	default:
		totals := s.totals(e.Scheduling.P50)
		e.P50 = shrink(quantile(totals, 0.5), prior, len(totals))
		e.P90 = shrink(quantile(totals, 0.9), prior, len(totals))
		e.Source = Measured
	}
	return e
}

// totals are the whole lead times; a spoilt scheduling phase counts as the median one.
func (s *State) totals(medianScheduling time.Duration) []time.Duration {
	totals := make([]time.Duration, len(s.Starts))
	for i, x := range s.Starts {
		scheduling := x.Scheduling
		if scheduling < 0 {
			scheduling = medianScheduling
		}
		totals[i] = scheduling + x.Startup + x.Loading
	}
	return totals
}

// phases returns an Estimate with only the phases.
func (s *State) phases() Estimate {
	var scheduling, startup, loading []time.Duration
	for _, x := range s.Starts {
		if x.Scheduling >= 0 {
			scheduling = append(scheduling, x.Scheduling)
		}
		startup = append(startup, x.Startup)
		loading = append(loading, x.Loading)
	}
	return Estimate{Scheduling: phase(scheduling), Startup: phase(startup), Loading: phase(loading)}
}

func phase(ds []time.Duration) Phase { return Phase{P50: quantile(ds, 0.5), P90: quantile(ds, 0.9)} }

// quantile returns the q-quantile by the nearest rank, rounded up, of unsorted durations; zero of none.
func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ds))
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(0, rank)]
}

// shrink returns the weighted geometric mean of what n starts say and the prior.
func shrink(seen, prior time.Duration, n int) time.Duration {
	seen = max(seen, time.Second) // a start in no time at all is a clock's fault
	w := float64(n) / (float64(n) + priorWeight)
	ln := w*math.Log(seen.Seconds()) + (1-w)*math.Log(prior.Seconds())
	return time.Duration(math.Exp(ln) * float64(time.Second)).Round(10 * time.Millisecond)
}
