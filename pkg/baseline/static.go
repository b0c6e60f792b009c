package baseline

import (
	"errors"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// static keeps one number of replicas, the bound of what no autoscaling costs.
type static struct {
	replicas, low, high int32
	text                string
}

// staticKnobs has one knob, the factor on the number known beforehand.
func staticKnobs() []Knob {
	return []Knob{
		number("factor", 1, 0.05, 20, "factor on the replicas known to be needed").
			tuned(0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 2),
		number("replicas", 0, 0, 1e6, "number of replicas; 0 takes what is known of the load"),
	}
}

// staticPeak keeps what the highest load needs.
func staticPeak() maker {
	return maker{name: "static-peak", knobs: staticKnobs(), build: func(s Setup, v values) (Policy, error) {
		return newStatic(s, v, s.Load.PeakReplicas, s.Load.Peak, "peak")
	}}
}

// staticMean keeps what the mean load needs.
func staticMean() maker {
	return maker{name: "static-mean", knobs: staticKnobs(), build: func(s Setup, v values) (Policy, error) {
		return newStatic(s, v, s.Load.MeanReplicas, s.Load.Mean, "mean")
	}}
}

func newStatic(s Setup, v values, known int32, rate float64, of string) (Policy, error) {
	needed := float64(known)
	switch {
	case v.of("replicas") > 0:
		needed = v.of("replicas")
	case known > 0:
	case rate > 0 && s.Engine.Sustainable != nil:
		capacity := s.Engine.Sustainable(s.Load.Mix, s.SLO)
		if !(capacity > 0) {
			return nil, errors.New("one replica sustains nothing within the objective: give the setting replicas")
		}
		needed = rate / capacity
	default:
		return nil, errors.New("nothing is known of the load: give the setting replicas, or the " + of + " of the load and the engine's profile")
	}
	return &static{
		replicas: ceil(needed * v.of("factor")), low: s.Min, high: s.Max,
		text: "what the " + of + " of the load needs",
	}, nil
}

// Path implements Policy: nothing is looked at, once a minute.
func (p *static) Path() Path { return Path{Interval: time.Minute} }

// Decide implements Policy.
func (p *static) Decide(o Observation) scaling.Decision {
	d := begin(&o, 0)
	d.step("static", p.replicas, "%s, %s", count(p.replicas), p.text)
	return d.bound(p.replicas, p.low, p.high, scaling.DemandMet)
}
