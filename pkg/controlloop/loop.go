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

	mu    sync.Mutex
	cells map[TargetID]*cell // guarded by mu
}

// cell is the place of one target's memory. Its mutex lets one cycle of a target follow the other.
type cell struct {
	mu     sync.Mutex
	memory memory
	last   time.Time // of the newest cycle
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
	return &Loop{observer: o, actuator: a, recorder: r, concurrency: max(1, concurrency), cells: map[TargetID]*cell{}}
}

// State returns what is remembered of a target. It must not be called while Tick or Nudge run.
func (l *Loop) State(id TargetID) scaling.State { return l.cell(id).memory.state }

// cell returns the place of a target's memory, made where there is none yet.
func (l *Loop) cell(id TargetID) *cell {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.cells[id]
	if !ok {
		c = &cell{}
		l.cells[id] = c
	}
	return c
}

// Tick observes, plans, records and actuates each target once, and forgets those that are no longer there. It must not run
// twice at once. Every replica of the service plans, so that each one's state is warm when the lease comes to it; the
// Actuator knows whether it may write. One target's failure does not stop the others; the error joins all of them.
func (l *Loop) Tick(ctx context.Context, now time.Time, targets []Target) error {
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	slots := make(chan struct{}, l.concurrency)
	for i, t := range targets {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = l.one(ctx, now, t)
			<-slots
		})
	}
	wg.Wait()
	l.forgetAllBut(targets)
	return errors.Join(errs...)
}

// Nudge is a cycle of one target out of turn, for what cannot wait for the next tick: a request that is held while there is
// no replica. It may run beside Tick and other Nudges.
func (l *Loop) Nudge(ctx context.Context, now time.Time, t Target) error { return l.one(ctx, now, t) }

func (l *Loop) forgetAllBut(targets []Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := make(map[TargetID]*cell, len(targets))
	for _, t := range targets {
		kept[t.ID] = l.cells[t.ID]
	}
	l.cells = kept
}

// overtaken is how far a cycle's time may lie before that of the last one because it was overtaken, and not because the clock
// was set back.
const overtaken = time.Minute

// one is the cycle of one target, with what is remembered of it before and after. It is passed over where a later one was
// quicker: to a planner time does not go back.
func (l *Loop) one(ctx context.Context, now time.Time, t Target) error {
	c := l.cell(t.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	if ahead := c.last.Sub(now); ahead > 0 && ahead < overtaken {
		return nil
	}
	m := l.recall(c.memory, t, now)
	err := l.cycle(ctx, now, t, &m.state)
	if errors.Is(err, errPanicked) {
		m = memory{target: t, since: now, distrusted: true}
	}
	l.keep(m, now)
	c.memory, c.last = m, now
	return err
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
