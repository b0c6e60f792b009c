package kube

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// wakings measures how long pods that rest take until they serve: from right before the change that calls them back until
// they are seen to be ready in their endpoints, on the clock of this process alone. What it did not see from beginning to end,
// and what did not end well, has no measure.
type wakings struct {
	mu  sync.Mutex
	all map[types.UID]waking
}

// waking is one of a pod, the last.
type waking struct {
	clock func() time.Time
	begun time.Time
	// rested is the pod's version before it was called back: nothing that is not newer says anything of the waking.
	rested string
	// loaded is since when its containers were ready: where they were not all along it is none.
	loaded time.Time
	// took is zero until the pod serves.
	took time.Duration
}

// begin takes notice that a pod, as it stands, is about to be called back.
func (w *wakings) begin(pod *corev1.Pod, clock func() time.Time) {
	since, _ := loadedSince(pod)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[types.UID]waking{}
	}
	w.all[pod.UID] = waking{clock: clock, begun: clock(), rested: pod.ResourceVersion, loaded: since}
}

// see takes notice of a pod: the waking is over once it serves, and was none where it rests again or is loaded anew.
func (w *wakings) see(pod *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, ok := w.all[pod.UID]
	if !ok {
		return
	}
	if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, x.rested); err != nil || order <= 0 {
		return
	}
	in := laneOf(pod)
	since, _ := loadedSince(pod)
	switch {
	case in != laneServing && in != laneWaking || pod.DeletionTimestamp != nil:
		delete(w.all, pod.UID)
	case x.took > 0:
	case !since.Equal(x.loaded):
		delete(w.all, pod.UID)
	case serves(pod):
		x.took = x.clock().Sub(x.begun)
		w.all[pod.UID] = x
	}
}

// serves reports whether a pod is in its endpoints, its gate open and its engine proved to be awake.
func serves(pod *corev1.Pod) bool {
	_, ready := conditionTrueSince(pod, corev1.PodReady)
	_, sleep := pod.Annotations[sleepAnnotation]
	return ready && gateOpen(pod) && laneOf(pod) == laneServing && !sleep
}

// of returns how long a pod's last waking took, zero where nobody measured it or it is not over.
func (w *wakings) of(uid types.UID) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all[uid].took
}

// forget drops what is known of a pod's waking.
func (w *wakings) forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, uid)
}
