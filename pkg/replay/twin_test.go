package replay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// The replicas jump over decode steps in which nothing can be seen. A twin whose replicas report each token cannot, and
// has to tell the same, to the nanosecond.
func TestJumpingOverStepsChangesNothing(t *testing.T) {
	for seed := range uint64(12) {
		var texts [2]string
		for i := range texts {
			c, targets, _ := anything(seed)
			for k := range targets {
				targets[k].Profile.StreamInterval = i
			}
			j, totals := run(t, c, targets...)
			texts[i] = j.text.String()
			if totals[0].Requests < 100 {
				t.Fatalf("seed %d: only %d requests", seed, totals[0].Requests)
			}
		}
		if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
			t.Fatalf("seed %d (-jumping +stepping):\n%s", seed, diff)
		}
	}
}

// Between two things that are due the replicas are left behind. A run that looks at them ten times a second instead of
// every 15 s has to tell the same ends.
func TestLookingMoreOftenChangesNothing(t *testing.T) {
	for seed := range uint64(12) {
		var ends [2]string
		for i, interval := range []time.Duration{15 * time.Second, 100 * time.Millisecond} {
			c, targets, _ := anything(seed)
			c.LostScrapes = 0 // what is lost depends on how many are asked for
			for k := range targets {
				targets[k].Policy = inRhythm{interval}
				targets[k].Initial = 3
			}
			c.GPUs = 0
			j, _ := run(t, c, targets...)
			ends[i] = fmt.Sprint(j.requests)
		}
		if diff := cmp.Diff(ends[0], ends[1]); diff != "" {
			t.Fatalf("seed %d (-seldom +often):\n%s", seed, diff)
		}
	}
}

// inRhythm keeps the replicas there are, and looks at them and at their pages at an interval.
type inRhythm struct{ every time.Duration }

func (p inRhythm) Path() baseline.Path {
	return baseline.Path{Interval: p.every, Scrape: p.every}
}

func (p inRhythm) Decide(o baseline.Observation) scaling.Decision {
	return scaling.Decision{Time: o.Time, Current: o.Desired, Replicas: o.Desired, Reason: scaling.DemandMet}
}

// What a target's policy sees of its own replicas, to the last bit, is not for another target's policy to change by looking
// more often.
func TestHowOftenOthersLookChangesNoPage(t *testing.T) {
	for seed := range uint64(12) {
		var seen [2]string
		for i, others := range []time.Duration{15 * time.Second, 100 * time.Millisecond} {
			c, targets, _ := anything(seed)
			c.GPUs, c.LostScrapes, c.Events = 0, 0, nil
			p := inRhythm{5 * time.Second}
			targets[0].Policy, targets[1].Policy = pageReader{p, &seen[i]}, inRhythm{others}
			for k := range targets {
				targets[k].Initial = 4
			}
			run(t, c, targets...)
		}
		if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
			t.Fatalf("seed %d (-seldom +often):\n%s", seed, diff)
		}
	}
}

// pageReader writes down the latencies on the pages that it is shown.
type pageReader struct {
	inRhythm
	seen *string
}

func (p pageReader) Decide(o baseline.Observation) scaling.Decision {
	for _, r := range o.Replicas {
		if r.Reading == nil {
			continue
		}
		*p.seen += r.Name
		for l := range signals.NumLatencies {
			*p.seen += fmt.Sprint(*r.Reading.Histogram(signals.Latency(l)))
		}
	}
	return p.inRhythm.Decide(o)
}

// What a run allocates does not grow with the number of its requests, so that its memory does not either.
func TestRequestsAllocateNothing(t *testing.T) {
	const few, many = 2_000, 40_000
	allocations := func(n int) float64 {
		return testing.AllocsPerRun(1, func() {
			_, err := replay.Run(t.Context(), replay.Config{Start: start, Timeout: time.Minute, MaxOutstanding: 100},
				[]replay.Target{{Name: "chat", Profile: engine(), Load: load(1, 30, n), Policy: always(4), Initial: 4}}, nothing{})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	a, b := allocations(few), allocations(many)
	// what is left are decisions each 15 s and buffers that find their size
	if perRequest := (b - a) / (many - few); perRequest > 0.01 {
		t.Errorf("%.0f allocations for %d requests, %.0f for %d", a, few, b, many)
	}
}
