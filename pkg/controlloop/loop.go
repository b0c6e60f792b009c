package controlloop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Target is one thing to decide on.
type Target struct {
	ID TargetID
	// Subject identifies what is scaled. Where it changes, all that was learned of the one before is forgotten.
	Subject string
	Planner *scaling.Planner
}

// Loop runs the cycle and keeps each target's state. Its zero value is of no use; see New.
type Loop struct {
	observer    Observer
	actuator    Actuator
	recorder    Recorder
	concurrency int
	// memories belong to Tick, which never runs twice at once.
	memories map[TargetID]memory
}

// memory is what is remembered of a target, and what it is of.
type memory struct {
	subject string
	state   scaling.State
}

// New returns a loop that works on at most concurrency targets at once; one makes it wholly sequential, as a replay
// needs it.
func New(o Observer, a Actuator, r Recorder, concurrency int) *Loop {
	return &Loop{observer: o, actuator: a, recorder: r, concurrency: max(1, concurrency), memories: map[TargetID]memory{}}
}

// State returns what is remembered of a target. It must not be called while Tick runs.
func (l *Loop) State(id TargetID) scaling.State { return l.memories[id].state }

// Tick observes, plans, records and actuates each target once, and forgets those that are no longer there. Every
// replica of the service plans, so that each one's state is warm when the lease comes to it; the Actuator knows whether
// it may write. One target's failure does not stop the others; the error joins all of them.
func (l *Loop) Tick(ctx context.Context, now time.Time, targets []Target) error {
	results := make([]result, len(targets))
	var wg sync.WaitGroup
	slots := make(chan struct{}, l.concurrency)
	for i, t := range targets {
		slots <- struct{}{}
		wg.Go(func() {
			results[i] = l.one(ctx, now, t, l.remembered(t))
			<-slots
		})
	}
	wg.Wait()
	kept := make(map[TargetID]memory, len(targets))
	var errs []error
	for i, t := range targets {
		kept[t.ID] = memory{t.Subject, results[i].state}
		errs = append(errs, results[i].err)
	}
	l.memories = kept
	return errors.Join(errs...)
}

// remembered returns what is known of a target's subject, the zero state where it has another one now.
func (l *Loop) remembered(t Target) scaling.State {
	if m := l.memories[t.ID]; m.subject == t.Subject {
		return m.state
	}
	return scaling.State{}
}

type result struct {
	state scaling.State
	err   error
}

// one is the cycle of one target.
func (l *Loop) one(ctx context.Context, now time.Time, t Target, state scaling.State) result {
	obs, err := l.observer.Observe(ctx, t.ID, now)
	if err != nil {
		return result{state, fmt.Errorf("observe %s: %w", t.ID, err)}
	}
	state, decision := t.Planner.Plan(state, obs)
	actuated := l.actuator.Actuate(ctx, t.ID, decision)
	l.recorder.Record(ctx, t.ID, decision, actuated)
	if actuated != nil {
		return result{state, fmt.Errorf("actuate %s: %w", t.ID, actuated)}
	}
	return result{state, nil}
}
