package compare

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// TestAMeanOfEqualSharesMeetsWhatEachMeets would fail where sums are divided, or quotients summed: either may fall short
// of the values by a rounding.
func TestAMeanOfEqualSharesMeetsWhatEachMeets(t *testing.T) {
	for runs := 1; runs <= 30; runs++ {
		for within := range uint64(1000) {
			share := float64(within) / 1000
			var group []*run
			for range runs {
				group = append(group, &run{score: score.Score{Attainment: &score.Attainment{Both: share}, GPUHours: score.GPUHours{Total: share}}})
			}
			if got := trialOf(group); got.Attainment != share || got.GPUHours != share {
				t.Fatalf("the mean of %d times %v is %v and %v", runs, share, got.Attainment, got.GPUHours)
			}
		}
	}
}

// told keeps what a sink is told.
type told struct {
	replay.Sinks
	requests []uint64
	censuses []replay.Census
}

func (s *told) Ended(r replay.Request)  { s.requests = append(s.requests, r.ID) }
func (s *told) Counted(c replay.Census) { s.censuses = append(s.censuses, c) }

func TestWhatHappensBeforeCountsNothing(t *testing.T) {
	var got told
	l := &later{Sink: &got, from: minute}
	l.Counted(replay.Census{At: 0, Ready: 1})
	l.Ended(replay.Request{ID: 1, Arrival: time.Second})
	l.Counted(replay.Census{At: 50 * time.Second, Ready: 2})
	l.Counted(replay.Census{At: 90 * time.Second, Ready: 3})
	l.Ended(replay.Request{ID: 2, Arrival: minute - 1})
	l.Ended(replay.Request{ID: 3, Arrival: minute})
	l.Counted(replay.Census{At: 100 * time.Second, Ready: 3})
	if len(got.requests) != 1 || got.requests[0] != 3 {
		t.Errorf("told of requests %v, want the one that arrived after a minute", got.requests)
	}
	want := []replay.Census{{At: minute, Ready: 2}, {At: 90 * time.Second, Ready: 3}, {At: 100 * time.Second, Ready: 3}}
	for i, c := range want {
		if len(got.censuses) != len(want) || got.censuses[i] != c {
			t.Fatalf("told of %v, want %v", got.censuses, want)
		}
	}
}
