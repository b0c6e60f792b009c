package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// watch runs one target under a plan that keeps copies of what it sees.
func watch(t *testing.T, c replay.Config, path baseline.Path, at map[int]int32, n int) []baseline.Observation {
	t.Helper()
	policy := steps(at, time.Second)
	policy.path = path
	var seen []baseline.Observation
	policy.saw = func(o baseline.Observation) {
		o.Replicas = append([]scaling.Replica(nil), o.Replicas...)
		seen = append(seen, o)
	}
	run(t, c, replay.Target{Name: "chat", Profile: engine(), Load: load(2, 10, n), Policy: policy, Initial: 1, Max: 20})
	if len(seen) < 20 {
		t.Fatalf("only %d observations", len(seen))
	}
	return seen
}

// phases tells the life of one replica by the times that an observer saw of it.
func phases(seen []baseline.Observation, name string) []string {
	var out []string
	when := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return fmt.Sprint(at.Sub(start))
	}
	for _, o := range seen {
		for _, r := range o.Replicas {
			if r.Name != name {
				continue
			}
			line := fmt.Sprintf("%s created %s scheduled %s started %s ready %s", r.Phase, when(r.Created), when(r.Scheduled), when(r.Started), when(r.ReadyAt))
			switch r.Circumstance {
			case leadtime.Circumstance{Node: leadtime.NodePresent}:
				line += " on a node that was there"
			case leadtime.Circumstance{Node: leadtime.NodeMade}:
				line += " on a node made for it"
			}
			if len(out) == 0 || out[len(out)-1] != line {
				out = append(out, line)
			}
		}
	}
	return out
}

func TestReplicasAreSeenAsPodsAre(t *testing.T) {
	lead := replay.Lead{Node: fixed(40 * time.Second), Pull: fixed(10 * time.Second), Load: fixed(20*time.Second + 300*time.Millisecond), WarmUp: fixed(5 * time.Second)}
	config := replay.Config{
		Lead: lead, GPUs: 3, NodeGPUs: 2,
		Events: []replay.Event{{At: 120500 * time.Millisecond, Kind: replay.ReplicasCrash, Value: 2}},
	}
	seen := watch(t, config, baseline.Path{Interval: time.Second, Scrape: time.Second}, map[int]int32{0: 1, 20: 4}, 2500)
	for _, o := range seen {
		at, problem := o.Time.Sub(start), o.Replicas[0].Problem
		if loading := at > 121*time.Second && at < 145*time.Second; loading != strings.Contains(problem, "connection refused") && at < 145*time.Second {
			t.Errorf("at %v the problem of the first replica is %q", at, problem)
		}
	}
	for name, want := range map[string][]string{
		"chat-0": {
			"Ready created -1h0m36s scheduled -1h0m36s started -1h0m26s ready -1h0m0s on a node that was there",
			"Starting created -1h0m36s scheduled -1h0m36s started -1h0m26s ready -1h0m0s on a node that was there", // crashed, its first start is what counts
			"Ready created -1h0m36s scheduled -1h0m36s started -1h0m26s ready -1h0m0s on a node that was there",
		},
		"chat-1": { // on a node that exists
			"Starting created 20s scheduled 20s started - ready - on a node that was there",
			"Starting created 20s scheduled 20s started 30s ready - on a node that was there",
			"Ready created 20s scheduled 20s started 30s ready 55s on a node that was there",
			"Starting created 20s scheduled 20s started 30s ready 55s on a node that was there",
			"Ready created 20s scheduled 20s started 30s ready 55s on a node that was there",
		},
		"chat-2": { // on a node that has to come up
			"Unschedulable created 20s scheduled - started - ready -",
			"Starting created 20s scheduled 1m0s started - ready - on a node made for it",
			"Starting created 20s scheduled 1m0s started 1m10s ready - on a node made for it",
			"Ready created 20s scheduled 1m0s started 1m10s ready 1m35s on a node made for it",
		},
		"chat-3": {"Unschedulable created 20s scheduled - started - ready -"}, // no GPU is left
	} {
		if diff := cmp.Diff(want, phases(seen, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReadingsPassThePath(t *testing.T) {
	path := baseline.Path{Interval: 3 * time.Second, Scrape: 5 * time.Second, Lag: 2 * time.Second}
	seen := watch(t, replay.Config{Lead: replay.Lead{Load: fixed(20 * time.Second)}}, path, map[int]int32{0: 1, 20: 3}, 2000)
	unread, ages := 0, map[string]bool{}
	for _, o := range seen {
		for _, r := range o.Replicas {
			if r.Reading == nil {
				unread++
				if r.Phase == scaling.Ready && o.Time.Sub(r.ReadyAt) > 8*time.Second && o.Time.Sub(start) > 8*time.Second {
					t.Errorf("%s has not been read for %v", r.Name, o.Time.Sub(r.ReadyAt))
				}
				continue
			}
			age := o.Time.Sub(r.Reading.Time)
			if age < 2*time.Second || age >= 7*time.Second {
				t.Errorf("%s: a reading of age %v, with a scrape every 5 s and a lag of 2 s", r.Name, age)
			}
			ages[r.Name+r.Reading.Time.Sub(start).String()] = true
		}
	}
	if unread == 0 || len(ages) < 60 {
		t.Errorf("%d without a reading, %d readings: too few to tell", unread, len(ages))
	}
}

func TestAPageSaysWhatThatOfVLLMDoes(t *testing.T) {
	seen := watch(t, replay.Config{}, baseline.Path{Interval: time.Second, Scrape: time.Second}, map[int]int32{0: 1}, 600)
	last := seen[len(seen)-2].Replicas[0].Reading
	absent := []signals.Metric{ // from the page of a vLLM without adapters: max_num_seqs, and what others state in its place
		signals.RequestsMax, signals.RequestsInflight, signals.PromptTokensCached, signals.PrefixCacheHitRatio,
		signals.LoRAAdaptersRunning, signals.LoRAAdaptersWaiting, signals.LoRAAdaptersMax,
	}
	for m := range signals.NumMetrics {
		_, known := last.Value(m)
		if want := !slices.Contains(absent, m); known != want {
			t.Errorf("%s is known: %v", m, known)
		}
	}
	for l := range signals.NumLatencies {
		if h := last.Histogram(l); h.Count() < 100 || h.Sum <= 0 || len(h.Counts) != len(h.Bounds)+1 {
			t.Errorf("%s: %+v", l, h)
		}
	}
	if want := start.Add(-time.Hour); !last.Started.Equal(want) {
		t.Errorf("the engine started at %v, want %v", last.Started, want)
	}
	first := seen[1].Replicas[0].Reading
	for m, atLeast := range map[signals.Metric]float64{
		signals.RequestsFinished: 500, signals.PromptTokens: 500_000, signals.PromptTokensComputed: 500_000, signals.GenerationTokens: 80_000,
	} {
		if n, ok := signals.Increase(first, last, m); !ok || n < atLeast {
			t.Errorf("%s rose by %v, want %v", m, n, atLeast)
		}
	}
}

func TestLostPagesAreNamed(t *testing.T) {
	path := baseline.Path{Interval: time.Second, Scrape: time.Second}
	outage := []replay.Event{{At: 20 * time.Second, Kind: replay.ScrapesFail}, {At: 40 * time.Second, Kind: replay.ScrapesWork}}
	for name, config := range map[string]replay.Config{"an outage": {Events: outage}, "half of them": {LostScrapes: 0.5}} {
		t.Run(name, func(t *testing.T) {
			var oldest time.Duration
			problems, fresh := 0, 0
			for _, o := range watch(t, config, path, map[int]int32{0: 1}, 600) {
				r := o.Replicas[0]
				if r.Reading != nil {
					oldest = max(oldest, o.Time.Sub(r.Reading.Time))
				}
				if r.Problem != "" {
					problems++
				} else {
					fresh++
				}
				if lost := r.Problem != ""; name == "an outage" && lost != (o.Time.Sub(start) > 21*time.Second && o.Time.Sub(start) < 40*time.Second) && o.Time.Sub(start)%(20*time.Second) > 2*time.Second {
					t.Errorf("at %v the problem is %q", o.Time.Sub(start), r.Problem)
				}
			}
			if oldest < 3*time.Second || problems < 15 || fresh < 15 {
				t.Errorf("oldest reading %v, %d with a problem, %d without", oldest, problems, fresh)
			}
			if name == "an outage" && (oldest < 20*time.Second || oldest > 22*time.Second) {
				t.Errorf("oldest reading %v of an outage of 20 s", oldest)
			}
		})
	}
}

// The k-th replica of a target takes as long to start under every policy.
func TestLeadTimesBelongToReplicasAndNotToPolicies(t *testing.T) {
	lead := replay.Lead{Pull: replay.Phase{Median: 10 * time.Second, Sigma: 0.5}, Load: replay.Phase{Median: 30 * time.Second, Sigma: 0.5}}
	path := baseline.Path{Interval: time.Second}
	took := func(seed uint64, at map[int]int32) map[string]time.Duration {
		out := map[string]time.Duration{}
		for _, o := range watch(t, replay.Config{Seed: seed, Lead: lead}, path, at, 2500) {
			for _, r := range o.Replicas {
				if !r.ReadyAt.IsZero() {
					out[r.Name] = r.ReadyAt.Sub(r.Created)
				}
			}
		}
		return out
	}
	atOnce, byAndBy := took(1, map[int]int32{0: 6}), took(1, map[int]int32{0: 2, 31: 3, 33: 6})
	other := took(2, map[int]int32{0: 6})
	same := 0
	for i := range 6 {
		name := fmt.Sprintf("chat-%d", i)
		if a, b := atOnce[name], byAndBy[name]; a == 0 || a-b > time.Second || b-a > time.Second { // the API tells whole seconds
			t.Errorf("%s took %v and %v", name, a, b)
		}
		if atOnce[name] == other[name] {
			same++
		}
	}
	if same > 2 {
		t.Errorf("%d of 6 replicas take as long with another seed", same)
	}
}

// In a run without nodes to be made nobody looks at nodes, so that nothing is told of them.
func TestWithoutNodesThatAreMadeNothingIsToldOfThem(t *testing.T) {
	lead := replay.Lead{Node: fixed(40 * time.Second), Load: fixed(20 * time.Second)}
	for _, o := range watch(t, replay.Config{Lead: lead, GPUs: 3}, baseline.Path{Interval: time.Second}, map[int]int32{0: 1, 20: 3}, 1000) {
		for _, r := range o.Replicas {
			if r.Circumstance != (leadtime.Circumstance{}) {
				t.Fatalf("%s: %+v", r.Name, r.Circumstance)
			}
		}
	}
}

// A cluster autoscaler's node is learned as what it is: a long scheduling, and no lack of GPUs.
func TestThePlannerLearnsHowLongANodeTakes(t *testing.T) {
	lead := minute
	lead.Node = fixed(3 * time.Minute)
	var last leadtime.Estimate
	j, _ := run(t, replay.Config{Seed: 1, Lead: lead, NodeGPUs: 2}, replay.Target{
		Name: "chat", Profile: engine(), Load: ramp(1), Policy: ours(t, ""), Initial: 2, Max: 12,
	})
	for _, d := range j.decisions {
		last = d.LeadTime
	}
	if last.Nodes == 0 || last.Waits > 0 || last.Made.P50 < 3*time.Minute || last.Made.P50 > 200*time.Second {
		t.Errorf("%d nodes of %v, %d waits without a GPU; want nodes of three minutes and no wait", last.Nodes, last.Made.P50, last.Waits)
	}
}
