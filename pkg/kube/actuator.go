package kube

import (
	"context"
	"errors"
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
	autoscaler, ok := a.targets.Autoscaler(id)
	if !a.leader.IsLeader() || !ok {
		a.follow(id)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	seen, ok := a.views.of(id)
	ok = ok && seen.read.target == targetOf(autoscaler)
	if !writes(autoscaler) || autoscaler.Spec.Paused {
		a.follow(id)
		if !ok {
			return nil
		}
		return a.rest(ctx, autoscaler, seen)
	}
	if !ok {
		return fmt.Errorf("actuate %s: %w", id, ErrMoved)
	}
	if err := a.rivals.check(autoscaler); err != nil {
		a.follow(id)
		return errors.Join(err, a.own.crew.handBack(ctx, autoscaler, seen, heldLanes...))
	}
	return a.write(ctx, autoscaler, seen, d)
}

// rest looks after the pods of a target that is not scaled: paused, they stay what they are; else all of them are to serve.
func (a *Actuator) rest(ctx context.Context, autoscaler *v1alpha1.InferenceAutoscaler, seen view) error {
	if autoscaler.Spec.Paused {
		return a.own.crew.handBack(ctx, autoscaler, seen)
	}
	return a.own.crew.handBack(ctx, autoscaler, seen, heldLanes...)
}

// write hands the decision to its mode.
func (a *Actuator) write(ctx context.Context, autoscaler *v1alpha1.InferenceAutoscaler, seen view, d scaling.Decision) error {
	var wrote bool
	var err error
	if autoscaler.Spec.Mode == v1alpha1.ModeOwn {
		wrote, err = a.own.actuate(ctx, autoscaler, seen, d)
	} else {
		wrote, err = a.floor.actuate(ctx, autoscaler, seen, d)
		err = errors.Join(err, a.own.crew.handBack(ctx, autoscaler, seen, heldLanes...))
	}
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

// Sweep gives back what nobody asks for any more: raised minimums, and pods that are kept from serving.
func (a *Actuator) Sweep(ctx context.Context) error {
	if !a.leader.IsLeader() || !a.targets.HasSynced() {
		return nil
	}
	return errors.Join(a.floor.sweep(ctx), a.orphans(ctx))
}
