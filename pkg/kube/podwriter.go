package kube

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// podWriter changes lanes, gates and deletion costs of pods: all of one pod in one request to its status, on condition
// that the pod is still as it was seen. The status takes annotations too, so that a lane and its gate cannot come apart,
// and no right is needed to change what pods run.
type podWriter struct {
	client  kubernetes.Interface
	manager string
	written *written
}

// laneChange puts a pod into a lane.
type laneChange struct {
	pod *corev1.Pod
	to  lane
	// sleep is how deeply the engine is to sleep, for laneAsleep.
	sleep string
	at    time.Time
}

// podPatch is the body of a change.
type podPatch struct {
	Metadata podPatchMeta    `json:"metadata"`
	Status   *podPatchStatus `json:"status,omitempty"`
}

type podPatchMeta struct {
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
	// Annotations are set, or removed where nil.
	Annotations map[string]*string `json:"annotations,omitempty"`
}

type podPatchStatus struct {
	Conditions []corev1.PodCondition `json:"conditions"`
}

// gate opens the gate of a pod that serves, and shuts that of one that does not.
func (w *podWriter) gate(ctx context.Context, pod *corev1.Pod, at time.Time) (*corev1.Pod, error) {
	return w.patch(ctx, pod, nil, gateOf(laneOf(pod), at))
}

// move puts a pod into a lane, and opens or shuts its gate accordingly.
func (w *podWriter) move(ctx context.Context, c laneChange) (*corev1.Pod, error) {
	changed := map[string]*string{laneAnnotation: nil, sinceAnnotation: nil}
	if c.to != laneServing {
		changed[laneAnnotation] = new(string(c.to))
	}
	cost, foreign := deletionCost(c.pod)
	if cost != "" && !foreign {
		changed[costAnnotation] = nil
	}
	if c.to == laneDraining {
		changed[sinceAnnotation] = new(c.at.UTC().Format(time.RFC3339))
	}
	if c.to == laneDraining && !foreign {
		changed[costAnnotation] = new(drainingCost)
	}
	if c.to == laneServing {
		changed[sleepAnnotation] = nil
	}
	if c.to == laneAsleep {
		changed[sleepAnnotation] = &c.sleep
	}
	return w.patch(ctx, c.pod, changed, gateOf(c.to, c.at))
}

// cost makes a pod the first of the ready ones to be deleted, or takes that back.
func (w *podWriter) cost(ctx context.Context, pod *corev1.Pod, victim bool) (*corev1.Pod, error) {
	var cost *string
	if victim {
		cost = new(victimCost)
	}
	return w.patch(ctx, pod, map[string]*string{costAnnotation: cost}, nil)
}

// gateOf is the condition of a pod in a lane.
func gateOf(l lane, at time.Time) *corev1.PodCondition {
	c := &corev1.PodCondition{Type: v1alpha1.ServingGate, Status: corev1.ConditionTrue, Reason: "Serving", LastTransitionTime: metav1.NewTime(at)}
	if l != laneServing {
		c.Status, c.Reason = corev1.ConditionFalse, laneReasons[l]
	}
	return c
}

// laneReasons are the reasons of a gate that is shut.
var laneReasons = map[lane]string{laneDraining: "Draining", laneStandby: "Standby", laneAsleep: "Asleep", laneWaking: "Waking"}

func (w *podWriter) patch(ctx context.Context, pod *corev1.Pod, annotations map[string]*string, gate *corev1.PodCondition) (*corev1.Pod, error) {
	body := podPatch{Metadata: podPatchMeta{UID: pod.UID, ResourceVersion: pod.ResourceVersion, Annotations: annotations}}
	if gate != nil {
		body.Status = &podPatchStatus{Conditions: []corev1.PodCondition{*gate}}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	got, err := w.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{FieldManager: w.manager}, "status")
	if err != nil {
		return nil, err
	}
	return w.written.put(got), nil
}

// evict asks for a pod to be replaced, as far as its disruption budget allows.
func (w *podWriter) evict(ctx context.Context, pod *corev1.Pod) error {
	return w.client.CoreV1().Pods(pod.Namespace).EvictV1(ctx, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}},
	})
}

// written keeps the pods that were changed here until the informer knows of it: decided upon what was, one pod after the
// other would be drained for the same decision.
type written struct {
	mu  sync.Mutex
	all map[types.UID]*corev1.Pod
}

// put remembers a pod as the API server returned it, and returns it as an informer would.
func (w *written) put(pod *corev1.Pod) *corev1.Pod {
	stripped := stripPod(pod)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[types.UID]*corev1.Pod{}
	}
	w.all[pod.UID] = stripped
	return stripped
}

// newest returns the newer of what the informer has and of what was written.
func (w *written) newest(pod *corev1.Pod) *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	ours, ok := w.all[pod.UID]
	if !ok {
		return pod
	}
	if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, ours.ResourceVersion); err != nil || order >= 0 {
		delete(w.all, pod.UID)
		return pod
	}
	return ours
}

// forget drops a pod that is gone.
func (w *written) forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, uid)
}
