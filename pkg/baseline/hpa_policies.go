package baseline

import (
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Target types of an HPA's metric.
const (
	typePods = iota
	typeAverage
	typeValue
)

// hpaOnMetric is a plain HPA with one metric of the engines.
type hpaOnMetric struct {
	hpa
	metric signals.Metric
	noun   string
	kind   int
	target int64
}

// hpaKnobs are the knobs of a plain HPA, with the grid of targets that tuning tries.
func hpaKnobs(target float64, doc string, grid ...float64) []Knob {
	return append([]Knob{
		number("target", target, 0.01, 1e6, doc).tuned(grid...),
		seconds("down-window", 300, "stabilization window of scale-down").tuned(120, 300),
		choice("type", "kind of metric and target", "Pods AverageValue", "External AverageValue", "External Value"),
	}, hpaCommon()...)
}

// hpaCommon are the knobs that every policy acting through an HPA shares.
func hpaCommon() []Knob {
	return []Knob{
		seconds("up-window", 0, "stabilization window of scale-up"),
		number("tolerance", 0.1, 0, 1, "share of the target by which usage may be off before anything changes"),
	}
}

// hpaQueue scales on waiting requests. 5 per pod is the edge of saturation in llm-d's WVA, which has no other default
// to offer: an HPA itself has none.
func hpaQueue() maker {
	return maker{
		name:  "hpa-queue",
		knobs: hpaKnobs(5, "waiting requests per replica", 0.5, 1, 2, 5, 10, 20),
		build: func(s Setup, v values) (Policy, error) {
			return newHPA(s, v, signals.RequestsWaiting, "waiting requests"), nil
		},
	}
}

// hpaRunning scales on running requests; 16 per pod is the target of llm-d's autoscaling guides.
func hpaRunning() maker {
	return maker{
		name:  "hpa-running",
		knobs: hpaKnobs(16, "running requests per replica", 8, 16, 24, 32, 48, 64),
		build: func(s Setup, v values) (Policy, error) {
			return newHPA(s, v, signals.RequestsRunning, "running requests"), nil
		},
	}
}

func newHPA(s Setup, v values, m signals.Metric, noun string) *hpaOnMetric {
	return &hpaOnMetric{
		hpa: newController(s, v, v.duration("down-window")), metric: m, noun: noun,
		kind: v.choice("type"), target: milli(v.of("target")),
	}
}

// newController makes the HPA's controller. It cannot leave zero on metrics of engines that are not there, so that it
// keeps one replica.
func newController(s Setup, v values, down time.Duration) hpa {
	t := v.of("tolerance")
	h := hpa{low: max(1, s.Min), high: max(1, s.Max), tolerance: tolerance{down: t, up: t}, behavior: defaultBehavior()}
	h.behavior.up.window = v.duration("up-window")
	h.behavior.down.window = down
	return h
}

// Path implements Policy: the custom or external metrics API asks Prometheus at each sync.
func (p *hpaOnMetric) Path() Path {
	return Path{Interval: hpaSync, Scrape: 15 * time.Second, Lag: scrapeLag}
}

// Decide implements Policy.
func (p *hpaOnMetric) Decide(o Observation) scaling.Decision {
	d := begin(&o, prometheusStaleness)
	d.needPages(&o, prometheusStaleness)
	prop := p.propose(&o)
	d.step("metric", -1, "%s: %s", p.noun, prop.text)
	return p.decide(d, []proposal{prop})
}

func (p *hpaOnMetric) propose(o *Observation) proposal {
	if p.kind == typePods {
		read := func(r *signals.Reading) (float64, bool) { return r.Value(p.metric) }
		return p.tolerance.proposePods(sortPods(o, read), p.target, o.Desired)
	}
	sum, seen := total(o, p.metric, prometheusStaleness)
	switch {
	case seen == 0:
		return proposal{text: fmt.Sprintf("no replica reports %s", p.metric)}
	case p.kind == typeAverage:
		return p.tolerance.proposeAverage(milli(sum), p.target, existing(o))
	}
	return p.tolerance.proposeValue(milli(sum), p.target, o.Desired, o.Count(scaling.Ready))
}
