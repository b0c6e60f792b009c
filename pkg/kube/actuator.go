package kube

import (
	"context"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Actuator carries decisions out as the mode of the InferenceAutoscaler says: Advise writes nothing, Floor raises the
// minimum of another autoscaler, Own sets the replicas. It writes only while this process leads, spec.paused is false
// and nobody else scales the target. It is safe for concurrent use with different targets.
type Actuator struct {
	targets *Targets
	views   *views
	rivals  *rivals
	own     *own
	floor   *floor
	leader  Leader
	// timeout bounds what the API server may take to answer.
	timeout time.Duration
	// scaled is told of each write.
	scaled func(controlloop.TargetID, scaling.Decision)
}

// Actuate carries one decision out. A *Fault says why it was not; ErrMoved that the target just changed.
func (a *Actuator) Actuate(ctx context.Context, id controlloop.TargetID, d scaling.Decision) error {
	if !a.leader.IsLeader() {
		a.follow(id)
		return nil
	}
	autoscaler, ok := a.targets.Autoscaler(id)
	if !ok || !writes(autoscaler) || autoscaler.Spec.Paused {
		a.follow(id)
		return nil
	}
	seen, ok := a.views.of(id)
	if !ok || seen.read.target != targetOf(autoscaler) {
		return fmt.Errorf("actuate %s: %w", id, ErrMoved)
	}
	if err := a.rivals.check(autoscaler); err != nil {
		a.follow(id)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.write(ctx, autoscaler, seen, d)
}

// write hands the decision to its mode.
func (a *Actuator) write(ctx context.Context, autoscaler *v1alpha1.InferenceAutoscaler, seen view, d scaling.Decision) error {
	mode := a.floor.actuate
	if autoscaler.Spec.Mode == v1alpha1.ModeOwn {
		mode = a.own.actuate
	}
	wrote, err := mode(ctx, autoscaler, seen, d)
	if wrote {
		a.scaled(idOf(autoscaler), d)
	}
	return err
}

// follow forgets which numbers are our own: while this process does not write, others may do so by right.
func (a *Actuator) follow(id controlloop.TargetID) {
	a.own.follow(id)
	a.floor.follow(id)
}

// Sweep gives back the raised minimums that nobody asks for any more.
func (a *Actuator) Sweep(ctx context.Context) error {
	if !a.leader.IsLeader() || !a.targets.HasSynced() {
		return nil
	}
	return a.floor.sweep(ctx)
}
