package controlloop

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Target is one thing to decide on.
type Target struct {
	ID TargetID
	// UID tells a target from a later one of the same ID, empty where there is none. With another one all that was
	// learned is forgotten.
	UID string
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
	archive     Archive // nil where nothing outlives the process
	// memories belong to Tick, which never runs twice at once.
	memories map[TargetID]memory
}

// memory is what is remembered of a target, what it is of, and since when it has been learned.
type memory struct {
	target Target
	since  time.Time
	state  scaling.State
	// distrusted is set where what was remembered made planning panic: it may be what is in the archive too.
	distrusted bool
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
			results[i] = l.one(ctx, now, t)
			<-slots
		})
	}
	wg.Wait()
	kept := make(map[TargetID]memory, len(targets))
	var errs []error
	for i, t := range targets {
		kept[t.ID] = results[i].memory
		errs = append(errs, results[i].err)
	}
	l.memories = kept
	return errors.Join(errs...)
}

type result struct {
	memory memory
	err    error
}

// one is the cycle of one target, with what is remembered of it before and after.
func (l *Loop) one(ctx context.Context, now time.Time, t Target) result {
	m := l.recall(t, now)
	err := l.cycle(ctx, now, t, &m.state)
	if errors.Is(err, errPanicked) {
		m = memory{target: t, since: now, distrusted: true}
	}
	l.keep(m, now)
	return result{m, err}
}

// cycle observes, plans, actuates and records.
func (l *Loop) cycle(ctx context.Context, now time.Time, t Target, state *scaling.State) error {
	obs, err := l.observer.Observe(ctx, t.ID, now)
	if err != nil {
		return fmt.Errorf("observe %s: %w", t.ID, err)
	}
	next, decision, err := plan(t.Planner, *state, obs)
	if err != nil {
		return fmt.Errorf("plan %s: %w", t.ID, err)
	}
	*state = next
	actuated := l.actuator.Actuate(ctx, t.ID, decision)
	l.recorder.Record(ctx, t.ID, decision, actuated)
	if actuated != nil {
		return fmt.Errorf("actuate %s: %w", t.ID, actuated)
	}
	return nil
}

// errPanicked says that planning hit a fault of the program, most likely in what it remembered of the target.
var errPanicked = errors.New("panic, a fault of this program; what was learned of the target is forgotten, please report this")

// plan plans, and makes an error of a panic: one target's state must not end the process for all, over and over where it
// comes back from the archive.
func plan(p *scaling.Planner, state scaling.State, obs scaling.Observation) (next scaling.State, d scaling.Decision, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanicked, fault, debug.Stack())
		}
	}()
	next, d = p.Plan(state, obs)
	return next, d, nil
}
