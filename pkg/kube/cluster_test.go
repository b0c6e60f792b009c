package kube

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// startedWorld is a world whose informers run, against fake API servers.
func startedWorld(t *testing.T) (*world, *fcache.FakeControllerSource) {
	t.Helper()
	w := newWorld(t)
	source := fcache.NewFakeControllerSource()
	clients := w.clients()
	clients.AutoscalerInformer = cache.NewSharedIndexInformer(lists(source), &v1alpha1.InferenceAutoscaler{}, 0, cache.Indexers{})
	options := DefaultOptions()
	options.SweepPeriod = 20 * time.Millisecond
	cluster, err := New(clients, Ports{Plan: w.plan, Readings: noReadings{}, Leader: w.leader, Log: slog.New(slog.DiscardHandler)}, options)
	if err != nil {
		t.Fatal(err)
	}
	w.Cluster = cluster
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := cluster.WaitForSync(wait); err != nil {
		t.Fatal(err)
	}
	return w, source
}

// lists lets an informer read a fake source, which has no streaming lists, as the fake client says of itself.
func lists(source *fcache.FakeControllerSource) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) { return source.List(o) },
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) { return source.Watch(o) },
	}, fake.NewSimpleClientset())
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 500 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 5 s: %s", what)
}

func (w *world) create(a *v1alpha1.InferenceAutoscaler, source *fcache.FakeControllerSource) {
	w.autoscalers.mu.Lock()
	w.autoscalers.all[idOf(a)] = a.DeepCopy()
	w.autoscalers.mu.Unlock()
	source.Add(a)
	eventually(w.t, "the informer sees the InferenceAutoscaler", func() bool { _, ok := w.Targets.Autoscaler(idOf(a)); return ok })
}

func ownAutoscaler() *v1alpha1.InferenceAutoscaler {
	a := &v1alpha1.InferenceAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "vllm", UID: "u", ResourceVersion: "1", CreationTimestamp: metav1.NewTime(t0)}}
	a.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "vllm"}
	a.Spec.Mode, a.Spec.MaxReplicas = v1alpha1.ModeOwn, 10
	return a
}

func TestClusterRunsTheLoopsPorts(t *testing.T) {
	w, source := startedWorld(t)
	w.deployment("vllm", 1)
	w.create(ownAutoscaler(), source)
	pods := w.core.CoreV1().Pods("ml")
	if _, err := pods.Create(t.Context(), readyPod("a"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var obs scaling.Observation
	eventually(t, "the pod is observed", func() bool {
		var err error
		obs, err = w.Observer.Observe(t.Context(), vllm, t0)
		return err == nil && obs.Count(scaling.Ready) == 1
	})
	d := scaling.Decision{Time: t0, Current: obs.Desired, Replicas: 4, Reason: scaling.ForecastDemand}
	err := w.Actuator.Actuate(t.Context(), vllm, d)
	w.Recorder.Record(t.Context(), vllm, d, err)
	w.wantReplicas(4)
	if got := w.Endpoints.Endpoints(); len(got) != 1 {
		t.Errorf("endpoints %v, want one", got)
	}
	eventually(t, "the status is written", func() bool {
		a, err := w.autoscalers.Get(t.Context(), "ml", "vllm")
		return err == nil && a.Status.RecommendedReplicas != nil && *a.Status.RecommendedReplicas == 4
	})
	eventually(t, "the event is written", func() bool {
		events, err := w.core.CoreV1().Events("ml").List(t.Context(), metav1.ListOptions{})
		return err == nil && len(events.Items) == 1 && events.Items[0].Reason == "ForecastDemand" &&
			events.Items[0].InvolvedObject.Kind == "InferenceAutoscaler" && strings.Contains(events.Items[0].Message, "1 -> 4 replicas")
	})
	if err := pods.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod's birth is forgotten", func() bool {
		w.births.mu.Lock()
		defer w.births.mu.Unlock()
		return len(w.births.all) == 0
	})
}

func TestReadinessLostBetweenTwoTicksIsNoNewBirth(t *testing.T) {
	w, source := startedWorld(t)
	w.deployment("vllm", 1)
	w.create(ownAutoscaler(), source)
	pods := w.core.CoreV1().Pods("ml")
	for _, change := range []func(*corev1.Pod){func(*corev1.Pod) {}, func(p *corev1.Pod) { unready(p, 500) }, func(p *corev1.Pod) { readyAgain(p, 505) }} {
		pod := readyPod("a")
		change(pod)
		if _, err := pods.Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the informer sees the change", func() bool {
			got, _, err := w.PodInformer.GetIndexer().GetByKey("ml/a")
			if err != nil || got == nil {
				return false
			}
			seen, isReady := conditionTrueSince(got.(*corev1.Pod), corev1.PodReady)
			want, wantReady := conditionTrueSince(pod, corev1.PodReady)
			return seen.Equal(want) && isReady == wantReady
		})
	}
	var ready time.Time
	eventually(t, "the pod is observed", func() bool {
		obs, err := w.Observer.Observe(t.Context(), vllm, t0)
		if err != nil || len(obs.Replicas) != 1 {
			return false
		}
		ready = obs.Replicas[0].ReadyAt
		return true
	})
	if !ready.Equal(t0.Add(time.Minute)) {
		t.Errorf("first ready at %v, want %v", ready, t0.Add(time.Minute))
	}
}

func TestARivalThatComesLaterStopsTheWrites(t *testing.T) {
	w, source := startedWorld(t)
	w.deployment("vllm", 1)
	w.create(ownAutoscaler(), source)
	w.wantReason(w.tick(vllm, t0, 2), "")
	rival := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "web"}}
	rival.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "vllm"}
	if _, err := w.core.AutoscalingV2().HorizontalPodAutoscalers("ml").Create(t.Context(), rival, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rival is noticed", func() bool { return ReasonOf(w.tick(vllm, t0.Add(time.Second), 2)) == RivalAutoscaler })
	w.wantReason(w.tick(vllm, t0.Add(2*time.Second), 9), RivalAutoscaler)
	w.wantReplicas(2)
	eventually(t, "the status says Conflict", func() bool {
		a, err := w.autoscalers.Get(t.Context(), "ml", "vllm")
		return err == nil && meta.IsStatusConditionTrue(a.Status.Conditions, v1alpha1.ConditionConflict)
	})
}

func TestDeletedFloorIsSweptWithoutATick(t *testing.T) {
	w, source := startedWorld(t)
	w.deployment("vllm", 1)
	a := ownAutoscaler()
	a.Spec.Mode = v1alpha1.ModeFloor
	w.create(a, source)
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "web", ResourceVersion: "1"}}
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "vllm"}
	h.Spec.MinReplicas, h.Spec.MaxReplicas = new(int32(1)), 5
	hpas := w.core.AutoscalingV2().HorizontalPodAutoscalers("ml")
	if _, err := hpas.Create(t.Context(), h, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	minimum := func() int32 {
		got, err := hpas.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *got.Spec.MinReplicas
	}
	eventually(t, "the minimum is raised", func() bool { return w.tick(vllm, t0, 4) == nil && minimum() == 4 })
	source.Delete(a)
	eventually(t, "the minimum is given back", func() bool { return minimum() == 1 })
}

// TestTargetsInParallel is for the race detector: many targets, with statuses written and informers moving meanwhile.
func TestTargetsInParallel(t *testing.T) {
	w, source := startedWorld(t)
	w.deployment("vllm", 1)
	w.scales.onUpdate = nil
	var ids []controlloop.TargetID
	for _, name := range []string{"a", "b", "c", "d"} {
		a := ownAutoscaler()
		a.Name, a.UID = name, ""
		a.Spec.ScaleTargetRef.Name = name
		w.deployment(name, 1)
		w.create(a, source)
		ids = append(ids, idOf(a))
	}
	done := make(chan error, len(ids))
	for _, id := range ids {
		go func() {
			for i := range int32(50) {
				now := t0.Add(time.Duration(i) * time.Second)
				obs, err := w.Observer.Observe(context.Background(), id, now)
				if err != nil {
					done <- err
					return
				}
				d := scaling.Decision{Time: now, Current: obs.Desired, Replicas: 1 + i%5, Reason: scaling.DemandMet}
				w.Recorder.Record(context.Background(), id, d, w.Actuator.Actuate(context.Background(), id, d))
				w.Endpoints.Endpoints()
				w.Targets.List()
			}
			done <- nil
		}()
	}
	for range ids {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := len(w.scales.updates); got < 4*40 {
		t.Errorf("%d updates, want nearly one for each of 200 ticks", got)
	}
}
