package kube

import (
	"fmt"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// rivals finds who else scales a target.
type rivals struct {
	targets       *Targets
	views         *views
	hpas          minimums
	scaledObjects minimums
}

// check returns a conflict where an InferenceAutoscaler must not write because of somebody else, nil where nobody is.
func (r *rivals) check(a *v1alpha1.InferenceAutoscaler) error {
	if older := r.older(a); older != nil {
		return &Fault{Reason: RivalAutoscaler, Message: fmt.Sprintf(
			"InferenceAutoscaler %s (mode %s) is older and scales %s too; delete one of them or set this one's mode to Advise",
			idOf(older), older.Spec.Mode, targetOf(a))}
	}
	if a.Spec.Mode == v1alpha1.ModeOwn {
		if names := r.autoscalersOn(targetOf(a)); len(names) > 0 {
			return &Fault{Reason: RivalAutoscaler, Message: fmt.Sprintf(
				"%s scales %s too; delete it, or set mode to Floor (raise its minimum) or Advise (write nothing)",
				strings.Join(names, " and "), targetOf(a))}
		}
	}
	if other, n := r.views.sharer(idOf(a)); n > 0 {
		return &Fault{Reason: SharedPods, Message: fmt.Sprintf(
			"%d pods of %s are also selected by %s; make their selectors disjoint", n, targetOf(a), other)}
	}
	return nil
}

// older returns the InferenceAutoscaler that has the first right to the same target, nil where that is this one. A
// paused one keeps its right: pausing must not hand the target to another.
func (r *rivals) older(a *v1alpha1.InferenceAutoscaler) *v1alpha1.InferenceAutoscaler {
	first := a
	for _, b := range r.targets.scaling(targetOf(a)) {
		if writes(b) && precedes(b, first) {
			first = b
		}
	}
	if first == a {
		return nil
	}
	return first
}

// writes reports whether the mode changes anything outside of the InferenceAutoscaler.
func writes(a *v1alpha1.InferenceAutoscaler) bool {
	return a.Spec.Mode == v1alpha1.ModeOwn || a.Spec.Mode == v1alpha1.ModeFloor
}

// precedes reports whether b was made before a; of two made in the same second, the one first by name was.
func precedes(b, a *v1alpha1.InferenceAutoscaler) bool {
	if b.CreationTimestamp.Equal(&a.CreationTimestamp) {
		return compareIDs(idOf(b), idOf(a)) < 0
	}
	return b.CreationTimestamp.Before(&a.CreationTimestamp)
}

// autoscalersOn names the autoscalers of others on a target; a HorizontalPodAutoscaler that a ScaledObject made is
// named by the latter, which is the one to delete.
func (r *rivals) autoscalersOn(t scaleTarget) []string {
	var names []string
	for _, m := range r.scaledObjects.on(t) {
		names = append(names, m.String())
	}
	keda := len(names) > 0
	for _, m := range r.hpas.on(t) {
		switch {
		case m.derived == "":
			names = append(names, m.String())
		case !keda:
			names = append(names, fmt.Sprintf("%s %s/%s", kindScaledObject, m.namespace, m.derived))
		}
	}
	return names
}
