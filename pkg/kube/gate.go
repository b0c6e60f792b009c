package kube

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// gates opens the readiness gate of every pod that declares it and is in no lane, as soon as it is seen, and so before its
// containers are ready: a gate that nobody opens strands capacity. Any replica of the service does so, whatever the mode and
// whether any target selects the pod; those that do not lead wait whether the leader does.
type gates struct {
	pods   pods
	writer *podWriter
	leader Leader
	now    func() time.Time
	log    *slog.Logger
	queue  workqueue.TypedRateLimitingInterface[types.NamespacedName]
	told   sync.Once
}

const (
	// gateWorkers is how many gates are opened at once.
	gateWorkers = 4
	// followerWait is how long one that does not lead leaves it to the leader.
	followerWait = 2 * time.Second
)

func newGates(found pods, writer *podWriter, leader Leader, now func() time.Time, log *slog.Logger) *gates {
	return &gates{
		pods: found, writer: writer, leader: leader, now: now, log: log,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](100*time.Millisecond, 10*time.Second)),
	}
}

// shut reports whether a pod's gate is to be opened.
func shut(pod *corev1.Pod) bool {
	_, sleep := pod.Annotations[sleepAnnotation]
	return gated(pod) && laneOf(pod) == laneServing && !sleep && !gateOpen(pod) && pod.DeletionTimestamp == nil && !finished(pod)
}

// see takes notice of a pod.
func (g *gates) see(pod *corev1.Pod) {
	if !shut(pod) {
		return
	}
	key := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if g.leader.IsLeader() {
		g.queue.Add(key)
		return
	}
	g.queue.AddAfter(key, followerWait)
}

// sweep looks at every pod, in case that a change was missed.
func (g *gates) sweep() {
	for _, obj := range g.pods.indexer.List() {
		if pod, ok := obj.(*corev1.Pod); ok {
			g.see(pod)
		}
	}
}

// run opens gates until the context ends.
func (g *gates) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, g.queue.ShutDown)
	defer stop()
	var running sync.WaitGroup
	for range gateWorkers {
		running.Go(func() {
			for g.next(ctx) {
			}
		})
	}
	running.Wait()
}

// next opens one gate and reports whether there may be more.
func (g *gates) next(ctx context.Context) bool {
	key, shutdown := g.queue.Get()
	if shutdown {
		return false
	}
	defer g.queue.Done(key)
	err := g.open(ctx, key)
	switch {
	case err == nil || apierrors.IsNotFound(err):
		g.queue.Forget(key)
		return true
	case apierrors.IsForbidden(err):
		g.told.Do(func() {
			g.log.Error("not allowed to open the readiness gate of pods, which stay out of their endpoints; grant patch on pods/status to the service account", "pod", key.String(), "error", err)
		})
	case !apierrors.IsConflict(err) && ctx.Err() == nil:
		g.log.Warn("cannot open the readiness gate of a pod; it is tried again", "pod", key.String(), "error", err)
	}
	g.queue.AddRateLimited(key)
	return true
}

// open opens the gate of a pod that is still to serve. A pod that changed meanwhile is refused by the API server: it may
// have been given a lane.
func (g *gates) open(ctx context.Context, key types.NamespacedName) error {
	pod, ok := g.pods.byName(key.Namespace, key.Name)
	if !ok || !shut(pod) {
		return nil
	}
	_, err := g.writer.gate(ctx, pod, g.now())
	return err
}
