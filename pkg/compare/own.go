package compare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// ownPolicy is one of Preheat's: the production planner under a spec, with something changed where it is an ablation.
type ownPolicy struct {
	Description
	ablate func(*scaling.Config)
	knobs  []baseline.Knob
}

// own lists Preheat's policies. It is a function so that no caller can change another's copy.
func own() []ownPolicy {
	both := []baseline.Knob{quantile([]float64{0.5, 0.7, 0.8, 0.9, 0.95, 0.99}), stabilization([]float64{60, 300})}
	only := func(forecaster string) func(*scaling.Config) {
		return func(c *scaling.Config) { c.Forecast.Only = forecaster }
	}
	return []ownPolicy{
		{
			Description{"preheat", "Preheat's planner: the code and the loop that run in production", "pkg/scaling"},
			func(*scaling.Config) {}, both,
		},
		{
			Description{"preheat-reactive", "the same without a forecast: present demand alone", "pkg/scaling, spec.forecast.disabled"},
			func(c *scaling.Config) { c.Forecast.Disabled = true },
			[]baseline.Knob{stabilization([]float64{0, 30, 60, 120, 180, 240, 300, 450, 600, 900, 1200, 1800})},
		},
		{
			Description{"preheat-last-value", "the same with the last value and its errors as the only forecast", "pkg/forecast"},
			only(forecast.LastValue), both,
		},
		{
			Description{"preheat-seasonal-naive", "the same with yesterday's value at that hour as the only forecast", "pkg/forecast"},
			only(forecast.SeasonalNaive), both,
		},
	}
}

func quantile(grid []float64) baseline.Knob {
	return baseline.Knob{
		Name: "quantile", Doc: "share of cases in which replicas should be enough for the demand that comes, at the least; 0: as the objective asks (spec.forecast.quantile)",
		Default: 0, Low: 0.5, High: 0.999, Grid: grid,
	}
}

func stabilization(grid []float64) baseline.Knob {
	return baseline.Knob{
		Name: "stabilization", Doc: "window in which scaling down takes the highest recommendation, in seconds (spec.behavior.scaleDown)",
		Default: 0, Low: 0, High: 3600, Grid: grid,
	}
}

// make returns the policy under a spec, which it changes.
func (p ownPolicy) make(ia *v1alpha1.InferenceAutoscaler, settings map[string]float64) (baseline.Policy, error) {
	for _, k := range p.knobs {
		if v, ok := settings[k.Name]; ok {
			apply(ia, k, v)
		}
	}
	if err := p.knows(settings); err != nil {
		return nil, err
	}
	policy, err := replay.PreheatWith(ia, replay.DefaultPath(), p.ablate)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	return policy, nil
}

// apply sets the field of the spec that a knob stands for.
func apply(ia *v1alpha1.InferenceAutoscaler, k baseline.Knob, v float64) {
	switch k.Name {
	case "quantile":
		ia.Spec.Forecast.Quantile = percent(v)
	case "stabilization":
		ia.Spec.Behavior.ScaleDown.StabilizationWindowSeconds = new(int32(v))
	}
}

// knows reports the first setting that is no knob of the policy, or has a value that it does not take.
func (p ownPolicy) knows(settings map[string]float64) error {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		v := settings[name]
		i := slices.IndexFunc(p.knobs, func(k baseline.Knob) bool { return k.Name == name })
		if i < 0 {
			return fmt.Errorf("policy %s: no setting %q", p.Name, name)
		}
		if k := p.knobs[i]; !(v >= k.Low && v <= k.High) {
			return fmt.Errorf("policy %s: setting %s is %v, must be from %v to %v", p.Name, name, v, k.Low, k.High)
		}
	}
	return nil
}

// Knobs returns what tuning varies of a policy, nil where there is nothing.
func Knobs(policy string) []baseline.Knob {
	return slices.DeleteFunc(AllKnobs(policy), func(k baseline.Knob) bool { return len(k.Grid) == 0 })
}

// AllKnobs returns every number of a policy that can be set, nil where there is none.
func AllKnobs(policy string) []baseline.Knob {
	for _, p := range own() {
		if p.Name == policy {
			return p.knobs
		}
	}
	return baseline.AllKnobs(policy)
}
