package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// TestHeldRequestsAreDecidedOnUntilAReplicaIsAskedFor follows a target from its first held request until one loads.
func TestHeldRequestsAreDecidedOnUntilAReplicaIsAskedFor(t *testing.T) {
	id := controlloop.TargetID{Namespace: "ml", Name: "chat"}
	decisions := &controlloop.Decisions{}
	n := newNudges(decisions)
	asked := func() bool { return n.queue.Len() > 0 }
	drain := func() {
		for n.queue.Len() > 0 {
			id, _ := n.queue.Get()
			n.queue.Done(id)
		}
	}
	decide := func(replicas int32, actuated error) {
		d := scaling.Decision{Replicas: replicas}
		decisions.Put(id, d)
		n.Record(context.Background(), id, d, actuated)
		drain()
	}
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing was decided yet", func() {}, true},
		{"the last decision was for none", func() { decide(0, nil) }, true},
		{"a replica was asked for and the API server did not hear it", func() { decide(1, errors.New("timeout")) }, true},
		{"a replica was asked for", func() { decide(1, nil) }, false},
		{"the target could not be observed", func() { n.failed(id) }, true},
	} {
		drain()
		step.do()
		n.held(id)
		if asked() != step.want {
			t.Errorf("%s: asked for a decision: %v, want %v", step.what, asked(), step.want)
		}
	}
}

func TestNudgesRunSideBySide(t *testing.T) {
	n := newNudges(&controlloop.Decisions{})
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var seen []string
	both := make(chan struct{})
	var met sync.WaitGroup
	met.Add(2)
	go func() { met.Wait(); close(both) }()
	n.held(controlloop.TargetID{Namespace: "ml", Name: "a"})
	n.after(controlloop.TargetID{Namespace: "ml", Name: "b"}, time.Millisecond)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.run(ctx, 2, func(_ context.Context, id controlloop.TargetID) {
			met.Done()
			<-both // neither ends before the other has begun
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, id.Name)
			if len(seen) == 2 {
				cancel()
			}
		})
	}()
	<-ended
	slices.Sort(seen)
	if !slices.Equal(seen, []string{"a", "b"}) {
		t.Errorf("decided on %v", seen)
	}
}
