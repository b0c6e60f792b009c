package controlloop_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// shelf is an Archive in memory to which every tick is due.
type shelf struct {
	mu    sync.Mutex
	kept  map[controlloop.TargetID]controlloop.Lesson
	asked int
}

func (s *shelf) Recall(t controlloop.Target, since, now time.Time) (controlloop.Lesson, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	l, ok := s.kept[t.ID]
	return l, ok && since.Equal(now)
}

func (s *shelf) Due(controlloop.Target, time.Time, time.Time) bool { return true }

func (s *shelf) Keep(t controlloop.Target, l controlloop.Lesson, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Learned.LeadTime.Starts = slices.Clone(l.Learned.LeadTime.Starts)
	s.kept[t.ID] = l
}

func TestALoopGoesOnFromItsArchive(t *testing.T) {
	d, s := newDesk(), &shelf{kept: map[controlloop.TargetID]controlloop.Lesson{}}
	ts := targets(t, 3)
	begun := start.Add(-24 * time.Hour)
	known := leadtime.State{Starts: []leadtime.Start{{Loading: 77 * time.Second}}}
	s.kept[ts[1].ID] = controlloop.Lesson{Since: begun, Learned: scaling.Learned{
		LeadTime: known, Replicas: []scaling.ReplicaLearned{{ID: "a", Learned: true}},
	}}
	loop := controlloop.New(d, d, d, 4)
	loop.KeepIn(s)
	for i := range 3 {
		if err := loop.Tick(t.Context(), start.Add(time.Duration(i)*15*time.Second), ts); err != nil {
			t.Fatal(err)
		}
	}
	loop.Keep(start.Add(time.Minute))
	for i, since := range []time.Time{start, begun, start} {
		if got := s.kept[ts[i].ID]; !got.Since.Equal(since) || (len(got.Learned.LeadTime.Starts) == 1) != (i == 1) {
			t.Errorf("target %d: learned since %v, want %v; starts %v", i, got.Since, since, got.Learned.LeadTime.Starts)
		}
	}
	state := loop.State(ts[1].ID)
	if !state.Replicas["a"].Learned || state.Since.Before(start) {
		t.Errorf("the replica's start would be learned again, or a window of before the restart counts: %+v", state)
	}
	if s.asked != 9 {
		t.Errorf("the archive was asked %d times in three ticks of three targets", s.asked)
	}
}

func TestATargetThatWasMadeAnewKnowsNothing(t *testing.T) {
	d := newDesk()
	loop := controlloop.New(d, d, d, 1)
	ts := targets(t, 1)
	for i, uid := range []string{"u1", "u1", "u2"} {
		ts[0].UID = uid
		if err := loop.Tick(t.Context(), start.Add(time.Duration(i)*15*time.Second), ts); err != nil {
			t.Fatal(err)
		}
	}
	if s := loop.State(ts[0].ID); len(s.Proposals) != 1 {
		t.Errorf("%d ticks of the one before are remembered", len(s.Proposals)-1)
	}
}

// trap panics where a target has learned a start, as a forecaster might on a state that it does not understand.
type trap struct{}

func (trap) Stage() string { return "trap" }

func (trap) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	if len(in.State.LeadTime.Starts) > 0 {
		panic("a start that cannot be")
	}
	return scaling.Ruling{Replicas: wanted}
}

func TestAStateThatMakesPlanningPanicIsForgottenAndStopsNobody(t *testing.T) {
	d, s := newDesk(), &shelf{kept: map[controlloop.TargetID]controlloop.Lesson{}}
	ts := targets(t, 3)
	ts[1].Planner = planner(t, func(c *scaling.Config) { c.Constraints = []scaling.Constraint{trap{}} })
	s.kept[ts[1].ID] = controlloop.Lesson{Since: start.Add(-time.Hour), Learned: scaling.Learned{
		LeadTime: leadtime.State{Starts: []leadtime.Start{{Loading: time.Second}}},
	}}
	loop := controlloop.New(d, d, d, 2)
	loop.KeepIn(s)
	err := loop.Tick(t.Context(), start, ts)
	if err == nil || !strings.Contains(err.Error(), "plan default/t1: panic") || !strings.Contains(err.Error(), "a start that cannot be") || !strings.Contains(err.Error(), "Apply") {
		t.Errorf("the error does not tell target, fault and place: %v", err)
	}
	if len(d.actuated) != 2 {
		t.Errorf("%d of the two other targets are decided on", len(d.actuated))
	}
	for i := range 3 {
		if err := loop.Tick(t.Context(), start.Add(time.Duration(i+1)*15*time.Second), ts); err != nil {
			t.Fatalf("the same state is recalled again: %v", err)
		}
	}
	if got := s.kept[ts[1].ID]; !got.Since.Equal(start) || len(got.Learned.LeadTime.Starts) != 0 {
		t.Errorf("the archive still has what made it panic: %+v", got)
	}
}
