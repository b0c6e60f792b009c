package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

// farm is a world with the pods of Deployment ml/vllm, on an API server that keeps their versions, with the parts of the
// cluster that act on them: the kubelet's readiness, and the ReplicaSet controller or one that goes by ordinal. Time is told.
type farm struct {
	*world
	now  time.Time
	made int
	// gated says that new pods have the readiness gate; ordinal that the highest ordinal is deleted first.
	gated, ordinal bool
	// flight is how many requests each pod holds, by name; a pod that is absent tells nothing. finished counts those done.
	flight   map[string]float64
	finished map[string]float64
	// blind keeps the informer from hearing of changes.
	blind bool
	// deleted are the pods that were deleted to meet a lower number, in order; evicted those that were asked to be.
	deleted, evicted []string
}

func newFarm(t testing.TB, replicas int, gated bool) *farm {
	w := newWorld(t)
	t.Cleanup(w.gates.queue.ShutDown)
	w.deployment("vllm", int32(replicas))
	w.autoscaler("vllm", nil)
	f := &farm{world: w, now: t0.Add(10 * time.Minute), gated: gated, flight: map[string]float64{}, finished: map[string]float64{}}
	w.Observer.readings = f
	w.Actuator.own.crew.now = func() time.Time { return f.now }
	w.gates.now = func() time.Time { return f.now }
	w.core.PrependReactor("patch", "pods", f.patch)
	w.core.PrependReactor("create", "pods", f.evict)
	for range replicas {
		f.flight[f.add().Name] = 0
	}
	f.live()
	return f
}

// Latest implements Readings: every pod was read a second ago.
func (f *farm) Latest(id store.PodID) (*signals.Reading, bool) {
	n, ok := f.flight[id.Name]
	if !ok {
		return nil, false
	}
	r := &signals.Reading{Time: f.now.Add(-time.Second)}
	r.Set(signals.RequestsRunning, n)
	r.Set(signals.RequestsWaiting, 0)
	r.Set(signals.RequestsFinished, f.finished[id.Name])
	return r, true
}

func (f *farm) Lacking(store.PodID) error { return nil }

func (f *farm) Problem(store.PodID) (time.Time, error) { return time.Time{}, nil }

// add makes a pod that is loaded.
func (f *farm) add() *corev1.Pod {
	p := readyPod(fmt.Sprintf("vllm-%d", f.made))
	f.made++
	p.ResourceVersion, p.Spec.NodeName = "10", "n"
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
		Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(t0.Add(time.Minute)),
	})
	if f.gated {
		p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: v1alpha1.ServingGate}}
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
			Type: v1alpha1.ServingGate, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(t0),
		})
	}
	f.must(f.core.Tracker().Add(p))
	f.tell(p)
	return p
}

// load makes a pod that is on its way: pending, or running and not ready yet.
func (f *farm) load(running bool) *corev1.Pod {
	p := f.add()
	f.change(p.Name, func(p *corev1.Pod) {
		p.CreationTimestamp = metav1.NewTime(f.now)
		for i, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
				p.Status.Conditions[i].Status, p.Status.Conditions[i].LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(f.now)
			}
			if c.Type == v1alpha1.ServingGate {
				p.Status.Conditions[i].Status = corev1.ConditionUnknown
			}
		}
		p.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(f.now)
		if !running {
			p.Status.Phase, p.Status.ContainerStatuses = corev1.PodPending, nil
		}
	})
	f.births.forget(p.UID) // wakes may end meanwhile, and look at it too
	f.births.see(f.get(p.Name))
	return f.get(p.Name)
}

// loaded makes a pod's containers ready.
func (f *farm) loaded(name string) {
	f.change(name, func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		if p.Status.ContainerStatuses == nil {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "engine", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(f.now)}}}}
		}
		setCondition(p, corev1.ContainersReady, true, f.now)
	})
	f.flight[name] = 0
}

func setCondition(p *corev1.Pod, kind corev1.PodConditionType, is bool, at time.Time) {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	for i, c := range p.Status.Conditions {
		if c.Type == kind {
			if c.Status != status {
				p.Status.Conditions[i].Status, p.Status.Conditions[i].LastTransitionTime = status, metav1.NewTime(at)
			}
			return
		}
	}
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(at)})
}

func (f *farm) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *farm) get(name string) *corev1.Pod {
	f.t.Helper()
	obj, err := f.core.Tracker().Get(podResource, "ml", name)
	f.must(err)
	return obj.(*corev1.Pod)
}

// pods returns those that exist, by the order in which they were made.
func (f *farm) all() []*corev1.Pod {
	obj, err := f.core.Tracker().List(podResource, corev1.SchemeGroupVersion.WithKind("Pod"), "ml")
	f.must(err)
	var all []*corev1.Pod
	for i := range obj.(*corev1.PodList).Items {
		all = append(all, &obj.(*corev1.PodList).Items[i])
	}
	slices.SortFunc(all, func(a, b *corev1.Pod) int { return ordinalOf(a) - ordinalOf(b) })
	return all
}

func (f *farm) names(in lane) string {
	var names []string
	for _, p := range f.all() {
		if laneOf(p) == in {
			names = append(names, strings.TrimPrefix(p.Name, "vllm-"))
		}
	}
	return strings.Join(names, " ")
}

// change is what a part of the cluster does to a pod.
func (f *farm) change(name string, change func(*corev1.Pod)) {
	f.t.Helper()
	p := f.get(name).DeepCopy()
	before := p.DeepCopy()
	change(p)
	if equality.Semantic.DeepEqual(before, p) {
		return
	}
	p.ResourceVersion = bump(p.ResourceVersion)
	f.must(f.core.Tracker().Update(podResource, p, "ml"))
	f.tell(p)
}

// tell lets the informer hear of a pod.
func (f *farm) tell(p *corev1.Pod) {
	if f.blind {
		return
	}
	obj, err := StripPod(p)
	f.must(err)
	f.must(f.PodInformer.GetIndexer().Add(obj))
	f.seePod(obj)
}

func (f *farm) remove(name string) {
	p := f.get(name)
	f.must(f.core.Tracker().Delete(podResource, "ml", name))
	f.must(f.PodInformer.GetIndexer().Delete(p))
	f.births.forget(p.UID)
	f.Actuator.own.crew.forget(p.UID)
	delete(f.flight, name)
}

// patch is the API server's part of a patch of a pod's status.
func (f *farm) patch(action clienttesting.Action) (bool, runtime.Object, error) {
	a := action.(clienttesting.PatchAction)
	obj, err := f.core.Tracker().Get(podResource, a.GetNamespace(), a.GetName())
	if err != nil {
		return true, nil, err
	}
	var body struct {
		Metadata struct {
			UID             types.UID `json:"uid"`
			ResourceVersion string    `json:"resourceVersion"`
		} `json:"metadata"`
	}
	was := obj.(*corev1.Pod)
	if err := json.Unmarshal(a.GetPatch(), &body); err != nil || a.GetSubresource() != "status" {
		return true, nil, apierrors.NewBadRequest("not a patch of a status")
	}
	if body.Metadata.UID != was.UID || body.Metadata.ResourceVersion != was.ResourceVersion {
		return true, nil, apierrors.NewConflict(podResource.GroupResource(), a.GetName(), errors.New("stale"))
	}
	old, err := json.Marshal(was)
	f.must(err)
	merged, err := strategicpatch.StrategicMergePatch(old, a.GetPatch(), corev1.Pod{})
	f.must(err)
	next := &corev1.Pod{}
	f.must(json.Unmarshal(merged, next))
	next.ResourceVersion = bump(was.ResourceVersion)
	f.must(f.core.Tracker().Update(podResource, next, a.GetNamespace()))
	f.tell(next)
	return true, next, nil
}

func (f *farm) evict(action clienttesting.Action) (bool, runtime.Object, error) {
	a, ok := action.(clienttesting.CreateAction)
	if !ok || a.GetSubresource() != "eviction" {
		return false, nil, nil
	}
	f.evicted = append(f.evicted, a.GetObject().(*policyv1.Eviction).Name)
	return true, nil, nil
}

// live lets the kubelet and the controller of the pods catch up.
func (f *farm) live() {
	for f.gates.queue.Len() > 0 {
		f.gates.next(context.Background())
	}
	f.kubelet()
	pods := f.all()
	wanted := int(f.scales.replicas("ml/vllm"))
	for len(pods) > wanted {
		victim := slices.MinFunc(pods, f.deletedFirst)
		f.deleted = append(f.deleted, victim.Name)
		f.remove(victim.Name)
		pods = f.all()
	}
	for range wanted - len(pods) {
		f.load(true)
	}
}

// kubelet makes pods ready whose containers are and whose gates are open.
func (f *farm) kubelet() {
	for _, p := range f.all() {
		f.change(p.Name, func(p *corev1.Pod) {
			_, ready := conditionTrueSince(p, corev1.ContainersReady)
			setCondition(p, corev1.PodReady, ready && (!gated(p) || gateOpen(p)), f.now)
		})
	}
}

// byOrdinal makes the pods those of a StatefulSet.
func (f *farm) byOrdinal() {
	f.ordinal = true
	for _, p := range f.all() {
		f.change(p.Name, func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", UID: "s", Controller: new(true)}}
		})
	}
}

// forgetLeader forgets what only the process that led knew, but for readings.
func (f *farm) forgetLeader() {
	l := f.Actuator.own.crew.ledgers.of(vllm)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.reserved = nil, scaling.Warm{}
}

// deletedFirst is the order of the ReplicaSet controller, or that of ordinals.
func (f *farm) deletedFirst(a, b *corev1.Pod) int {
	if f.ordinal {
		return ordinalOf(b) - ordinalOf(a)
	}
	less := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case b:
			return -1
		}
		return 1
	}
	ready := func(p *corev1.Pod) bool { _, is := conditionTrueSince(p, corev1.PodReady); return is }
	cost := func(p *corev1.Pod) int {
		var n int
		if text, ok := p.Annotations[costAnnotation]; ok {
			if _, err := fmt.Sscan(text, &n); err != nil {
				f.t.Fatal(err)
			}
		}
		return n
	}
	for _, order := range []int{
		less(a.Spec.NodeName != "", b.Spec.NodeName != ""), less(a.Status.Phase != corev1.PodPending, b.Status.Phase != corev1.PodPending),
		less(ready(a), ready(b)), cost(a) - cost(b), rand.IntN(2)*2 - 1, // what comes then is nothing to rely on
	} {
		if order != 0 {
			return order
		}
	}
	return 0
}

// run lets some time pass in which nothing is decided.
func (f *farm) run(d time.Duration) {
	f.now = f.now.Add(d)
	f.live()
}

// decide observes, and carries out a decision; the cluster then follows.
func (f *farm) decides(serving int32, warm scaling.Warm) error {
	f.t.Helper()
	obs, err := f.Observer.Observe(context.Background(), vllm, f.now)
	f.must(err)
	d := scaling.Decision{Time: f.now, Current: obs.Desired, Replicas: serving, Warm: warm, Reason: scaling.DemandMet}
	err = f.Actuator.Actuate(context.Background(), vllm, d)
	f.Recorder.Record(context.Background(), vllm, d, err)
	f.live()
	return err
}

func (f *farm) wants(serving int32) {
	f.t.Helper()
	f.must(f.decides(serving, scaling.Warm{}))
}

func (f *farm) desired() int32 {
	f.t.Helper()
	obs, err := f.Observer.Observe(context.Background(), vllm, f.now)
	f.must(err)
	return obs.Desired
}

// wantLanes checks which pods serve, are drained, stand by and sleep, and how many are asked for.
func (f *farm) wantLanes(replicas int32, lanes map[lane]string) {
	f.t.Helper()
	f.wantReplicas(replicas)
	for _, in := range []lane{laneServing, laneDraining, laneStandby, laneAsleep, laneWaking} {
		if got := f.names(in); got != lanes[in] {
			f.t.Errorf("lane %q has pods %q, want %q", in, got, lanes[in])
		}
	}
}

// readingWith is a reading of an engine that says how many are awake.
func readingWith(at time.Time, awake float64) *signals.Reading {
	r := &signals.Reading{Time: at}
	r.Set(signals.EnginesAwake, awake)
	return r
}
