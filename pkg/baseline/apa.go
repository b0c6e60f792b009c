package baseline

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// apaPeriod is the time between two reconciliations. Each fetches the pods' pages anew, so that a page older than that
// comes from a fetch that failed, and there is no cache that would still answer with it.
const apaPeriod = 10 * time.Second

// Stabilizers of the APA.
const (
	stabilizeLowest = iota
	stabilizeHighest
)

// apaMetrics are the metrics that an APA can be given, by the position of the setting.
func apaMetrics() []signals.Metric {
	return []signals.Metric{signals.KVCacheUtilization, signals.RequestsRunning, signals.RequestsWaiting}
}

// apaSpec is what an APA is told (vllm-project/aibrix@e3e10f9 pkg/controller/podautoscaler/context/context.go).
type apaSpec struct {
	target             float64
	tolerance          tolerance
	upRate, downRate   float64
	upWindow, downWind time.Duration
	stabilizer         int
}

// apa is AIBrix's application-specific pod autoscaler.
type apa struct {
	apaSpec
	low, high   int32
	metric      signals.Metric
	observe     time.Duration
	pending     bool
	values      timeseries.Series
	recommended []dated
}

// apaPolicy describes the APA with the metric and target of upstream's sample (samples/autoscaling/apa.yaml@41c6ff3:
// kv_cache_usage_perc 0.5).
func apaPolicy() maker {
	return maker{
		name: "apa",
		knobs: []Knob{
			number("target", 0.5, 0.001, 1e6, "mean of the metric per replica").tuned(0.05, 0.1, 0.15, 0.2, 0.3, 0.5),
			choice("stabilizer", "which recommendation of the down-window counts", "the lowest, as coded",
				"the highest, as an HPA's").tuned(stabilizeLowest, stabilizeHighest),
			choice("metric", "what is measured", "share of the KV cache in use", "running requests", "waiting requests"),
			seconds("observe-window", 180, "time over which the metric is averaged"),
			seconds("up-window", 0, "cooldown of scale-up"),
			seconds("down-window", 300, "cooldown of scale-down"),
			number("max-scale-up-rate", 2, 1, 100, "factor by which it scales up at most"),
			number("max-scale-down-rate", 2, 1, 100, "factor by which it scales down at most"),
			number("tolerance", 0.1, 0, 1, "share of the target by which usage may be off before anything changes"),
			choice("pending-guard", "whether it waits for replicas that load", "no", "yes"),
		},
		build: func(s Setup, v values) (Policy, error) { return newAPA(s, v), nil },
	}
}

func newAPA(s Setup, v values) *apa {
	t := v.of("tolerance")
	return &apa{
		apaSpec: apaSpec{
			target: v.of("target"), tolerance: tolerance{t, t},
			upRate: v.of("max-scale-up-rate"), downRate: v.of("max-scale-down-rate"),
			upWindow: v.duration("up-window"), downWind: v.duration("down-window"), stabilizer: v.choice("stabilizer"),
		},
		low: max(1, s.Min), high: max(1, s.Max), metric: apaMetrics()[v.choice("metric")],
		observe: v.duration("observe-window"), pending: v.choice("pending-guard") == 1,
	}
}

// Path implements Policy: the controller reads the pods' pages itself at each reconciliation.
func (p *apa) Path() Path { return Path{Interval: apaPeriod, Scrape: apaPeriod} }

// Decide implements Policy.
func (p *apa) Decide(o Observation) scaling.Decision {
	d := begin(&o, apaPeriod)
	d.needPages(&o, apaPeriod)
	switch {
	case o.Desired == 0:
		return d.hold(scaling.ScaledToZeroByOther, "apa", "0 replicas asked for by somebody else: scaling is switched off")
	case o.Desired > p.high, o.Desired < p.low:
		return d.bound(o.Desired, p.low, p.high, scaling.DemandMet)
	}
	sum, seen := total(&o, p.metric, apaPeriod)
	if seen == 0 {
		if d.Ready == 0 {
			return d.hold(scaling.NoReadyReplica, "metric", "no replica is ready: nothing changes")
		}
		return d.hold(scaling.NoFreshData, "metric", "no replica reports %s: nothing changes", p.metric)
	}
	p.values = p.values.Append(timeseries.Sample{Time: o.Time, Value: sum / float64(seen)}, p.observe)
	mean, _ := p.values.Mean()
	return p.recommend(d, mean)
}

func (p *apa) recommend(d *draft, mean float64) scaling.Decision {
	n := d.Current
	wanted := p.compute(float64(n), mean)
	d.step("apa", wanted, "%.3g on average over %v, %g wanted: %s", mean, p.observe, p.target, count(wanted))
	if p.pending && wanted > n && d.Ready < n {
		return d.hold(scaling.ScaleUpStabilized, "pending", "%d of %s not ready yet: no more now", n-d.Ready, count(n))
	}
	reason := direction(n, wanted)
	if p.tolerance.within(mean/p.target) && n != whole(math.Ceil(float64(n)*mean/p.target)) {
		reason = scaling.WithinTolerance
	}
	bounded := min(max(wanted, p.low), p.high)
	stable := p.stabilized(d.Time, n, bounded)
	if stable != bounded {
		d.step("cooldown", stable, "of the recommendations of the last %v", p.downWind)
	}
	if bounded != wanted && stable == bounded {
		return d.bound(wanted, p.low, p.high, reason)
	}
	if stable > bounded {
		reason = scaling.ScaleDownStabilized
	}
	return d.end(stable, reason)
}

// compute is the law (pkg/controller/podautoscaler/algorithm/apa.go, computeTargetReplicas).
func (p *apaSpec) compute(n, usage float64) int32 {
	ratio := usage / p.target
	wanted := math.Ceil(n * ratio)
	switch {
	case ratio > 1+p.tolerance.up:
		return whole(math.Min(wanted, math.Ceil(p.upRate*n)))
	case ratio < 1-p.tolerance.down:
		return whole(math.Max(wanted, math.Floor(n/p.downRate)))
	}
	return whole(n)
}

// stabilized picks one of the recommendations within the cooldown of their direction: the highest on the way up, and on
// the way down the lowest, as coded, or the highest (pkg/controller/podautoscaler/podautoscaler_controller.go,
// stabilizeRecommendation).
func (p *apa) stabilized(now time.Time, current, wanted int32) int32 {
	p.recommended = append(since(p.recommended, now.Add(-max(p.upWindow, p.downWind))), dated{now, wanted})
	window, highest := p.upWindow, true
	switch {
	case wanted == current:
		return current
	case wanted < current:
		window, highest = p.downWind, p.stabilizer == stabilizeHighest
	}
	picked := wanted
	for _, r := range p.recommended {
		switch {
		case now.Sub(r.at) >= window:
		case highest:
			picked = max(picked, r.replicas)
		default:
			picked = min(picked, r.replicas)
		}
	}
	return picked
}
