package main

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// nudges are the targets that are to be decided on before the next tick.
type nudges struct {
	decisions *controlloop.Decisions
	queue     workqueue.TypedDelayingInterface[controlloop.TargetID]

	mu sync.Mutex
	// unsettled are the targets whose last decision was not carried out, or could not be made.
	unsettled map[controlloop.TargetID]bool
}

func newNudges(decisions *controlloop.Decisions) *nudges {
	return &nudges{
		decisions: decisions, queue: workqueue.NewTypedDelayingQueue[controlloop.TargetID](),
		unsettled: map[controlloop.TargetID]bool{},
	}
}

// held hears that requests are held for a target, and asks for a decision unless the last one was for a replica and went well:
// then they wait for it to load.
func (n *nudges) held(id controlloop.TargetID) {
	d, known := n.decisions.Latest(id)
	n.mu.Lock()
	defer n.mu.Unlock()
	if known && d.Reason == scaling.Paused {
		return
	}
	if !known || d.Replicas == 0 || n.unsettled[id] {
		n.queue.Add(id)
	}
}

// after asks for a decision after a while.
func (n *nudges) after(id controlloop.TargetID, wait time.Duration) { n.queue.AddAfter(id, wait) }

// failed hears that a target could not be decided on.
func (n *nudges) failed(id controlloop.TargetID) { n.settle(id, false) }

// Record implements controlloop.Recorder.
func (n *nudges) Record(_ context.Context, id controlloop.TargetID, _ scaling.Decision, actuated error) {
	n.settle(id, actuated == nil)
}

func (n *nudges) settle(id controlloop.TargetID, settled bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if settled {
		delete(n.unsettled, id)
	} else {
		n.unsettled[id] = true
	}
}

// run has decide called for each target, for several at once, until the context ends.
func (n *nudges) run(ctx context.Context, workers int, decide func(context.Context, controlloop.TargetID)) {
	stop := context.AfterFunc(ctx, n.queue.ShutDown)
	defer stop()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for {
				id, down := n.queue.Get()
				if down {
					return
				}
				decide(ctx, id)
				n.queue.Done(id)
			}
		})
	}
	running.Wait()
}
