package replay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// theirs makes another system's policy with what its operator would know of the ramp.
func theirs(t *testing.T, name string) baseline.Policy {
	t.Helper()
	p := engine()
	policy, err := baseline.New(name, baseline.Setup{
		Min: 1, Max: 12, SLO: baseline.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond},
		Engine: baseline.Engine{
			KVTokens: p.KVTokens, MaxSequences: p.MaxNumSeqs, MaxBatchedTokens: p.MaxNumBatchedTokens,
			StepTime: func(s baseline.Step) time.Duration {
				ms := p.StepBase + p.StepPerSequence*s.Sequences + p.StepPerContextToken*s.ContextTokens + p.PrefillPerToken*s.PrefillTokens
				return time.Duration(ms * float64(time.Millisecond))
			},
			Sustainable: func(baseline.Mix, baseline.SLO) float64 { return 14 },
		},
		Load: baseline.Load{
			Mix: baseline.Mix{Prompt: 1100, Output: 200}, Peak: 80, Mean: 30, PeakReplicas: 7, MeanReplicas: 3,
			Schedule: []int32{2, 3, 4, 5, 6, 7}, Slot: 4 * time.Hour,
		},
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return policy
}

func TestEveryPolicyRunsThroughTroubleAndTheBooksBalance(t *testing.T) {
	config := replay.Config{
		Seed: 3, Lead: minute, Timeout: 30 * time.Second, LostScrapes: 0.05, GPUs: 10, APILag: 500 * time.Millisecond,
		Events: []replay.Event{
			{At: 5 * time.Minute, Kind: replay.ReplicasCrash, Value: 1},
			{At: 9 * time.Minute, Kind: replay.ScrapesFail},
			{At: 10 * time.Minute, Kind: replay.ScrapesWork},
			{At: 11 * time.Minute, Kind: replay.StockChanges, Value: 6},
		},
	}
	makers := map[string]func() baseline.Policy{"preheat": func() baseline.Policy { return ours(t, "") }}
	for _, name := range baseline.Names() {
		makers[name] = func() baseline.Policy { return theirs(t, name) }
	}
	if len(makers) < 10 {
		t.Fatalf("only %d policies", len(makers))
	}
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			var texts [2]string
			for i := range texts {
				j, totals := run(t, config, replay.Target{
					Name: "chat", Profile: engine(), Load: ramp(2), Policy: maker(), Initial: 2, Min: 1, Max: 12,
				})
				texts[i] = j.text.String() + fmt.Sprint(totals)
				balanced(t, j, totals[0])
				if i == 0 {
					t.Logf("attainment %.3f, %.0f GPU-seconds, %d decisions, %v", j.attained(), totals[0].Held.Seconds(), len(j.decisions), j.outcomes())
				}
			}
			if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
				t.Errorf("(-first run +second):\n%.2000s", diff)
			}
		})
	}
}

func balanced(t *testing.T, j *journal, total replay.Total) {
	t.Helper()
	if held := integral(j, "chat"); held != total.Held || held <= 0 {
		t.Errorf("held GPUs for %v, by the census for %v", total.Held, held)
	}
	if uint64(len(j.requests)) != total.Requests || total.Requests < 20_000 || j.backwards > 0 {
		t.Errorf("%d requests told, %d counted; time ran backwards %d times", len(j.requests), total.Requests, j.backwards)
	}
	for _, d := range j.decisions {
		if d.Reason == "" || d.Replicas < 1 || d.Replicas > 12 || len(d.Steps) == 0 {
			t.Fatalf("a decision without a reason or beyond the bounds: %+v", d)
		}
	}
}
