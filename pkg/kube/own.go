package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// own sets the replicas of targets in mode Own.
type own struct {
	scales   *scales
	managers *managers
	leader   Leader
	options  Options
	crew     *crew
	memory   perTarget[owned]
}

// owned is what is remembered of one target in mode Own.
type owned struct {
	mu    sync.Mutex
	guard guard
	// by is who set the number that is respected, for messages.
	by string
	// zeroByOther is set while zero replicas stand that somebody else asked for: paused until they ask for one.
	zeroByOther bool
}

// actuate writes the decision, unless somebody else's number is to be respected. It reports whether it wrote.
func (o *own) actuate(ctx context.Context, a *v1alpha1.InferenceAutoscaler, v view, d scaling.Decision) (bool, error) {
	mem := o.memory.of(idOf(a))
	mem.mu.Lock()
	defer mem.mu.Unlock()
	if err := o.respect(ctx, a, v, mem, d.Time); err != nil {
		return false, errors.Join(err, o.crew.handBack(ctx, a, v, laneDraining))
	}
	if mem.zeroByOther || !o.leader.IsLeader() {
		return false, nil
	}
	s, failed := o.crew.carryOut(ctx, a, v, d)
	if s.replicas == v.read.replicas() || !o.leader.IsLeader() {
		return s.moved, failed
	}
	wrote, err := o.write(ctx, v.read, mem, s.replicas)
	if wrote {
		o.crew.written(a, s, d.Time)
	}
	return wrote || s.moved, errors.Join(err, failed)
}

// respect returns a conflict while a number that somebody else set is to stand.
func (o *own) respect(ctx context.Context, a *v1alpha1.InferenceAutoscaler, v view, mem *owned, now time.Time) error {
	replicas := v.read.replicas()
	first := len(mem.guard.expected) == 0
	if first {
		o.recall(ctx, a, v, mem, now)
	}
	wasZero := mem.zeroByOther
	if mem.guard.observe(now, replicas) {
		mem.by = o.who(ctx, v.read)
		mem.zeroByOther = replicas == 0
		if wasZero || mem.zeroByOther {
			mem.guard.resume() // zero stands until it is changed, and changing it back is the word to go on
		}
	}
	if !mem.guard.held(now) {
		return nil
	}
	return &Fault{Reason: ForeignWrite, Message: fmt.Sprintf(
		"%s set %s to %d replicas; they are respected until %s, then Preheat scales again; stop that writer, or set mode to Advise or paused to true",
		mem.by, v.read.target, replicas, mem.guard.heldUntil.UTC().Format(time.RFC3339))}
}

// recall sets up the memory of a target that this process has not written yet, from what the one before it left in the
// status: a number that was being respected still is, and zero replicas are ours only where we are known to have asked
// for them.
func (o *own) recall(ctx context.Context, a *v1alpha1.InferenceAutoscaler, v view, mem *owned, now time.Time) {
	mem.guard.coolOff, mem.guard.most = o.options.CoolOff, o.options.MaxCoolOff
	mem.zeroByOther = v.read.replicas() == 0 && !o.isOurs(ctx, v.read)
	c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionConflict)
	if c == nil || c.Status != "True" || c.Reason != string(ForeignWrite) || mem.guard.held(now) {
		return
	}
	if until := c.LastTransitionTime.Add(o.options.CoolOff); now.Before(until) {
		mem.guard.heldUntil, mem.guard.repeats = until, 1
		mem.by = o.who(ctx, v.read)
	}
}

// who names the writer of the replicas for a message.
func (o *own) who(ctx context.Context, r scaleRead) string {
	name, err := o.managers.replicasOf(ctx, r)
	if err != nil || name == "" {
		return "somebody else"
	}
	return fmt.Sprintf("field manager %q", name)
}

// isOurs reports whether the replicas are known to have been set by Preheat.
func (o *own) isOurs(ctx context.Context, r scaleRead) bool {
	name, err := o.managers.replicasOf(ctx, r)
	return err == nil && name == o.options.FieldManager
}

// write updates the scale as it was read by the Observer. Where the object changed since then it is read once more, and
// written only if the replicas are still those that the decision was based on: much of an object's change is its
// status.
func (o *own) write(ctx context.Context, r scaleRead, mem *owned, replicas int32) (bool, error) {
	err := o.scales.write(ctx, r, replicas)
	if apierrors.IsConflict(err) {
		again, readErr := o.scales.read(ctx, r.target, r.readAt)
		switch {
		case readErr != nil:
			return false, readErr
		case again.replicas() != r.replicas() || again.scale.UID != r.scale.UID:
			return false, fmt.Errorf("scale %s: %w", r.target, ErrMoved)
		case !o.leader.IsLeader():
			return false, nil
		}
		err = o.scales.write(ctx, again, replicas)
	}
	return o.settle(r, mem, replicas, err)
}

// settle remembers what came of a write.
func (o *own) settle(r scaleRead, mem *owned, replicas int32, err error) (bool, error) {
	switch {
	case err == nil:
		mem.guard.wrote(replicas)
		return true, nil
	case apierrors.IsConflict(err):
		return false, fmt.Errorf("scale %s: %w", r.target, ErrMoved)
	case !refused(err):
		mem.guard.attempted(replicas)
	}
	return false, writeFault(fmt.Sprintf("set %s to %d replicas", r.target, replicas), err)
}

// refused reports whether an error of the API server says for certain that nothing was written.
func refused(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500
}

// writeFault explains why something could not be written.
func writeFault(what string, err error) error {
	if apierrors.IsForbidden(err) {
		return &Fault{Reason: WriteFailed, Message: fmt.Sprintf("not allowed to %s; grant the service account the right named here", what), Err: err}
	}
	return &Fault{Reason: WriteFailed, Message: fmt.Sprintf("could not %s; it is tried again each tick", what), Err: err}
}

// follow forgets what was written, since this process is not the one that writes now.
func (o *own) follow(id controlloop.TargetID) {
	mem := o.memory.of(id)
	mem.mu.Lock()
	defer mem.mu.Unlock()
	mem.guard.forget()
}
