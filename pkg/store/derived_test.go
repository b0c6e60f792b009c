package store

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestWhatAnEngineDoesNotStateIsDerived(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := New(Options{})
	id := PodID{Namespace: "default", Name: "a", UID: "1"}
	for i, page := range []map[signals.Metric]float64{
		{signals.RequestsInflight: 7, signals.PromptTokens: 1000, signals.PromptTokensCached: 400},
		{signals.RequestsInflight: 9, signals.PromptTokens: 1000, signals.PromptTokensCached: 500}, // cached ones come first
		{signals.RequestsInflight: 8, signals.PromptTokens: 1300, signals.PromptTokensCached: 500},
	} {
		r := &signals.Reading{Time: start.Add(time.Duration(i) * 5 * time.Second)}
		for m, v := range page {
			r.Set(m, v)
		}
		s.Put(id, r)
	}
	now := start.Add(10 * time.Second)
	if v, ok := s.Pod(id, RequestsInFlight, now); !ok || v.Value != 8 {
		t.Errorf("in flight %v %v, want the 8 that are stated", v, ok)
	}
	if v, ok := s.Pod(id, PrefillTokenRate, now); !ok || v.Value != 20 {
		t.Errorf("prefilled %v %v, want (300-100)/10 s", v, ok)
	}
}
