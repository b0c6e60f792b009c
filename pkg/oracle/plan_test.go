package oracle

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPlanIsTheCheapest compares with trying every course of replicas on small random loads.
func TestPlanIsTheCheapest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		p := planner{slot: 10, lead: float64(r.IntN(40)), initial: r.Int32N(3), low: r.Int32N(2), most: 3, locked: r.IntN(3)}
		p.initial = max(p.initial, p.low)
		for range 6 {
			x := 3 * r.Float64()
			p.work, p.arrived, p.steady = append(p.work, x), append(p.arrived, float64(r.IntN(20))), append(p.steady, x*0.8)
		}
		p.table = make([]int16, p.states())
		var shares [sizes][utilizations]float64
		for s := range shares {
			for u := range shares[s] {
				shares[s][u] = math.Min(1, float64(u)/utilizations)
			}
		}
		price := math.Exp(2 * r.NormFloat64())
		got := p.costOf(&shares, price, p.plan(&shares, price))
		least := math.Inf(1)
		for code := range 1 << 12 {
			course := make([]int32, 6)
			for i := range course {
				course[i] = int32(code >> (2 * i) & 3)
			}
			least = min(least, p.costOf(&shares, price, course))
		}
		if math.Abs(got-least) > 1e-9 {
			t.Fatalf("%+v: the plan costs %v, the cheapest %v", p, got, least)
		}
	}
}

// costOf is what a course of ready replicas costs, slot by slot.
func (p *planner) costOf(shares *[sizes][utilizations]float64, price float64, course []int32) float64 {
	cost, before := 0.0, p.initial
	for t, n := range course {
		cost += p.slotCost(shares, price, t, int(n)) + p.lead*float64(max(0, n-before))
		before = n
	}
	return cost
}

func TestMonotone(t *testing.T) {
	for name, tc := range map[string]struct {
		arrived, missed, prior []float64
		want                   []float64
	}{
		"rising shares stay":              {[]float64{10, 10, 10}, []float64{0, 1, 5}, nil, []float64{0, 0.1, 0.5}},
		"what falls is pooled":            {[]float64{10, 10, 20}, []float64{2, 0, 20}, nil, []float64{0.1, 0.1, 1}},
		"beyond what was seen it rises":   {[]float64{10, 0, 0}, []float64{0, 0, 0}, nil, []float64{0, 0.1, 0.2}},
		"little counts less than a prior": {[]float64{50, 0}, []float64{0, 0}, []float64{0.2, 0.8}, []float64{0.1, 0.8}},
	} {
		t.Run(name, func(t *testing.T) {
			got := monotone(tc.arrived, tc.missed, tc.prior)
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-5 })
			if diff := cmp.Diff(tc.want, got, near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCurveLearns shows it a load whose misses follow a known law, with noise.
func TestCurveLearns(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	law := func(u float64) float64 { return 1 / (1 + math.Exp(-20*(u-1))) }
	seen := &survey{clock: clock{cell: time.Second}}
	run := &tally{clock: seen.clock}
	var work []float64
	for range 20000 {
		n, u := float64(1+r.IntN(3)), 0.5+r.Float64()
		missed := int32(0)
		for range 10 {
			if r.Float64() < law(u) {
				missed++
			}
		}
		work = append(work, u*n)
		seen.arrived, seen.lost = append(seen.arrived, 10), append(seen.lost, 0)
		run.ready, run.misses = append(run.ready, n), append(run.misses, missed)
	}
	var c curve
	c.learn(work, seen, run)
	shares := c.shares()
	for u := 0.6; u < 1.4; u += 0.05 {
		for s := range 3 {
			if got := shares[s][utilization(u, 1)]; math.Abs(got-law(u)) > 0.15 {
				t.Errorf("%d replicas at %.2f: %.2f miss, want %.2f", s+1, u, got, law(u))
			}
		}
	}
	for s := range shares {
		for u := range utilizations - 1 {
			if shares[s][u] > shares[s][u+1] {
				t.Fatalf("size %d: the share falls from %v to %v", s, shares[s][u], shares[s][u+1])
			}
		}
	}
}

func TestHaggleFindsThePrice(t *testing.T) {
	for _, begin := range []float64{0.01, 1, 300} {
		h := haggle{at: begin, goal: 100}
		for range 25 {
			h.follow(500 / h.at)
		}
		if missed := 500 / h.at; missed < 85 || missed > 105 {
			t.Errorf("from %v it came to %v, at which %v miss, want about 95", begin, h.at, missed)
		}
	}
}

func TestBracketFindsTheEdge(t *testing.T) {
	for _, edge := range []float64{0.1, 0.9, 1.1, 7} {
		b := bracket{goal: 100, ratio: firstRatio, least: leastScale, most: mostScale}
		at, tries := 1.0, 0
		for ; at > 0; at, tries = b.next(), tries+1 {
			b.narrow(at, int64(100*math.Exp(min(20, 10*(edge-at)))))
		}
		if b.high < 0.99*edge || b.high > 1.04*edge || tries > 12 {
			t.Errorf("edge %v: found %v after %d tries", edge, b.high, tries)
		}
	}
	b := bracket{goal: 1, ratio: firstRatio, least: leastScale, most: mostScale}
	for at := 1.0; at > 0; at = b.next() {
		b.narrow(at, 100)
	}
	if b.high != 0 {
		t.Errorf("what nothing meets was found at %v", b.high)
	}
}

// TestStaffedHasWhatIsWanted: on random courses every wanted replica is ready in time, if it could be ordered in time.
func TestStaffedHasWhatIsWanted(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const cell, lead = time.Second, 5 * time.Second
	for range 300 {
		initial := r.Int32N(3)
		want := make([]int32, 40)
		for i := range want {
			if want[i] = r.Int32N(4); i < 5 {
				want[i] = min(want[i], initial)
			}
		}
		l := staffed(want, clock{cell: cell}, initial, func(int32) time.Duration { return lead })
		for i, n := range want {
			at, ready := time.Duration(i)*cell, int32(0)
			for j, x := range l {
				from := x.from + lead
				if x.from == 0 && int32(j) < initial {
					from = 0
				}
				if from <= at && at < x.to {
					ready++
				}
			}
			if ready < n {
				t.Fatalf("want %v, %d at the start: %d ready at %v, of %v", want, initial, ready, at, l)
			}
		}
	}
}

func TestBursts(t *testing.T) {
	got := bursts([]int32{0, 1, 0, 1, 0, 0, 0, 0, 5, 0, 0, 0, 1}, 3)
	want := []window{{8, 9}, {1, 4}, {12, 13}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(windowType{})); diff != "" {
		t.Error(diff)
	}
}

type windowType = window

func TestBetter(t *testing.T) {
	const allowed = 10
	for name, tc := range map[string]struct{ o, p outcome }{
		"meeting the goal goes before the cost":     {outcome{10, 99}, outcome{11, 1}},
		"the cheaper of two that meet it":           {outcome{10, 1}, outcome{0, 2}},
		"fewer misses of two that do not":           {outcome{11, 9}, outcome{12, 1}},
		"the cheaper of two that miss equally many": {outcome{12, 1}, outcome{12, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			if !tc.o.better(tc.p, allowed) || tc.p.better(tc.o, allowed) {
				t.Errorf("%v is not better than %v", tc.o, tc.p)
			}
		})
	}
}
