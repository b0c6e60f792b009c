package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

type entry struct {
	at    float64
	pod   string
	phase ledger.Phase
}

func book(entries []entry) *ledger.Ledger {
	l := &ledger.Ledger{}
	for _, e := range entries {
		l.Pod(e.pod, e.phase, at(e.at))
	}
	return l
}

func TestGPUSeconds(t *testing.T) {
	tests := map[string]struct {
		entries  []entry
		from, to float64
		want     float64 // at 4 GPUs a pod
	}{
		"nothing entered costs nothing": {to: 100},
		"a pod is paid for while it loads, serves and drains": {
			entries: []entry{{10, "a", ledger.Starting}, {40, "a", ledger.Serving}, {70, "a", ledger.Draining}, {75, "a", ledger.Gone}},
			to:      100, want: 65 * 4,
		},
		"a pod that waits for a node is free": {
			entries: []entry{{0, "a", ledger.Pending}, {30, "a", ledger.Starting}}, to: 50, want: 20 * 4,
		},
		"a pod that never got a node is free": {
			entries: []entry{{0, "a", ledger.Pending}, {30, "a", ledger.Gone}}, to: 50,
		},
		"only the window counts": {
			entries: []entry{{0, "a", ledger.Serving}, {90, "a", ledger.Gone}}, from: 20, to: 50, want: 30 * 4,
		},
		"a pod gone before the window is free": {
			entries: []entry{{0, "a", ledger.Serving}, {10, "a", ledger.Gone}}, from: 20, to: 50,
		},
		"pods add up": {
			entries: []entry{{0, "a", ledger.Serving}, {5, "b", ledger.Starting}, {10, "a", ledger.Gone}}, to: 20, want: (10 + 15) * 4,
		},
		"late news of a pod that is gone does not bring it back": {
			entries: []entry{{0, "a", ledger.Serving}, {10, "a", ledger.Gone}, {11, "a", ledger.Draining}}, to: 20, want: 10 * 4,
		},
		"a readiness that comes and goes costs nothing more": {
			entries: []entry{{0, "a", ledger.Serving}, {5, "a", ledger.Starting}, {9, "a", ledger.Serving}}, to: 20, want: 20 * 4,
		},
		"a window turned round is empty": {entries: []entry{{0, "a", ledger.Serving}}, from: 20, to: 10},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := book(test.entries).GPUSeconds(4, at(test.from), at(test.to)); got != test.want {
				t.Errorf("got %v GPU-seconds, want %v", got, test.want)
			}
		})
	}
}

// TestGPUSecondsAgreesWithCounting compares the integral with pods counted once a second.
func TestGPUSecondsAgreesWithCounting(t *testing.T) {
	entries := []entry{
		{0, "a", ledger.Starting},
		{3, "b", ledger.Pending},
		{4, "b", ledger.Starting},
		{30, "a", ledger.Serving},
		{36, "b", ledger.Serving},
		{50, "c", ledger.Starting},
		{61, "a", ledger.Draining},
		{66, "a", ledger.Gone},
		{80, "c", ledger.Serving},
	}
	counted := 0.0
	for second := 10; second < 90; second++ {
		for _, pod := range []string{"a", "b", "c"} {
			phase := ledger.Pending
			for _, e := range entries {
				if e.pod == pod && e.at <= float64(second) {
					phase = e.phase
				}
			}
			if phase != ledger.Pending && phase != ledger.Gone {
				counted += 2
			}
		}
	}
	if got := book(entries).GPUSeconds(2, at(10), at(90)); got != counted {
		t.Errorf("got %v GPU-seconds, counted %v", got, counted)
	}
}

func TestCurves(t *testing.T) {
	l := book([]entry{
		{0, "a", ledger.Starting},
		{0, "b", ledger.Starting},
		{30, "a", ledger.Serving},
		{30, "a", ledger.Serving},
		{33, "b", ledger.Serving},
		{60, "b", ledger.Draining},
		{65, "b", ledger.Gone},
	})
	if diff := cmp.Diff([]ledger.Step{{At: at(30), Value: 1}, {At: at(33), Value: 2}, {At: at(60), Value: 1}}, l.Ready()); diff != "" {
		t.Errorf("ready: %s", diff)
	}
	if diff := cmp.Diff([]ledger.Step{{At: at(0), Value: 1}, {At: at(0), Value: 2}, {At: at(65), Value: 1}}, l.Held()); diff != "" {
		t.Errorf("held: %s", diff)
	}
	if serving, gone := l.Count(ledger.Serving), l.Count(ledger.Gone); serving != 1 || gone != 1 {
		t.Errorf("got %d serving and %d gone, want one of each", serving, gone)
	}
}

func TestScaleEvents(t *testing.T) {
	l := &ledger.Ledger{}
	for _, s := range []struct {
		at       float64
		replicas int
	}{{0, 3}, {10, 3}, {20, 5}, {30, 4}, {40, 4}, {90, 2}} {
		l.Asked(s.replicas, at(s.at))
	}
	want := []ledger.Step{{At: at(0), Value: 3}, {At: at(20), Value: 5}, {At: at(30), Value: 4}, {At: at(90), Value: 2}}
	if diff := cmp.Diff(want, l.Desired()); diff != "" {
		t.Error(diff)
	}
	for name, test := range map[string]struct {
		from, to float64
		want     int
	}{
		"the first number is no change":                 {-1, 15, 0},
		"changes count, repetitions do not":             {0, 50, 2},
		"what comes after the end does not count":       {0, 89, 2},
		"a change at the end counts":                    {0, 90, 3},
		"what was changed before the start is no event": {20, 90, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.ScaleEvents(at(test.from), at(test.to)); got != test.want {
				t.Errorf("got %d events, want %d", got, test.want)
			}
		})
	}
}
