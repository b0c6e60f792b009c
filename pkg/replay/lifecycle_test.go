package replay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// row is a census without its target, in whole seconds.
type row struct {
	second                                            int
	desired, starting, ready, draining, unschedulable int32
}

func rows(j *journal, target string) []row {
	var out []row
	for _, c := range j.censuses {
		if c.Target == target {
			out = append(out, row{int(c.At / time.Second), c.Desired, c.Starting, c.Ready, c.Draining, c.Unschedulable})
		}
	}
	return out
}

// chat is n requests, one each second from a time on.
func chat(from time.Duration, n int) *listed {
	var l listed
	for i := range n {
		l = append(l, trace.Request{At: from + time.Duration(i)*time.Second, PromptTokens: 500, OutputTokens: 100})
	}
	return &l
}

func TestReplicasComeAndGo(t *testing.T) {
	lead := replay.Lead{Pull: fixed(20 * time.Second), Load: fixed(30 * time.Second), WarmUp: fixed(10 * time.Second)}
	node := lead
	node.Node = fixed(100 * time.Second)
	p := engine()
	cases := map[string]struct {
		config  replay.Config
		load    trace.Stream
		initial int32
		policy  *plan
		want    []row
	}{
		"what is ordered is ready one lead time later": {
			replay.Config{Lead: lead},
			chat(0, 200), 1, steps(map[int]int32{0: 1, 30: 3}, 15*time.Second),
			[]row{{0, 1, 0, 1, 0, 0}, {30, 3, 2, 1, 0, 0}, {90, 3, 0, 3, 0, 0}, {199, 3, 0, 3, 0, 0}},
		},
		"an order that is taken back is free at once": {
			replay.Config{Lead: lead},
			chat(0, 100), 1, steps(map[int]int32{0: 1, 15: 4, 45: 2}, 15*time.Second),
			[]row{{0, 1, 0, 1, 0, 0}, {15, 4, 3, 1, 0, 0}, {45, 2, 1, 1, 0, 0}, {75, 2, 0, 2, 0, 0}, {99, 2, 0, 2, 0, 0}},
		},
		"there are no more replicas than GPUs": {
			replay.Config{Lead: lead, GPUs: 2, Events: []replay.Event{{At: 100 * time.Second, Kind: replay.StockChanges, Value: 3}}},
			chat(0, 200), 1, steps(map[int]int32{0: 1, 15: 4}, 15*time.Second),
			[]row{{0, 1, 0, 1, 0, 0}, {15, 4, 1, 1, 0, 2}, {75, 4, 0, 2, 0, 2}, {100, 4, 1, 2, 0, 1}, {160, 4, 0, 3, 0, 1}, {199, 4, 0, 3, 0, 1}},
		},
		"a replica beyond the nodes that exist waits for its node": {
			replay.Config{Lead: node, NodeGPUs: 2},
			chat(0, 200), 1, steps(map[int]int32{0: 1, 15: 3}, 15*time.Second),
			[]row{{0, 1, 0, 1, 0, 0}, {15, 3, 2, 1, 0, 0}, {75, 3, 1, 2, 0, 0}, {175, 3, 0, 3, 0, 0}, {199, 3, 0, 3, 0, 0}},
		},
		"a crashed replica loads anew, without pulling": {
			replay.Config{Lead: lead, Events: []replay.Event{{At: 20500 * time.Millisecond, Kind: replay.ReplicasCrash, Value: 1}}},
			chat(0, 100), 2, always(2),
			[]row{{0, 2, 0, 2, 0, 0}, {20, 2, 1, 1, 0, 0}, {60, 2, 0, 2, 0, 0}, {99, 2, 0, 2, 0, 0}},
		},
		"loads that are slow take longer from then on": {
			replay.Config{Lead: lead, Events: []replay.Event{{At: 20 * time.Second, Kind: replay.LoadsSlow, Value: 2}}},
			chat(0, 200), 1, steps(map[int]int32{0: 1, 15: 2, 45: 3}, 15*time.Second),
			[]row{{0, 1, 0, 1, 0, 0}, {15, 2, 1, 1, 0, 0}, {45, 3, 2, 1, 0, 0}, {75, 3, 1, 2, 0, 0}, {165, 3, 0, 3, 0, 0}, {199, 3, 0, 3, 0, 0}},
		},
		"engines that get slow are exchanged, and finish what they hold": {
			replay.Config{Lead: lead, Events: []replay.Event{{At: 30500 * time.Millisecond, Kind: replay.EnginesSlow, Value: 1.1}}},
			chat(0, 100), 2, always(2),
			[]row{{0, 2, 0, 2, 0, 0}, {30, 2, 0, 2, 1, 0}, {30, 2, 0, 2, 0, 0}, {99, 2, 0, 2, 0, 0}},
		},
		"what the API delays comes later": {
			replay.Config{Lead: lead, APILag: 5 * time.Second},
			chat(0, 100), 1, steps(map[int]int32{0: 1, 15: 2}, 15*time.Second),
			[]row{{0, 1, 0, 1, 0, 0}, {20, 2, 1, 1, 0, 0}, {80, 2, 0, 2, 0, 0}, {99, 2, 0, 2, 0, 0}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.config.Seed = 1
			j, _ := run(t, c.config, replay.Target{Name: "chat", Profile: p, Load: c.load, Policy: inPhase{c.policy}, Initial: c.initial})
			if diff := cmp.Diff(c.want, rows(j, "chat"), cmp.AllowUnexported(row{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			lost := 0
			if name == "a crashed replica loads anew, without pulling" {
				lost = 1 // the one that it was answering
			}
			if n := j.outcomes(); n[replay.Completed] != len(j.requests)-lost || n[replay.Lost] != lost {
				t.Errorf("%d requests, of which %v", len(j.requests), n)
			}
		})
	}
}

func TestWhatDrainsFinishesWhatItHolds(t *testing.T) {
	l := listed{
		{At: 0, PromptTokens: 100, OutputTokens: 4000},
		{At: time.Second, PromptTokens: 100, OutputTokens: 5000},
		{At: 200 * time.Second, PromptTokens: 1, OutputTokens: 1},
	}
	policy := inPhase{steps(map[int]int32{0: 2, 15: 1}, 15*time.Second)}
	j, _ := run(t, replay.Config{}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: policy, Initial: 2})
	for i, r := range j.requests {
		if r.Outcome != replay.Completed || r.Replica != []int32{0, 1, 0}[i] {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	var phases []string
	var vanished time.Duration
	for _, c := range j.censuses {
		phases = append(phases, fmt.Sprint(c.Ready, "+", c.Draining))
		if len(phases) == 3 {
			vanished = c.At
		}
	}
	if diff := cmp.Diff([]string{"2+0", "1+1", "1+0", "1+0"}, phases); diff != "" {
		t.Errorf("ready and draining (-want +got):\n%s", diff)
	}
	// of two with as many requests the newer one goes; time is rounded up to whole nanoseconds
	if end := j.requests[1].Arrival + j.requests[1].E2E; vanished < end || vanished > end+1 {
		t.Errorf("the draining replica vanished at %v, its request ended at %v", vanished, end)
	}
}

func TestEnginesThatAreSlowTakeLongerFromThenOn(t *testing.T) {
	// A request alone has a token each step. The first has begun when engines get slow.
	l := listed{
		{At: 0, PromptTokens: 100, OutputTokens: 1001},
		{At: 3 * time.Second, PromptTokens: 100, OutputTokens: 1001},
		{At: 100 * time.Second, PromptTokens: 100, OutputTokens: 1001},
		{At: 200 * time.Second, PromptTokens: 100, OutputTokens: 1001},
	}
	lead := replay.Lead{Load: fixed(10 * time.Second)}
	j, _ := run(t, replay.Config{Lead: lead, Events: []replay.Event{
		{At: 2 * time.Second, Kind: replay.EnginesSlow, Value: 1.5},
		{At: 150 * time.Second, Kind: replay.ReplicasCrash, Value: 1},
	}}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(1), Initial: 1})
	for i, want := range []float64{1, 1.5, 1.5, 1.5} { // the last one after a crash
		if ratio := float64(j.requests[i].TPOT) / float64(j.requests[0].TPOT); ratio < want-1e-4 || ratio > want+1e-4 {
			t.Errorf("request %d: a token takes %.4f times as long, want %v", i+1, ratio, want)
		}
		if j.requests[i].Replica != []int32{0, 1, 1, 1}[i] {
			t.Errorf("request %d: on replica %d", i+1, j.requests[i].Replica)
		}
	}
}

func TestTotalsThatBeginLaterLeaveOutWhatWentBefore(t *testing.T) {
	crash := func(at time.Duration) replay.Event {
		return replay.Event{At: at, Kind: replay.ReplicasCrash, Value: 1}
	}
	l := listed{{At: 0, PromptTokens: 100, OutputTokens: 10}, {At: 100 * time.Second, PromptTokens: 100, OutputTokens: 10}}
	lead := replay.Lead{Load: fixed(10 * time.Second)}
	_, totals := run(t, replay.Config{Lead: lead, Events: []replay.Event{
		crash(20 * time.Second), {At: 50 * time.Second, Kind: replay.TotalsBegin}, crash(60 * time.Second),
	}}, replay.Target{Name: "chat", Profile: engine(), Load: &l, Policy: always(1), Initial: 1})
	got := totals[0]
	// From 50 s to the end at 100 s and the time of an answer, ten seconds of which it loads.
	if got.Crashes != 1 || got.ColdStarts != 1 || got.Requests != 1 {
		t.Errorf("%d crashes, %d cold starts, %d requests: want one each", got.Crashes, got.ColdStarts, got.Requests)
	}
	if want := got.End - 50*time.Second; got.Held != want {
		t.Errorf("GPUs were held for %v, want %v", got.Held, want)
	}
	if want := 40 * time.Second; got.Idle != want {
		t.Errorf("idle for %v, want %v", got.Idle, want)
	}
}
