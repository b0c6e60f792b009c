package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// ownWorld has Deployment ml/vllm with 3 replicas and InferenceAutoscaler ml/vllm in mode Own.
func ownWorld(t *testing.T) *world {
	w := newWorld(t)
	w.deployment("vllm", 3)
	w.autoscaler("vllm", nil)
	return w
}

func (w *world) wantReplicas(n int32) {
	w.t.Helper()
	if got := w.scales.replicas("ml/vllm"); got != n {
		w.t.Errorf("%d replicas, want %d", got, n)
	}
}

func (w *world) wantReason(err error, want scaling.Reason) {
	w.t.Helper()
	if got := ReasonOf(err); got != want {
		w.t.Errorf("reason %q (%v), want %q", got, err, want)
	}
}

func TestOwnWritesTheDecision(t *testing.T) {
	w := ownWorld(t)
	w.wantReason(w.tick(vllm, t0, 5), "")
	w.wantReplicas(5)
	if diff := cmp.Diff([]string{"preheat"}, w.scales.managers); diff != "" {
		t.Errorf("field managers (-want +got):\n%s", diff)
	}
}

func TestOwnDoesNotWriteWhatStands(t *testing.T) {
	w := ownWorld(t)
	w.wantReason(w.tick(vllm, t0, 3), "")
	if len(w.scales.updates) != 0 {
		t.Errorf("updates %v, want none", w.scales.updates)
	}
}

func TestWhoMayNotWrite(t *testing.T) {
	for name, change := range map[string]func(*world){
		"a follower": func(w *world) { w.leader.lead(false) },
		"mode Advise": func(w *world) {
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeAdvise })
		},
		"a paused spec": func(w *world) {
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Paused = true })
		},
		"a leader that loses the lease before the write": func(w *world) { w.leader.left = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := ownWorld(t)
			change(w)
			w.wantReason(w.tick(vllm, t0, 5), "")
			if len(w.scales.updates) != 0 {
				t.Errorf("updates %v, want none", w.scales.updates)
			}
		})
	}
}

func TestOwnWritesAfterAStatusUpdateCameBetween(t *testing.T) {
	w := ownWorld(t)
	w.scales.onUpdate = once(func() { w.scales.touch("ml/vllm") })
	w.wantReason(w.tick(vllm, t0, 5), "")
	w.wantReplicas(5)
}

func TestOwnLeavesATargetThatMovedSinceTheObservation(t *testing.T) {
	w := ownWorld(t)
	w.scales.onUpdate = once(func() { w.scales.set("ml/vllm", 8) })
	if err := w.tick(vllm, t0, 5); !errors.Is(err, ErrMoved) {
		t.Errorf("error %v, want ErrMoved", err)
	}
	w.wantReplicas(8)
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 5), ForeignWrite)
	w.wantReplicas(8)
}

func TestOwnIsFencedBetweenItsTwoTries(t *testing.T) {
	w := ownWorld(t)
	w.scales.onUpdate = once(func() { w.scales.touch("ml/vllm"); w.leader.lead(false) })
	w.wantReason(w.tick(vllm, t0, 5), "")
	w.wantReplicas(3)
}

// once calls a function at the first update only.
func once(f func()) func(*autoscalingv1.Scale) error {
	called := false
	return func(*autoscalingv1.Scale) error {
		if !called {
			called = true
			f()
		}
		return nil
	}
}

func TestOwnRespectsAPersonForTheCoolOff(t *testing.T) {
	w := ownWorld(t)
	w.manager = "kubectl-scale"
	w.tick(vllm, t0, 5)
	w.scales.set("ml/vllm", 8)
	at := t0.Add(10 * time.Second)
	err := w.tick(vllm, at, 5)
	w.wantReason(err, ForeignWrite)
	for _, part := range []string{`field manager "kubectl-scale"`, "Deployment ml/vllm", "8 replicas", at.Add(5 * time.Minute).Format(time.RFC3339), "paused"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("message %q does not say %q", err, part)
		}
	}
	w.wantReason(w.tick(vllm, at.Add(299*time.Second), 5), ForeignWrite)
	w.wantReplicas(8)
	w.wantReason(w.tick(vllm, at.Add(300*time.Second), 5), "")
	w.wantReplicas(5)
}

func TestOwnNamesSomebodyElseWhereManagedFieldsCannotBeRead(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.scales.set("ml/vllm", 8)
	if err := w.tick(vllm, t0.Add(time.Second), 5); err == nil || !strings.HasPrefix(err.Error(), "somebody else set") {
		t.Errorf("error %v, want one that names somebody else", err)
	}
}

func TestZeroSetByOthersIsAPause(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.scales.set("ml/vllm", 0)
	for _, later := range []time.Duration{time.Second, time.Hour, 24 * time.Hour} {
		w.wantReason(w.tick(vllm, t0.Add(later), 5), "")
		w.wantReplicas(0)
	}
	w.scales.set("ml/vllm", 1)
	w.wantReason(w.tick(vllm, t0.Add(25*time.Hour), 5), "")
	w.wantReplicas(5)
}

func TestZeroFoundAtTheStart(t *testing.T) {
	for name, tt := range map[string]struct {
		manager string
		want    int32
	}{
		"set by Preheat is ours to end":             {"preheat", 5},
		"set by another is a pause":                 {"kubectl-scale", 0},
		"set by one who cannot be known is a pause": {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := ownWorld(t)
			w.scales.set("ml/vllm", 0)
			w.manager = tt.manager
			w.wantReason(w.tick(vllm, t0, 5), "")
			w.wantReplicas(tt.want)
		})
	}
}

func TestUnansweredWriteIsNotTakenForForeign(t *testing.T) {
	w := ownWorld(t)
	w.scales.onUpdate = func(*autoscalingv1.Scale) error {
		w.scales.onUpdate = nil
		w.scales.set("ml/vllm", 5) // it came through, its answer did not
		return fmt.Errorf("connection reset")
	}
	w.wantReason(w.tick(vllm, t0, 5), WriteFailed)
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 6), "")
	w.wantReplicas(6)
}

func TestRefusedWriteChangesNothing(t *testing.T) {
	w := ownWorld(t)
	w.scales.onUpdate = func(*autoscalingv1.Scale) error {
		return apierrors.NewForbidden(deployments.GroupResource(), "vllm", errors.New("no right"))
	}
	w.wantReason(w.tick(vllm, t0, 5), WriteFailed)
	w.scales.onUpdate = nil
	w.scales.set("ml/vllm", 5) // the very number that we wanted, but set by somebody else
	w.wantReason(w.tick(vllm, t0.Add(time.Second), 6), ForeignWrite)
}

func TestNewLeaderKeepsRespectingAForeignNumber(t *testing.T) {
	w := newWorld(t)
	w.deployment("vllm", 8)
	w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) {
		a.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionConflict, Status: metav1.ConditionTrue, Reason: string(ForeignWrite), LastTransitionTime: metav1.NewTime(t0),
		}}
	})
	w.wantReason(w.tick(vllm, t0.Add(4*time.Minute), 5), ForeignWrite)
	w.wantReplicas(8)
	w.wantReason(w.tick(vllm, t0.Add(5*time.Minute), 5), "")
	w.wantReplicas(5)
}

func TestNumbersOfAnotherLeaderAreNotForeign(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.leader.lead(false)
	w.scales.set("ml/vllm", 7) // by the leader of that time
	w.tick(vllm, t0.Add(time.Second), 5)
	w.leader.lead(true)
	w.wantReason(w.tick(vllm, t0.Add(2*time.Second), 6), "")
	w.wantReplicas(6)
}

func TestNumbersSetWhilePausedAreNotForeign(t *testing.T) {
	w := ownWorld(t)
	w.tick(vllm, t0, 5)
	w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Paused = true })
	w.scales.set("ml/vllm", 7)
	w.tick(vllm, t0.Add(time.Second), 5)
	w.autoscaler("vllm", nil)
	w.wantReason(w.tick(vllm, t0.Add(2*time.Second), 6), "")
	w.wantReplicas(6)
}

func TestReplicasManager(t *testing.T) {
	entry := func(manager, fields string, at int) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &metav1.Time{Time: t0.Add(time.Duration(at) * time.Second)}, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const replicas, template = `{"f:spec":{"f:replicas":{}}}`, `{"f:spec":{"f:template":{"f:replicas":{}}}}`
	for name, tt := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		"nobody":                          {nil, ""},
		"the only one":                    {[]metav1.ManagedFieldsEntry{entry("a", replicas, 0)}, "a"},
		"the newest of those that set it": {[]metav1.ManagedFieldsEntry{entry("b", replicas, 9), entry("a", replicas, 5)}, "b"},
		"not one that set something else": {[]metav1.ManagedFieldsEntry{entry("a", replicas, 5), entry("c", template, 9)}, "a"},
		"not fields that cannot be read":  {[]metav1.ManagedFieldsEntry{entry("a", replicas, 5), entry("c", `{"f:spec":`, 9), {Manager: "d"}}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := replicasManager(tt.entries); got != tt.want {
				t.Errorf("manager %q, want %q", got, tt.want)
			}
		})
	}
}
