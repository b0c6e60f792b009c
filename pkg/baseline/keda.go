package baseline

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Laws of llm-d's guide keda-epp (llm-d/llm-d guides/workload-autoscaling/keda-epp/optimized-baseline).
const (
	lawQueue = iota
	lawSaturation
	lawGuard
)

// The thresholds of the gateway's saturation detector: a replica is as saturated as the fuller of its queue and cache.
const (
	saturatedQueue = 5
	saturatedCache = 0.8
)

// keda is a KEDA ScaledObject on the metrics of llm-d's gateway. KEDA itself goes between zero and one; from one on it
// feeds an HPA. Absent series read as zero (the Prometheus scaler's ignoreNullValues).
type keda struct {
	controller    hpa
	zero          bool
	law           int
	queue         float64
	running       float64
	saturation    float64
	cooldown      time.Duration
	active        time.Time
	begun         bool
	activationMin int32
}

// kedaPolicy describes llm-d's keda-epp: queue 1, pool saturation 0.7 and running requests 16 per replica, polled every
// 15 s, up and down by 100 % per 15 s (base/scaledobject.yaml@b0d6a79).
func kedaPolicy() maker {
	return maker{
		name: "keda",
		knobs: append([]Knob{
			number("running", 16, 0.01, 1e6, "requests in flight per replica").tuned(8, 16, 24, 32, 48, 64),
			choice("law", "what scales beside the requests in flight", "queue", "pool saturation",
				"queue, with replicas that load subtracted (queue-guard)").tuned(lawQueue, lawGuard),
			number("queue", 1, 0.01, 1e6, "requests queued in the gateway per replica"),
			number("saturation", 0.7, 0.01, 10, "pool saturation per replica"),
			seconds("down-window", 300, "stabilization window of scale-down"),
			seconds("cooldown", 300, "time without a request before the last replica goes, where the minimum is 0"),
		}, hpaCommon()...),
		build: func(s Setup, v values) (Policy, error) { return newKEDA(s, v), nil },
	}
}

func newKEDA(s Setup, v values) *keda {
	k := &keda{
		controller: newController(s, v, v.duration("down-window")), zero: s.Min == 0, law: v.choice("law"),
		queue: v.of("queue"), running: v.of("running"), saturation: v.of("saturation"), cooldown: v.duration("cooldown"),
		activationMin: max(1, s.Min),
	}
	k.controller.behavior.up.policies = []hpaPolicy{{percent: 100, period: 15 * time.Second}}
	return k
}

// Path implements Policy: KEDA polls every 15 s, and the HPA asks it anew at each sync. Nobody tells a Prometheus scaler
// of a request at zero; the external scaler of KEDA's http-add-on, which does (kedacore/http-add-on@59b2f6a scaler/: a
// ping every 500 ms, activity streamed every 200 ms), counts other things and is no part of llm-d's guide.
func (k *keda) Path() Path { return Path{Interval: hpaSync, Scrape: 15 * time.Second, Lag: scrapeLag} }

// Decide implements Policy.
func (k *keda) Decide(o Observation) scaling.Decision {
	d := begin(&o, prometheusStaleness)
	seen := k.look(&o, d)
	if !k.begun {
		// A ScaledObject that has never seen itself active would go to zero at once; a replay begins in the middle.
		k.begun, k.active = true, o.Time
	}
	if seen.queued > 0 || seen.inFlight > 0 || k.law == lawSaturation && seen.saturation > 0 {
		k.active = o.Time
	}
	switch idle := o.Time.Sub(k.active); {
	case o.Desired == 0 && idle == 0:
		d.step("activation", k.activationMin, "active: %g queued, %g in flight", seen.queued, seen.inFlight)
		return d.bound(k.activationMin, k.controller.low, k.controller.high, scaling.ReactiveDemand)
	case o.Desired == 0 && k.zero:
		d.step("activation", 0, "nothing is asked for")
		return d.end(0, scaling.DemandMet)
	case k.zero && idle > k.cooldown:
		d.step("cooldown", 0, "no request for %v, more than the cooldown of %v", idle, k.cooldown)
		return d.end(0, scaling.DemandFell)
	case o.Desired == 0:
		return d.bound(0, k.controller.low, k.controller.high, scaling.DemandMet)
	}
	return k.controller.decide(d, k.propose(&o, d, seen))
}

// pool is what the gateway says of the pool.
type pool struct{ queued, inFlight, saturation float64 }

func (k *keda) look(o *Observation, d *draft) pool {
	if !d.needGateway(o.Gateway, prometheusStaleness) {
		d.step("metric", -1, "the gateway's series are absent and read as 0, as upstream's ignoreNullValues has it")
		return pool{}
	}
	return pool{queued: o.Gateway.Queued, inFlight: o.Gateway.InFlight, saturation: poolSaturation(o)}
}

// poolSaturation is the mean over ready replicas; one that is not seen counts as saturated.
func poolSaturation(o *Observation) float64 {
	var sum, n float64
	for i := range o.Replicas {
		r := &o.Replicas[i]
		if r.Phase != scaling.Ready {
			continue
		}
		n++
		sum += replicaSaturation(fresh(r, o.Time, prometheusStaleness))
	}
	if n == 0 {
		return 0
	}
	return sum / n
}

func replicaSaturation(r *signals.Reading) float64 {
	if r == nil {
		return 1
	}
	waiting, okW := r.Value(signals.RequestsWaiting)
	cache, okC := r.Value(signals.KVCacheUtilization)
	if !okW && !okC {
		return 1
	}
	return max(waiting/saturatedQueue, cache/saturatedCache)
}

// propose is what the law's triggers ask the HPA for, the largest of which counts.
func (k *keda) propose(o *Observation, d *draft, p pool) []proposal {
	exist := existing(o)
	average := func(name string, value, target float64) proposal {
		prop := k.controller.tolerance.proposeAverage(milli(value), milli(target), exist)
		d.step("metric", -1, "%s: %s", name, prop.text)
		return prop
	}
	switch k.law {
	case lawGuard:
		demand := max(p.queued/k.queue, p.inFlight/k.running)
		guarded := guard(demand, float64(exist-d.Ready), float64(exist))
		d.step("guard", -1, "demand of %.3g replicas, %d exist of which %d load: %.3g", demand, exist, exist-d.Ready, guarded)
		return []proposal{average("guarded demand", guarded, 1)}
	case lawSaturation:
		return []proposal{average("pool saturation", p.saturation, k.saturation), average("in flight", p.inFlight, k.running)}
	}
	return []proposal{average("queued", p.queued, k.queue), average("in flight", p.inFlight, k.running)}
}

// guard subtracts the replicas that load from a demand that exceeds what exists, but never below that
// (overlays/k8s/queue-guard/scaledobject.yaml@b06ec63).
func guard(demand, pending, exist float64) float64 {
	if demand <= exist {
		return demand
	}
	return max(demand-pending, exist)
}
