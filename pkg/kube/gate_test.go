package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestGatesAreOpenedBeforeContainersAreReady(t *testing.T) {
	for name, change := range map[string]func(*farm){
		"by the leader": func(*farm) {},
		"in mode Advise": func(f *farm) {
			f.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeAdvise })
		},
		"while it is paused":          func(f *farm) { f.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Paused = true }) },
		"of a pod without any target": func(f *farm) { f.Targets.drop(f.autoscalers.all[vllm]) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, 1, true)
			change(f)
			f.scales.set("ml/vllm", 2)
			f.live() // makes a pod, which loads
			f.live()
			if pod := f.get("vllm-1"); !gateOpen(pod) {
				t.Errorf("the gate of a pod that loads is shut: %v", pod.Status.Conditions)
			}
		})
	}
}

func TestAFollowerOpensGatesThatTheLeaderDoesNot(t *testing.T) {
	f := newFarm(t, 0, true)
	f.leader.lead(false)
	ctx := t.Context()
	go f.gates.run(ctx)
	began := time.Now()
	f.load(true)
	eventually(t, "the follower opens the gate", func() bool { return gateOpen(f.get("vllm-0")) })
	if took := time.Since(began); took < followerWait {
		t.Errorf("the follower waited %v for the leader, want at least %v", took, followerWait)
	}
}

func TestWhichGatesStayShut(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"that of a pod on standby":          func(p *corev1.Pod) { p.Annotations = map[string]string{laneAnnotation: "standby"} },
		"that of one that may sleep":        func(p *corev1.Pod) { p.Annotations = map[string]string{sleepAnnotation: "Offload"} },
		"that of one that is being deleted": func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: t0} },
		"that of one that has ended":        func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
		"somebody else's":                   func(p *corev1.Pod) { p.Spec.ReadinessGates[0].ConditionType = "example.com/other" },
	} {
		t.Run(name, func(t *testing.T) {
			pod := readyPod("a")
			pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: v1alpha1.ServingGate}}
			if !shut(pod) {
				t.Fatal("the gate of a pod that serves is not opened")
			}
			change(pod)
			if shut(pod) {
				t.Error("the gate is opened")
			}
		})
	}
}

func TestALaneThatCameBetweenKeepsTheGateShut(t *testing.T) {
	f := newFarm(t, 1, true)
	f.load(true)
	f.blind = true
	f.change("vllm-1", func(p *corev1.Pod) { p.Annotations = map[string]string{laneAnnotation: string(laneStandby)} })
	f.gates.next(t.Context())
	if gateOpen(f.get("vllm-1")) {
		t.Error("the gate of a pod on standby was opened")
	}
}

func TestAGateThatSomebodyOpenedIsShut(t *testing.T) {
	f := newFarm(t, 2, true)
	f.flight["vllm-0"] = 1
	f.flight["vllm-1"] = 1
	f.wants(1)
	f.change("vllm-1", func(p *corev1.Pod) { setCondition(p, v1alpha1.ServingGate, true, f.now) })
	f.change("vllm-0", func(p *corev1.Pod) { setCondition(p, v1alpha1.ServingGate, true, f.now) })
	f.wants(1)
	for _, p := range f.all() {
		if open := gateOpen(p); open != (laneOf(p) == laneServing) {
			t.Errorf("pod %s in lane %q has its gate open: %v", p.Name, laneOf(p), open)
		}
	}
}

func TestWithoutTheRightToPatchPods(t *testing.T) {
	forbid := func(f *farm) {
		f.core.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(podResource.GroupResource(), "vllm", errors.New("no right"))
		})
	}
	t.Run("pods without a gate are scaled all the same, and it is said", func(t *testing.T) {
		f := newFarm(t, 3, false)
		forbid(f)
		err := f.decides(2, scaling.Warm{})
		f.wantReason(err, WriteFailed)
		if !strings.Contains(err.Error(), "pods/status") {
			t.Errorf("error %q does not name the right", err)
		}
		f.wantReplicas(2)
	})
	t.Run("pods with one are not, since they could not finish", func(t *testing.T) {
		f := newFarm(t, 3, true)
		forbid(f)
		f.wantReason(f.decides(2, scaling.Warm{}), WriteFailed)
		f.wantReplicas(3)
	})
}

func TestFencingOfPods(t *testing.T) {
	f := newFarm(t, 3, true)
	f.must(f.decidesOnly(3))
	for left := range 4 {
		f.leader.on, f.leader.left = true, left
		before := len(f.core.Actions())
		if err := f.decidesOnly(1); err != nil {
			t.Fatal(err)
		}
		// The first question is the Actuator's, the second that of mode Own; each of the others allows one write.
		if wrote := len(f.core.Actions()) - before; wrote > max(0, left-2) {
			t.Errorf("a leader for %d questions wrote %d times", left, wrote)
		}
		if left < 3 && len(f.names(laneDraining)) > 0 {
			t.Errorf("a leader for %d questions drained pods %s", left, f.names(laneDraining))
		}
	}
}
