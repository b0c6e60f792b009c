package score_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func TestAStandingFollowsTheWholeInterval(t *testing.T) {
	between := func(low, mean, high float64) score.Interval {
		return score.Interval{Mean: mean, Low: &low, High: &high, Seeds: 3}
	}
	for name, tc := range map[string]struct {
		attained score.Interval
		want     score.Standing
	}{
		"without an interval, at the objective":   {score.Interval{Mean: 0.99, Seeds: 2}, score.Met},
		"without an interval, below it":           {score.Interval{Mean: 0.9899, Seeds: 1}, score.Missed},
		"all of it above":                         {between(0.991, 0.995, 0.999), score.Met},
		"its lower end at the objective":          {between(0.99, 0.995, 1), score.Met},
		"the mean above and its lower end below":  {between(0.98, 0.995, 1), score.Unsure},
		"the mean below and its upper end above":  {between(0.95, 0.98, 0.999), score.Unsure},
		"its upper end at the objective":          {between(0.95, 0.97, 0.99), score.Unsure},
		"all of it below":                         {between(0.95, 0.97, 0.989), score.Missed},
		"every seed the same, at the objective":   {must(score.Mean([]float64{0.99, 0.99, 0.99})), score.Met},
		"every seed the same, just below a round": {must(score.Mean([]float64{0.9, 0.9, 0.9})), score.Missed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (score.SLO{Attainment: 0.99}).Standing(tc.attained); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func must(i score.Interval, _ bool) score.Interval { return i }

func TestSeedsThatAgreeLeaveNoDoubt(t *testing.T) {
	for name, tc := range map[string]struct {
		shares []float64
		want   score.Standing
	}{
		"each meets it, whatever the interval":     {[]float64{0.9901, 0.9999, 0.9901}, score.Met},
		"none does, whatever the interval":         {[]float64{0.9899, 0.95, 0.9899}, score.Missed},
		"they disagree, the objective inside":      {[]float64{0.9899, 0.9999, 0.9901}, score.Unsure},
		"they disagree, the whole interval above":  {[]float64{0.9899, 0.995, 0.995, 0.995, 0.995, 0.995, 0.995}, score.Met},
		"two that disagree have their mean to say": {[]float64{0.9899, 0.995}, score.Met},
	} {
		t.Run(name, func(t *testing.T) {
			var runs []score.Score
			for seed, share := range tc.shares {
				runs = append(runs, run("keda", uint64(seed+1), 30, 10, share))
			}
			if got := score.Compare(runs, "oracle")[0].Standing(score.SLO{Attainment: 0.99}); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// doubtful are the runs of a policy that meets 99 % at 30 s, may at 120 s and does not at 300 s.
func doubtful() []score.Score {
	var out []score.Score
	for seed, shares := range [][]float64{{0.995, 0.999, 0.9}, {0.996, 0.985, 0.91}, {0.994, 0.99, 0.92}} {
		for i, lead := range []float64{30, 120, 300} {
			out = append(out, run("keda", uint64(seed+1), lead, 10, shares[i]))
		}
	}
	return out
}

func TestTableFilesAndSweepSayTheSame(t *testing.T) {
	slo := score.SLO{Attainment: 0.99}
	cells := score.Compare(doubtful(), "oracle")
	want := []score.Standing{score.Met, score.Unsure, score.Missed}
	var table, csv, sweep bytes.Buffer
	if err := score.WriteTable(&table, cells, slo); err != nil {
		t.Fatal(err)
	}
	if err := score.WriteCSV(&csv, cells, slo); err != nil {
		t.Fatal(err)
	}
	rows, records := strings.Split(table.String(), "\n"), strings.Split(csv.String(), "\n")
	swept := score.Sweep(cells, slo)
	for i, s := range want {
		if !strings.Contains(rows[i+1], "  "+string(s)+" ") {
			t.Errorf("the table does not say %s: %s", s, rows[i+1])
		}
		if !strings.HasSuffix(records[i+1], ","+string(s)) {
			t.Errorf("the CSV does not say %s: %s", s, records[i+1])
		}
		if got := score.ByPolicy(cells, slo)["keda"][i].SLO; got != s {
			t.Errorf("the summary says %s, want %s", got, s)
		}
		if got := swept[0].At[i].SLO; got != s {
			t.Errorf("the sweep says %s, want %s", got, s)
		}
	}
	row := []score.SweepRow{{Policy: "keda", Holds: new(30.0), Collapses: new(300.0)}}
	if diff := cmp.Diff(row, swept, cmpopts.IgnoreFields(score.SweepRow{}, "At")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := score.WriteSweep(&sweep, swept); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sweep.String(), "  99.50%  ?99.13%  91.00%") {
		t.Errorf("the doubt is not marked:\n%s", sweep.String())
	}
}
