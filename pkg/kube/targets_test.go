package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestTargetsAreListedInOrder(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"c", "a", "b"} {
		w.autoscaler(name, nil)
	}
	w.autoscaler("z", func(a *v1alpha1.InferenceAutoscaler) { a.Namespace = "aa" })
	var got []string
	for _, target := range w.Targets.List() {
		got = append(got, target.ID.String())
	}
	if diff := cmp.Diff([]string{"aa/z", "ml/a", "ml/b", "ml/c"}, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestPlannerIsBuiltAnewOnlyForANewSpec(t *testing.T) {
	w := newWorld(t)
	w.autoscaler("vllm", nil)
	before := w.Targets.List()[0].Planner
	for name, tt := range map[string]struct {
		change func(*v1alpha1.InferenceAutoscaler)
		plans  int
	}{
		"a new status":     {func(a *v1alpha1.InferenceAutoscaler) { a.Status.Selector = "x"; a.ResourceVersion = "2" }, 0},
		"a default spelt":  {func(a *v1alpha1.InferenceAutoscaler) { a.Spec.MinReplicas = new(int32(1)) }, 0},
		"a new maximum":    {func(a *v1alpha1.InferenceAutoscaler) { a.Spec.MaxReplicas = 20 }, 1},
		"made anew as was": {func(a *v1alpha1.InferenceAutoscaler) { a.UID = "other" }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w.autoscaler("vllm", nil)
			before = w.Targets.List()[0].Planner
			w.plans = 0
			w.autoscaler("vllm", tt.change)
			if w.plans != tt.plans {
				t.Errorf("%d planners built, want %d", w.plans, tt.plans)
			}
			if same := w.Targets.List()[0].Planner == before; same != (tt.plans == 0) {
				t.Errorf("same planner = %v, want %v", same, tt.plans == 0)
			}
		})
	}
}

func TestInvalidSpecIsReportedAndNotScaled(t *testing.T) {
	w := newWorld(t)
	w.planErr = errors.New("schedules overlap")
	w.autoscaler("vllm", nil)
	if got := w.Targets.List(); len(got) != 0 {
		t.Errorf("targets %v, want none", got)
	}
	w.writeStatuses()
	c := meta.FindStatusCondition(w.autoscalers.all[vllm].Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != string(InvalidSpec) || !strings.Contains(c.Message, "schedules overlap") {
		t.Errorf("condition Ready %+v, want False, InvalidSpec, with the planner's words", c)
	}
	w.planErr = nil
	w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.MaxReplicas = 11 })
	if got := w.Targets.List(); len(got) != 1 {
		t.Errorf("targets %v after the correction, want one", got)
	}
}

func TestDeletedTargetIsForgotten(t *testing.T) {
	for name, obj := range map[string]func(*v1alpha1.InferenceAutoscaler) any{
		"by its object": func(a *v1alpha1.InferenceAutoscaler) any { return a },
		"by its tombstone": func(a *v1alpha1.InferenceAutoscaler) any {
			return cache.DeletedFinalStateUnknown{Key: "ml/vllm", Obj: a}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := ownWorld(t)
			w.tick(vllm, t0, 5)
			w.Targets.drop(obj(w.autoscalers.all[vllm]))
			if _, ok := w.Targets.Autoscaler(vllm); ok {
				t.Error("still known")
			}
			if got := w.Targets.scaling(scaleTarget{"ml", "apps", "Deployment", "vllm"}); len(got) != 0 {
				t.Errorf("still in the index: %v", got)
			}
			if _, ok := w.Observer.views.of(vllm); ok {
				t.Error("its view is still kept")
			}
		})
	}
}

func TestAnotherScaleTargetStartsAnew(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.deployment("second", 2)
	w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.ScaleTargetRef.Name = "second" })
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 4), "")
	if got := w.scales.replicas("ml/second"); got != 4 {
		t.Errorf("second has %d replicas, want 4: its 2 must not look like a foreign write", got)
	}
}

func TestATargetDeletedWhileItIsObservedLeavesNoClaimOnPods(t *testing.T) {
	w := ownWorld(t)
	w.pod("a", nil)
	w.scales.onRead = func() { w.Targets.drop(w.autoscalers.all[vllm]) }
	if _, err := w.Observer.Observe(t.Context(), vllm, t0); err != nil {
		t.Fatal(err)
	}
	if views := w.Observer.views; len(views.last) != 0 || len(views.claim) != 0 {
		t.Errorf("%d views and %d claims of a target that is gone: its pods look shared for ever", len(views.last), len(views.claim))
	}
}

func TestObservingAGoneTargetFails(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Observer.Observe(t.Context(), controlloop.TargetID{Namespace: "ml", Name: "gone"}, t0); err == nil {
		t.Error("no error")
	}
}

func TestMadeAnewUnderItsOldNameStartsAnew(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.scales.set("ml/vllm", 7)
	w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.UID = "other" })
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 4), "")
	w.wantReplicas(4)
}

func TestTargetsAreSyncedOnceTheListHasThemAll(t *testing.T) {
	source := fcache.NewFakeControllerSource()
	source.Add(&v1alpha1.InferenceAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "vllm", UID: "vllm"}})
	informer := cache.NewSharedIndexInformer(lists(source), &v1alpha1.InferenceAutoscaler{}, 0, cache.Indexers{})
	release := make(chan struct{})
	targets, err := newTargets(informer, func(*v1alpha1.InferenceAutoscaler) (*scaling.Planner, error) {
		<-release
		return new(scaling.Planner), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	go informer.RunWithContext(t.Context())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("the informer does not sync")
	}
	if targets.HasSynced() {
		t.Error("synced while a target is not in the list yet: its minimum would be given back")
	}
	close(release)
	if !cache.WaitForCacheSync(t.Context().Done(), targets.HasSynced) || len(targets.List()) != 1 {
		t.Error("the list does not sync")
	}
}
