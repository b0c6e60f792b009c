package kube

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// births remembers each pod's first readiness. The Ready condition has only the last transition: a pod that lost its
// readiness for a moment, or whose engine crashed and loaded again, would else look like a start that took days. Of a pod
// that is kept out of its endpoints it is that of its containers: one that waited on standby did not load meanwhile.
type births struct {
	mu  sync.Mutex
	all map[types.UID]birth
	// wakings are those of pods that came back from a rest.
	wakings wakings
}

// birth is what is known of how a pod came to serve.
type birth struct {
	// unborn: it was seen before it had ever been ready, so that the next readiness is the first.
	unborn bool
	// missed: it may have been ready before it was first seen, so that the next readiness need not be the first.
	missed bool
	// served: it has been ready.
	served bool
	// ready is when it was first ready, zero where that was not seen; containers are as they were then.
	ready      time.Time
	containers []corev1.ContainerStatus
	// sandboxed is when all but the images was there, as of sandboxedAt; pullFailed is set where a pull was seen to fail.
	sandboxed  time.Time
	pullFailed bool
}

// see takes notice of a pod and returns its birth.
func (b *births) see(pod *corev1.Pod) birth {
	b.wakings.see(pod)
	b.mu.Lock()
	defer b.mu.Unlock()
	seen, ok := b.all[pod.UID]
	if ok && seen.served {
		return seen
	}
	if b.all == nil {
		b.all = map[types.UID]birth{}
	}
	next := bear(pod, seen)
	next.sandboxed, next.pullFailed = seen.sandboxed, seen.pullFailed || pullFails(pod)
	if next.sandboxed.IsZero() {
		next.sandboxed = sandboxedAt(pod)
	}
	b.all[pod.UID] = next
	return next
}

// bear returns the birth that a pod shows after what was seen of it before.
func bear(pod *corev1.Pod, before birth) birth {
	at, isReady := loadedSince(pod)
	switch {
	case !isReady && (before.unborn || before.missed):
		return before
	case !isReady:
		never := neverReady(pod, at)
		return birth{unborn: never, missed: !never}
	case before.missed || !before.unborn && restarted(pod):
		return birth{served: true}
	}
	return birth{served: true, ready: at, containers: pod.Status.ContainerStatuses}
}

// neverReady reports whether a pod that is not ready has certainly never been: no container restarted, and its Ready
// condition last changed before its containers ran, when the kubelet first wrote it.
func neverReady(pod *corev1.Pod, unreadySince time.Time) bool {
	if restarted(pod) {
		return false
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running != nil && unreadySince.After(s.State.Running.StartedAt.Time) {
			return false
		}
	}
	return true
}

// restarted reports whether any container of a pod has been started more than once.
func restarted(pod *corev1.Pod) bool { return anyRestarted(pod.Status.ContainerStatuses) }

func anyRestarted(all []corev1.ContainerStatus) bool {
	return slices.ContainsFunc(all, func(s corev1.ContainerStatus) bool { return s.RestartCount > 0 })
}

// forget drops a pod that is gone.
func (b *births) forget(uid types.UID) {
	b.wakings.forget(uid)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, uid)
}

// startedAt returns when a container was started, zero where it is not running.
func startedAt(all []corev1.ContainerStatus, name string) time.Time {
	for _, s := range all {
		if s.Name == name && s.State.Running != nil {
			return s.State.Running.StartedAt.Time
		}
	}
	return time.Time{}
}

// conditionTrueSince returns when a condition last changed and whether it is True.
func conditionTrueSince(pod *corev1.Pod, t corev1.PodConditionType) (time.Time, bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == t {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}
