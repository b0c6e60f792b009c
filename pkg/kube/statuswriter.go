package kube

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// Autoscalers reads and writes InferenceAutoscalers.
type Autoscalers interface {
	// Get reads one from the API server.
	Get(ctx context.Context, namespace, name string) (*v1alpha1.InferenceAutoscaler, error)
	// UpdateStatus writes the status of one, on condition of its resource version.
	UpdateStatus(ctx context.Context, a *v1alpha1.InferenceAutoscaler) error
}

// statusWriter writes statuses in the background, the latest of each target.
type statusWriter struct {
	client  Autoscalers
	targets *Targets
	leader  Leader
	// failed is told of each status that could not be written.
	failed func(controlloop.TargetID, error)
	queue  workqueue.TypedInterface[controlloop.TargetID]

	mu      sync.Mutex
	pending map[controlloop.TargetID]v1alpha1.InferenceAutoscalerStatus
}

func newStatusWriter(client Autoscalers, targets *Targets, leader Leader) *statusWriter {
	return &statusWriter{
		client: client, targets: targets, leader: leader,
		failed:  func(controlloop.TargetID, error) {},
		queue:   workqueue.NewTyped[controlloop.TargetID](),
		pending: map[controlloop.TargetID]v1alpha1.InferenceAutoscalerStatus{},
	}
}

// put hands a status over, in place of one that still waits.
func (w *statusWriter) put(id controlloop.TargetID, s v1alpha1.InferenceAutoscalerStatus) {
	w.mu.Lock()
	w.pending[id] = s
	w.mu.Unlock()
	w.queue.Add(id)
}

// run writes with a number of workers until the context ends.
func (w *statusWriter) run(ctx context.Context, workers int) {
	stop := context.AfterFunc(ctx, w.queue.ShutDown)
	defer stop()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for w.next(ctx) {
			}
		})
	}
	running.Wait()
}

// next writes one status and reports whether there may be more.
func (w *statusWriter) next(ctx context.Context) bool {
	id, shutdown := w.queue.Get()
	if shutdown {
		return false
	}
	defer w.queue.Done(id)
	w.mu.Lock()
	status, ok := w.pending[id]
	delete(w.pending, id)
	w.mu.Unlock()
	if !ok {
		return true
	}
	if err := w.write(ctx, id, status); err != nil && ctx.Err() == nil {
		w.failed(id, fmt.Errorf("write status of %s: %w", id, err))
	}
	return true
}

// write updates a status from the informer's copy, and from a fresh one where that is out of date.
func (w *statusWriter) write(ctx context.Context, id controlloop.TargetID, s v1alpha1.InferenceAutoscalerStatus) error {
	a, ok := w.targets.Autoscaler(id)
	if !ok {
		return nil
	}
	uid := a.UID
	err := w.update(ctx, a.DeepCopy(), s)
	if !apierrors.IsConflict(err) {
		return ignoreNotFound(err)
	}
	if a, err = w.client.Get(ctx, id.Namespace, id.Name); err != nil {
		return ignoreNotFound(err)
	}
	if a.UID != uid {
		return nil // another one of the same name
	}
	return ignoreNotFound(w.update(ctx, a, s))
}

// update writes a status into an object that is the caller's own, if this process may.
func (w *statusWriter) update(ctx context.Context, a *v1alpha1.InferenceAutoscaler, s v1alpha1.InferenceAutoscalerStatus) error {
	if !w.leader.IsLeader() {
		return nil
	}
	a.Status = s
	return w.client.UpdateStatus(ctx, a)
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
