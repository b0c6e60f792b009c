package kube

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// lane is what a pod is meant for. It is kept on the pod, so that any replica of the service goes on after any crash.
type lane string

// The lanes of a pod that declares the readiness gate v1alpha1.ServingGate; one without it serves.
const (
	// laneServing pods are in their endpoints once they are ready.
	laneServing lane = ""
	// laneDraining pods are out of their endpoints, finish what they have and are let go.
	laneDraining lane = "draining"
	// laneStandby pods are out of their endpoints, loaded or on the way to it.
	laneStandby lane = "standby"
	// laneAsleep pods are out of their endpoints and their engine sleeps, or is to.
	laneAsleep lane = "asleep"
	// laneWaking pods are to serve as soon as their engine has proved that it is awake.
	laneWaking lane = "waking"
)

// heldLanes are those of pods that are kept from serving.
var heldLanes = []lane{laneDraining, laneStandby, laneAsleep}

const (
	// laneAnnotation has a pod's lane; absent means that it serves.
	laneAnnotation = "preheat.dev/lane"
	// sinceAnnotation is since when a pod is drained, in RFC 3339.
	sinceAnnotation = "preheat.dev/draining-since"
	// sleepAnnotation is there from before an engine is put to sleep until it is proved to be awake, and says how deeply.
	sleepAnnotation = "preheat.dev/sleep"
	// costAnnotation is what the ReplicaSet controller sorts ready pods by, the lowest first.
	costAnnotation = corev1.PodDeletionCost
	// victimCost is the least that the annotation can hold, of a pod for which the number is lowered now; drainingCost is next
	// to it, of one that has yet to finish. Nobody else's number is below them, and they say that they are ours.
	victimCost, drainingCost = "-2147483648", "-2147483647"
)

// deletionCost returns what a pod says that its deletion costs, empty for nothing, and whether somebody else set it.
func deletionCost(pod *corev1.Pod) (cost string, foreign bool) {
	cost, ok := pod.Annotations[costAnnotation]
	return cost, ok && cost != victimCost && cost != drainingCost
}

// gated reports whether a pod can be taken out of its endpoints.
func gated(pod *corev1.Pod) bool {
	for _, g := range pod.Spec.ReadinessGates {
		if g.ConditionType == v1alpha1.ServingGate {
			return true
		}
	}
	return false
}

// gateOpen reports whether a pod's gate lets it serve.
func gateOpen(pod *corev1.Pod) bool {
	_, open := conditionTrueSince(pod, v1alpha1.ServingGate)
	return open
}

// laneOf returns what a pod is meant for.
func laneOf(pod *corev1.Pod) lane {
	if !gated(pod) {
		return laneServing
	}
	if l := lane(pod.Annotations[laneAnnotation]); laneReasons[l] != "" {
		return l
	}
	return laneServing
}

// loaded reports whether a pod's containers are ready, in its endpoints or not.
func loaded(pod *corev1.Pod) bool {
	_, ready := loadedSince(pod)
	return ready
}

// loadedSince returns when it changed whether a pod's containers are ready, and whether they are.
func loadedSince(pod *corev1.Pod) (time.Time, bool) {
	if gated(pod) {
		return conditionTrueSince(pod, corev1.ContainersReady)
	}
	return conditionTrueSince(pod, corev1.PodReady)
}

// drainingSince returns since when a pod is drained, zero where it does not say.
func drainingSince(pod *corev1.Pod) time.Time {
	at, err := time.Parse(time.RFC3339, pod.Annotations[sinceAnnotation])
	if err != nil {
		return time.Time{}
	}
	return at
}
