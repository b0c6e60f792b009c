package score_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func TestMeansAndTheirIntervals(t *testing.T) {
	for name, c := range map[string]struct {
		in   []float64
		want score.Interval
		ok   bool
	}{
		"none have no mean":           {nil, score.Interval{}, false},
		"one seed has no interval":    {[]float64{4}, score.Interval{Mean: 4, Seeds: 1}, true},
		"equal seeds have a narrow":   {[]float64{4, 4, 4}, score.Interval{Mean: 4, Low: new(4.0), High: new(4.0), Seeds: 3}, true},
		"two seeds have none either":  {[]float64{1, 3}, score.Interval{Mean: 2, Seeds: 2}, true},
		"three seeds: 4.3027·s/√3":    {[]float64{1, 2, 3}, score.Interval{Mean: 2, Low: new(2 - 2.48414), High: new(2 + 2.48414), Seeds: 3}, true},
		"five seeds: 2.776·s/√5 wide": {[]float64{1, 2, 3, 4, 5}, score.Interval{Mean: 3, Low: new(1.03676), High: new(4.96324), Seeds: 5}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := score.Mean(c.in)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateApprox(0, 1e-4)); diff != "" || ok != c.ok {
				t.Errorf("known %v (-want +got):\n%s", ok, diff)
			}
		})
	}
}

// Of a thousand intervals over five normal draws about 950 hold the true mean; 3 standard deviations are 21.
func TestIntervalsHoldTheTruthAsOftenAsTheySay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	held := 0
	for range 1000 {
		draws := make([]float64, 5)
		for i := range draws {
			draws[i] = 7 + 3*rng.NormFloat64()
		}
		if i, _ := score.Mean(draws); *i.Low <= 7 && 7 <= *i.High {
			held++
		}
	}
	if math.Abs(float64(held)-950) > 21 {
		t.Errorf("%d of 1000 intervals hold the mean", held)
	}
}

// run is a score with the figures that matter here.
func run(policy string, seed uint64, lead, hours, attained float64) score.Score {
	return score.Score{
		Policy: policy, Seed: seed, LeadTime: lead, GPUHours: score.GPUHours{Total: hours},
		Attainment: &score.Attainment{Both: attained, TTFT: attained, TPOT: 1},
	}
}

func TestAMeanIsNotBelowAllOfItsValues(t *testing.T) {
	if i, _ := score.Mean([]float64{0.99, 0.99, 0.99}); i.Mean < 0.99 {
		t.Errorf("mean %v of values that all attain 0.99", i.Mean)
	}
}

func TestIntervalsEndWhereFiguresDo(t *testing.T) {
	cells := score.Compare([]score.Score{
		run("kpa", 1, 30, 0.1, 0.9), run("kpa", 2, 30, 2, 1), run("kpa", 3, 30, 20, 1),
		run("oracle", 1, 30, 1, 0.1), run("oracle", 2, 30, 1, 0), run("oracle", 3, 30, 1, 1),
	}, "oracle")
	within := func(name string, i score.Interval, least, most float64, cut string) {
		t.Helper()
		if *i.Low < least || *i.High > most || *i.Low > i.Mean || i.Mean > *i.High {
			t.Errorf("%s: from %v over %v to %v, want it from %v to %v", name, *i.Low, i.Mean, *i.High, least, most)
		}
		if low, high := *i.Low == least, *i.High == most; low != strings.Contains(cut, "low") || high != strings.Contains(cut, "high") {
			t.Errorf("%s: cut low %v, high %v; want %q", name, low, high, cut)
		}
	}
	within("attainment", cells[0].Figures["attainment"], 0, 1, "high")
	within("the oracle's attainment", cells[1].Figures["attainment"], 0, 1, "low and high")
	within("GPU-hours", cells[0].Figures["gpu_hours"], 0, math.Inf(1), "low")
	within("GPU-hours to the oracle's", cells[0].ToOracle["gpu_hours"], 0, math.Inf(1), "low")
}

func TestEachRunIsSetBesideTheOraclesOfItsSeedAndLeadTime(t *testing.T) {
	cells := score.Compare([]score.Score{
		run("keda", 2, 30, 30, 0.9), run("keda", 1, 30, 12, 1), run("keda", 1, 300, 20, 0.5),
		run("oracle", 1, 30, 10, 1), run("oracle", 2, 30, 20, 1), run("oracle", 1, 300, 10, 1),
		run("kpa", 3, 30, 5, 0.1),
	}, "oracle")
	type row struct {
		policy      string
		lead, hours float64
		ratio       float64
		runs        int
	}
	var got []row
	for _, c := range cells {
		hours, _ := c.Value("gpu_hours")
		got = append(got, row{c.Policy, c.LeadTime, hours, c.ToOracle["gpu_hours"].Mean, len(c.Runs)})
	}
	want := []row{
		{"keda", 30, 21, 1.35, 2},
		{"keda", 300, 20, 2, 1},
		{"oracle", 30, 15, 1, 2},
		{"oracle", 300, 10, 1, 1},
		{"kpa", 30, 5, 0, 1}, // no oracle of seed 3: no ratio
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{}), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if cells[0].Runs[0].Seed != 1 {
		t.Error("runs are not in the order of seeds")
	}
}

func TestWhatAnOracleDoesNotDoHasNoRatio(t *testing.T) {
	cells := score.Compare([]score.Score{run("oracle", 1, 30, 10, 1), run("kpa", 1, 30, 20, 1)}, "oracle")
	if r, ok := cells[1].ToOracle["flapping"]; ok {
		t.Errorf("ratio %v to no flapping", r)
	}
	if _, ok := cells[1].ToOracle["ttft_p99_s"]; ok {
		t.Error("ratio of what neither has")
	}
	if len(score.Compare([]score.Score{run("kpa", 1, 30, 20, 1)}, "oracle")[0].ToOracle) != 0 {
		t.Error("ratio to an oracle that was not run")
	}
}

func TestFiguresHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range score.Figures() {
		if seen[f.Name] {
			t.Errorf("%q twice", f.Name)
		}
		seen[f.Name] = true
	}
}

func TestTheFrontierIsWhatNobodyBeats(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var points []score.Point
		for range 1 + rng.IntN(30) {
			points = append(points, score.Point{GPUHours: float64(rng.IntN(10)), Attainment: float64(rng.IntN(10))})
		}
		front := score.Frontier(points)
		// By rising GPU-hours, a point is on the frontier where it attains more than all cheaper ones and as much as any
		// as dear.
		best := math.Inf(-1)
		for i, p := range front {
			if i > 0 && p.GPUHours < front[i-1].GPUHours {
				t.Fatalf("seed %d: not in order", seed)
			}
			first := i == 0 || front[i-1] != p
			want := p.Attainment > best || !first && front[i-1].Pareto
			if p.Pareto != want {
				t.Fatalf("seed %d: point %d of %+v", seed, i, front)
			}
			best = max(best, p.Attainment)
		}
	}
}

func TestASweepSaysWhereAPolicyFallsShort(t *testing.T) {
	leads := func(policy string, attained ...float64) []score.Score {
		var out []score.Score
		for i, a := range attained {
			out = append(out, run(policy, 1, []float64{300, 30, 120}[i], 10, a)) // in no order
		}
		return out
	}
	scores := leads("holds", 0.99, 1, 1)
	scores = append(scores, leads("collapses", 0.8, 1, 0.995)...)
	scores = append(scores, leads("recovers", 1, 1, 0.5)...)
	scores = append(scores, leads("never", 0.5, 0.9, 0.8)...)
	want := []score.SweepRow{
		{Policy: "holds", Holds: new(300.0)},
		{Policy: "collapses", Holds: new(120.0), Collapses: new(300.0)},
		{Policy: "recovers", Holds: new(30.0), Collapses: new(120.0)},
		{Policy: "never", Collapses: new(30.0)},
	}
	got := score.Sweep(score.Compare(scores, "oracle"), score.SLO{Attainment: 0.99})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(score.SweepRow{}, "At")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{1, 1, 0.99}, []float64{got[0].At[0].Attainment, got[0].At[1].Attainment, got[0].At[2].Attainment}); diff != "" {
		t.Errorf("lead times do not rise:\n%s", diff)
	}
}
