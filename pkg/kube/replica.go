package kube

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// finished reports whether a pod has ended and will not run again; such pods are no replicas.
func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// phaseOf returns where a pod that has not ended stands in its life.
func phaseOf(pod *corev1.Pod) scaling.Phase {
	in := laneOf(pod)
	switch {
	case pod.DeletionTimestamp != nil || in == laneDraining:
		return scaling.Draining
	case waitsForNode(pod):
		return scaling.Unschedulable
	case in != laneServing && loaded(pod):
		return lanePhases[in]
	case in != laneServing:
		return scaling.Starting
	}
	if _, ready := conditionTrueSince(pod, corev1.PodReady); ready {
		return scaling.Ready
	}
	return scaling.Starting
}

// lanePhases are the phases of loaded pods that do not serve. One that wakes is asked to serve already.
var lanePhases = map[lane]scaling.Phase{laneStandby: scaling.Standby, laneAsleep: scaling.Asleep, laneWaking: scaling.Starting}

// waitsForNode reports whether the scheduler found no node for a pod, or is told to wait by a scheduling gate (a quota
// system such as Kueue): in both cases nobody knows how long.
func waitsForNode(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason == corev1.PodReasonUnschedulable || c.Reason == corev1.PodReasonSchedulingGated
		}
	}
	return false
}

// replicaOf returns a pod as the planner sees it, without its reading and what is known of its node. The serving
// container's start is that of the first readiness, where there was one, so that it precedes ReadyAt also after a restart.
func replicaOf(pod *corev1.Pod, b birth, serving string) scaling.Replica {
	r := scaling.Replica{
		ID: string(pod.UID), Name: pod.Name, Phase: phaseOf(pod), Ending: pod.DeletionTimestamp != nil,
		Created: pod.CreationTimestamp.Time, ReadyAt: b.ready, Anew: anew(pod, serving),
	}
	if at, scheduled := conditionTrueSince(pod, corev1.PodScheduled); scheduled {
		r.Scheduled = at
	}
	containers := pod.Status.ContainerStatuses
	if !b.ready.IsZero() {
		containers = b.containers
	}
	r.Started = startedAt(containers, serving)
	if !anyRestarted(containers) {
		r.Circumstance.Image = b.image(r.Started)
	}
	return r
}

// anew reports whether a pod that is not ready holds no request: its serving container does not run, or was started since it was
// ready last.
func anew(pod *corev1.Pod, serving string) bool {
	since, ready := loadedSince(pod)
	started := startedAt(pod.Status.ContainerStatuses, serving)
	return !ready && (started.IsZero() || started.After(since))
}
