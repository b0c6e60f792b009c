package compare_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// warmed is the small experiment under one lead time and seed, of which the first three minutes of eight are a warm-up.
func warmed(t *testing.T, policies ...string) compare.Experiment {
	e := experiment(t)
	e.Policies, e.Seeds, e.Leads, e.WarmUp = policies, e.Seeds[:1], e.Leads[:1], 3*time.Minute
	return e
}

// TestAWarmUpIsServedAndNotScored adds up what the files of the run say of the time after it.
func TestAWarmUpIsServedAndNotScored(t *testing.T) {
	e, dir := warmed(t, "preheat", "hpa-running"), t.TempDir()
	files, err := score.Create(dir, len(e.Policies))
	if err != nil {
		t.Fatal(err)
	}
	got, err := compare.Run(t.Context(), e, compare.Tools{Files: func(compare.Key) *score.Files { return files }})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range got.Scores {
		attained, hours := after(t, dir, s.Policy, e.WarmUp.Seconds(), e)
		if math.Abs(s.Attained()-attained) > 1e-9 || math.Abs(s.GPUHours.Total-hours) > 1e-6 {
			t.Errorf("%s: attained %v for %v GPU-hours, its files say %v for %v", s.Policy, s.Attained(), s.GPUHours.Total, attained, hours)
		}
		if all := len(rows(t, dir, score.RequestsFile, s.Policy)); int64(all) != got.Facts.Requests || s.Requests.Arrived >= uint64(all) {
			t.Errorf("%s: %d requests were served of %d, %d scored", s.Policy, all, got.Facts.Requests, s.Requests.Arrived)
		}
		if end := got.Facts.Span - e.WarmUp; math.Abs(s.Duration-end.Seconds()) > 60 {
			t.Errorf("%s: lasted %v s, want about %v", s.Policy, s.Duration, end)
		}
		if want := float64(s.Requests.WithinSLO) / s.Duration; math.Abs(s.Goodput.Requests-want) > 1e-9 {
			t.Errorf("%s: goodput %v, want %v", s.Policy, s.Goodput.Requests, want)
		}
		if mean := s.GPUSeconds / float64(e.Profile.GPUs) / s.Duration; math.Abs(s.Replicas.Mean-mean) > 1e-9 {
			t.Errorf("%s: %v replicas on average, want %v", s.Policy, s.Replicas.Mean, mean)
		}
	}
}

// TestIdleTimeOfAWarmUpIsNoneOfTheScore has a load that is idle for two minutes before the scored one, which is not.
func TestIdleTimeOfAWarmUpIsNoneOfTheScore(t *testing.T) {
	e := warmed(t, "static-mean")
	e.WarmUp, e.Initial, e.Max = 2*time.Minute, 1, 1
	busy := []trace.Request{{At: 0, PromptTokens: 100, OutputTokens: 10}}
	for i := range 60 {
		busy = append(busy, trace.Request{At: e.WarmUp + time.Duration(i)*time.Second, PromptTokens: 1000, OutputTokens: 200})
	}
	e.Load = slice(busy...)
	got, err := compare.Run(t.Context(), e, compare.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	if h := got.Scores[0].GPUHours; h.Idle > 1e-6 || h.Running <= 0 || math.Abs(h.Running+h.Idle-h.Total) > 1e-9 {
		t.Errorf("%+v, want no idle time: a request is under way throughout what is scored", h)
	}
}

func TestTheOraclePaysForWhatIsScoredOnly(t *testing.T) {
	whole, e := warmed(t, "static-peak", compare.Oracle), warmed(t, "static-peak", compare.Oracle)
	whole.WarmUp = 0
	all, err := compare.Run(t.Context(), whole, compare.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	rest, err := compare.Run(t.Context(), e, compare.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	if !rest.Proofs[0].Met || rest.Proofs[0].GPUSeconds >= all.Proofs[0].GPUSeconds {
		t.Errorf("%+v after a warm-up, %+v without", rest.Proofs[0].Result, all.Proofs[0].Result)
	}
	if o := rest.Scores[1]; math.Abs(o.GPUSeconds-rest.Proofs[0].GPUSeconds) > 1e-3 || o.Requests.Arrived != uint64(rest.Proofs[0].Requests) {
		t.Errorf("scored %v GPU-seconds and %d requests, the proof says %v and %d", o.GPUSeconds, o.Requests.Arrived, rest.Proofs[0].GPUSeconds, rest.Proofs[0].Requests)
	}
}

func TestAWarmUpThatLeavesNothingIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		warmUp time.Duration
		says   string
	}{
		"as long as the load": {8 * time.Minute, "nothing is left to score"},
		"negative":            {-time.Second, "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			e := warmed(t, "static-peak")
			e.WarmUp = tc.warmUp
			if _, err := compare.Run(t.Context(), e, compare.Tools{}); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error is %v, want one that says %q", err, tc.says)
			}
		})
	}
}

func TestRequestsBoundTheSearch(t *testing.T) {
	var runs []int
	for _, times := range []int64{0, 20} { // none: oracle's default
		e := warmed(t, compare.Oracle)
		e.Search = 0
		e.SearchRequests = times * 2000 // about as many as the load has
		got, err := compare.Run(t.Context(), e, compare.Tools{})
		if err != nil {
			t.Fatal(err)
		}
		if p := got.Proofs[0]; times > 0 && p.Simulated > e.SearchRequests+got.Facts.Requests {
			t.Errorf("%d requests were simulated, the bound is %d", p.Simulated, e.SearchRequests)
		}
		runs = append(runs, got.Proofs[0].Simulations)
	}
	if runs[1] >= runs[0] {
		t.Errorf("%d runs in a bounded search, %d without", runs[1], runs[0])
	}
}

// count is a sink that counts what it is told.
type count struct {
	replay.Sinks
	requests int
}

func (c *count) Ended(replay.Request) { c.requests++ }

func TestASinkIsToldOfTheWarmUpToo(t *testing.T) {
	e := warmed(t, "preheat", compare.Oracle)
	counts := map[compare.Key]*count{}
	e.Workers = 1
	got, err := compare.Run(t.Context(), e, compare.Tools{Sink: func(k compare.Key) replay.Sink {
		counts[k] = &count{}
		return counts[k]
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[compare.Key]int{}
	for _, policy := range e.Policies {
		want[compare.Key{Policy: policy, Lead: e.Leads[0].Whole, Seed: e.Seeds[0]}] = int(got.Facts.Requests)
	}
	told := map[compare.Key]int{}
	for k, c := range counts {
		told[k] = c.requests
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}
