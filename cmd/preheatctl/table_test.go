package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/oracle"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update accepts it): %s", path, diff)
	}
}

// scored is a run that attained a share for so many GPU-hours.
func scored(policy string, seed uint64, lead time.Duration, attained, hours float64) score.Score {
	return score.Score{
		Policy: policy, Seed: seed, LeadTime: lead.Seconds(), Duration: 3600, GPUSeconds: 3600 * hours,
		GPUHours:   score.GPUHours{Total: hours, Running: 0.9 * hours, Loading: 0.1 * hours},
		Price:      2.5,
		Cost:       2.5 * hours,
		Attainment: &score.Attainment{Both: attained, TTFT: attained, TPOT: 1},
		TTFT:       &score.Latency{P50: 0.12, P99: 1.9}, TPOT: &score.Latency{P99: 0.045},
		Scaling: score.Scaling{Ups: 3, Downs: 2, Flapping: 4, ColdStarts: 3},
	}
}

func TestTables(t *testing.T) {
	short, long := 30*time.Second, 5*time.Minute
	proof := func(lead time.Duration, met bool) compare.Proof {
		hopeless := int64(0)
		if !met {
			hopeless = 1234
		}
		return compare.Proof{
			Key:    compare.Key{Policy: compare.Oracle, Lead: lead, Seed: 1},
			Result: oracle.Result{Simulations: 1234, Met: met, Bound: 3600 * 3.3, Requests: 19366, Hopeless: hopeless},
		}
	}
	for name, tc := range map[string]struct {
		leads  []compare.Lead
		scores []score.Score
		proofs []compare.Proof
	}{
		"one-lead-time.txt": {
			[]compare.Lead{{Whole: short}},
			[]score.Score{
				scored("preheat", 1, short, 0.995, 5), scored("hpa-queue", 1, short, 0.81, 9),
				scored("slo-aware", 1, short, 0.992, 4.8), scored("keda", 1, short, 0.7, 3), scored("oracle", 1, short, 0.99, 4),
			},
			[]compare.Proof{proof(short, true)},
		},
		"several-seeds-and-lead-times.txt": {
			[]compare.Lead{{Whole: short}, {Whole: long}},
			[]score.Score{
				scored("preheat", 1, short, 0.995, 5), scored("oracle", 1, short, 0.99, 4),
				scored("preheat", 2, short, 0.997, 5.2), scored("oracle", 2, short, 0.99, 4.1),
				scored("preheat", 1, long, 0.95, 6), scored("oracle", 1, long, 0.97, 5),
				scored("preheat", 2, long, 0.96, 6.1), scored("oracle", 2, long, 0.98, 5),
				scored("preheat", 3, short, 0.9894, 5.1), scored("oracle", 3, short, 0.99, 4),
				scored("preheat", 3, long, 0.955, 6), scored("oracle", 3, long, 0.96, 5),
			},
			[]compare.Proof{proof(short, true), proof(long, false)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := compare.Experiment{
				Load: compare.Load{Name: "requests.csv"}, Profile: replica.Profile{Name: "llama-3.1-70b-h100x4", GPUs: 4},
				SLO:      score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99},
				Policies: []string{"preheat", "static-peak"}, Leads: tc.leads, Seeds: []uint64{1, 2, 3},
			}
			o := compare.Outcome{
				Facts:    compare.Facts{Requests: 19366, Span: 58 * time.Minute, MeanPrompt: 1155, MeanOutput: 211, PeakRate: 8.45},
				Capacity: 7.91, Initial: 1, Min: 1, Max: 6, Scores: tc.scores, Proofs: tc.proofs,
			}
			var out bytes.Buffer
			if err := writeTable(&out, e, o, []report.Fact{{Name: "mode", Value: "Floor is replayed as Own"}}); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.String())
		})
	}
}

func TestTableOfATuning(t *testing.T) {
	e := compare.Experiment{
		Load: compare.Load{Name: "week.csv"}, Seeds: []uint64{1, 2}, Leads: []compare.Lead{{Whole: 30 * time.Second}, {Whole: 2 * time.Minute}},
		SLO: score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99},
	}
	documented := compare.Trial{Setting: compare.Setting{}, Attainment: 1, GPUHours: 11}
	best := compare.Trial{Setting: compare.Setting{"target": 32, "down-window": 120}, Attainment: 0.995, GPUHours: 7.25}
	o := newOptions()
	var out bytes.Buffer
	err := o.printTunings(&out, e, 0.5, compare.Tuned{Oracle: &compare.Trial{Attainment: 0.9901, GPUHours: 4.5}, Policies: []compare.Tuning{
		{
			Policy: "hpa-running", Trials: []compare.Trial{documented, best},
			Default: compare.Verdict{Tuned: documented, Scored: &documented}, Best: compare.Verdict{Tuned: best, Scored: &best},
		},
		{Policy: "mute", Trials: []compare.Trial{documented}, Default: compare.Verdict{Tuned: documented}, Best: compare.Verdict{Tuned: documented}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "tuning.txt", out.String())
}

func TestTableAndVerdictRoundAlike(t *testing.T) {
	for share, want := range map[float64]string{0.989999: "98.99", 0.9908: "99.08", 0.12345: "12.34", 0.99999: "99.99"} {
		e := compare.Experiment{SLO: score.SLO{Attainment: 0.999999}, Leads: []compare.Lead{{}}, Seeds: []uint64{1}}
		var out bytes.Buffer
		if err := writeTable(&out, e, compare.Outcome{Scores: []score.Score{scored("kpa", 1, 0, share, 1)}}, nil); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{" " + want + "% ", "gets " + want + " % of them", "for 99.9999 % of all"} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%v: %q is missing:\n%s", share, part, out.String())
			}
		}
	}
}
