package kube

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// PlannerFunc builds the planner of a spec, or says every reason why it cannot.
type PlannerFunc func(*v1alpha1.InferenceAutoscaler) (*scaling.Planner, error)

// Targets is the list of what is to be scaled, kept by an informer of InferenceAutoscalers. A planner is built anew only
// where a spec changed. It is safe for concurrent use.
type Targets struct {
	// synced reports whether the informer's handler has been told of all that existed at the start.
	synced cache.InformerSynced
	plan   PlannerFunc
	// gone is told of each target that was deleted.
	gone []func(controlloop.TargetID)
	// invalid is told of each target without a planner, each time the list is made.
	invalid func(controlloop.TargetID, error)

	mu  sync.Mutex
	all map[controlloop.TargetID]entry
	// by finds the InferenceAutoscalers of a scale target, so that looking for rivals is not quadratic.
	by map[scaleTarget][]controlloop.TargetID
}

// entry is one InferenceAutoscaler with its planner, or the reason why it has none.
type entry struct {
	autoscaler *v1alpha1.InferenceAutoscaler
	planner    *scaling.Planner
	err        error
}

// newTargets returns the list that an informer of InferenceAutoscalers keeps up to date.
func newTargets(informer cache.SharedIndexInformer, plan PlannerFunc) (*Targets, error) {
	t := &Targets{
		plan:    plan,
		invalid: func(controlloop.TargetID, error) {},
		all:     map[controlloop.TargetID]entry{},
		by:      map[scaleTarget][]controlloop.TargetID{},
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { t.put(obj) },
		UpdateFunc: func(_, obj any) { t.put(obj) },
		DeleteFunc: t.drop,
	})
	if err != nil {
		return nil, fmt.Errorf("watch InferenceAutoscalers: %w", err)
	}
	t.synced = handler.HasSynced
	return t, nil
}

// idOf returns the identity of an InferenceAutoscaler.
func idOf(a *v1alpha1.InferenceAutoscaler) controlloop.TargetID {
	return controlloop.TargetID{Namespace: a.Namespace, Name: a.Name}
}

// targetOf returns what an InferenceAutoscaler scales.
func targetOf(a *v1alpha1.InferenceAutoscaler) scaleTarget {
	ref := a.Spec.ScaleTargetRef
	return newScaleTarget(a.Namespace, ref.APIVersion, ref.Kind, ref.Name)
}

// put takes over an InferenceAutoscaler as it is now.
func (t *Targets) put(obj any) {
	a, ok := obj.(*v1alpha1.InferenceAutoscaler)
	if !ok {
		return
	}
	a = a.DeepCopy()
	a.SetDefaults()
	t.mu.Lock()
	old, known := t.all[idOf(a)]
	t.mu.Unlock()
	next := entry{autoscaler: a, planner: old.planner, err: old.err}
	if !known || old.autoscaler.UID != a.UID || !equality.Semantic.DeepEqual(old.autoscaler.Spec, a.Spec) {
		next.planner, next.err = t.plan(a)
	}
	if known && (old.autoscaler.UID != a.UID || targetOf(old.autoscaler) != targetOf(a)) {
		t.forget(idOf(a))
	}
	t.replace(next)
}

// replace stores an entry and keeps the index by scale target.
func (t *Targets) replace(next entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := idOf(next.autoscaler)
	t.unindex(id)
	t.all[id] = next
	target := targetOf(next.autoscaler)
	t.by[target] = append(t.by[target], id)
}

// unindex takes a target out of the index by scale target; the caller holds the lock.
func (t *Targets) unindex(id controlloop.TargetID) {
	old, ok := t.all[id]
	if !ok {
		return
	}
	target := targetOf(old.autoscaler)
	rest := slices.DeleteFunc(t.by[target], func(other controlloop.TargetID) bool { return other == id })
	if len(rest) == 0 {
		delete(t.by, target)
		return
	}
	t.by[target] = rest
}

// drop removes a deleted InferenceAutoscaler.
func (t *Targets) drop(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return
	}
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return
	}
	id := controlloop.TargetID{Namespace: namespace, Name: name}
	t.mu.Lock()
	t.unindex(id)
	delete(t.all, id)
	t.mu.Unlock()
	t.forget(id)
}

// forget tells whoever remembers something of a target that it is gone, or is now another one.
func (t *Targets) forget(id controlloop.TargetID) {
	for _, f := range t.gone {
		f(id)
	}
}

// List returns the targets that can be planned for, by namespace and name. The others are reported with condition
// Ready=False, reason InvalidSpec, and nothing is scaled for them.
func (t *Targets) List() []controlloop.Target {
	var list []controlloop.Target
	for _, e := range t.list() {
		id := idOf(e.autoscaler)
		if e.err != nil {
			t.invalid(id, &Fault{Reason: InvalidSpec, Message: "the spec cannot be planned with, nothing is scaled; correct it", Err: e.err})
			continue
		}
		list = append(list, e.target())
	}
	return list
}

// target is what the control loop is to decide on.
func (e entry) target() controlloop.Target {
	return controlloop.Target{
		ID: idOf(e.autoscaler), UID: string(e.autoscaler.UID), Subject: targetOf(e.autoscaler).key(), Planner: e.planner,
	}
}

// Target returns one target, false where there is none or it cannot be planned for.
func (t *Targets) Target(id controlloop.TargetID) (controlloop.Target, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.all[id]
	if !ok || e.err != nil {
		return controlloop.Target{}, false
	}
	return e.target(), true
}

func compareIDs(a, b controlloop.TargetID) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// list returns a copy of all entries by namespace and name, so that nobody is called under the lock.
func (t *Targets) list() []entry {
	t.mu.Lock()
	all := make([]entry, 0, len(t.all))
	for _, e := range t.all {
		all = append(all, e)
	}
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b entry) int { return compareIDs(idOf(a.autoscaler), idOf(b.autoscaler)) })
	return all
}

// Autoscaler returns the InferenceAutoscaler of a target, with defaults; it must not be changed.
func (t *Targets) Autoscaler(id controlloop.TargetID) (*v1alpha1.InferenceAutoscaler, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.all[id]
	return e.autoscaler, ok
}

// scaling returns the InferenceAutoscalers of a scale target, valid or not, in any mode and order.
func (t *Targets) scaling(target scaleTarget) []*v1alpha1.InferenceAutoscaler {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []*v1alpha1.InferenceAutoscaler
	for _, id := range t.by[target] {
		found = append(found, t.all[id].autoscaler)
	}
	return found
}

// HasSynced reports whether every InferenceAutoscaler that existed at the start is in the list. The informer has them
// sooner: what is not in the list yet would look like one that is gone.
func (t *Targets) HasSynced() bool { return t.synced() }
