package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
)

// usual is a staffing with a capacity known to 15 %.
var usual = Staffing{Variance: 0.15 * 0.15, Factor: 1, Dispersion: 1.2, Price: usualPrice, Headroom: usualPrice}

func TestHeadroomAgainstTheSimulatedPools(t *testing.T) {
	for replicas, share := range map[float64]float64{1: 0.71, 2: 0.80, 4: 0.86, 8: 0.89, 16: 0.90, 32: 0.92} {
		x := share * replicas
		near(t, "replicas", x*headroom(x, 1), replicas, 0.03)
		exact := Staffing{Factor: 1, Dispersion: 1}
		near(t, "misses with just the headroom", exact.Misses(x, x*headroom(x, 1)), 0.01, 1e-9)
	}
}

func TestBurstsNeedMore(t *testing.T) {
	for _, x := range []float64{0.5, 2, 10, 50} {
		if headroom(x, 4) <= headroom(x, 1) || Steepness(x, 4) >= Steepness(x, 1) {
			t.Errorf("%v busy: headroom %v at index 4, %v at 1", x, headroom(x, 4), headroom(x, 1))
		}
		near(t, "the root widens by the root of the index", headroom(x, 4)-1-linearHeadroom, 2*(headroom(x, 1)-1-linearHeadroom), 1e-9)
	}
}

func TestMissesAreMonotone(t *testing.T) {
	for _, s := range []Staffing{usual, {Factor: 1, Dispersion: 1}, {Variance: 0.3 * 0.3, Factor: 0.35, Dispersion: 20}, {Factor: 1.4, Dispersion: 1}} {
		for x := 0.05; x < 200; x *= 1.3 {
			for n := 1.; n < 400; n = math.Ceil(n * 1.2) {
				m := s.Misses(x, n)
				// Beside many times what it keeps busy, a larger load is the smoother one; then next to nothing misses anyway.
				ample := n > 5*math.Max(x, leastPool)
				if !(m >= 0 && m <= 1) || s.Misses(x, n+1) > m || !ample && s.Misses(1.05*x, n) < m {
					t.Fatalf("%+v: %v busy and %v replicas miss %v; one more %v; more load %v", s, x, n, m, s.Misses(x, n+1), s.Misses(1.05*x, n))
				}
			}
		}
		near(t, "half miss at the edge", s.Misses(7, 7), 0.5, 1e-9)
	}
	if usual.Misses(0, 1) != 0 || usual.Misses(-1, 1) != 0 {
		t.Error("no load misses nothing")
	}
	certain := usual
	certain.Variance = 0
	if usual.Misses(5, 8) <= certain.Misses(5, 8) {
		t.Error("who knows the capacity less misses more in a pool that is large enough")
	}
}

// twin tries every number of replicas, from those on that give up nearly all of every load: where a miss is hardly worth
// its replica time, to serve nothing would be the cheapest. There are no more than for the largest
// load for certain, and never more than two and a half times as many.
func (s Staffing) twin(loads []Demand) (n, cost float64) {
	least, largest := math.Inf(1), Demand{Probability: 1}
	for _, d := range loads {
		least, largest.Busy = math.Min(least, d.Busy), math.Max(largest.Busy, d.Busy)
	}
	try := func(loads []Demand, low, high, price float64) (n, cost float64) {
		cost = math.Inf(1)
		for k := math.Max(1, math.Floor(0.7*low)); k <= high; k++ {
			if c := k + price*missed(s, loads, k); c < cost {
				n, cost = k, c
			}
		}
		return n, cost
	}
	most, _ := try([]Demand{largest}, largest.Busy, math.Ceil(2.5*largest.Busy)+2, s.Headroom)
	return try(loads, least, most, s.Price)
}

// randomStaffing draws what may be learned.
func randomStaffing(r *rand.Rand) Staffing {
	e := 0.03 + 0.27*r.Float64()
	return Staffing{
		Variance: e * e, Factor: 0.4 + r.Float64(), Dispersion: 1 + r.ExpFloat64(),
		Price: usualPrice * anyFactor(r), Headroom: usualPrice * anyFactor(r),
	}
}

// anyFactor draws what a price may be, relative to the usual one.
func anyFactor(r *rand.Rand) float64 {
	return math.Exp(math.Log(leastFactor) + r.Float64()*math.Log(mostFactor/leastFactor))
}

// randomLoads draws a forecast: a few quantiles of a lognormal demand around a median.
func randomLoads(r *rand.Rand, median float64) []Demand {
	loads := make([]Demand, 1+r.IntN(9))
	spread, left := 0.6*r.Float64(), 1.
	for i := range loads {
		p := left
		if i < len(loads)-1 {
			p = left * r.Float64()
		}
		loads[i] = Demand{Busy: median * math.Exp(spread*r.NormFloat64()), Probability: p}
		left -= p
	}
	return loads
}

func TestPlanAgainstItsDumbTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	worst := 0.
	for range 2000 {
		s := randomStaffing(r)
		loads := randomLoads(r, math.Exp(r.Float64()*math.Log(2000))/10)
		got := s.Plan(loads)
		n, least := s.twin(loads)
		cost := got.Replicas + s.Price*missed(s, loads, got.Replicas)
		worst = math.Max(worst, cost/least-1)
		if got.Replicas != n && cost > least*(1+1e-9) {
			most := 0.
			for _, d := range loads {
				most = math.Max(most, d.Busy)
			}
			if most < 15 || cost > 1.001*least {
				t.Errorf("%+v, %+v: %v replicas cost %.9g, %v cost %.9g", s, loads, got.Replicas, cost, n, least)
			}
		}
		if got.Replicas != math.Floor(got.Replicas) || got.Replicas < 1 || !(got.Misses >= 0 && got.Misses <= 1) {
			t.Errorf("%+v", got)
		}
	}
	t.Logf("at most %.2g dearer", worst)
}

func TestMoreDemandNeverFewerReplicas(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		s := randomStaffing(r)
		last := 0.
		for busy := 0.02; busy < 40; busy *= 1.1 {
			n := s.Plan([]Demand{{Busy: busy, Probability: 1}}).Replicas
			if n < last {
				t.Fatalf("%+v: %v replicas for %v busy, %v for less", s, n, busy, last)
			}
			last = n
		}
	}
}

// Of a demand known by its distribution the rare peak is given up at the price at which it is no longer worth its
// replicas; that happens once in some thousand steps of ten per cent.
func TestMoreOfADistributionHardlyEverFewerReplicas(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	steps, fewer := 0, 0
	for range 500 {
		s := randomStaffing(r)
		loads := randomLoads(r, 0.1)
		for last := 0.; loads[0].Busy < 10; steps++ {
			for i := range loads {
				loads[i].Busy *= 1.1
			}
			n := s.Plan(loads).Replicas
			if n < last {
				fewer++
			}
			last = n
		}
	}
	if fewer*1000 > steps {
		t.Errorf("%d of %d steps", fewer, steps)
	}
	t.Logf("%d of %d steps", fewer, steps)
}

// What nobody knows does not buy any number of replicas: the plan is bounded by the demand, whatever the doubt and price.
func TestDoubtBuysNoMoreThanTwiceAndAHalf(t *testing.T) {
	lost := Staffing{Variance: 1, Factor: 0.4, Dispersion: 30, Price: usualPrice * mostFactor, Headroom: usualPrice * mostFactor}
	for _, x := range []float64{0.1, 1, 10, 100} {
		if got := lost.Plan([]Demand{{Busy: x, Probability: 1}}); got.Replicas > 2.5*x+3 || got.Replicas < 2*x {
			t.Errorf("%v busy: %+v", x, got)
		}
	}
}

func TestAHigherPriceNeverFewerReplicas(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		s := randomStaffing(r)
		loads := randomLoads(r, math.Exp(r.Float64()*math.Log(100))/5)
		last := 0.
		for s.Price = 3; s.Price < 300; s.Price *= 1.2 {
			n := s.Plan(loads).Replicas
			if n < last {
				t.Fatalf("%+v: %v replicas for %+v, %v at a lower price", s, n, loads, last)
			}
			last = n
		}
	}
}

func TestPlanOfNextToNothing(t *testing.T) {
	for name, loads := range map[string][]Demand{
		"no demand at all":      nil,
		"no load":               {{Busy: 0, Probability: 1}},
		"a tiny load":           {{Busy: 1e-9, Probability: 1}},
		"a load without weight": {{Busy: 1, Probability: 0}},
		"a negative load":       {{Busy: -1, Probability: 1}},
		"NaN":                   {{Busy: math.NaN(), Probability: 1}},
		"NaN among others":      {{Busy: 0.1, Probability: 0.5}, {Busy: math.NaN(), Probability: 0.5}},
	} {
		if got := usual.Plan(loads); got.Replicas != 1 || !(got.Misses >= 0 && got.Misses < 0.01) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPlanOfLoadsThatNoFleetBears(t *testing.T) {
	for _, x := range []float64{1e12, 1e18, math.MaxFloat64, math.Inf(1)} {
		if got := usual.Plan([]Demand{{Busy: x, Probability: 1}}); got.Replicas != mostReplicas {
			t.Errorf("%v busy: %+v", x, got)
		}
	}
}

func TestPlanOfAHugeFleet(t *testing.T) {
	for _, x := range []float64{1e3, 1e5, 1e7} {
		got := usual.Plan([]Demand{{Busy: x, Probability: 1}})
		if !(got.Replicas > x && got.Replicas < 2*x && got.Misses < 0.05) {
			t.Errorf("%v busy: %+v", x, got)
		}
	}
}

// ahead is a forecast as the planner has them, of nine loads.
func ahead() []Demand {
	loads := make([]Demand, 9)
	for i := range loads {
		loads[i] = Demand{Busy: 6 + float64(i), Probability: 1. / 9}
	}
	return loads
}

func TestPlanAllocatesNothing(t *testing.T) {
	loads := ahead()
	if n := testing.AllocsPerRun(100, func() { usual.Plan(loads) }); n > 0 {
		t.Errorf("a plan allocates %v times", n)
	}
}

func BenchmarkPlan(b *testing.B) {
	loads := ahead()
	b.ReportAllocs()
	for b.Loop() {
		usual.Plan(loads)
	}
}

// missed is the expected replica time of missing requests, load by load.
func missed(s Staffing, loads []Demand, n float64) (sum float64) {
	for _, d := range loads {
		sum += d.Probability * d.Busy * s.Misses(d.Busy, n)
	}
	return sum
}

// However dear it is to be without replicas when demand comes, there are no more than it would take if it were there.
func TestAHighPriceBuysNoMoreThanTheLargestLoadNeeds(t *testing.T) {
	loads := []Demand{{Busy: 2, Probability: 0.9}, {Busy: 8, Probability: 0.1}}
	s := usual
	s.Price = 1000 * usualPrice
	enough := usual.Plan([]Demand{{Busy: 8, Probability: 1}}).Replicas
	if got := s.Plan(loads).Replicas; got != enough {
		t.Errorf("%v replicas, %v are enough for the largest load", got, enough)
	}
	if got := usual.Plan(loads).Replicas; got >= enough {
		t.Errorf("%v replicas at the usual price, %v are enough for the largest load", got, enough)
	}
}

func TestAReserveTakesThePlaceOfHeadroom(t *testing.T) {
	s := Staffing{Factor: 1, Dispersion: 1, Price: 10, Headroom: 10, Allowed: 0.01}
	loads := []Demand{{Busy: 2, Probability: 0.8}, {Busy: 6, Probability: 0.2}}
	alone := s.Plan(loads).Replicas
	if same := s.PlanWith(loads, Reserve{Late: 0.5}).Replicas; same != alone {
		t.Errorf("a reserve of none makes %v replicas of %v", same, alone)
	}
	if late := s.PlanWith(loads, Reserve{Replicas: 4, Late: 1}).Replicas; late != alone {
		t.Errorf("a reserve that takes as long as a new replica makes %v of %v", late, alone)
	}
	before := alone
	for k := range 6 {
		n := s.PlanWith(loads, Reserve{Replicas: float64(k), Late: 0.1}).Replicas
		if n > before || n < 2 {
			t.Fatalf("with %d in reserve %v replicas, with one less %v; the least load keeps 2 busy", k, n, before)
		}
		before = n
	}
	if before > alone-2 {
		t.Errorf("with 5 in reserve %v replicas serve, without %v", before, alone)
	}
	if none, all := s.Missed(loads, 0), 0.8*2+0.2*6.; math.Abs(none-all) > 1e-9 {
		t.Errorf("without replicas %v is missed of %v", none, all)
	}
}
