package main

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made is a cell in which the oracle meets the objective for 10 GPU-hours, with policies' attainment and GPU-hours.
func made(name string, k class, lead float64, figures ...figure) cell {
	return cell{Name: name, Class: k, Lead: lead, Goal: 0.99, Oracle: yardstick{Attainment: 0.99, GPUHours: 10, Met: true}, Policies: figures}
}

func TestGeomean(t *testing.T) {
	for name, tc := range map[string]struct {
		of   []float64
		want float64
	}{
		"nothing":                   {nil, 0},
		"one":                       {[]float64{1.3}, 1.3},
		"a half and a double are 1": {[]float64{0.5, 2}, 1},
		"three":                     {[]float64{1, 2, 4}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := geomean(tc.of); math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestBoundsAreThoseOfTheIssue(t *testing.T) {
	for _, tc := range []struct {
		class class
		lead  float64
		want  float64
	}{
		{smooth, 30, 1.10},
		{smooth, 120, 1.10},
		{smooth, 300, 0},
		{shift, 30, 1.10},
		{shift, 120, 1.10},
		{shift, 300, 1.30},
		{spikes, 30, 1.35},
		{spikes, 120, 1.35},
		{spikes, 300, 0},
		{onOff, 30, 0},
		{bursty, 30, 0},
	} {
		if got := bound(tc.class, tc.lead); got != tc.want {
			t.Errorf("%s at %v s: %v, want %v", tc.class, tc.lead, got, tc.want)
		}
	}
}

func TestATallyIsOverCellsInWhichTheOracleMeetsTheObjective(t *testing.T) {
	lost := made("d", smooth, 30, figure{Policy: "preheat", Attainment: 0.2, GPUHours: 1000})
	lost.Oracle.Met = false
	cells := []cell{
		made("a", smooth, 30, figure{Policy: "preheat", Attainment: 0.995, GPUHours: 10}),
		made("b", smooth, 30, figure{Policy: "preheat", Attainment: 0.98, GPUHours: 40}),
		made("c", smooth, 300, figure{Policy: "preheat", Attainment: 0.99, GPUHours: 12}), lost,
	}
	got := tallies(cells, "preheat")
	want := []tally{
		{Policy: "preheat", Class: smooth, Lead: 30, Cells: 2, Mean: 2, Worst: 4, WorstCell: "b", Attained: 1, Bound: 1.1, Above: 1, PerCell: true},
		{Policy: "preheat", Class: smooth, Lead: 300, Cells: 1, Mean: 1.2, Worst: 1.2, WorstCell: "c", Attained: 1, PerCell: true},
		{Policy: "preheat", Cells: 3, Mean: math.Cbrt(4.8), Worst: 4, WorstCell: "b", Attained: 2, Bound: 1.15, Above: 1},
	}
	near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-9 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error(diff)
	}
}

func TestABoundIsMetWhereMeanCellsAndObjectiveAre(t *testing.T) {
	good := tally{Cells: 3, Attained: 3, Mean: 1.05, Bound: 1.1, PerCell: true}
	for name, tc := range map[string]struct {
		change func(*tally)
		want   bool
	}{
		"all of it":                     {func(*tally) {}, true},
		"a mean above":                  {func(t *tally) { t.Mean = 1.11 }, false},
		"a cell above":                  {func(t *tally) { t.Above = 1 }, false},
		"a cell above, of a mean alone": {func(t *tally) { t.Above, t.PerCell = 1, false }, true},
		"cheap, for requests it misses": {func(t *tally) { t.Mean, t.Attained = 0.8, 2 }, false},
		"nothing was measured":          {func(t *tally) { *t = tally{Bound: 1.1} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := good
			tc.change(&x)
			if x.met() != tc.want {
				t.Errorf("met is %v, want %v: %+v", x.met(), tc.want, x)
			}
		})
	}
}

func TestPreheatBesideARival(t *testing.T) {
	pair := func(name string, ours, theirs figure) cell {
		ours.Policy, theirs.Policy = "preheat", "hpa-queue"
		return made(name, smooth, 30, ours, theirs)
	}
	got := versus([]cell{
		pair("cheaper", figure{Attainment: 0.99, GPUHours: 10}, figure{Attainment: 0.999, GPUHours: 20}),
		pair("dearer", figure{Attainment: 0.99, GPUHours: 16}, figure{Attainment: 0.99, GPUHours: 8}),
		pair("alone", figure{Attainment: 0.99, GPUHours: 50}, figure{Attainment: 0.98, GPUHours: 8}),
		pair("missed", figure{Attainment: 0.98, GPUHours: 5}, figure{Attainment: 0.99, GPUHours: 80}),
		pair("both missed", figure{Attainment: 0.98, GPUHours: 5}, figure{Attainment: 0.97, GPUHours: 80}),
	}, "hpa-queue")
	want := rival{Policy: "hpa-queue", Both: 2, Ratio: 1, Wins: 2, Losses: 2, Lost: []string{"dearer", "missed"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnOffServicesAreSetBesideTheStaticPeak(t *testing.T) {
	on := func(name string, ours, static figure) cell {
		ours.Policy, static.Policy = "preheat", "static-peak"
		return made(name, onOff, 30, ours, static)
	}
	equal := figure{Attainment: 0.99, GPUHours: 20}
	got := beside([]cell{
		on("equal", equal, equal), on("above", figure{Attainment: 0.99, GPUHours: 21}, equal),
		on("missed", figure{Attainment: 0.9, GPUHours: 1}, equal), made("other", smooth, 30, figure{Policy: "preheat", GPUHours: 99}),
	})
	if diff := cmp.Diff(peak{Cells: 3, Above: []string{"above"}, Missed: []string{"missed"}}, got); diff != "" || got.met() {
		t.Errorf("met %v: %s", got.met(), diff)
	}
	if (peak{}).met() {
		t.Error("what was not measured is met")
	}
}

func TestNoMissIsHidden(t *testing.T) {
	alone := made("nobody/8b/30s", spikes, 30, figure{Policy: "preheat", Attainment: 0.98999, GPUHours: 9})
	never := made("never/8b/30s", smooth, 30, figure{Policy: "preheat", Attainment: 0.1, GPUHours: 9})
	never.Oracle.Met = false
	var out strings.Builder
	if err := write(&out, []cell{alone, never}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"98.99%! 0.900", "10.00% 0.900", "Cells in which nobody but the oracle meets the objective: 1 of 1 (nobody/8b/30s)",
		"Cells in which the oracle does not meet it either, left out of all means: 1 (never/8b/30s)",
		"MISSED: spikes at 30 s: geometric mean 0.900 of at most 1.35, 0 of 1 cells above, below the objective in 1 of 1",
		"MISSED: all cells: geometric mean 0.900 of at most 1.15, below the objective in 1 of 1", "not measured",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := write(&out, []cell{made("good", smooth, 30, figure{Policy: "preheat", Attainment: 0.99, GPUHours: 10.5})}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "Every bound that was measured is met.") || strings.Contains(text, "MISSED:") {
		t.Errorf("all is well, and it says:\n%s", text)
	}
}

func TestSharesAreRoundedDown(t *testing.T) {
	for x, want := range map[float64]string{0.98999: "98.99%", 0.99: "99.00%", 1: "100.00%", 0.57: "57.00%", 0: "0.00%"} {
		if got := share(x, true); got != want {
			t.Errorf("%v is written %s, want %s", x, got, want)
		}
	}
}

func TestFallingBehindARivalIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		rival rival
		want  []string
	}{
		"beaten by defaults":          {rival{Policy: "keda", Wins: 3, Losses: 2, Lost: []string{"a", "b"}}, []string{"keda: meets the objective for less than Preheat, or alone, 2 : 3 (a b)"}},
		"beaten by hindsight":         {rival{Policy: "cron", Losses: 1, Lost: []string{"a"}}, []string{"cron, which knows the load beforehand: meets the objective for less than Preheat, or alone, 1 : 0 (a)"}},
		"dearer than a tuned one":     {rival{Policy: "keda tuned", Both: 3, Ratio: 1.25, Losses: 1}, []string{"keda tuned: Preheat costs 1.250 times as much in the 3 cells in which both meet the objective"}},
		"cheaper than a tuned one":    {rival{Policy: "keda tuned", Both: 3, Ratio: 0.9, Losses: 1}, nil},
		"never beaten":                {rival{Policy: "keda", Wins: 4}, nil},
		"its own without a forecast":  {rival{Policy: "preheat-reactive", Losses: 4}, nil},
		"a variant of its own":        {rival{Policy: "preheat/wrong-forecast", Losses: 4}, nil},
		"a tuned one that never does": {rival{Policy: "keda tuned"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.rival.unmet()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
