package compare_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func TestEveryPolicyIsTunedWithTheSameBudget(t *testing.T) {
	for _, policy := range compare.Names() {
		settings := 1
		for _, k := range compare.Knobs(policy) {
			if !slices.ContainsFunc(k.Grid, func(v float64) bool { return v >= k.Low && v <= k.High }) {
				t.Errorf("%s: the grid %v of %s is out of its bounds %v to %v", policy, k.Grid, k.Name, k.Low, k.High)
			}
			settings *= len(k.Grid)
		}
		want := baseline.Budget
		if policy == compare.Oracle {
			want = 1
		}
		if settings != want {
			t.Errorf("%s has %d settings to try, want %d", policy, settings, want)
		}
	}
}

func TestEverySettingOfEveryGridRuns(t *testing.T) {
	e := experiment(t)
	e.Load = slice(slices.Concat(at(0, 5), at(time.Minute, 5), at(2*time.Minute, 5))...)
	e.Policies, e.Seeds, e.Leads = compare.Names(), e.Seeds[:1], e.Leads[:1]
	got, err := compare.Tune(t.Context(), e, 0.5, &compare.Meter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Policies) != len(compare.Names())-1 {
		t.Fatalf("%d policies tuned, want all but the oracle", len(got.Policies))
	}
	for _, tuning := range got.Policies {
		if len(tuning.Trials) != 1+baseline.Budget {
			t.Errorf("%s: %d trials, want the documented setting and %d others", tuning.Policy, len(tuning.Trials), baseline.Budget)
		}
		if tuning.Default.Scored == nil || tuning.Best.Scored == nil {
			t.Errorf("%s was not scored", tuning.Policy)
		}
	}
}

func TestTuningIsScoredOnWhatItHasNotSeen(t *testing.T) {
	e := experiment(t)
	e.Policies, e.Leads = []string{"static-peak", compare.Oracle}, e.Leads[:1]
	meter := &compare.Meter{}
	got, err := compare.Tune(t.Context(), e, 0.5, meter)
	if err != nil {
		t.Fatal(err)
	}
	best := got.Policies[0].Best
	if best.Scored == nil || best.Scored.GPUHours == best.Tuned.GPUHours {
		t.Fatalf("%+v: both parts cost the same to the bit", best)
	}
	if diff := cmp.Diff(best.Tuned.Setting, best.Scored.Setting); diff != "" {
		t.Errorf("scored under another setting: %s", diff)
	}
	for _, trial := range got.Policies[0].Trials {
		if trial.Attainment >= e.SLO.Attainment && trial.GPUHours < best.Tuned.GPUHours {
			t.Errorf("%v was better on the first part than the chosen %v", trial, best.Tuned)
		}
	}
	if got.Oracle == nil || got.Oracle.Attainment < e.SLO.Attainment || got.Oracle.GPUHours > best.Scored.GPUHours {
		t.Errorf("oracle %+v, want one that attains and is no dearer than %+v", got.Oracle, best.Scored)
	}
	if p := meter.Read(); p.RunsDone != 2 || p.Runs != 2 || p.Done == 0 {
		t.Errorf("progress %+v: the last stage is the oracle's, with two seeds", p)
	}
}

// TestAPolicyIsScoredAsItGoesOn runs the documented setting through the whole load by itself, and adds up the rest of it.
func TestAPolicyIsScoredAsItGoesOn(t *testing.T) {
	e, dir := experiment(t), t.TempDir()
	e.Policies, e.Seeds, e.Leads, e.Initial, e.Max = []string{"preheat", "hpa-running"}, e.Seeds[:1], e.Leads[:1], 2, 6
	got, err := compare.Tune(t.Context(), e, 0.4, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := score.Create(dir, len(e.Policies))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := compare.Run(t.Context(), e, compare.Tools{Files: func(compare.Key) *score.Files { return files }})
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	cut := (0.4 * whole.Facts.Span.Seconds())
	for i, p := range got.Policies {
		attained, hours := after(t, dir, p.Policy, cut, e)
		if s := p.Default.Scored; s == nil || math.Abs(s.Attainment-attained) > 1e-9 || math.Abs(s.GPUHours-hours) > 1e-6 {
			t.Errorf("%s: scored %+v, its run through the whole load attained %v for %v GPU-hours after %v s", p.Policy, s, attained, hours, cut)
		}
		if hours >= whole.Scores[i].GPUHours.Total {
			t.Errorf("%s: the rest costs %v, the whole %v", p.Policy, hours, whole.Scores[i].GPUHours.Total)
		}
	}
}

// after adds up the files of a run from a time on, in seconds.
func after(t *testing.T, dir, policy string, from float64, e compare.Experiment) (attained, hours float64) {
	t.Helper()
	within, all := 0., 0.
	for _, row := range rows(t, dir, score.RequestsFile, policy) {
		if number(t, row[2]) < from {
			continue
		}
		all++
		if row[9] == "completed" && number(t, row[5]) <= e.SLO.TTFT.Seconds() && number(t, row[6]) <= e.SLO.TPOT.Seconds() {
			within++
		}
	}
	timeline := rows(t, dir, score.TimelineFile, policy)
	for i, row := range timeline[:len(timeline)-1] {
		held := number(t, row[3]) + number(t, row[4]) + number(t, row[5])
		begin, end := max(from, number(t, row[1])), max(from, number(t, timeline[i+1][1]))
		hours += held * float64(e.Profile.GPUs) * (end - begin) / 3600
	}
	return within / all, hours
}

// rows are those of one policy in a CSV file.
func rows(t *testing.T, dir, file, policy string) [][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(row []string) bool { return row[0] != policy })
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestATuningThatIsEndedKeepsWhatItTried(t *testing.T) {
	e := experiment(t)
	e.Policies, e.Seeds, e.Leads, e.Workers = []string{"static-peak", "hpa-running"}, e.Seeds[:1], e.Leads[:1], 1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	load, opened := e.Load, 0
	e.Load.Open = func(seed uint64) (trace.Stream, error) {
		if opened++; opened == 2+13+2 { // two readings, the first policy's trials, one of the second
			cancel()
		}
		return load.Open(seed)
	}
	got, err := compare.Tune(ctx, e, 0.5, &compare.Meter{})
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Policies; len(p) != 1 || p[0].Policy != "static-peak" || p[0].Best.Scored != nil {
		t.Errorf("%+v, want the trials of static-peak, not scored", got)
	}
	want := []string{"hpa-running: 1 of 13 settings were tried", "static-peak: is tuned and not scored"}
	if diff := cmp.Diff(want, got.Unfinished); diff != "" || !got.Incomplete {
		t.Errorf("incomplete %v (-want +got):\n%s", got.Incomplete, diff)
	}
}

func TestTuneRefusesToScoreOnNothing(t *testing.T) {
	e := experiment(t)
	e.Load = slice(slices.Concat(at(0, 5), at(time.Minute, 5))...)
	load := e.Load
	e.Load.Open = func(seed uint64) (trace.Stream, error) {
		s, err := load.Open(seed)
		return lasting{s}, err
	}
	_, err := compare.Tune(t.Context(), e, 0.5, nil)
	if err == nil || !strings.Contains(err.Error(), "no requests to score on; tune on a smaller share") {
		t.Errorf("error is %v", err)
	}
}

// lasting is a stream that is idle until its tenth minute.
type lasting struct{ trace.Stream }

func (lasting) End() (time.Duration, bool) { return 10 * time.Minute, true }

func TestTuneRefusesToTrainOnNothing(t *testing.T) {
	for name, share := range map[string]float64{"none": 0, "all": 1, "less than none": -1} {
		t.Run(name, func(t *testing.T) {
			if _, err := compare.Tune(t.Context(), experiment(t), share, &compare.Meter{}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestTheBestSettingIsTheCheapestThatAttains(t *testing.T) {
	slo := score.SLO{Attainment: 0.99}
	for name, tc := range map[string]struct {
		trials []compare.Trial
		want   int
	}{
		"the cheapest of those that attain": {[]compare.Trial{{Attainment: 1, GPUHours: 9}, {Attainment: 0.99, GPUHours: 7}, {Attainment: 0.98, GPUHours: 1}}, 1},
		"the first of equals":               {[]compare.Trial{{Attainment: 1, GPUHours: 9}, {Attainment: 1, GPUHours: 9}}, 0},
		"the closest where none attains":    {[]compare.Trial{{Attainment: 0.9, GPUHours: 9}, {Attainment: 0.95, GPUHours: 99}, {Attainment: 0.2, GPUHours: 1}}, 1},
		"one that attains, after a miss":    {[]compare.Trial{{Attainment: 0.9, GPUHours: 1}, {Attainment: 0.995, GPUHours: 99}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := compare.Choose(tc.trials, slo); got != tc.want {
				t.Errorf("trial %d, want %d", got, tc.want)
			}
		})
	}
}
