package score_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

var slo = score.SLO{TTFT: 2 * time.Second, TPOT: 100 * ms, Attainment: 0.99}

func options(policy string) score.Options {
	return score.Options{Policy: policy, Seed: 1, LeadTime: 2 * time.Minute, SLO: slo, GPUs: 4, Price: 2.5, Start: t0}
}

func completed(ttft, tpot time.Duration) replay.Request {
	return replay.Request{PromptTokens: 10, OutputTokens: 5, TTFT: ttft, TPOT: tpot, E2E: ttft + 4*tpot, Outcome: replay.Completed}
}

func TestARequestMeetsItsObjectives(t *testing.T) {
	ended := func(o replay.Outcome, ttft, tpot time.Duration) replay.Request {
		r := completed(ttft, tpot)
		r.Outcome = o
		return r
	}
	for name, c := range map[string]struct {
		in   replay.Request
		want score.Verdict
	}{
		"when both are just kept":          {completed(2*time.Second, 100*ms), score.Verdict{TTFT: true, TPOT: true, Both: true}},
		"not when the first token is late": {completed(2*time.Second+1, 100*ms), score.Verdict{TPOT: true}},
		"not when later tokens are slow":   {completed(time.Second, 100*ms+1), score.Verdict{TTFT: true}},
		"not when it was lost midway":      {ended(replay.Lost, time.Second, -1), score.Verdict{}},
		"not when it timed out":            {ended(replay.TimedOut, -1, -1), score.Verdict{}},
		"not when it was rejected":         {ended(replay.Rejected, -1, -1), score.Verdict{}},
		"with one token": {
			replay.Request{OutputTokens: 1, TTFT: time.Second, Outcome: replay.Completed}, score.Verdict{TTFT: true, TPOT: true, Both: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := slo.Judge(c.in); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAnObjectiveOfZeroIsRefused(t *testing.T) {
	if err := slo.Validate(); err != nil {
		t.Errorf("%+v: %v", slo, err)
	}
	for name, tc := range map[string]struct {
		slo  score.SLO
		want string
	}{
		"no TTFT":          {score.SLO{TPOT: time.Second}, "SLO.TTFT is 0s, must be above zero; give a time that never binds"},
		"no TPOT":          {score.SLO{TTFT: time.Second}, "SLO.TPOT is 0s, must be above zero"},
		"more than all":    {score.SLO{TTFT: 1, TPOT: 1, Attainment: 1.01}, "SLO.Attainment is 1.01"},
		"no number at all": {score.SLO{TTFT: 1, TPOT: 1, Attainment: math.NaN()}, "SLO.Attainment is NaN"},
	} {
		if err := tc.slo.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v does not say %q", name, err, tc.want)
		}
	}
}

// A run that can be reckoned by hand: ten seconds, one replica that becomes two, goes back, and ends.
func TestARunIsScoredAsByHand(t *testing.T) {
	c := score.NewCollector(options("preheat"))
	second := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	decide := func(at float64, blind bool, r scaling.Reason) {
		c.Decided("", scaling.Decision{Time: t0.Add(second(at)), Blind: blind, Reason: r}, baseline.Gateway{})
	}
	c.Counted(replay.Census{At: 0, Desired: 1, Ready: 1})
	decide(1, true, scaling.NoFreshData)
	c.Counted(replay.Census{At: second(2), Desired: 2, Ready: 1, Unschedulable: 1})
	c.Counted(replay.Census{At: second(3), Desired: 2, Ready: 1, Starting: 1})
	decide(3, false, scaling.DemandMet)
	c.Ended(completed(time.Second, 50*ms))
	c.Ended(completed(3*time.Second, 50*ms))
	c.Counted(replay.Census{At: second(5), Desired: 2, Ready: 2})
	c.Counted(replay.Census{At: second(8), Desired: 1, Ready: 1, Draining: 1})
	c.Ended(replay.Request{TTFT: -1, TPOT: -1, E2E: second(4), Outcome: replay.TimedOut})
	c.Ended(replay.Request{TTFT: 1, TPOT: -1, Outcome: replay.Lost})
	decide(9, true, scaling.NoFreshData)
	c.Counted(replay.Census{At: second(10), Desired: 1, Ready: 1})
	got := c.Score(replay.Total{End: second(10), Idle: second(5), ColdStarts: 1, Crashes: 1})

	// Replica-seconds: ready 2+1+2+2·3+2, starting 2, draining 2, of four GPUs each.
	hours := func(replicaSeconds float64) float64 { return replicaSeconds * 4 / 3600 }
	want := score.Score{
		Policy: "preheat", Seed: 1, LeadTime: 120, Duration: 10,
		GPUSeconds: 68,
		GPUHours:   score.GPUHours{Total: hours(17), Running: hours(8), Idle: hours(5), Loading: hours(2), Draining: hours(2)},
		Price:      2.5, Cost: 2.5 * 68 / 3600,
		Requests:   score.Requests{Arrived: 4, Completed: 2, TimedOut: 1, Lost: 1, WithinSLO: 1, InputTokens: 20, OutputTokens: 10},
		Attainment: &score.Attainment{Both: 0.25, TTFT: 0.25, TPOT: 0.5},
		TTFT:       &score.Latency{P50: 1, P90: 4, P99: 4, Mean: 8.000000001 / 4, Max: 4},
		TPOT:       &score.Latency{P50: 0.05, P90: 0.05, P99: 0.05, Mean: 0.05, Max: 0.05},
		E2E:        &score.Latency{P50: 1.2, P90: 3.2, P99: 3.2, Mean: 2.2, Max: 3.2},
		Goodput:    &score.Goodput{Requests: 0.1, OutputTokens: 0.5},
		Scaling:    score.Scaling{Ups: 1, Downs: 1, Flapping: 2, ColdStarts: 1, Crashes: 1},
		Replicas:   score.Replicas{Mean: 1.7, Max: 2, MaxDesired: 2},
		// Blind from 1 to 3 and from 9 to the end.
		Unschedulable: 1, Blind: 3,
		Decisions: map[scaling.Reason]int{scaling.NoFreshData: 2, scaling.DemandMet: 1},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0.004, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARunWithoutRequestsHasNoLatency(t *testing.T) {
	c := score.NewCollector(options("static-peak"))
	s := c.Score(replay.Total{})
	if s.Attainment != nil || s.TTFT != nil || s.TPOT != nil || s.E2E != nil || s.Goodput != nil {
		t.Errorf("got %+v", s)
	}
	if !slo.MetBy(s.Attained()) {
		t.Error("no request was missed")
	}
}

// Ninety-four requests had their first token after a second; of what became of the other six the p99 must tell.
func TestNobodyLooksFasterForSendingRequestsAway(t *testing.T) {
	ended := func(o replay.Outcome, ttft, e2e time.Duration) replay.Request {
		return replay.Request{PromptTokens: 10, OutputTokens: 5, TTFT: ttft, TPOT: -1, E2E: e2e, Outcome: o}
	}
	const none = -1
	for name, c := range map[string]struct {
		others []replay.Request
		p50    float64
		p99    float64
	}{
		"served in 20 s":                            {repeated(6, completed(20*time.Second, 50*ms)), 1, 20},
		"timed out after 60 s":                      {repeated(6, ended(replay.TimedOut, none, time.Minute)), 1, 60},
		"lost after 30 s without a token":           {repeated(6, ended(replay.Lost, none, 30*time.Second)), 1, 30},
		"lost after their first token":              {repeated(6, ended(replay.Lost, 2*time.Second, time.Minute)), 1, 2},
		"rejected at once, no better than the rest": {repeated(6, ended(replay.Rejected, none, 0)), 1, 1},
		"rejected at once where another waited": {
			append(repeated(5, ended(replay.Rejected, none, 0)), completed(20*time.Second, 50*ms)), 1, 20,
		},
		"rejected at once in their majority": {
			append(repeated(200, ended(replay.Rejected, none, 0)), completed(20*time.Second, 50*ms)), 20, 20,
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := score.NewCollector(options("preheat"))
			for _, r := range append(c.others, repeated(94, completed(time.Second, 50*ms))...) {
				k.Ended(r)
			}
			got := k.Score(replay.Total{End: time.Minute}).TTFT
			if off := max(math.Abs(got.P50/c.p50-1), math.Abs(got.P99/c.p99-1)); off > 0.004 {
				t.Errorf("got p50 %v, p99 %v; want %v, %v", got.P50, got.P99, c.p50, c.p99)
			}
		})
	}
	k := score.NewCollector(options("preheat"))
	k.Ended(ended(replay.Rejected, none, 0))
	if got := k.Score(replay.Total{End: time.Minute}).TTFT; got != nil {
		t.Errorf("only rejected at once: got %+v, want no TTFT", got)
	}
}

func repeated(n int, r replay.Request) []replay.Request {
	var out []replay.Request
	for range n {
		out = append(out, r)
	}
	return out
}

func TestOnlyTheTargetIsScored(t *testing.T) {
	o := options("preheat")
	o.Target = "a"
	c := score.NewCollector(o)
	for _, target := range []string{"a", "b"} {
		r := completed(time.Second, 50*ms)
		r.Target = target
		c.Ended(r)
		c.Counted(replay.Census{Target: target, Ready: 1, Desired: 1})
		c.Counted(replay.Census{Target: target, Ready: 1, Desired: 1, At: time.Second})
		c.Decided(target, scaling.Decision{Time: t0}, baseline.Gateway{})
	}
	s := c.Score(replay.Total{End: time.Second})
	if s.Requests.Arrived != 1 || s.GPUSeconds != 4 || len(s.Decisions) != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestScoresConserve(t *testing.T) {
	for seed := range uint64(50) {
		c := score.NewCollector(options("preheat"))
		s := c.Score(tell(seed, 200, c))
		r := s.Requests
		if r.Arrived != 200 || r.Completed+r.TimedOut+r.Rejected+r.Lost != r.Arrived || r.WithinSLO > r.Completed {
			t.Errorf("seed %d: %+v", seed, r)
		}
		h := s.GPUHours
		if sum := h.Running + h.Idle + h.Loading + h.Draining + h.Warm; math.Abs(sum-h.Total) > 1e-9*h.Total || h.Total == 0 {
			t.Errorf("seed %d: parts add up to %v of %v GPU-hours", seed, sum, h.Total)
		}
		if a := s.Attainment; a.Both > min(a.TTFT, a.TPOT) || a.Both < a.TTFT+a.TPOT-1 {
			t.Errorf("seed %d: %+v", seed, a)
		}
		if s.Scaling.Flapping < 0 || s.Scaling.Flapping%2 != 0 {
			t.Errorf("seed %d: flapping %d", seed, s.Scaling.Flapping)
		}
		for _, l := range []*score.Latency{s.TTFT, s.TPOT, s.E2E} {
			if l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.Max {
				t.Errorf("seed %d: %+v", seed, l)
			}
		}
	}
}

func TestACollectorDoesNotGrow(t *testing.T) {
	c := score.NewCollector(options("preheat"))
	r := completed(time.Second, 50*ms)
	d := scaling.Decision{Time: t0, Reason: scaling.DemandMet}
	c.Decided("", d, baseline.Gateway{})
	if n := testing.AllocsPerRun(1000, func() {
		c.Ended(r)
		c.Counted(replay.Census{Ready: 1})
		c.Decided("", d, baseline.Gateway{})
	}); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

func BenchmarkCollector(b *testing.B) {
	c := score.NewCollector(options("preheat"))
	r := completed(time.Second, 50*ms)
	for b.Loop() {
		c.Ended(r)
	}
}
