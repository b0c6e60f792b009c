package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func inFloor(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeFloor }

// floorWorld has Deployment ml/vllm with 3 replicas and InferenceAutoscaler ml/vllm in mode Floor.
func floorWorld(t *testing.T) *world {
	w := newWorld(t)
	w.deployment("vllm", 3)
	w.autoscaler("vllm", inFloor)
	return w
}

func (w *world) wantMinimum(name string, n int32, original, floor string) {
	w.t.Helper()
	h, err := w.core.AutoscalingV2().HorizontalPodAutoscalers("ml").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	if *h.Spec.MinReplicas != n || h.Annotations[AnnotationOriginalMinimum] != original || h.Annotations[AnnotationFloor] != floor {
		w.t.Errorf("minReplicas %d, annotations %v; want %d, original %q, floor %q", *h.Spec.MinReplicas, h.Annotations, n, original, floor)
	}
}

func TestFloorFollowsTheDecisionBetweenOriginalAndMaximum(t *testing.T) {
	w := floorWorld(t)
	w.hpa("web", 2, 6)
	for i, step := range []struct {
		decision, want  int32
		original, floor string
	}{
		{2, 2, "", ""}, {1, 2, "", ""}, {4, 4, "2", "4"}, {9, 6, "2", "6"}, {3, 3, "2", "3"}, {1, 2, "", ""}, {5, 5, "2", "5"},
	} {
		w.wantReason(w.tick(vllm, t0.Add(time.Duration(i)*time.Minute), step.decision), "")
		w.wantMinimum("web", step.want, step.original, step.floor)
		w.seeHPA("web", nil)
	}
	w.wantReplicas(3)
}

// What is merely held is the number of the autoscaler that is in charge: made its floor, it could only ever grow.
func TestWhatIsHeldForWantOfKnowledgeIsNoFloor(t *testing.T) {
	for _, reason := range []scaling.Reason{
		scaling.CapacityUnknown, scaling.NoFreshData, scaling.PartialData, scaling.NoReadyReplica, scaling.WarmingUp,
	} {
		w := floorWorld(t)
		w.hpa("web", 2, 8)
		w.wantReason(w.tick(vllm, t0, 4), "")
		w.seeHPA("web", nil)
		w.scales.set("ml/vllm", 7) // by the HPA, as is its right
		w.wantReason(w.decide(vllm, t0.Add(time.Minute), 7, reason), "")
		w.wantMinimum("web", 4, "2", "4")
	}
}

func TestFloorWaitsUntilTheInformerSawItsWrite(t *testing.T) {
	w := floorWorld(t)
	w.hpa("web", 2, 6)
	w.tick(vllm, t0, 4)
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 5), "") // the informer still has minReplicas 2
	w.wantMinimum("web", 4, "2", "4")
	w.seeHPA("web", nil)
	w.tick(vllm, t0.Add(2*time.Second), 5)
	w.wantMinimum("web", 5, "2", "5")
}

func TestFloorWritesNothing(t *testing.T) {
	for name, change := range map[string]func(*world){
		"while it follows":          func(w *world) { w.leader.lead(false) },
		"having just lost the lead": func(w *world) { w.leader.left = 1 },
		"while paused": func(w *world) {
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { inFloor(a); a.Spec.Paused = true })
		},
		"in mode Advise": func(w *world) {
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeAdvise })
		},
		"at zero replicas": func(w *world) { w.scales.set("ml/vllm", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := floorWorld(t)
			w.hpa("web", 2, 6)
			change(w)
			w.wantReason(w.tick(vllm, t0, 5), "")
			w.wantMinimum("web", 2, "", "")
		})
	}
}

func TestFloorWithoutAnAutoscalerSaysWhatToDo(t *testing.T) {
	w := floorWorld(t)
	err := w.tick(vllm, t0, 5)
	w.wantReason(err, NoAutoscaler)
	if !strings.Contains(err.Error(), "Deployment ml/vllm") || !strings.Contains(err.Error(), "create one") {
		t.Errorf("message %q names neither target nor remedy", err)
	}
}

func TestFloorWithTwoAutoscalersTouchesNeither(t *testing.T) {
	w := floorWorld(t)
	w.hpa("one", 2, 6)
	w.hpa("two", 1, 6)
	w.wantReason(w.tick(vllm, t0, 5), RivalAutoscaler)
	w.wantMinimum("one", 2, "", "")
	w.wantMinimum("two", 1, "", "")
}

func TestFloorRespectsAMinimumSetByOthers(t *testing.T) {
	w := floorWorld(t)
	w.hpa("web", 2, 8)
	w.tick(vllm, t0, 5)
	w.seeHPA("web", func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.MinReplicas = new(int32(3)) })
	at := t0.Add(time.Minute)
	w.wantReason(w.tick(vllm, at, 5), ForeignWrite)
	w.wantReason(w.tick(vllm, at.Add(4*time.Minute), 5), ForeignWrite)
	w.wantMinimum("web", 3, "2", "5")
	w.wantReason(w.tick(vllm, at.Add(5*time.Minute), 5), "")
	w.wantMinimum("web", 5, "3", "5")
	w.seeHPA("web", nil)
	w.tick(vllm, at.Add(6*time.Minute), 1)
	w.wantMinimum("web", 3, "", "")
}

func TestAMinimumChangedBeforeItWasRaisedIsJustTheOriginal(t *testing.T) {
	w := floorWorld(t)
	w.hpa("web", 2, 8)
	w.tick(vllm, t0, 1)
	w.seeHPA("web", func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.MinReplicas = new(int32(3)) })
	w.wantReason(w.tick(vllm, t0.Add(time.Minute), 5), "")
	w.wantMinimum("web", 5, "3", "5")
}

func TestSweepGivesMinimumsBack(t *testing.T) {
	raised := func(h *autoscalingv2.HorizontalPodAutoscaler) {
		h.Spec.MinReplicas = new(int32(5))
		h.Annotations = map[string]string{AnnotationOriginalMinimum: "2", AnnotationFloor: "5", "other": "stays"}
	}
	for name, tt := range map[string]struct {
		change          func(*world)
		want            int32
		original, floor string
	}{
		"of a deleted InferenceAutoscaler": {func(w *world) { w.Targets.drop(w.autoscalers.all[vllm]) }, 2, "", ""},
		"of one that left mode Floor":      {func(w *world) { w.autoscaler("vllm", nil) }, 2, "", ""},
		"of one that scales another target now": {func(w *world) {
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { inFloor(a); a.Spec.ScaleTargetRef.Name = "other" })
		}, 2, "", ""},
		"but not of one that is still there": {func(*world) {}, 5, "2", "5"},
		"nor of a paused one": {func(w *world) {
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { inFloor(a); a.Spec.Paused = true })
		}, 5, "2", "5"},
		"nor as a follower": {func(w *world) { w.autoscaler("vllm", nil); w.leader.lead(false) }, 5, "2", "5"},
		"and leaves a minimum that somebody else changed since": {func(w *world) {
			w.autoscaler("vllm", nil)
			w.seeHPA("web", func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.MinReplicas = new(int32(4)) })
		}, 4, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := floorWorld(t)
			w.hpa("web", 2, 8)
			w.seeHPA("web", raised)
			tt.change(w)
			if w.leader.IsLeader() {
				if err := w.Actuator.floor.sweep(context.Background()); err != nil {
					t.Fatal(err)
				}
			} else if err := w.Actuator.Sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
			w.wantMinimum("web", tt.want, tt.original, tt.floor)
			h, err := w.core.AutoscalingV2().HorizontalPodAutoscalers("ml").Get(context.Background(), "web", metav1.GetOptions{})
			if err != nil || h.Annotations["other"] != "stays" {
				t.Errorf("annotations %v, %v: others must stay", h.Annotations, err)
			}
		})
	}
}

// scaledObject makes ScaledObject ml/keda on Deployment vllm exist, in the API server and in the informer.
func (w *world) scaledObject(spec map[string]any) {
	w.t.Helper()
	spec["scaleTargetRef"] = map[string]any{"name": "vllm"}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
		"metadata": map[string]any{"namespace": "ml", "name": "keda", "resourceVersion": "1"}, "spec": spec,
	}}
	if _, err := w.dynamic.Resource(scaledObjectResource).Namespace("ml").Create(context.Background(), u, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.scaledObjects.informer.GetIndexer().Add(u); err != nil {
		w.t.Fatal(err)
	}
}

// seeScaledObject brings the informer up to date and returns the spec without the target.
func (w *world) seeScaledObject() map[string]any {
	w.t.Helper()
	client := w.dynamic.Resource(scaledObjectResource).Namespace("ml")
	u, err := client.Get(context.Background(), "keda", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	u.SetResourceVersion(bump(u.GetResourceVersion()))
	if _, err := client.Update(context.Background(), u, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.scaledObjects.informer.GetIndexer().Update(u); err != nil {
		w.t.Fatal(err)
	}
	spec, _, err := unstructured.NestedMap(u.Object, "spec")
	if err != nil {
		w.t.Fatal(err)
	}
	delete(spec, "scaleTargetRef")
	return spec
}

func TestFloorRaisesTheScaledObjectAndNotItsHPA(t *testing.T) {
	w := floorWorld(t)
	w.scaledObject(map[string]any{"maxReplicaCount": int64(6)})
	w.hpa("keda-hpa-keda", 1, 6)
	w.seeHPA("keda-hpa-keda", ownedByKEDA)
	for i, step := range []struct {
		decision int32
		want     map[string]any
	}{
		{4, map[string]any{"maxReplicaCount": int64(6), "minReplicaCount": int64(4)}},
		{9, map[string]any{"maxReplicaCount": int64(6), "minReplicaCount": int64(6)}},
		{0, map[string]any{"maxReplicaCount": int64(6)}}, // absent, as it was
	} {
		w.wantReason(w.tick(vllm, t0.Add(time.Duration(i)*time.Minute), step.decision), "")
		if diff := cmp.Diff(step.want, w.seeScaledObject()); diff != "" {
			t.Errorf("step %d: spec (-want +got):\n%s", i, diff)
		}
	}
	w.wantMinimum("keda-hpa-keda", 1, "", "")
}

func ownedByKEDA(h *autoscalingv2.HorizontalPodAutoscaler) {
	h.OwnerReferences = []metav1.OwnerReference{{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: "keda", Controller: new(true)}}
}

func TestFloorDoesNotTouchTheHPAOfAScaledObjectThatItCannotSee(t *testing.T) {
	w := floorWorld(t)
	w.hpa("keda-hpa-keda", 1, 6)
	w.seeHPA("keda-hpa-keda", ownedByKEDA)
	w.wantReason(w.tick(vllm, t0, 5), NoAutoscaler)
	w.wantMinimum("keda-hpa-keda", 1, "", "")
}

func TestSweepGivesAScaledObjectBack(t *testing.T) {
	w := floorWorld(t)
	w.scaledObject(map[string]any{"minReplicaCount": int64(1)})
	w.tick(vllm, t0, 5)
	w.seeScaledObject()
	w.Targets.drop(w.autoscalers.all[vllm])
	if err := w.Actuator.floor.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"minReplicaCount": int64(1)}, w.seeScaledObject()); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestSweepLeavesTheAnnotationsThatKEDACopiesToItsHPA(t *testing.T) {
	w := newWorld(t)
	w.hpa("keda-hpa-keda", 1, 6)
	w.seeHPA("keda-hpa-keda", func(h *autoscalingv2.HorizontalPodAutoscaler) {
		ownedByKEDA(h)
		h.Spec.MinReplicas, h.Annotations = new(int32(5)), map[string]string{AnnotationOriginalMinimum: "2", AnnotationFloor: "5"}
	})
	if err := w.Actuator.floor.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.wantMinimum("keda-hpa-keda", 5, "2", "5")
}
