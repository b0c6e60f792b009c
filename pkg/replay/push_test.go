package replay_test

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// waking asks for a replica while requests are held, and for none once nothing is there.
type waking struct{ *plan }

func (w waking) Decide(o baseline.Observation) scaling.Decision {
	d := w.plan.Decide(o)
	if d.Replicas = o.Desired; o.Gateway.Queued > 0 {
		d.Replicas = 1
	} else if o.Gateway.InFlight == 0 && o.Count(scaling.Starting) == 0 {
		d.Replicas = 0
	}
	return d
}

// orders runs two short waves of requests, far apart, from zero replicas, and returns when decisions for one replica came.
func orders(t *testing.T, c replay.Config, push time.Duration) (at []time.Duration) {
	t.Helper()
	var requests listed
	for _, second := range []int{100, 101, 102, 2000, 2001} {
		requests = append(requests, trace.Request{At: time.Duration(second) * time.Second, PromptTokens: 100, OutputTokens: 10})
	}
	policy := waking{always(0)}
	policy.path = baseline.Path{Interval: 15 * time.Second, Scrape: 5 * time.Second, Lag: time.Second, Push: push}
	c.Lead = replay.Lead{Load: fixed(30 * time.Second)}
	j, _ := run(t, c, replay.Target{Name: "chat", Profile: engine(), Load: &requests, Policy: policy, Max: 1})
	for _, d := range j.decisions {
		if d.Replicas > d.Current {
			at = append(at, d.Time.Sub(start))
		}
	}
	return at
}

func TestAPolicyIsToldOfTheFirstRequestAtZero(t *testing.T) {
	pushed := orders(t, replay.Config{}, 100*time.Millisecond)
	want := []time.Duration{100*time.Second + 100*time.Millisecond, 2000*time.Second + 100*time.Millisecond}
	if len(pushed) != 2 || pushed[0] != want[0] || pushed[1] != want[1] {
		t.Errorf("replicas were asked for at %v, want %v", pushed, want)
	}
	polled := orders(t, replay.Config{}, 0)
	if len(polled) != 2 || polled[0] == want[0] || polled[0]-want[0] > 20*time.Second {
		t.Errorf("without being told it asked at %v, want some time of an interval later", polled)
	}
}

func TestNobodyIsToldWhileNothingCanBeRead(t *testing.T) {
	outage := replay.Config{Events: []replay.Event{{At: 90 * time.Second, Kind: replay.ScrapesFail}, {At: 180 * time.Second, Kind: replay.ScrapesWork}}}
	if at := orders(t, outage, 100*time.Millisecond); len(at) != 2 || at[0] < 180*time.Second {
		t.Errorf("replicas were asked for at %v, of which nothing was known before 3m0s", at)
	}
}

func TestWakesAreCountedByWhetherTheyWereForeseen(t *testing.T) {
	var requests listed
	for _, second := range []int{100, 101, 1000, 2000} {
		requests = append(requests, trace.Request{At: time.Duration(second) * time.Second, PromptTokens: 100, OutputTokens: 10})
	}
	// Asked for at 110 s, when two requests wait; at 500 s for nothing; at 900 s before the third comes; given up at 1910 s before
	// it was ready, and asked for after the last one has come.
	policy := steps(map[int]int32{0: 0, 110: 1, 300: 0, 500: 1, 600: 0, 900: 1, 1100: 0, 1900: 1, 1910: 0, 2010: 1}, time.Second)
	j, totals := run(t, replay.Config{Lead: replay.Lead{Load: fixed(30 * time.Second)}}, replay.Target{Name: "chat", Profile: engine(), Load: &requests, Policy: policy, Max: 1})
	if x := totals[0]; x.Wakes != 4 || x.Foreseen != 1 || x.Needless != 1 {
		t.Errorf("%d wakes, %d of them foreseen and %d needless: want 4, 1 and 1", x.Wakes, x.Foreseen, x.Needless)
	}
	for _, r := range j.requests {
		if met := r.Arrival == 1000*time.Second; r.Unready == met {
			t.Errorf("the request at %v found a ready replica: %v", r.Arrival, !r.Unready)
		}
	}
}
