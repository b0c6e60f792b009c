package baseline

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// kpaTick is how often Knative decides (knative/serving@98e5ef9 pkg/autoscaler/scaling/multiscaler.go); proxies report
// once a second.
const kpaTick = 2 * time.Second

// kpaSpec is what a revision is scaled by (config/core/configmaps/autoscaler.yaml).
type kpaSpec struct {
	target         float64
	upRate         float64
	downRate       float64
	panicThreshold float64
	stable, panics time.Duration
	delay          time.Duration
}

// kpaScaler is the decider of one revision (pkg/autoscaler/scaling/autoscaler.go).
type kpaScaler struct {
	kpaSpec
	panicSince time.Time
	panicPods  float64
	delayed    timeseries.Series
}

// start begins in panic where more than one replica runs, so that a restart forgets nothing.
func (k *kpaScaler) start(now time.Time, ready int32) {
	k.panicPods = float64(ready)
	if ready > 1 {
		k.panicSince = now
	}
}

// kpaResult is what the decider says: the replicas, and how it came by them.
type kpaResult struct {
	wanted         float64
	byStable       float64
	byPanic        float64
	panicking      bool
	low, high      float64
	beforeTheDelay float64
}

// scale decides on the mean concurrency in the stable and in the panic window.
func (k *kpaScaler) scale(now time.Time, ready int32, stable, panics float64) kpaResult {
	r := math.Max(1, float64(ready))
	out := kpaResult{high: math.Ceil(k.upRate * r), low: math.Floor(r / k.downRate)}
	byPanic := math.Ceil(panics / k.target)
	out.byStable = math.Min(math.Max(math.Ceil(stable/k.target), out.low), out.high)
	out.byPanic = math.Min(math.Max(byPanic, out.low), out.high)
	k.watch(now, byPanic/r >= k.panicThreshold)
	out.wanted = out.byStable
	if out.panicking = !k.panicSince.IsZero(); out.panicking {
		k.panicPods = max(k.panicPods, out.byStable, out.byPanic)
		out.wanted = k.panicPods
	}
	out.beforeTheDelay = out.wanted
	if k.delay > 0 {
		k.delayed = k.delayed.Append(timeseries.Sample{Time: now, Value: out.wanted}, k.delay)
		out.wanted, _ = k.delayed.Since(now.Add(-k.delay + 1)).Max()
	}
	return out
}

// watch enters, prolongs and leaves panic.
func (k *kpaScaler) watch(now time.Time, over bool) {
	switch {
	case over:
		k.panicSince = now
	case !k.panicSince.IsZero() && k.panicSince.Add(k.stable).Before(now):
		k.panicSince, k.panicPods = time.Time{}, 0
	}
}

// kpa is Knative's pod autoscaler on concurrency.
type kpa struct {
	kpaScaler
	low, high int32
	grace     time.Duration
	log       gatewayLog
	begun     bool
	// activeSince is when it began to run replicas, idleSince when demand was gone for good.
	activeSince, idleSince time.Time
}

// kpaPolicy describes the KPA: a target of 70 % of 100 concurrent requests unless the user knows better.
func kpaPolicy() maker {
	return maker{
		name: "kpa",
		knobs: []Knob{
			number("target", 70, 0.01, 1e6, "concurrent requests per replica, queued ones included").tuned(8, 16, 24, 32, 48, 70),
			seconds("scale-down-delay", 0, "time over which the highest wish counts on the way down").tuned(0, 300),
			number("window", 60, 6, 3600, "stable window in seconds; the panic window is a tenth of it"),
			number("panic-threshold", 2, 1, 10, "ratio of needed to ready replicas at which it panics"),
			number("max-scale-up-rate", 1000, 1.1, 1e4, "factor by which it scales up at most"),
			number("max-scale-down-rate", 2, 1.1, 1e4, "factor by which it scales down at most"),
			seconds("grace", 30, "time at no demand before the last replica goes, where the minimum is 0"),
		},
		build: func(s Setup, v values) (Policy, error) { return newKPA(s, v), nil },
	}
}

func newKPA(s Setup, v values) *kpa {
	window := v.duration("window")
	return &kpa{
		kpaScaler: kpaScaler{kpaSpec: kpaSpec{
			target: v.of("target"), upRate: v.of("max-scale-up-rate"), downRate: v.of("max-scale-down-rate"),
			panicThreshold: v.of("panic-threshold"), stable: window, panics: window / 10, delay: v.duration("scale-down-delay"),
		}},
		low: s.Min, high: s.Max, grace: v.duration("grace"), log: gatewayLog{keep: window},
	}
}

// kpaPoke is the time from the first request at zero until the decider is asked: the activator reports it at once, and that
// pokes the decider out of turn (pkg/activator/handler/concurrency_reporter.go, pkg/autoscaler/scaling/multiscaler.go, Poke). The way takes what ours
// is taken to take.
const kpaPoke = 100 * time.Millisecond

// Path implements Policy: proxies report every second what happened in it; reading the running integral at each tick
// loses nothing of that.
func (p *kpa) Path() Path {
	return Path{Interval: kpaTick, Scrape: kpaTick, Lag: time.Second, Push: kpaPoke}
}

// Decide implements Policy.
func (p *kpa) Decide(o Observation) scaling.Decision {
	d := begin(&o, p.stable)
	if !p.begun {
		p.begun, p.activeSince = true, o.Time
		p.start(o.Time, d.Ready)
	}
	p.log.add(o.Gateway)
	stable, panics, ok := p.windows(o.Time)
	if !ok {
		d.missGateway()
		return d.hold(scaling.NoFreshData, "window", "no concurrency reported within %v: no decision", p.stable)
	}
	r := p.scale(o.Time, d.Ready, stable, panics)
	d.step("stable", whole(r.byStable), "%.3g concurrent over %v, %g per replica, %g to %g allowed", stable, p.stable, p.target, r.low, r.high)
	if r.panicking {
		d.step("panic", whole(r.beforeTheDelay), "%.3g concurrent over %v: in panic, nothing is scaled down", panics, p.panics)
	}
	reason := direction(o.Desired, whole(r.wanted))
	if r.wanted > r.byStable && r.wanted > r.byPanic {
		reason = scaling.ScaleDownStabilized
	}
	if r.wanted != r.beforeTheDelay {
		d.step("delay", whole(r.wanted), "the highest wish of %v counts", p.delay)
	}
	return d.bound(p.lastReplica(d, whole(r.wanted)), p.low, p.high, reason)
}

// windows returns the mean concurrency of both windows, false where nothing was reported within the stable one.
func (p *kpa) windows(now time.Time) (stable, panics float64, ok bool) {
	from, to, ok := p.log.window(p.stable)
	if !ok || now.Sub(to.Time) > p.stable {
		return 0, 0, false
	}
	stable = rounded(concurrency(from, to))
	if now.Sub(to.Time) <= p.panics {
		from, to, _ = p.log.window(p.panics)
		panics = rounded(concurrency(from, to))
	}
	return stable, panics, true
}

// rounded cuts an average to six digits, lest a rounding error asks for a replica
// (pkg/autoscaler/aggregation/bucketing.go).
func rounded(x float64) float64 { return math.Round(x*1e6) / 1e6 }

// lastReplica keeps one replica until it has run for a stable window and there was no demand for the grace period
// (pkg/reconciler/autoscaling/kpa/scaler.go).
func (p *kpa) lastReplica(d *draft, wanted int32) int32 {
	if d.Current == 0 {
		p.activeSince = d.Time
		return wanted
	}
	switch {
	case wanted > 0:
		p.idleSince = time.Time{}
		return wanted
	case d.Time.Sub(p.activeSince) < p.stable:
		d.step("zero", 1, "no demand, but active for %v of %v only", d.Time.Sub(p.activeSince), p.stable)
		return 1
	case p.idleSince.IsZero():
		p.idleSince = d.Time
	}
	if idle := d.Time.Sub(p.idleSince); idle < p.grace {
		d.step("zero", 1, "no demand for %v, the last replica goes after %v", idle, p.grace)
		return 1
	}
	return 0
}
