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
	Trust []float64
}

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

// weigh sets Trust, for each circumstance by itself: that the image is pulled today and was there yesterday is no change.
func (s *State) weigh() {
	s.Trust = make([]float64, len(s.Starts))
	usual := s.usual()
	for i, x := range s.Starts {
		if slices.ContainsFunc(s.Starts[:i], func(y Start) bool { return y.Circumstance == x.Circumstance }) {
			continue
		}
		var places []int
		var lengths []float64
		for j, y := range s.Starts {
			if y.Circumstance == x.Circumstance {
				places = append(places, j)
				lengths = append(lengths, logarithm(usual.span(y, Scheduling, WarmUp)))
			}
		}
		for k, weight := range trust(lengths) {
			s.Trust[places[k]] = weight
		}
	}
}

// weight is how much the start at a place counts.
func (s *State) weight(i int) float64 {
	if len(s.Trust) != len(s.Starts) {
		return 1
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
