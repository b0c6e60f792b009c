package capacity

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const (
	// halfLife is how fast what was seen of batches and mixes loses weight: long against bursts, short against the
	// daily change of what people ask.
	halfLife = 30 * time.Minute
	// peakHalfLife is how fast the largest batch loses believability: a batch once run can be run again, also after a
	// quiet night.
	peakHalfLife = 24 * time.Hour
	// minTokens is the least number of tokens behind a mean inter-token latency that is worth learning from.
	minTokens = 20
	// minIntervals is the least (decayed) number of intervals before anything is said.
	minIntervals = 8
	// minRequests is the least (decayed) number of requests that tells the mix.
	minRequests = 20
	// keepIntervals and keepRequests are what time alone never takes from the sums.
	keepIntervals, keepRequests = 2 * minIntervals, 2 * minRequests
	// slopeDoubt is how many standard errors are added to the slope of latency over batch size: what has not been seen
	// is taken to be worse than it looks.
	slopeDoubt = 1
	// extrapolation bounds the batch size believed in, as a multiple of the largest seen: a line through small batches
	// says nothing of the knee where prompts fill the steps.
	extrapolation = 1.5
	// saturatedShare of the throughput seen while requests waited is what is planned with: at the throughput itself the
	// queue never drains.
	saturatedShare = 0.9
	// usableKV is the share of the KV cache planned with; above it engines begin to preempt.
	usableKV = 0.9
)

// Interval is what one replica reported between two readings.
type Interval struct {
	// Seconds is its length.
	Seconds float64
	// Running is the mean number of requests in the batch; Waiting the smaller of the two queue lengths.
	Running, Waiting float64
	// ITL is the mean inter-token latency in seconds and Tokens the number of observations behind it.
	ITL, Tokens float64
	// Finished requests, the growth of the running batch, and the prompt and generated tokens of the interval.
	Finished, Grown, Prompt, Generated float64
	// KV is the mean KV-cache utilization, negative where it is not known; Max the engine's largest batch, zero where
	// it is not known.
	KV, Max float64
	// TPOT are the requests' mean times per output token, nil where it is not known.
	TPOT *signals.Histogram
}

// State is what has been learned of a target's replicas: decayed sums, plain data. The zero value knows nothing.
type State struct {
	// At is the instant to which the sums have decayed.
	At time.Time
	// N, R, RR, I, II and RI are sums over intervals of 1, running, running², ITL, ITL² and running·ITL.
	N, R, RR, I, II, RI float64
	// KVN and KV are sums over intervals of 1 and utilization per running request.
	KVN, KV float64
	// Requests, Prompt and Generated are sums of requests, those half done counted half, and their tokens: the mix.
	Requests, Prompt, Generated float64
	// SaturatedSeconds and SaturatedFinished cover the intervals in which requests waited throughout.
	SaturatedSeconds, SaturatedFinished float64
	// TPOT is the decayed distribution of the requests' times per output token.
	TPOT *signals.Histogram
	// Peak is the largest batch seen, decaying too; Max the engine's own bound, zero where not known.
	Peak, Max float64
}

// Decay takes the state to an instant.
func (s *State) Decay(now time.Time) {
	if s.At.IsZero() || !now.After(s.At) {
		s.At = now
		return
	}
	age := now.Sub(s.At)
	k := math.Exp2(-age.Seconds() / halfLife.Seconds())
	s.At = now
	scale(atLeast(k, s.N, keepIntervals), &s.N, &s.R, &s.RR, &s.I, &s.II, &s.RI)
	scale(atLeast(k, s.KVN, keepIntervals), &s.KVN, &s.KV)
	scale(atLeast(k, s.Requests, keepRequests), &s.Requests, &s.Prompt, &s.Generated)
	scale(k, &s.SaturatedSeconds, &s.SaturatedFinished)
	scale(math.Exp2(-age.Seconds()/peakHalfLife.Seconds()), &s.Peak)
	s.TPOT = s.TPOT.Scaled(k)
}

func scale(k float64, xs ...*float64) {
	for _, x := range xs {
		*x *= k
	}
}

// atLeast returns the decay that leaves keep of a weight: what is old is worth little, but more than nothing, so that a
// quiet night does not forget what the day has taught.
func atLeast(k, weight, keep float64) float64 {
	if weight <= keep {
		return 1
	}
	return math.Max(k, keep/weight)
}

// Learn takes what one replica reported over an interval. Idle intervals teach nothing.
func (s *State) Learn(x Interval) {
	s.Requests += x.Finished + x.Grown/2 // a request in the batch has produced half of its tokens, on average
	s.Prompt += x.Prompt
	s.Generated += x.Generated
	s.Max = math.Max(s.Max, x.Max)
	s.TPOT = signals.Merge(s.TPOT, x.TPOT)
	if s.saturatedBy(x) {
		s.SaturatedSeconds += x.Seconds
		s.SaturatedFinished += x.Finished
	}
	if x.Running < 1 || x.Tokens < minTokens || !(x.ITL > 0) || math.IsInf(x.ITL, 1) {
		return
	}
	s.Peak = math.Max(s.Peak, x.Running)
	s.N++
	s.R += x.Running
	s.RR += x.Running * x.Running
	s.I += x.ITL
	s.II += x.ITL * x.ITL
	s.RI += x.Running * x.ITL
	if x.KV >= 0 {
		s.KVN++
		s.KV += x.KV / x.Running
	}
}

// saturatedBy reports whether a replica gave all it has over an interval: requests waited throughout, half as many as ran
// at least, with a batch that stood still and is not small as batches go. One that waits for the next step when the page
// is read says nothing, and a replica that fills with a queue has not finished much yet.
func (s *State) saturatedBy(x Interval) bool {
	return x.Seconds > 0 && x.Running >= 1 && x.Waiting >= x.Running/2 &&
		x.Running >= s.Peak/2 && math.Abs(x.Grown) <= x.Running/4
}

// TokensPerRequest returns the mean prompt and generated tokens of a request, false where too few have finished.
func (s *State) TokensPerRequest() (prompt, generated float64, ok bool) {
	if s.Requests < minRequests {
		return 0, 0, false
	}
	return s.Prompt / s.Requests, s.Generated / s.Requests, true
}

// line is inter-token latency over batch size, seconds: intercept + slope·running.
type line struct{ intercept, slope float64 }

func (l line) at(running float64) float64 { return l.intercept + l.slope*running }

// fit returns the line through the means whose slope is the least-squares one plus its doubt, but no steeper than
// proportional. For a continuously batching engine the relation is linear: with step time a + b·R, prefill time p a
// request and g tokens each, ITL = a + (b + p/g)·R.
func (s *State) fit() (line, bool) {
	if s.N < minIntervals {
		return line{}, false
	}
	meanR, meanI := s.R/s.N, s.I/s.N
	proportional := meanI / meanR
	sxx, sxy, syy := s.RR-s.N*meanR*meanR, s.RI-s.N*meanR*meanI, s.II-s.N*meanI*meanI
	slope := proportional
	if sxx > 1e-9*s.RR {
		least := math.Max(0, sxy/sxx) // no engine gets faster with more to do
		residual := math.Max(0, syy-least*sxy) / math.Max(1, s.N-2)
		slope = least + slopeDoubt*math.Sqrt(residual/sxx)
	}
	slope = math.Min(math.Max(slope, 0), proportional)
	return line{meanI - slope*meanR, slope}, true
}

// tail returns by how much, in seconds, the TPOT of a request at the wanted attainment exceeds the mean inter-token
// latency: above all what one prompt chunk costs a request of few tokens, which does not grow with the batch. Until
// enough requests have been seen it is a quarter of the objective, and never more than half of it.
func (s *State) tail(c Config) float64 {
	const enough = 100 // requests
	objective := c.TPOT.Seconds()
	if s.TPOT.Count() < enough || s.N == 0 {
		return objective / 4
	}
	q, _, ok := s.TPOT.Quantile(c.Attainment)
	if !ok {
		return objective / 4
	}
	return math.Min(math.Max(q-s.I/s.N, 0), objective/2)
}

// Config is what the user declares and wants.
type Config struct {
	// RequestsPerSecond or TokensPerSecond (prompt and generated together) one replica sustains, zero where not
	// declared.
	RequestsPerSecond, TokensPerSecond float64
	// TPOT is the objective for a request's mean time per output token, zero where there is none.
	TPOT time.Duration
	// Attainment is the wanted share of requests within the objective, 0 to 1.
	Attainment float64
}

// Estimate returns what one replica sustains, of the present mix.
func (s *State) Estimate(c Config) Estimate {
	switch {
	case c.RequestsPerSecond > 0:
		return Estimate{
			PerReplica: c.RequestsPerSecond, Source: Declared,
			Text: fmt.Sprintf("%.3g requests/s a replica, declared", c.RequestsPerSecond),
		}
	case c.TokensPerSecond > 0:
		return s.declaredTokens(c)
	}
	return s.learned(c)
}

func (s *State) declaredTokens(c Config) Estimate {
	prompt, generated, ok := s.TokensPerRequest()
	if !ok || prompt+generated <= 0 {
		return Estimate{Source: Unknown, Text: "tokens/s declared, but too few requests have finished to tell their tokens"}
	}
	perReplica := c.TokensPerSecond / (prompt + generated)
	return Estimate{
		PerReplica: perReplica, Source: Declared,
		Text: fmt.Sprintf("%.3g requests/s a replica: %.4g tokens/s declared, %.0f tokens a request", perReplica, c.TokensPerSecond, prompt+generated),
	}
}

func (s *State) learned(c Config) Estimate {
	fit, ok := s.fit()
	_, generated, mixed := s.TokensPerRequest()
	if !ok || !mixed || generated <= 0 {
		return Estimate{Source: Unknown, Text: fmt.Sprintf("not declared and not learned yet: %.0f of %d intervals, %.0f of %d requests seen",
			s.N, minIntervals, s.Requests, minRequests)}
	}
	running, bound := s.concurrency(fit, c)
	perReplica := running / (generated * fit.at(running))
	text := fmt.Sprintf("%.3g requests/s a replica, learned: %.0f running (%s) at %.1f ms + %.2f ms each, %.0f tokens a request",
		perReplica, running, bound, fit.intercept*1e3, fit.slope*1e3, generated)
	if most, ok := s.saturated(); ok && most < perReplica {
		perReplica = most
		text = fmt.Sprintf("%.3g requests/s a replica, learned: requests waited at more", perReplica)
	}
	return Estimate{PerReplica: perReplica, Concurrency: running, Source: Learned, Text: text}
}

// saturated returns what may be planned with of the throughput seen while requests waited.
func (s *State) saturated() (float64, bool) {
	const enough = 30 // seconds
	if s.SaturatedSeconds < enough || s.SaturatedFinished <= 0 {
		return 0, false
	}
	return saturatedShare * s.SaturatedFinished / s.SaturatedSeconds, true
}

// concurrency returns the largest batch that keeps every bound, and the name of the one that binds.
func (s *State) concurrency(fit line, c Config) (float64, string) {
	running, bound := extrapolation*s.Peak, "half more than the most seen"
	atMost := func(x float64, name string) {
		if x < running {
			running, bound = x, name
		}
	}
	if s.Max > 0 {
		atMost(s.Max, "the engine's bound")
	}
	if c.TPOT > 0 && s.I/s.N > c.TPOT.Seconds() { // whatever the line says of larger batches
		atMost(s.R/s.N, "TPOT is missed already")
	}
	if s.KVN > 0 && s.KV > 0 {
		atMost(usableKV/(s.KV/s.KVN), "KV cache")
	}
	atMost(s.latencyBound(fit, c))
	return math.Max(1, running), bound
}

// latencyBound returns the batch size at which the TPOT objective is just met, or, without an objective, the one at
// three quarters of the throughput that an endless batch would have (where the second half of the latency is paid for
// the last quarter of the throughput). An objective below one and a half of the empty engine's latency cannot be met by
// scaling; then that is the bound.
func (s *State) latencyBound(fit line, c Config) (float64, string) {
	if fit.slope <= 0 {
		return math.Inf(1), ""
	}
	if c.TPOT <= 0 {
		return 3 * fit.intercept / fit.slope, "three quarters of the asymptote"
	}
	latency, name := c.TPOT.Seconds()-s.tail(c), fmt.Sprintf("TPOT %v", c.TPOT)
	if least := 1.5 * fit.intercept; latency < least {
		latency, name = least, fmt.Sprintf("TPOT %v is out of reach", c.TPOT)
	}
	return (latency - fit.intercept) / fit.slope, name
}
