package baseline

import (
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// wvaInterval is how often the engine of llm-d's Workload Variant Autoscaler optimizes (GLOBAL_OPT_INTERVAL), wvaPeak
// the time over which its queries take the maximum (max_over_time(...[1m])).
const (
	wvaInterval = time.Minute
	wvaPeak     = time.Minute
)

// wvaSpec are the thresholds of saturation
// (llm-d/llm-d-workload-variant-autoscaler@b08b1c7 config/manager/configmap-saturation-scaling.yaml).
type wvaSpec struct{ cache, queue, spareCache, spareQueue float64 }

// load is what one replica holds: the share of its KV cache and its queue, each at its highest within a minute.
type load struct{ cache, queue float64 }

// saturation is the analysis of all replicas.
type saturation struct {
	free                   int
	spareCache, spareQueue float64
	up, down               bool
}

// analyze restates internal/saturation/analyzer.go: scale up where the replicas that are not saturated have too little
// to spare, down where they would still have enough with one replica less.
func (w wvaSpec) analyze(loads []load) saturation {
	var s saturation
	for _, l := range loads {
		if l.cache < w.cache && l.queue < w.queue {
			s.free++
			s.spareCache += w.cache - l.cache
			s.spareQueue += w.queue - l.queue
		}
	}
	if len(loads) == 0 {
		return s
	}
	if s.free > 0 {
		s.spareCache /= float64(s.free)
		s.spareQueue /= float64(s.free)
	}
	s.up = s.spareCache < w.spareCache || s.spareQueue < w.spareQueue
	s.down = w.safe(s)
	return s
}

// safe tells whether one replica fewer would leave enough to spare.
func (w wvaSpec) safe(s saturation) bool {
	if s.free < 2 {
		return false
	}
	more := float64(s.free) / float64(s.free-1)
	return w.cache-(w.cache-s.spareCache)*more >= w.spareCache && w.queue-(w.queue-s.spareQueue)*more >= w.spareQueue
}

// wvaBase is what both versions share: an engine that sets a target once a minute, and an HPA that carries it out.
type wvaBase struct {
	controller hpa
	log        replicaLog
	decided    time.Time
	target     int32
	// why is what the last analysis found, for people.
	why string
}

// wvaKnobs are the further knobs of the HPA behind it, with the defaults of upstream's chart: 240 s both ways.
func wvaKnobs() []Knob {
	return []Knob{
		seconds("down-window", 240, "stabilization window of the HPA's scale-down"),
		number("tolerance", 0.1, 0, 1, "share of the target by which the HPA lets usage be off before anything changes"),
	}
}

func newWVABase(s Setup, v values, keep time.Duration) wvaBase {
	b := wvaBase{controller: newController(s, v, v.duration("down-window")), log: replicaLog{keep: keep}}
	policies := []hpaPolicy{{pods: 10, period: 150 * time.Second}}
	b.controller.behavior.up.policies, b.controller.behavior.down.policies = policies, policies
	return b
}

// Path implements Policy: the HPA syncs every 15 s, the engine optimizes at each fourth.
func (b *wvaBase) Path() Path {
	return Path{Interval: hpaSync, Scrape: 15 * time.Second, Lag: scrapeLag}
}

// decide lets the engine set a new target when it is due, and the HPA carry out the one that stands.
func (b *wvaBase) decide(o *Observation, optimize func(d *draft) (target int32, why string)) scaling.Decision {
	d := begin(o, wvaPeak)
	d.needPages(o, wvaPeak)
	b.log.add(o)
	if b.decided.IsZero() {
		b.target = existing(o)
	}
	if b.decided.IsZero() || o.Time.Sub(b.decided) >= wvaInterval {
		b.decided = o.Time
		target, why := optimize(d)
		b.target, b.why = min(max(target, b.controller.low), b.controller.high), why
	}
	d.step("wva", b.target, "%s wanted since %v: %s", count(b.target), b.decided.Format(time.TimeOnly), b.why)
	return b.controller.decide(d, []proposal{b.controller.tolerance.proposeAverage(milli(float64(b.target)), 1000, existing(o))})
}

// wva is the first version: one replica more or less per cycle, none while any is on its way.
type wva struct {
	wvaBase
	wvaSpec
}

func wvaPolicy() maker {
	return maker{
		name: "wva",
		knobs: append([]Knob{
			number("kv-spare", 0.10, 0, 1, "share of the KV cache to spare below which it scales up").tuned(0.1, 0.4, 0.6, 0.7),
			seconds("up-window", 240, "stabilization window of the HPA's scale-up").tuned(0, 60, 240),
			number("queue-spare", 3, 0, 1000, "waiting requests to spare below which it scales up"),
			number("kv-threshold", 0.80, 0.01, 1, "share of the KV cache at which a replica is saturated"),
			number("queue-threshold", 5, 0.1, 1000, "waiting requests at which a replica is saturated"),
		}, wvaKnobs()...),
		build: func(s Setup, v values) (Policy, error) {
			return &wva{newWVABase(s, v, wvaPeak), wvaSpec{
				cache: v.of("kv-threshold"), queue: v.of("queue-threshold"),
				spareCache: v.of("kv-spare"), spareQueue: v.of("queue-spare"),
			}}, nil
		},
	}
}

// Decide implements Policy.
func (p *wva) Decide(o Observation) scaling.Decision {
	return p.decide(&o, func(d *draft) (int32, string) { return p.optimize(&o, d) })
}

func (p *wva) optimize(o *Observation, d *draft) (int32, string) {
	loads := p.loads(o)
	if len(loads) == 0 {
		return p.target, "no replica reports"
	}
	s := p.analyze(loads)
	why := fmt.Sprintf("%d of %s not saturated, %.2f of the KV cache and %.1f requests to spare", s.free, count(int32(len(loads))), s.spareCache, s.spareQueue)
	return p.next(d, s, len(loads), existing(o)), why
}

// next is the target after an analysis (CalculateSaturationTargets, with one variant).
func (p *wva) next(d *draft, s saturation, seen int, current int32) int32 {
	switch {
	case d.Ready < current || int32(seen) != current || p.target != current:
		d.step("transition", -1, "%d wanted, %d exist, %d ready, %d seen: no decision until they agree", p.target, current, d.Ready, seen)
		return p.target
	case s.up:
		return current + 1
	case s.down && current > 1:
		return current - 1
	}
	return current
}

// loads returns the peaks of the last minute, one for each ready replica that reported both.
func (p *wva) loads(o *Observation) []load {
	var out []load
	from := o.Time.Add(-wvaPeak)
	for i := range o.Replicas {
		r := &o.Replicas[i]
		cache, okC := p.log.most(r.ID, signals.KVCacheUtilization, from)
		queue, okQ := p.log.most(r.ID, signals.RequestsWaiting, from)
		if r.Phase == scaling.Ready && okC && okQ {
			out = append(out, load{cache, queue})
		}
	}
	return out
}
