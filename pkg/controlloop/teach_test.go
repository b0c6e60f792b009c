package controlloop_test

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestATargetIsTaughtOnceItHasBeenSeen(t *testing.T) {
	d := newDesk()
	loop := controlloop.New(d, d, d, 1)
	all := targets(t, 1)
	id, now := all[0].ID, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	teach := func(s *scaling.State) {
		s.Recall(scaling.Past{End: now, Step: time.Minute, Demand: make([]float64, 600)}, now)
	}
	if _, known := loop.Since(id); known || loop.Teach(id, teach) {
		t.Error("a target was taught that nobody knows")
	}
	for i := range 2 {
		if err := loop.Tick(t.Context(), now.Add(time.Duration(i)*15*time.Second), all); err != nil {
			t.Fatal(err)
		}
		if i == 0 && !loop.Teach(id, teach) {
			t.Error("a target that is known was not taught")
		}
	}
	if since, known := loop.Since(id); !known || !since.Equal(now) {
		t.Errorf("known since %v, %v", since, known)
	}
	state := loop.State(id)
	if span := state.Forecast.Span(); span < 10*time.Hour {
		t.Errorf("%v are known after the next tick", span)
	}
}
