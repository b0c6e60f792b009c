package baseline

import (
	"errors"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// What the planner optimizes, and which of its loops run.
const (
	optimizeSLA = iota
	optimizeThroughput
	optimizeLatency
)

const (
	loopsBoth = iota
	loopThroughput
	loopLoad
)

// dynamoTick is the load loop's interval (load_adjustment_interval), dynamoSensitivity the share of an objective that may
// be used after one engine fewer (load_scaling_down_sensitivity).
const (
	dynamoTick        = 5 * time.Second
	dynamoSensitivity = 0.80
)

// dynamoStaleness is the age beyond which an engine counts as not reporting: it pushes a metric with each forward pass, and
// upstream keeps the last one until discovery drops the engine. Two ticks stand for that; the number is ours.
const dynamoStaleness = 2 * dynamoTick

// dynamo is NVIDIA Dynamo's planner for engines that both prefill and decode
// (ai-dynamo/dynamo@0c9050c components/src/dynamo/planner/core/throughput_scaling.py, @0c6da1e load_scaling.py).
type dynamo struct {
	planned
	low, high   int32
	slo         SLO
	goal, loops int
	interval    time.Duration
	gateway     gatewayLog
	replicas    replicaLog
	forecasts
	shape traffic
	due   time.Time
	floor int32
}

// forecasts are one predictor for each quantity of the traffic.
type forecasts struct{ requests, input, output, hit predictor }

// dynamoPolicy describes the SLA planner. Upstream has no margin to set, so that users tighten the objectives.
func dynamoPolicy() maker {
	return maker{
		name: "dynamo",
		knobs: []Knob{
			number("sla-factor", 1, 0.05, 5, "factor on both objectives").tuned(0.4, 0.5, 0.6, 0.7, 0.85, 1),
			number("interval", 180, 15, 3600, "throughput_adjustment_interval: time between two forecasts, in seconds").tuned(60, 180),
			choice("predictor", "load_predictor", "arima, an ARIMA model that it chooses itself", "constant, the last value", "kalman, a filter with trend"),
			choice("optimize", "optimization_target", "the objectives", "throughput, by thresholds", "latency, by thresholds"),
			choice("loops", "which loops run", "both, the forecast bounding from below", "the forecast's alone", "the load's alone"),
			number("profile-factor", 1, 0.1, 10, "factor by which the profile's step times are wrong"),
		},
		build: newDynamo,
	}
}

func newDynamo(s Setup, v values) (Policy, error) {
	if e := s.Engine; e.StepTime == nil || e.KVTokens <= 0 || e.MaxBatchedTokens <= 1 {
		return nil, errors.New("no engine profile: give the step time, the tokens of the KV cache and the batched tokens")
	}
	slo, k := s.SLO.orElse(500*time.Millisecond, 50*time.Millisecond), v.of("sla-factor")
	kind := v.choice("predictor")
	p := &dynamo{
		planned: planned{engine: s.Engine, factor: v.of("profile-factor")}, low: max(1, s.Min), high: max(1, s.Max),
		slo:  SLO{TTFT: time.Duration(k * float64(slo.TTFT)), TPOT: time.Duration(k * float64(slo.TPOT))},
		goal: v.choice("optimize"), loops: v.choice("loops"), interval: v.duration("interval"),
		forecasts: forecasts{newPredictor(kind), newPredictor(kind), newPredictor(kind), newPredictor(kind)},
	}
	if p.goal != optimizeSLA {
		p.loops = loopLoad // config validation forces this for the targets without an objective
	}
	p.gateway.keep, p.replicas.keep = p.interval, p.interval
	return p, nil
}

// Path implements Policy: engines push a metric with each forward pass.
func (p *dynamo) Path() Path { return Path{Interval: dynamoTick, Scrape: dynamoTick} }

// Decide implements Policy.
func (p *dynamo) Decide(o Observation) scaling.Decision {
	d := begin(&o, dynamoStaleness)
	p.sense(&o, d)
	p.gateway.add(o.Gateway)
	p.replicas.add(&o)
	if p.due.IsZero() {
		p.due = o.Time.Add(p.interval)
	}
	if !o.Time.Before(p.due) {
		p.due = o.Time.Add(p.interval)
		p.forecast(&o, d)
	}
	switch {
	case o.Desired > p.high, o.Desired < p.low:
		return d.bound(o.Desired, p.low, p.high, scaling.DemandMet)
	case d.Ready != o.Desired || existing(&o) != o.Desired:
		return d.hold(scaling.ScaleUpStabilized, "gate", "%d of %s ready: no decision until the last one has come about", d.Ready, count(o.Desired))
	case p.loops == loopThroughput && p.floor > 0:
		d.step("throughput", p.floor, "%s until the next forecast at %s", count(p.floor), p.due.Format(time.TimeOnly))
		return d.bound(p.floor, p.low, p.high, forecastReason(o.Desired, p.floor))
	case p.loops == loopThroughput:
		return d.hold(scaling.NoFreshData, "throughput", "no traffic was seen in %v: no decision", p.interval)
	}
	return p.load(&o, d)
}

func forecastReason(current, wanted int32) scaling.Reason {
	if wanted > current {
		return scaling.ForecastDemand
	}
	return direction(current, wanted)
}

// sense says what is missing of what the loop that decides rests on.
func (p *dynamo) sense(o *Observation, d *draft) {
	if p.loops == loopThroughput {
		d.needGateway(o.Gateway, p.interval)
		return
	}
	d.needPages(o, dynamoStaleness)
}

// forecast sets the floor to what the next interval's traffic needs.
func (p *dynamo) forecast(o *Observation, d *draft) {
	from, to, ok := p.gateway.window(p.interval)
	if p.loops == loopLoad || !ok || o.Time.Sub(to.Time) > p.interval {
		return
	}
	seen := p.mean(o, from, to)
	arrived := max(0, to.Arrived-from.Arrived)
	if p.shape.input > 0 || arrived > 0 {
		p.learn(arrived*p.interval.Seconds()/to.Time.Sub(from.Time).Seconds(), seen)
	}
	t := p.expected()
	rps := p.requests.next() / p.interval.Seconds()
	engine := p.capacity(t, p.slo)
	d.Demand, d.DemandKnown = rps, true
	if engine <= 0 {
		d.step("throughput", -1, "no traffic seen yet: no floor")
		return
	}
	p.floor = max(1, ceil(rps/engine))
	d.step("throughput", p.floor, "%.3g requests/s expected of %.0f + %.0f tokens, %.3g per replica within TTFT %v and ITL %v",
		rps, t.input, t.output, engine, p.slo.TTFT, p.slo.TPOT)
}

// mean is the mean request between two readings; lengths are zero where nothing came or ended.
func (p *dynamo) mean(o *Observation, from, to Gateway) traffic {
	var t traffic
	if n := to.Arrived - from.Arrived; n > 0 {
		t.input = (to.PromptTokens - from.PromptTokens) / n
	}
	if n := to.Answered - from.Answered; n > 0 {
		t.output = (to.OutputTokens - from.OutputTokens) / n
	}
	var hits, queries float64
	for i := range o.Replicas {
		h, _ := p.replicas.gain(o.Replicas[i].ID, signals.PrefixCacheHits)
		q, _ := p.replicas.gain(o.Replicas[i].ID, signals.PrefixCacheQueries)
		hits, queries = hits+h, queries+q
	}
	if queries > 0 {
		t.hit = hits / queries
	}
	return t
}

// learn gives an interval to the predictors. An idle one carries the request's shape on; before the first request
// there is none to learn.
func (p *dynamo) learn(requests float64, t traffic) {
	if t.input > 0 {
		p.shape.input = t.input
	}
	if t.output > 0 {
		p.shape.output = t.output
	}
	p.requests.add(requests)
	p.input.add(p.shape.input)
	p.output.add(p.shape.output)
	p.hit.add(t.hit)
}

// expected is the traffic forecast for the next interval.
func (p *dynamo) expected() traffic {
	return traffic{input: p.input.next(), output: p.output.next(), hit: p.hit.next()}
}
