package replay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// present lists the replicas that an observation shows, with their phases.
func present(o baseline.Observation) []string {
	var out []string
	for _, r := range o.Replicas {
		out = append(out, fmt.Sprint(r.Name, " ", r.Phase))
	}
	return out
}

// The cheapest replica goes first: one that waits, then one that starts, then the one with the fewest requests, and of
// equals the newest.
func TestWhichReplicasGoFirst(t *testing.T) {
	l := listed{
		{At: 0, PromptTokens: 100, OutputTokens: 100},                // chat-0 is idle after this
		{At: time.Second, PromptTokens: 100, OutputTokens: 9000},     // takes chat-1 for the whole time
		{At: 2 * time.Second, PromptTokens: 100, OutputTokens: 9000}, // and chat-2
		{At: 80 * time.Second, PromptTokens: 1, OutputTokens: 1},
	}
	policy := steps(map[int]int32{0: 3, 10: 6, 20: 5, 30: 4, 40: 3, 50: 2, 60: 1}, time.Second)
	left := map[time.Duration][]string{}
	policy.saw = func(o baseline.Observation) { left[o.Time.Sub(start).Truncate(time.Second)] = present(o) }
	run(t, replay.Config{GPUs: 5, Lead: replay.Lead{Load: fixed(time.Hour)}}, replay.Target{
		Name: "chat", Profile: engine(), Load: &l, Policy: policy, Initial: 3,
	})
	for second, want := range map[int][]string{
		15: {"chat-0 Ready", "chat-1 Ready", "chat-2 Ready", "chat-3 Starting", "chat-4 Starting", "chat-5 Unschedulable"},
		25: {"chat-0 Ready", "chat-1 Ready", "chat-2 Ready", "chat-3 Starting", "chat-4 Starting"},
		35: {"chat-0 Ready", "chat-1 Ready", "chat-2 Ready", "chat-3 Starting"},
		45: {"chat-0 Ready", "chat-1 Ready", "chat-2 Ready"},
		55: {"chat-1 Ready", "chat-2 Ready"}, // the idle one went
		65: {"chat-1 Ready", "chat-2 Draining"},
	} {
		if diff := cmp.Diff(want, left[time.Duration(second)*time.Second]); diff != "" {
			t.Errorf("at %d s (-want +got):\n%s", second, diff)
		}
	}
}

func TestAReplicaThatDoesNotFitKeepsNobodyBack(t *testing.T) {
	big := engine()
	big.GPUs = 4
	target := func(name string, p func() *plan, initial int32) replay.Target {
		x := replay.Target{Name: name, Profile: engine(), Load: chat(0, 100), Policy: inPhase{p()}, Initial: initial}
		if name == "big" {
			x.Profile = big
		}
		return x
	}
	grows := func() *plan { return steps(map[int]int32{0: 1, 10: 2}, 5*time.Second) }
	later := func() *plan { return steps(map[int]int32{0: 1, 20: 3}, 5*time.Second) }
	j, _ := run(t, replay.Config{GPUs: 7, Lead: replay.Lead{Load: fixed(10 * time.Second)}}, target("big", grows, 1), target("small", later, 1))
	if last := lastCensus(j, "big"); last.Ready != 1 || last.Unschedulable != 1 {
		t.Errorf("%+v, want the second to wait for four GPUs where two are free", last)
	}
	if last := lastCensus(j, "small"); last.Ready != 3 || last.Unschedulable != 0 {
		t.Errorf("%+v, want the two GPUs that are free for two replicas", last)
	}
}

func TestNodesThatExistAreTakenAgain(t *testing.T) {
	lead := replay.Lead{Node: fixed(100 * time.Second), Load: fixed(10 * time.Second)}
	policy := inPhase{steps(map[int]int32{0: 2, 20: 1, 40: 2}, 10*time.Second)}
	j, _ := run(t, replay.Config{NodeGPUs: 2, Lead: lead}, replay.Target{Name: "chat", Profile: engine(), Load: chat(0, 60), Policy: policy, Initial: 2})
	if last := lastCensus(j, "chat"); last.Ready != 2 {
		t.Errorf("%+v, want the replica ordered at 40 s to be ready: its node was given back at 20 s", last)
	}
}

func TestBoundsAreHeldAndSaid(t *testing.T) {
	policy := steps(map[int]int32{0: 0, 20: 9}, time.Second)
	j, _ := run(t, replay.Config{}, replay.Target{Name: "chat", Profile: engine(), Load: chat(0, 60), Policy: policy, Initial: 2, Min: 2, Max: 4})
	for _, d := range j.decisions {
		want := scaling.Decision{Replicas: 2, Reason: scaling.AtMinimum, Steps: []scaling.Step{{Stage: "bounds", Replicas: 2, Text: "0 wanted, the target allows 2"}}}
		if d.Time.Sub(start) >= 20*time.Second {
			want = scaling.Decision{Replicas: 4, Reason: scaling.AtMaximum, Limited: true, Needed: 9, Steps: []scaling.Step{{Stage: "bounds", Replicas: 4, Text: "9 wanted, the target allows 4"}}}
		}
		want.Time, want.Current = d.Time, d.Current
		if diff := cmp.Diff(want, d); diff != "" {
			t.Fatalf("at %v (-want +got):\n%s", d.Time.Sub(start), diff)
		}
	}
	if len(j.decisions) < 50 {
		t.Errorf("only %d decisions", len(j.decisions))
	}
}

func TestCrashesComeAtTheirRate(t *testing.T) {
	crashes := 0
	for seed := range uint64(5) {
		_, totals := run(t, replay.Config{Seed: seed, CrashesPerHour: 5, Lead: replay.Lead{Load: fixed(time.Second)}}, replay.Target{
			Name: "chat", Profile: engine(), Load: load(seed, 1, 3600), Policy: always(4), Initial: 4,
		})
		crashes += totals[0].Crashes
		if totals[0].ColdStarts != totals[0].Crashes {
			t.Errorf("%+v: each crash is followed by a start", totals[0])
		}
	}
	// five an hour for each of four replicas in five hours; the standard deviation is ten
	if crashes < 70 || crashes > 130 {
		t.Errorf("%d crashes, want about 100", crashes)
	}
}

func TestPagesAreNotAllFetchedAtOnce(t *testing.T) {
	seen := watch(t, replay.Config{}, baseline.Path{Interval: time.Second, Scrape: 5 * time.Second}, map[int]int32{0: 6}, 600)
	at := map[time.Time]bool{}
	for _, r := range seen[len(seen)-1].Replicas {
		at[r.Reading.Time] = true
	}
	if len(at) < 5 {
		t.Errorf("six replicas were read at %d times", len(at))
	}
}
