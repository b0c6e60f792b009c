// Package capacity says how many requests per second one replica sustains within its latency objectives, and how many
// replicas a demand needs that is known only by its distribution.
//
// Three things are learned, each from what replicas report anyway: the law by which an engine's steps slow down with its
// work (Engine), the load at which requests begin to miss their objectives (Outcomes), and what a miss is worth while the
// error budget is spent or saved (Budget). Staffing puts them together. DESIGN.md says why.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness.
package capacity

import (
	"fmt"
	"math"
	"time"
)

// Source says where an estimate comes from.
type Source string

// The sources of an Estimate.
const (
	// Unknown: nothing was declared and too little has been seen.
	Unknown Source = "Unknown"
	// Declared: the spec says so, corrected by the misses that were seen.
	Declared Source = "Declared"
	// Learned: from how the engine's steps slow down, corrected by the misses that were seen.
	Learned Source = "Learned"
)

// Config is what the user declares and wants.
type Config struct {
	// RequestsPerSecond or TokensPerSecond (prompt and generated together) one replica sustains, zero where not
	// declared. Either is where learning begins, and is corrected by what is seen.
	RequestsPerSecond, TokensPerSecond float64
	// TTFT and TPOT are the objectives for a request's time to first token and mean time per output token, zero where
	// there is none.
	TTFT, TPOT time.Duration
	// Attainment is the wanted share of requests within the objectives, 0 to 1.
	Attainment float64
}

// Estimate is what one replica sustains.
type Estimate struct {
	// PerReplica is in requests per second of the present mix, at the edge of the objectives: half of the requests of a
	// steady stream would miss them there. Headroom below it is Staffing's business. Meaningless where Source is Unknown.
	PerReplica float64
	// Error is the standard error of its logarithm: 0.1 is about 10 %.
	Error float64
	// Concurrency is the number of requests a replica then has in its batch; zero where not known.
	Concurrency float64
	// Source is where the figures come from.
	Source Source
	// Text explains the figures in one sentence.
	Text string
}

// Known reports whether there is a figure.
func (e Estimate) Known() bool { return e.Source != Unknown && e.Source != "" && e.PerReplica > 0 }

// State is what has been learned of a target's replicas: plain data. The zero value knows nothing.
type State struct {
	// At is the instant to which the sums have decayed.
	At       time.Time
	Engine   Engine
	Outcomes Outcomes
	Budget   Budget
}

// Decay takes the state to an instant.
func (s *State) Decay(now time.Time) {
	if s.At.IsZero() || !now.After(s.At) {
		s.At = now
		return
	}
	s.Engine.decay(now.Sub(s.At))
	s.At = now
}

// Learn takes what one replica reported over an interval, nothing where a figure of it is no finite number.
func (s *State) Learn(x Interval, c Config) {
	if !x.finite() {
		return
	}
	s.Engine.learn(x)
	s.Outcomes.count(x, c)
}

// prior is what is assumed before misses are looked at: requests per second a replica, and the standard error of its
// logarithm.
type prior struct {
	rate, err, concurrency float64
	source                 Source
	text                   string
}

// errDeclared is the standard error taken for the logarithm of a declared capacity: people measure another mix, or round.
const errDeclared = 0.15

// prior weighs what was declared and what the engine's law says by their errors.
func (s *State) prior(c Config) prior {
	declared, text := s.declared(c)
	law, ok := s.Engine.sustains(c)
	switch {
	case declared <= 0 && !ok:
		if text == "" {
			text = s.Engine.wanting()
		}
		return prior{source: Unknown, text: text}
	case declared <= 0:
		return prior{law.rate, law.err, law.concurrency, Learned, law.text}
	case !ok:
		return prior{declared, errDeclared, 0, Declared, text}
	}
	a, b := 1/(errDeclared*errDeclared), 1/(law.err*law.err)
	rate := math.Exp((a*math.Log(declared) + b*math.Log(law.rate)) / (a + b))
	return prior{
		rate, 1 / math.Sqrt(a+b), law.concurrency, Declared,
		fmt.Sprintf("%s; the engine's steps say %.3g", text, law.rate),
	}
}

// declared returns the declared capacity in requests per second, zero where there is none or it cannot be told.
func (s *State) declared(c Config) (rate float64, text string) {
	if c.RequestsPerSecond > 0 {
		return c.RequestsPerSecond, fmt.Sprintf("%.3g requests/s declared", c.RequestsPerSecond)
	}
	if c.TokensPerSecond <= 0 {
		return 0, ""
	}
	prompt, generated, ok := s.Engine.Mix()
	if !ok || prompt+generated <= 0 {
		return 0, "tokens/s declared, but too few requests have finished to tell their tokens"
	}
	rate = c.TokensPerSecond / (prompt + generated)
	return rate, fmt.Sprintf("%.4g tokens/s declared at %.0f tokens a request: %.3g requests/s", c.TokensPerSecond, prompt+generated, rate)
}

// edge is what was believed at the end of the last tick, the prior before the first one.
func (s *State) edge(c Config) Edge {
	if s.Outcomes.Edge.Factor > 0 {
		return s.Outcomes.Edge
	}
	doubt := s.prior(c).err
	return Edge{Variance: doubt * doubt, Factor: 1}
}

// Estimate returns what one replica sustains, of the present mix.
func (s *State) Estimate(c Config) Estimate {
	p := s.prior(c)
	if p.source == Unknown {
		return Estimate{Source: Unknown, Text: p.text}
	}
	edge := s.edge(c)
	rate, err := p.rate*math.Exp(edge.Mean), math.Sqrt(edge.Variance)
	return Estimate{
		PerReplica: rate, Error: err, Concurrency: p.concurrency, Source: p.source,
		Text: fmt.Sprintf("%.3g requests/s a replica ±%.0f%%: %s%s", rate, 100*err, p.text, edge.text()),
	}
}

// Tick is what a target went through since the last one.
type Tick struct {
	// Seconds is its length, Rate the requests that arrived per second, Recent the same over about the last minute.
	Seconds, Rate, Recent float64
	// Replicas are those that served.
	Replicas int32
	// Foreseen is the highest quantile that was forecast for now one lead time ago, in requests per second; zero where
	// there was no forecast.
	Foreseen float64
}

// Close ends a tick: what was counted since the last one is laid at the load's door, and spent from the budget.
func (s *State) Close(t Tick, c Config) {
	if !(t.Seconds > 0) {
		return
	}
	s.Outcomes.disperse(t.Rate*t.Seconds, t.Seconds)
	judged, missed := s.Outcomes.Judged, s.Outcomes.Missed
	if p := s.prior(c); p.source == Unknown || t.Replicas < 1 {
		s.Outcomes.Judged, s.Outcomes.Missed = 0, 0
	} else {
		busy := math.Min(t.Recent/p.rate, mostReplicas)
		s.Outcomes.judge(busy/float64(t.Replicas), Steepness(busy, s.Outcomes.IndexOfDispersion()), t.Seconds)
		s.Outcomes.believe(p.err)
	}
	s.Budget.spend(spent{
		judged: judged, missed: missed, seconds: t.Seconds, demand: t.Recent, foreseen: t.Foreseen,
		overloaded: s.Outcomes.Overloaded || s.Outcomes.Recovering > 0,
	}, c)
}

// Staffing returns how replicas are to be counted at present.
func (s *State) Staffing(c Config) Staffing {
	e := s.edge(c)
	return Staffing{
		Variance: e.Variance, Factor: e.Factor, Dispersion: s.Outcomes.IndexOfDispersion(),
		Price: s.Budget.Demand.Of(), Headroom: s.Budget.Headroom.Of(), Allowed: 1 - c.Attainment,
	}
}
