package store

import (
	"errors"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestAFrozenPageGrowsOldAndIsThenAbsent(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := New(Options{Staleness: 10 * time.Second})
	id := PodID{Namespace: "default", Name: "a", UID: "1"}
	for i := range 10 {
		r := &signals.Reading{Time: start.Add(time.Duration(i) * 2 * time.Second)}
		r.Set(signals.RequestsRunning, 3)
		r.Set(signals.GenerationTokens, 100)
		r.SetHistogram(signals.ITL, &signals.Histogram{Bounds: []float64{1}, Counts: []float64{100, 100}, Sum: 3})
		s.Put(id, r)
	}
	newest, ok := s.Latest(id)
	if !ok || !newest.Time.Equal(start) {
		t.Errorf("newest reading is of %v, want the first, of %v", newest.Time, start)
	}
	if _, problem := s.Problem(id); !errors.Is(problem, ErrFrozen) {
		t.Errorf("problem is %v, want ErrFrozen", problem)
	}
	if _, ok := s.Pod(id, RequestsRunning, start.Add(10*time.Second)); !ok {
		t.Error("absent within the bound")
	}
	if v, ok := s.Pod(id, RequestsRunning, start.Add(11*time.Second)); ok {
		t.Errorf("%v is served beyond the bound", v)
	}
}
