package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestConflicts(t *testing.T) {
	other := func(mode v1alpha1.Mode, age time.Duration) func(*v1alpha1.InferenceAutoscaler) {
		return func(a *v1alpha1.InferenceAutoscaler) {
			a.Spec.Mode, a.CreationTimestamp = mode, metav1.NewTime(t0.Add(-age))
		}
	}
	for name, tt := range map[string]struct {
		mode   v1alpha1.Mode
		change func(*world)
		want   scaling.Reason
		says   []string
	}{
		"nobody else":               {v1alpha1.ModeOwn, func(*world) {}, "", nil},
		"an HPA on an owned target": {v1alpha1.ModeOwn, func(w *world) { w.hpa("web", 1, 5) }, RivalAutoscaler, []string{"HorizontalPodAutoscaler ml/web", "delete it", "Floor"}},
		"a ScaledObject on an owned target is named, not the HPA that it made": {v1alpha1.ModeOwn, func(w *world) {
			w.scaledObject(map[string]any{})
			w.hpa("keda-hpa-keda", 1, 5)
			w.seeHPA("keda-hpa-keda", ownedByKEDA)
		}, RivalAutoscaler, []string{"ScaledObject ml/keda scales"}},
		"a ScaledObject that only its HPA tells of": {v1alpha1.ModeOwn, func(w *world) {
			w.hpa("keda-hpa-keda", 1, 5)
			w.seeHPA("keda-hpa-keda", ownedByKEDA)
		}, RivalAutoscaler, []string{"ScaledObject ml/keda scales"}},
		"an HPA is what mode Floor is for":       {v1alpha1.ModeFloor, func(w *world) { w.hpa("web", 1, 8) }, "", nil},
		"an older owner of the same target":      {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("old", other(v1alpha1.ModeOwn, time.Hour)) }, RivalAutoscaler, []string{"ml/old", "older", "Advise"}},
		"an older one in mode Floor":             {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("old", other(v1alpha1.ModeFloor, time.Hour)) }, RivalAutoscaler, []string{"ml/old"}},
		"an older one that only advises":         {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("old", other(v1alpha1.ModeAdvise, time.Hour)) }, "", nil},
		"a younger owner has to stand back":      {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("new", other(v1alpha1.ModeOwn, -time.Hour)) }, "", nil},
		"of two made at once the first by name":  {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("a", other(v1alpha1.ModeOwn, 0)) }, RivalAutoscaler, []string{"ml/a"}},
		"of two made at once not the last":       {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("z", other(v1alpha1.ModeOwn, 0)) }, "", nil},
		"another API version is the same target": {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("old", ofVersion("apps/v1beta1")) }, RivalAutoscaler, []string{"ml/old"}},
		"another group is another target":        {v1alpha1.ModeOwn, func(w *world) { w.autoscaler("old", ofVersion("example.com/v1")) }, "", nil},
		"pods shared with another target":        {v1alpha1.ModeOwn, sharePods, SharedPods, []string{"1 pods of Deployment ml/vllm", "Deployment ml/canary", "disjoint"}},
		"no conflict matters to mode Advise": {v1alpha1.ModeAdvise, func(w *world) {
			w.hpa("web", 1, 5)
			w.autoscaler("old", other(v1alpha1.ModeOwn, time.Hour))
		}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deployment("vllm", 3)
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = tt.mode })
			tt.change(w)
			err := w.tick(vllm, t0, 5)
			w.wantReason(err, tt.want)
			for _, part := range tt.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v does not say %q", err, part)
				}
			}
			if wrote := len(w.scales.updates) > 0; wrote != (tt.want == "" && tt.mode == v1alpha1.ModeOwn) {
				t.Errorf("wrote = %v under reason %q in mode %s", wrote, tt.want, tt.mode)
			}
		})
	}
}

func ofVersion(v string) func(*v1alpha1.InferenceAutoscaler) {
	return func(a *v1alpha1.InferenceAutoscaler) {
		a.Spec.ScaleTargetRef.APIVersion, a.CreationTimestamp = v, metav1.NewTime(t0.Add(-time.Hour))
	}
}

// sharePods has a pod that Deployment vllm and Deployment canary both select.
func sharePods(w *world) {
	w.pod("own", nil)
	w.pod("both", func(p *corev1.Pod) { p.Labels["track"] = "canary" })
	w.deployment("canary", 1)
	w.scales.all["ml/canary"].Status.Selector = "track=canary"
	w.autoscaler("canary", func(a *v1alpha1.InferenceAutoscaler) {
		a.Spec.ScaleTargetRef.Name, a.Spec.Mode = "canary", v1alpha1.ModeAdvise
	})
	w.tick(controlloop.TargetID{Namespace: "ml", Name: "canary"}, t0, 1)
}

func TestSharedPodsEndWhenTheOtherTargetGoes(t *testing.T) {
	w := ownWorld(t)
	sharePods(w)
	w.wantReason(w.tick(vllm, t0, 5), SharedPods)
	w.Targets.drop(w.autoscalers.all[controlloop.TargetID{Namespace: "ml", Name: "canary"}])
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 5), "")
	w.wantReplicas(5)
}

func TestTwoAutoscalersOfOneTargetDoNotSharePods(t *testing.T) {
	w := ownWorld(t)
	w.pod("a", nil)
	w.autoscaler("advice", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeAdvise })
	w.tick(controlloop.TargetID{Namespace: "ml", Name: "advice"}, t0, 1)
	w.wantReason(w.tick(vllm, t0, 5), "")
}

func TestConflictEndsWithTheRival(t *testing.T) {
	w := ownWorld(t)
	w.hpa("web", 1, 5)
	w.wantReason(w.tick(vllm, t0, 5), RivalAutoscaler)
	w.scales.set("ml/vllm", 4) // the HPA's doing, which is no foreign write once it is gone
	if err := w.hpas.informer.GetIndexer().Replace(nil, ""); err != nil {
		t.Fatal(err)
	}
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 5), "")
	w.wantReplicas(5)
}
