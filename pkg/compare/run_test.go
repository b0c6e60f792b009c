package compare_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func TestRunsStandInTheOrderOfTheExperiment(t *testing.T) {
	e := experiment(t)
	got, err := compare.Run(t.Context(), e, compare.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, s := range got.Scores {
		order = append(order, fmt.Sprintf("%vs %d %s", s.LeadTime, s.Seed, s.Policy))
	}
	want := []string{
		"30s 7 preheat", "30s 7 hpa-running", "30s 7 static-peak", "30s 8 preheat", "30s 8 hpa-running", "30s 8 static-peak",
		"120s 7 preheat", "120s 7 hpa-running", "120s 7 static-peak", "120s 8 preheat", "120s 8 hpa-running", "120s 8 static-peak",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
	s := got.Summary(e, compare.Labels{})
	if diff := cmp.Diff([]float64{30, 120}, s.LeadTimes); diff != "" || s.Incomplete || s.Oracle != "" {
		t.Errorf("lead times %s, incomplete %v, oracle %q", diff, s.Incomplete, s.Oracle)
	}
	if len(s.Sweep) != 3 || len(s.Sweep[0].At) != 2 || len(s.Frontier) != 6 || len(s.Policies["preheat"][1].Runs) != 2 {
		t.Errorf("%d rows of the sweep, %d points of the frontier, %+v", len(s.Sweep), len(s.Frontier), s.Policies["preheat"])
	}
	if n := len(got.Report(e, compare.Labels{}).Runs); n != 6 {
		t.Errorf("%d runs on the page, want those of the first seed under both lead times: 6", n)
	}
}

func TestTheNumberOfWorkersChangesNothing(t *testing.T) {
	e := experiment(t)
	e.Policies = append(e.Policies, compare.Oracle)
	e.Seeds, e.Leads = e.Seeds[:1], e.Leads[1:]
	var outcomes []compare.Outcome
	for _, workers := range []int{1, 2, 4} {
		e.Workers = workers
		got, err := compare.Run(t.Context(), e, compare.Tools{})
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, got)
	}
	for _, other := range outcomes[1:] {
		if diff := cmp.Diff(outcomes[0].Scores, other.Scores); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(outcomes[0].Proofs, other.Proofs); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTheOracleIsNoDearerThanAPolicyThatAttainsAsMuch(t *testing.T) {
	e := experiment(t)
	e.Policies = []string{"oracle", "preheat", "hpa-running", "static-peak"} // named first, it is still run last
	e.Seeds = e.Seeds[:1]
	got, err := compare.Run(t.Context(), e, compare.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Proofs) != 2 || !got.Proofs[0].Met || !got.Proofs[1].Met {
		t.Fatalf("proofs %+v, want one that meets the objective for each lead time", got.Proofs)
	}
	compared := 0
	for _, c := range got.Cells() {
		ratio, ok := c.ToOracle["gpu_hours"]
		if !ok {
			t.Fatalf("%s has no ratio to the oracle", c.Policy)
		}
		if c.Policy != compare.Oracle && e.SLO.MetBy(c.Attained()) {
			compared++
			if ratio.Mean < 1 {
				t.Errorf("%s attains %v for %.3f of the oracle's GPU-hours", c.Policy, c.Attained(), ratio.Mean)
			}
		}
	}
	if compared == 0 {
		t.Error("no policy attains the objective: nothing was compared")
	}
}

func TestWhatIsFinishedOutlivesTheCaller(t *testing.T) {
	e := experiment(t)
	e.Workers = 1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opened := 0
	load := hump()
	e.Load.Open = func(seed uint64) (trace.Stream, error) {
		if opened++; opened == 4 { // the survey and two runs before
			cancel()
		}
		return load.Open(seed)
	}
	got, err := compare.Run(ctx, e, compare.Tools{})
	if err != nil {
		t.Fatalf("the caller's end is an error: %v", err)
	}
	if len(got.Scores) != 2 || len(got.Unfinished) != 10 || got.Complete() {
		t.Fatalf("%d runs finished and %d not, want 2 and 10; complete: %v", len(got.Scores), len(got.Unfinished), got.Complete())
	}
	s := got.Summary(e, compare.Labels{})
	if !s.Incomplete || len(s.Unfinished) != 10 || s.Unfinished[0] != "static-peak (lead time 30s, seed 7)" {
		t.Errorf("the summary does not say what is missing: %v, %v", s.Incomplete, s.Unfinished)
	}
}

func TestAFaultOfTheLoadEndsEverything(t *testing.T) {
	for name, after := range map[string]int{"in the first reading": 100, "in a run": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			e := experiment(t)
			load, opened := hump(), 0
			e.Workers = 1
			e.Load.Open = func(seed uint64) (trace.Stream, error) {
				s, err := load.Open(seed)
				if opened++; opened > 3 {
					after = 100
				}
				return &broken{s, after}, err
			}
			if _, err := compare.Run(t.Context(), e, compare.Tools{}); !errors.Is(err, errBroken) {
				t.Errorf("error is %v, want %v", err, errBroken)
			}
		})
	}
}

func TestStreamsAreClosedAndBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		workers int
		memory  int64
		most    int64
	}{
		"as many at once as there are workers":  {3, 0, 3},
		"fewer where the memory is for one run": {3, 40 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := experiment(t)
			load, open, most := watch(e.Load)
			e.Load, e.Workers, e.Memory = load, tc.workers, tc.memory
			if _, err := compare.Run(t.Context(), e, compare.Tools{}); err != nil {
				t.Fatal(err)
			}
			if open.Load() != 0 || most.Load() > tc.most {
				t.Errorf("%d streams are still open, %d were at once; want 0 and at most %d", open.Load(), most.Load(), tc.most)
			}
		})
	}
}

func TestTheMeterEndsWhereTheRunsDo(t *testing.T) {
	e := experiment(t)
	meter := &compare.Meter{}
	got, err := compare.Run(t.Context(), e, compare.Tools{Meter: meter})
	if err != nil {
		t.Fatal(err)
	}
	var arrived int64
	for _, s := range got.Scores {
		arrived += int64(s.Requests.Arrived)
	}
	p := meter.Read()
	if p.Done != arrived || p.RunsDone != 12 || p.Runs != 12 {
		t.Errorf("progress %+v, want 12 runs and %d requests done", p, arrived)
	}
	if p.Total != 12*got.Facts.Requests {
		t.Errorf("%d requests were expected, want 12 times those of the first seed, %d", p.Total, got.Facts.Requests)
	}
}

// first gives files to the runs of the first lead time and seed.
func first(e compare.Experiment, files *score.Files) func(compare.Key) *score.Files {
	return func(k compare.Key) *score.Files {
		if k.Lead == e.Leads[0].Whole && k.Seed == e.Seeds[0] {
			return files
		}
		return nil
	}
}

func TestFilesHoldTheFirstSeedAndLeadTime(t *testing.T) {
	e, dir := experiment(t), t.TempDir()
	files, err := score.Create(dir, len(e.Policies))
	if err != nil {
		t.Fatal(err)
	}
	got, err := compare.Run(t.Context(), e, compare.Tools{Files: first(e, files)})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, score.RequestsFile))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	rows := map[string]int64{}
	for line := range strings.Lines(strings.TrimPrefix(string(data), score.RequestsHeader)) {
		policy, _, _ := strings.Cut(line, ",")
		if rows[policy]++; rows[policy] == 1 {
			order = append(order, policy)
		}
	}
	if diff := cmp.Diff(e.Policies, order); diff != "" {
		t.Errorf("order of the policies: %s", diff)
	}
	for policy, n := range rows {
		if n != got.Facts.Requests {
			t.Errorf("%s: %d rows, want the %d requests of the first seed once", policy, n, got.Facts.Requests)
		}
	}
}

func TestValidateTellsOfEveryFault(t *testing.T) {
	e := experiment(t)
	e.Load.Open, e.Autoscaler, e.Policies = nil, nil, []string{"preheat", "wishful", "preheat"}
	e.Seeds, e.Leads, e.Min, e.Max, e.Profile.GPUs = nil, []compare.Lead{lead(time.Second), lead(time.Second)}, 5, 2, 0
	e.SLO = score.SLO{TTFT: 0, TPOT: -time.Second, Attainment: 1.5}
	_, err := compare.Run(t.Context(), e, compare.Tools{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		"no load", "no InferenceAutoscaler", `unknown policy "wishful"`, "named once each", "seeds []", "lead times [1s 1s]",
		"maximum of 2", "gpus is 0", "SLO.TTFT is 0s", "SLO.TPOT is -1s", "give a time that never binds", "SLO.Attainment is 1.5",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	poor := experiment(t)
	poor.Min, poor.Autoscaler.Spec.MaxGPUs = 3, new(int32(8))
	if _, err := compare.Run(t.Context(), poor, compare.Tools{}); err == nil || !strings.Contains(err.Error(), "spec.maxGPUs is enough for 2 replicas") {
		t.Errorf("got %v, want that 8 GPUs are too few for three replicas of four", err)
	}
}
