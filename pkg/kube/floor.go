package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// floor raises the minimum of the autoscaler that scales a target in mode Floor, and gives it back.
type floor struct {
	targets       *Targets
	hpas          minimums
	scaledObjects minimums
	leader        Leader
	options       Options
	memory        perTarget[floored]
}

// floored is what is remembered of one target in mode Floor.
type floored struct {
	mu    sync.Mutex
	guard guard
	// name is the autoscaler that the rest is about.
	name string
	// base is the resource version that the last write was made from: an informer that still has it has not seen
	// the write yet.
	base string
}

// actuate raises or lowers the minimum to the decision, between what it was originally and the autoscaler's own
// maximum. It reports whether it wrote.
func (f *floor) actuate(ctx context.Context, a *v1alpha1.InferenceAutoscaler, v view, d scaling.Decision) (bool, error) {
	m, of, err := f.subject(targetOf(a))
	if err != nil {
		return false, err
	}
	if unknowing[d.Reason] {
		return false, nil
	}
	if v.read.replicas() == 0 {
		return false, nil // to its autoscaler this is paused, or waiting for its own wake-up
	}
	mem := f.memory.of(idOf(a))
	mem.mu.Lock()
	defer mem.mu.Unlock()
	if mem.base != "" && mem.base == m.resourceVersion {
		return false, nil
	}
	if err := f.respect(m, mem, d.Time); err != nil {
		return false, err
	}
	return f.set(ctx, m, of, mem, d.Replicas)
}

// unknowing are the reasons for which the present replicas are held for want of knowledge. That number is the other
// autoscaler's, which has rules of its own for missing data; made its minimum, it could only grow.
var unknowing = map[scaling.Reason]bool{
	scaling.CapacityUnknown: true, scaling.NoFreshData: true, scaling.PartialData: true, scaling.NoReadyReplica: true, scaling.WarmingUp: true,
}

// subject returns the autoscaler whose minimum is to be raised, and its kind's client: the ScaledObject where there is
// one, since it would put the minimum of its HorizontalPodAutoscaler back.
func (f *floor) subject(t scaleTarget) (minimum, minimums, error) {
	if all := f.scaledObjects.on(t); len(all) > 0 {
		return sole(all, f.scaledObjects, t)
	}
	all := f.hpas.on(t)
	if len(all) == 0 {
		return minimum{}, nil, &Fault{Reason: NoAutoscaler, Message: fmt.Sprintf(
			"mode Floor needs a %s or %s that scales %s, and there is none; create one, or set mode to Own", kindHPA, kindScaledObject, t)}
	}
	if all[0].derived != "" {
		return minimum{}, nil, &Fault{Reason: NoAutoscaler, Message: fmt.Sprintf(
			"%s belongs to %s %s, which cannot be read; check that its CRD serves %s and that the service account may list it",
			all[0], kindScaledObject, all[0].derived, scaledObjectResource.GroupVersion())}
	}
	return sole(all, f.hpas, t)
}

// sole returns the only minimum; several on one target are rivals of each other.
func sole(all []minimum, of minimums, t scaleTarget) (minimum, minimums, error) {
	if len(all) == 1 {
		return all[0], of, nil
	}
	var names []string
	for _, m := range all {
		names = append(names, m.String())
	}
	return minimum{}, nil, &Fault{Reason: RivalAutoscaler, Message: fmt.Sprintf(
		"%s all scale %s; delete all but one", strings.Join(names, ", "), t)}
}

// respect returns a conflict while a minimum that somebody else set is to stand. That can only be while Preheat's own
// is in place: before that, whatever the minimum is changed to is simply the original.
func (f *floor) respect(m minimum, mem *floored, now time.Time) error {
	if mem.name != m.String() {
		mem.guard, mem.name = guard{coolOff: f.options.CoolOff, most: f.options.MaxCoolOff}, m.String()
	}
	if ours, raised := m.floor(); raised && len(mem.guard.expected) == 0 {
		mem.guard.wrote(ours)
	}
	if len(mem.guard.expected) > 0 {
		mem.guard.observe(now, m.effective())
	}
	if !mem.guard.held(now) {
		return nil
	}
	return &Fault{Reason: ForeignWrite, Message: fmt.Sprintf(
		"somebody else set the minimum of %s to %d; it is respected until %s; stop that writer, or set mode to Advise or paused to true",
		m, m.effective(), mem.guard.heldUntil.UTC().Format(time.RFC3339))}
}

// set brings the minimum to the decision.
func (f *floor) set(ctx context.Context, m minimum, of minimums, mem *floored, replicas int32) (bool, error) {
	want := min(max(replicas, m.originalEffective()), max(m.maximum, m.originalEffective()))
	_, raised := m.floor()
	switch {
	case want == m.originalEffective() && !raised:
		return false, nil
	case want == m.originalEffective():
		return f.write(ctx, m, of, mem, want, restorePatch)
	case want == m.effective():
		return false, nil
	}
	return f.write(ctx, m, of, mem, want, func(m minimum, field string) ([]byte, error) { return raisePatch(m, field, want) })
}

// write patches the minimum, if this process may, on condition that nobody else wrote since it was seen.
func (f *floor) write(ctx context.Context, m minimum, of minimums, mem *floored, want int32, body func(minimum, string) ([]byte, error)) (bool, error) {
	patch, err := body(m, of.field())
	if err != nil {
		return false, fmt.Errorf("make patch of %s: %w", m, err)
	}
	if !f.leader.IsLeader() {
		return false, nil
	}
	_, err = of.patch(ctx, m, patch)
	switch {
	case err == nil:
		mem.base = m.resourceVersion
		mem.guard.wrote(want)
		return true, nil
	case apierrors.IsConflict(err):
		return false, fmt.Errorf("set minimum of %s: %w", m, ErrMoved)
	case !refused(err):
		mem.guard.attempted(want)
	}
	return false, writeFault(fmt.Sprintf("patch the minimum of %s to %d", m, want), err)
}

// sweep gives back each minimum that no InferenceAutoscaler in mode Floor asks to be raised any more: it was deleted,
// left the mode, or scales another target now, perhaps while no process of ours was running.
func (f *floor) sweep(ctx context.Context) error {
	var errs []error
	for _, of := range []minimums{f.hpas, f.scaledObjects} {
		for _, m := range of.raised() {
			if !f.wanted(m.target) {
				errs = append(errs, f.restore(ctx, m, of))
			}
		}
	}
	return errors.Join(errs...)
}

// wanted reports whether some InferenceAutoscaler is in mode Floor on the target. A paused or invalid one holds what it
// has raised.
func (f *floor) wanted(t scaleTarget) bool {
	for _, a := range f.targets.scaling(t) {
		if a.Spec.Mode == v1alpha1.ModeFloor {
			return true
		}
	}
	return false
}

// restore gives one minimum back. One that is gone, or that changed meanwhile, is left to the next sweep.
func (f *floor) restore(ctx context.Context, m minimum, of minimums) error {
	patch, err := restorePatch(m, of.field())
	if err != nil {
		return fmt.Errorf("make patch of %s: %w", m, err)
	}
	if !f.leader.IsLeader() {
		return nil
	}
	if _, err = of.patch(ctx, m, patch); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return writeFault(fmt.Sprintf("give the minimum of %s back", m), err)
	}
	return nil
}

// follow forgets what was written, since this process is not the one that writes now.
func (f *floor) follow(id controlloop.TargetID) {
	mem := f.memory.of(id)
	mem.mu.Lock()
	defer mem.mu.Unlock()
	mem.guard.forget()
	mem.base = ""
}
