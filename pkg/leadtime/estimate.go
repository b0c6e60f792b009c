package leadtime

import "time"

// Estimate returns what a replica ordered now will take, under circumstances as they have been of late.
func (s *State) Estimate(c Config) Estimate { return s.EstimateUnder(Circumstance{}, c) }

// EstimateUnder returns what a replica ordered now will take under a circumstance, as far as it is known.
func (s *State) EstimateUnder(x Circumstance, c Config) Estimate {
	e := s.phases()
	e.Samples = len(s.Starts)
	switch {
	case c.Override > 0:
		e.Whole, e.Source = certain(c.Override), Override
	case len(s.Starts) == 0:
		e.Whole, e.Source = logNormal(logarithm(c.prior()), spread), Prior
	default:
		e.Whole, e.Source = s.past(c).distribution(x, Scheduling, WarmUp), Measured
	}
	e.P50, e.P90 = e.Whole[atP50], e.Whole[atP90]
	return e
}

// Remaining returns how much longer a starting replica will take until it serves, with probability q not exceeded: the
// remaining time of its present stage, given that it has taken as long as it has, and then the stages to come, all under
// the circumstance that it has met.
func (s *State) Remaining(c Config, p Progress, q float64) time.Duration {
	if c.Override > 0 || len(s.Starts) == 0 || p.Stage >= WarmUp {
		return s.EstimateUnder(p.Circumstance, c).Whole.Remaining(p.Age, q)
	}
	past := s.past(c)
	var rest Distribution
	if p.Stage < Loading || past.usual.warmUp > 0 { // else nothing is known of warming up
		rest = past.distribution(p.Circumstance, p.Stage+1, WarmUp)
	}
	return inTurn(past.distribution(p.Circumstance, p.Stage, p.Stage), rest, p.In, q)
}

// past is what the starts of a state are judged by.
type past struct {
	state *State
	usual usual
	// shift is how far the prior lies above the median of all starts, in the logarithm.
	shift float64
}

func (s *State) past(c Config) past {
	p := past{state: s, usual: s.usual()}
	whole := p.spans(Circumstance{}, Scheduling, WarmUp)
	p.shift = logarithm(c.prior()) - whole.median()
	return p
}

// distribution is that of the time from the beginning of one stage to the end of another. That under any circumstance is
// shrunk towards the prior, of which a stage has its share, and the one asked for towards that.
func (p past) distribution(x Circumstance, first, last Stage) Distribution {
	all := p.spans(Circumstance{}, first, last)
	d := all.fit(all.median()+p.shift, priorWeight)
	if x == (Circumstance{}) {
		return d
	}
	some := p.spans(x, first, last)
	if some.n == 0 {
		return d
	}
	return some.fit(logarithm(d[atP50]), kindWeight)
}

// spans are those of the starts under a circumstance.
func (p past) spans(x Circumstance, first, last Stage) samples {
	var b samples
	for i, start := range p.state.newest() {
		if start.Circumstance.within(x) {
			weight := p.state.weight(i).Alike
			if x == (Circumstance{}) {
				weight = p.state.weight(i).Any
			}
			b.add(p.usual.span(start, first, last), weight)
		}
	}
	return b
}

// phases returns an Estimate with only what was observed of the phases.
func (s *State) phases() Estimate {
	var scheduling, startup, loading, warmUp, waited, made, pulled samples
	for i, x := range s.newest() {
		w := s.weight(i)
		if x.Scheduling >= 0 {
			scheduling.add(x.Scheduling, w.Any)
		}
		if x.Scheduling >= 0 && x.Circumstance.Node == NodeMade {
			made.add(x.Scheduling, w.Alike)
		}
		startup.add(x.Startup, w.Any)
		if x.Circumstance.Image == ImagePulled {
			pulled.add(x.Startup, w.Alike)
		}
		loading.add(x.Loading, w.Any)
		if x.WarmUp > 0 {
			warmUp.add(x.WarmUp, w.Any)
		}
		if x.Waited > 0 {
			waited.add(x.Waited, 1)
		}
	}
	return Estimate{
		Scheduling: scheduling.phase(), Startup: startup.phase(), Loading: loading.phase(), WarmUp: warmUp.phase(),
		WithoutGPU: waited.phase(), Waits: waited.n,
		Made: made.phase(), Nodes: made.n, Pulled: pulled.phase(), Pulls: pulled.n,
	}
}
