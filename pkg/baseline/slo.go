package baseline

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// The rates and averages of llm-d's recording rules (llm-d/llm-d guides/workload-autoscaling/README.slo-aware.md@d38c9f0).
const (
	sloRate      = time.Minute
	sloSmoothing = 45 * time.Second
	sloClamp     = 2.0
)

// sloAware is llm-d's SLO-aware law: latency over objective, smoothed, drives a formula whose result an HPA executes.
type sloAware struct {
	controller hpa
	slo        SLO
	quantile   float64
	up, down   float64
	log        gatewayLog
	signal     timeseries.Series
}

func sloAwarePolicy() maker {
	return maker{
		name: "slo-aware",
		knobs: []Knob{
			number("up", 0.55, 0.01, 2, "latency over objective above which it scales up").tuned(0.45, 0.55, 0.65, 0.75, 0.9, 1.05),
			number("down", 0.40, 0, 2, "latency over objective below which it scales down").tuned(0.3, 0.4),
			number("quantile", 0.9, 0.01, 0.999, "quantile of the latencies"),
			seconds("up-window", 30, "stabilization window of scale-up"),
			seconds("down-window", 180, "stabilization window of scale-down"),
			number("tolerance", 0.1, 0, 1, "share of the target by which usage may be off before anything changes"),
		},
		build: func(s Setup, v values) (Policy, error) { return newSLOAware(s, v), nil },
	}
}

func newSLOAware(s Setup, v values) *sloAware {
	p := &sloAware{
		controller: newController(s, v, v.duration("down-window")), slo: s.SLO.orElse(3*time.Second, 100*time.Millisecond),
		quantile: v.of("quantile"), up: v.of("up"), down: v.of("down"), log: gatewayLog{keep: sloRate},
	}
	p.controller.behavior.up.policies = []hpaPolicy{{percent: 100, period: time.Minute}, {pods: 4, period: time.Minute}}
	p.controller.behavior.down.policies = []hpaPolicy{{pods: 1, period: 2 * time.Minute}}
	return p
}

// Path implements Policy: rules are recorded every 15 s.
func (p *sloAware) Path() Path {
	return Path{Interval: hpaSync, Scrape: 15 * time.Second, Lag: scrapeLag}
}

// Decide implements Policy.
func (p *sloAware) Decide(o Observation) scaling.Decision {
	d := begin(&o, sloRate)
	p.log.add(o.Gateway)
	raw := p.raw(d)
	p.signal = p.signal.Append(timeseries.Sample{Time: o.Time, Value: min(raw, sloClamp)}, sloSmoothing)
	s, _ := p.signal.Since(o.Time.Add(-sloSmoothing + 1)).Mean()
	wanted := law(s, float64(existing(&o)), float64(d.Ready), p.up, p.down)
	d.step("law", whole(wanted), "%.2f of the objective, smoothed: %g wanted where there are %s, up above %g, down below %g",
		s, wanted, count(existing(&o)), p.up, p.down)
	return p.controller.decide(d, []proposal{p.controller.tolerance.proposeAverage(milli(wanted), 1000, existing(&o))})
}

// raw is the worse of the two latencies over its objective within the last minute, zero without traffic.
func (p *sloAware) raw(d *draft) float64 {
	from, to, ok := p.log.window(sloRate)
	if !ok || d.Time.Sub(to.Time) > sloRate {
		d.missGateway()
		d.step("signal", -1, "the gateway's latencies of the last %v are absent and read as 0, as upstream's rules have it", sloRate)
		return 0
	}
	ttft, _ := quantile(from.TTFT, to.TTFT, p.quantile)
	tpot, _ := quantile(from.TPOT, to.TPOT, p.quantile)
	d.step("signal", -1, "p%g TTFT %.3g s of %v, TPOT %.3g s of %v", 100*p.quantile, ttft, p.slo.TTFT, tpot, p.slo.TPOT)
	return max(ttft/p.slo.TTFT.Seconds(), tpot/p.slo.TPOT.Seconds())
}

// law returns the replicas wanted at a signal s with n replicas of which r are ready. Replicas that load are credited
// on the way up only.
func law(s, n, r, up, down float64) float64 {
	credit := 1.0
	if r > 0 && r < n {
		credit = r / n
	}
	switch {
	case s > up:
		return n + math.Ceil(n*(s*credit/up-1)-1e-9)
	case s < down:
		return n - math.Floor(n*(1-s/down)+1e-9)
	}
	return n
}
