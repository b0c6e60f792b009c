package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// DefaultPath is how the production service sees its engines unless its flags say otherwise: a decision every 15 s on
// pages that it fetches itself every 5 s, which takes a moment, and one at once where its activator holds a request for a
// target without a replica.
func DefaultPath() baseline.Path {
	return baseline.Path{Interval: 15 * time.Second, Scrape: 5 * time.Second, Lag: 100 * time.Millisecond, Push: 100 * time.Millisecond}
}

// Preheat makes a policy of the production planner: what assemble makes of the spec, run by controlloop's Tick. The spec
// needs its defaults, as an API server or pkg/api/validation fills them; its mode is not asked, since nobody else scales
// in a replay. Forecasts have the step of the path's interval, as live.
func Preheat(ia *v1alpha1.InferenceAutoscaler, path baseline.Path) (baseline.Policy, error) {
	return PreheatWith(ia, path, func(*scaling.Config) {})
}

// PreheatWith is Preheat with a change to the planner's configuration that no spec can ask for: an ablation, such as
// forecast.Config's Only.
func PreheatWith(ia *v1alpha1.InferenceAutoscaler, path baseline.Path, change func(*scaling.Config)) (baseline.Policy, error) {
	planner, err := assemble.Planner(ia, assemble.Options{Interval: path.Interval, Fronted: true})
	if err != nil {
		return nil, fmt.Errorf("make the policy of %s: %w", ia.Name, err)
	}
	c := planner.Config()
	change(&c)
	if planner, err = scaling.NewPlanner(c); err != nil {
		return nil, fmt.Errorf("make a variant of the policy of %s: %w", ia.Name, err)
	}
	p := &preheat{path: path, targets: []controlloop.Target{{
		ID: controlloop.TargetID{Namespace: ia.Namespace, Name: ia.Name}, Subject: ia.Spec.ScaleTargetRef.Name, Planner: planner,
	}}}
	p.loop = controlloop.New(p, p, p, 1)
	return p, nil
}

// preheat holds one observation for the length of a tick, and takes what is decided on it.
type preheat struct {
	path    baseline.Path
	loop    *controlloop.Loop
	targets []controlloop.Target

	share   share
	seen    scaling.Observation
	decided scaling.Decision
}

// Path implements baseline.Policy.
func (p *preheat) Path() baseline.Path { return p.path }

// Decide implements baseline.Policy.
func (p *preheat) Decide(o baseline.Observation) scaling.Decision {
	p.seen = o.Observation
	p.seen.Front = scaling.Front{Time: o.Gateway.Time, Held: o.Gateway.Queued, Arrived: o.Gateway.Arrived}
	p.seen.Share = p.share.now()
	if err := p.loop.Tick(context.Background(), o.Time, p.targets); err != nil {
		panic(err) // neither Observe nor Actuate fails
	}
	p.share.put(&p.seen, p.decided)
	return p.decided
}

// Observe implements controlloop.Observer.
func (p *preheat) Observe(context.Context, controlloop.TargetID, time.Time) (scaling.Observation, error) {
	return p.seen, nil
}

// Actuate implements controlloop.Actuator: the cluster carries out what Decide returns.
func (p *preheat) Actuate(context.Context, controlloop.TargetID, scaling.Decision) error { return nil }

// Record implements controlloop.Recorder.
func (p *preheat) Record(_ context.Context, _ controlloop.TargetID, d scaling.Decision, _ error) {
	p.decided = d
}
