package baseline

import (
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// held is what one engine holds: running requests with their context, and queued prompt tokens.
type held struct{ sequences, context, queued float64 }

// vote is what one of the load loop's estimates says: one engine more, one fewer, or none.
type vote int

// load is the load loop: at most one replica more or less, never below the forecast's floor.
func (p *dynamo) load(o *Observation, d *draft) scaling.Decision {
	t := p.expected()
	if from, to, ok := p.gateway.window(p.interval); ok && t.input <= 0 {
		t = p.mean(o, from, to)
	}
	engines := p.engines(o, t)
	switch {
	case d.Ready == 0:
		return d.hold(scaling.NoReadyReplica, "load", "no engine is ready: no decision")
	case len(engines) == 0:
		return d.hold(scaling.NoFreshData, "load", "no engine reports: no decision")
	case int32(len(engines)) != d.Ready:
		return d.hold(scaling.PartialData, "load", "%d of %d engines report: no decision", len(engines), d.Ready)
	}
	wanted := o.Desired + int32(p.votes(d, engines, t))
	reason := direction(o.Desired, wanted)
	if p.loops == loopsBoth && wanted < p.floor {
		d.step("floor", p.floor, "%d would do, the forecast asks for %d", wanted, p.floor)
		reason = scaling.ForecastVeto
		if p.floor > o.Desired {
			reason = scaling.ForecastDemand
		}
		wanted = p.floor
	}
	return d.bound(wanted, p.low, p.high, reason)
}

// engines returns what each ready replica holds. Pages count requests, so that queued ones have the mean prompt.
func (p *dynamo) engines(o *Observation, t traffic) []held {
	var out []held
	for i := range o.Replicas {
		r := &o.Replicas[i]
		if r.Phase != scaling.Ready {
			continue
		}
		reading := fresh(r, o.Time, dynamoStaleness)
		if reading == nil {
			continue
		}
		waiting, okW := reading.Value(signals.RequestsWaiting)
		running, okR := reading.Value(signals.RequestsRunning)
		share, okC := reading.Value(signals.KVCacheUtilization)
		if okW && okR && okC {
			out = append(out, held{sequences: running, context: share * float64(p.engine.KVTokens), queued: waiting * t.input})
		}
	}
	return out
}

// votes combines the estimates: either may add an engine, both must agree to take one away.
func (p *dynamo) votes(d *draft, engines []held, t traffic) vote {
	if p.goal != optimizeSLA {
		return p.byThresholds(d, engines)
	}
	if !(t.input > 0) {
		d.step("load", -1, "no traffic seen yet: no decision")
		return 0
	}
	prefill, ttft := p.prefillVote(engines, t)
	decode, itl := p.decodeVote(engines, t)
	d.step("load", -1, "estimated TTFT %.3g s of %v, ITL %.3g s of %v on the best of %d engines", ttft, p.slo.TTFT, itl, p.slo.TPOT, len(engines))
	if prefill > 0 || decode > 0 {
		return 1
	}
	return max(prefill, decode)
}

// consolidated is what each engine would hold with one engine fewer.
func consolidated(h held, engines int) held {
	k := float64(engines) / float64(engines-1)
	return held{sequences: h.sequences * k, context: h.context * k, queued: math.Floor(h.queued * k)}
}

// prefillVote adds an engine where the next request's TTFT exceeds the objective on every one, and takes one away where
// queueing would use less than the allowed share of what computing leaves of it. best is the lowest estimate.
func (p *dynamo) prefillVote(engines []held, t traffic) (v vote, best float64) {
	best, down := math.Inf(1), len(engines) > 1
	for _, h := range engines {
		best = min(best, p.ttft(h.queued, h.sequences, h.context, t))
		if down {
			c := consolidated(h, len(engines))
			own := p.ttft(0, c.sequences, c.context, t)
			budget := (p.slo.TTFT.Seconds() - own) * dynamoSensitivity
			down = budget > 0 && p.ttft(c.queued, c.sequences, c.context, t)-own < budget
		}
	}
	return checks{best > p.slo.TTFT.Seconds(), down}.vote(), best
}

// decodeVote does the same for the ITL; the cache must hold what would be consolidated.
func (p *dynamo) decodeVote(engines []held, t traffic) (v vote, best float64) {
	best, down := math.Inf(1), len(engines) > 1
	for _, h := range engines {
		best = min(best, p.itl(h.sequences, h.context, t))
		if down {
			c := consolidated(h, len(engines))
			context := c.context + c.queued
			down = context < float64(p.engine.KVTokens) && p.itl(c.sequences, context, t) < p.slo.TPOT.Seconds()*dynamoSensitivity
		}
	}
	return checks{best > p.slo.TPOT.Seconds(), down}.vote(), best
}

// checks are what a vote rests on: every engine is above, and one fewer would be safe.
type checks struct{ above, spare bool }

func (c checks) vote() vote {
	switch {
	case c.above:
		return 1
	case c.spare:
		return -1
	}
	return 0
}

// byThresholds is the mode without objectives: KV use with the queue's prompts, up where any engine is above, down where
// all are below (throughput: 1.0 and 0.6, latency: 0.4 and 0.1).
func (p *dynamo) byThresholds(d *draft, engines []held) vote {
	up, down := 1.0, 0.6
	if p.goal == optimizeLatency {
		up, down = 0.4, 0.1
	}
	most := 0.0
	for _, h := range engines {
		most = max(most, (h.context+h.queued)/float64(p.engine.KVTokens))
	}
	d.step("load", -1, "the fullest of %d engines uses %.2f of its KV cache, up above %g, down where all are below %g", len(engines), most, up, down)
	return checks{most > up, most < down && len(engines) > 1}.vote()
}
