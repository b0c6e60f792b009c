package controlloop

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// slow is a world in which the observation of one target takes until it is let go on.
type slow struct {
	stuck   TargetID
	begun   chan struct{}
	release chan struct{}

	mu   sync.Mutex
	seen map[TargetID][]time.Time
}

func (w *slow) Observe(_ context.Context, id TargetID, now time.Time) (scaling.Observation, error) {
	if id == w.stuck {
		w.begun <- struct{}{}
		<-w.release
	}
	return scaling.Observation{Time: now, Desired: 1}, nil
}

func (w *slow) Actuate(_ context.Context, id TargetID, d scaling.Decision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[id] = append(w.seen[id], d.Time)
	return nil
}

func (w *slow) Record(context.Context, TargetID, scaling.Decision, error) {}

func TestNudgeWaitsForNoTick(t *testing.T) {
	planner, err := scaling.NewPlanner(scaling.Default())
	if err != nil {
		t.Fatal(err)
	}
	stuck, other := TargetID{"a", "stuck"}, TargetID{"a", "other"}
	w := &slow{stuck: stuck, begun: make(chan struct{}), release: make(chan struct{}), seen: map[TargetID][]time.Time{}}
	targets := []Target{{ID: stuck, Planner: planner}, {ID: other, Planner: planner}}
	l := New(w, w, w, 1) // the tick reaches the other target once it is done with the first
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ticked := make(chan error)
	go func() { ticked <- l.Tick(context.Background(), start, targets) }()
	<-w.begun

	if err := l.Nudge(context.Background(), start.Add(time.Second), targets[1]); err != nil {
		t.Fatal(err)
	}
	close(w.release)
	if err := <-ticked; err != nil {
		t.Fatal(err)
	}
	if got := w.seen[other]; len(got) != 1 || !got[0].Equal(start.Add(time.Second)) {
		t.Errorf("the nudged target's cycles were at %v: want one, the nudge's, since the tick's time lies before it", got)
	}
	if got := w.seen[stuck]; len(got) != 1 {
		t.Errorf("the other target had %d cycles, want 1", len(got))
	}

	w.stuck = TargetID{}
	if err := l.Tick(context.Background(), start.Add(-time.Hour), targets); err != nil {
		t.Fatal(err)
	}
	if got := w.seen[other]; len(got) != 2 {
		t.Errorf("after the clock was set back by an hour there were %d cycles, want 2", len(got))
	}
}
