package leadtime

import (
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
	// kindWeight is the same of all starts for those under one circumstance: the ratio of the variances of like starts
	// (spread) and of circumstances, which make a difference of a factor of three (ln 3 = 1.1).
	kindWeight = (spread / 1.1) * (spread / 1.1)
	// shapeWeight is how many starts it takes to be as sure of how much they differ as of spread. With four, of starts that
	// differ by 0.2, P90 holds in 0.86, 0.84, 0.86, 0.89 of cases after 1, 2, 4 and 8 starts (DESIGN.md).
	shapeWeight = 4
)

// State is what has been learned: the newest starts, oldest first. The zero value knows nothing.
type State struct {
	Starts []Start
	// Trust is how much each start counts for the next one. Where it is not as long as Starts, all count the same.
	Trust []Trust
}

// Trust is how much a start counts for the next one, at most 1: Any where nothing is known of that one, Alike where it is
// under the same circumstance. If images are pulled from now on, starts with a cached one say less of the next start, but
// all the same of the next one with a cached image.
type Trust struct{ Any, Alike float64 }

// Config is what the user says of lead times.
type Config struct {
	// Prior is assumed while nothing has been seen; zero means DefaultPrior.
	Prior time.Duration
	// Override, where it is set, is taken for the truth whatever is seen.
	Override time.Duration
}

func (c Config) prior() time.Duration {
	if c.Prior <= 0 {
		return DefaultPrior
	}
	return c.Prior
}

// Learn takes one observed start; one with a negative or impossibly long phase (a node's clock is wrong) is passed over.
// Starts may come in any order where they bear the time at which they became ready.
func (s *State) Learn(x Start) {
	if !x.plausible() {
		return
	}
	i := len(s.Starts)
	for i > 0 && !x.Ready.IsZero() && s.Starts[i-1].Ready.After(x.Ready) {
		i--
	}
	s.Starts = slices.Insert(s.Starts, i, x.settled())
	if over := len(s.Starts) - maxSamples; over > 0 {
		s.Starts = slices.Delete(s.Starts, 0, over)
	}
	s.weigh()
}

// LearnWarmUp takes the time from readiness to the first token of a replica that has been learned of; it is told later
// than the rest, once there was a request. Without such a replica it is passed over.
func (s *State) LearnWarmUp(ready time.Time, took time.Duration) {
	i := slices.IndexFunc(s.Starts, func(x Start) bool { return x.Ready.Equal(ready) && x.WarmUp == 0 })
	if i < 0 || ready.IsZero() || took <= 0 || took > longestStart {
		return
	}
	s.Starts[i].WarmUp = took
	s.weigh()
}

// weigh sets Trust.
func (s *State) weigh() {
	s.Trust = make([]Trust, len(s.Starts))
	usual := s.usual()
	lengths := make([]float64, len(s.Starts))
	for i, x := range s.Starts {
		lengths[i] = logarithm(usual.span(x, Scheduling, WarmUp))
	}
	for i, weight := range trust(lengths) {
		s.Trust[i].Any = weight
	}
	for i, x := range s.Starts {
		if first := slices.IndexFunc(s.Starts, func(y Start) bool { return y.Circumstance == x.Circumstance }); first == i {
			s.weighAlike(x.Circumstance, lengths)
		}
	}
}

// weighAlike sets the Trust of the starts under one circumstance.
func (s *State) weighAlike(c Circumstance, lengths []float64) {
	var places []int
	var alike []float64
	for i, x := range s.Starts {
		if x.Circumstance == c {
			places = append(places, i)
			alike = append(alike, lengths[i])
		}
	}
	for k, weight := range trust(alike) {
		s.Trust[places[k]].Alike = weight
	}
}

// weight is how much the start at a place counts.
func (s *State) weight(i int) Trust {
	if len(s.Trust) != len(s.Starts) {
		return Trust{1, 1}
	}
	return s.Trust[i]
}

// usual is what stands in for phases that are not known of a start: the medians of the others.
type usual struct{ scheduling, warmUp time.Duration }

func (s *State) usual() usual {
	var scheduling, warmUp samples
	for _, x := range s.Starts {
		if x.Scheduling >= 0 {
			scheduling.add(x.Scheduling, 1)
		}
		if x.WarmUp > 0 {
			warmUp.add(x.WarmUp, 1)
		}
	}
	return usual{scheduling.quantile(0.5), warmUp.quantile(0.5)}
}

// span is the time that a start took from the beginning of one stage to the end of another.
func (u usual) span(x Start, first, last Stage) time.Duration {
	times := [stages]time.Duration{x.Scheduling, x.Startup, x.Loading, x.WarmUp}
	if x.Scheduling < 0 {
		times[Scheduling] = u.scheduling
	}
	if x.WarmUp == 0 {
		times[WarmUp] = u.warmUp
	}
	var sum time.Duration
	for stage := first; stage <= last && stage < stages; stage++ {
		sum += times[stage]
	}
	return sum
}

// newest is Starts, no more than are remembered.
func (s *State) newest() []Start { return s.Starts[:min(len(s.Starts), maxSamples)] }

// within reports whether what happened is a case of c, of which parts may be unknown.
func (x Circumstance) within(c Circumstance) bool {
	return (c.Node == NodeUnknown || c.Node == x.Node) && (c.Image == ImageUnknown || c.Image == x.Image)
}
