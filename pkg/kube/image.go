package kube

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

// image returns whether a container that was started at a time, for the first time, found its image: what lies between
// the sandbox and the start is the pull, what init containers fetch, and little else. After a failed pull it is also the
// wait for the next one, which says nothing.
func (b birth) image(started time.Time) leadtime.Image {
	if b.pullFailed || b.sandboxed.IsZero() || started.Before(b.sandboxed) {
		return leadtime.ImageUnknown
	}
	return leadtime.ImageOf(started.Sub(b.sandboxed))
}

// sandboxedAt returns when a pod had its volumes, its sandbox and its network, and lacked nothing but images; zero where
// that is not known. Kubelets before 1.36 tell of it only after the first container was started (kubernetes issue 134460),
// which is of no use; in one and the same second nobody knows which came first.
func sandboxedAt(pod *corev1.Pod) time.Time {
	at, isReady := conditionTrueSince(pod, corev1.PodReadyToStartContainers)
	started := func(s corev1.ContainerStatus) bool {
		first := firstStart(s)
		return s.RestartCount > 0 || !first.IsZero() && !first.After(at)
	}
	if !isReady || slices.ContainsFunc(pod.Status.InitContainerStatuses, started) || slices.ContainsFunc(pod.Status.ContainerStatuses, started) {
		return time.Time{}
	}
	return at
}

// firstStart is when a container that was never started again was started, zero where it was not.
func firstStart(s corev1.ContainerStatus) time.Time {
	switch {
	case s.State.Running != nil:
		return s.State.Running.StartedAt.Time
	case s.State.Terminated != nil:
		return s.State.Terminated.StartedAt.Time
	}
	return time.Time{}
}

// pullFails reports whether an image of a pod could not be pulled. That does not say that it was not there: with
// imagePullPolicy Always it is asked for all the same.
func pullFails(pod *corev1.Pod) bool {
	fails := func(s corev1.ContainerStatus) bool {
		return s.State.Waiting != nil && pullFailures[s.State.Waiting.Reason]
	}
	return slices.ContainsFunc(pod.Status.InitContainerStatuses, fails) || slices.ContainsFunc(pod.Status.ContainerStatuses, fails)
}

// pullFailures are the reasons for which a container waits after a failed pull (kubelet's pkg/kubelet/images). While a
// pull goes well the reason is ContainerCreating, as it is before and after.
var pullFailures = map[string]bool{"ErrImagePull": true, "ImagePullBackOff": true, "RegistryUnavailable": true, "SignatureValidationFailed": true}
