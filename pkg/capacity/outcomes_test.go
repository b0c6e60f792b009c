package capacity

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// unit is a target whose replicas are declared to sustain one request per second: loads and edges are relative to that.
var unit = Config{RequestsPerSecond: 1, TTFT: goal.TTFT, Attainment: 0.99}

// pool is a target of so many replicas whose requests really miss from another load on than is declared.
type pool struct {
	State
	replicas int32
	edge     float64
	random   *rand.Rand
}

func newPool(replicas int32, edge float64, seed uint64) *pool {
	return &pool{replicas: replicas, edge: edge, random: rand.New(rand.NewPCG(seed, 7))}
}

// pass is a tick at a load per replica, relative to what is declared, in which requests miss with a probability; negative
// where it is what the load gives.
func (p *pool) pass(load, miss float64) {
	busy := load * float64(p.replicas)
	if miss < 0 {
		miss = logistic(Steepness(busy, 1) * math.Log(load/p.edge))
	}
	source := rand.NewPCG(p.random.Uint64(), p.random.Uint64())
	came := distuv.Poisson{Lambda: busy * tick.Seconds(), Src: source}.Rand()
	p.Learn(Interval{TTFT: served(p.random, came, miss)}, unit)
	p.Close(Tick{Seconds: tick.Seconds(), Rate: came / tick.Seconds(), Recent: busy, Replicas: p.replicas, Foreseen: busy}, unit)
}

// believed is the edge, relative to the prior.
func (p *pool) believed() float64 { return math.Exp(p.Outcomes.Edge.Mean) }

func TestTheEdgeIsFoundFromMissesAtVariedLoads(t *testing.T) {
	for _, replicas := range []int32{2, 6, 20} {
		for _, edge := range []float64{0.7, 0.85, 1, 1.15, 1.3} {
			p := newPool(replicas, edge, uint64(replicas))
			for i := range 4 * 120 { // two hours, half an hour from trough to trough
				p.pass(edge*(0.75+0.22*math.Sin(2*math.Pi*float64(i)/120)), -1)
			}
			t.Logf("%2d replicas, edge %.2f: %.3f ± %.1f%%, steepness × %.2f", replicas, edge, p.believed(), 100*math.Sqrt(p.Outcomes.Edge.Variance), p.Outcomes.Edge.Factor)
			near(t, "edge", p.believed(), edge, 0.06)
			if got := math.Sqrt(p.Outcomes.Edge.Variance); got > 0.08 {
				t.Errorf("%d replicas, edge %.2f: still ±%.0f%%", replicas, edge, 100*got)
			}
			near(t, "estimate", p.Estimate(unit).PerReplica, p.believed(), 1e-9)
		}
	}
}

func TestNoMissesAtLowLoadSayLittle(t *testing.T) {
	p := newPool(4, 1, 1)
	for range 4 * 120 {
		p.pass(0.3, 0)
	}
	e := p.Outcomes.Edge
	if got := math.Sqrt(e.Variance) / errDeclared; got < 0.85 || math.Abs(e.Mean) > 0.05 {
		t.Errorf("two hours at 0.3 of the prior: edge %.3f ± %.3f, before ± %.3f", math.Exp(e.Mean), math.Sqrt(e.Variance), errDeclared)
	}
}

func TestAnOverloadAndItsAftermathDoNotMoveTheEdge(t *testing.T) {
	p := newPool(4, 1, 2)
	for i := range 4 * 120 {
		p.pass(0.75+0.2*math.Sin(float64(i)/12), -1)
	}
	before, err := p.believed(), math.Sqrt(p.Outcomes.Edge.Variance)
	phase := func(name string, ticks int, load, miss float64) {
		for range ticks {
			p.pass(load, miss)
		}
		t.Logf("%-9s edge %.3f ± %.1f%%, backlog %.0f s", name, p.believed(), 100*math.Sqrt(p.Outcomes.Edge.Variance), p.Outcomes.Backlog)
		near(t, "edge after "+name, p.believed(), before, 0.03)
	}
	phase("overload", 3*4, 1.6, 1)
	phase("aftermath", 4*4, 0.6, 1)
	phase("peace", 10*4, 0.6, 0)
	if p.Outcomes.Overloaded || p.Outcomes.Recovering > 0 || p.Outcomes.Backlog > 0 {
		t.Errorf("ten minutes later it is not over: %+v", p.Outcomes.Backlog)
	}
	if got := math.Sqrt(p.Outcomes.Edge.Variance); got > 1.5*err {
		t.Errorf("its error went from %.3f to %.3f", err, got)
	}
}

func TestAPriorThatIsTooOptimisticIsCorrectedWithinMinutes(t *testing.T) {
	for _, c := range []struct{ edge, load, minutes float64 }{{0.8, 0.9, 5}, {0.7, 0.85, 5}, {0.6, 0.75, 5}} {
		p := newPool(4, c.edge, 3)
		minutes := 0.
		for ; minutes <= 60 && (minutes == 0 || p.believed() > 1.1*c.edge); minutes += tick.Minutes() {
			p.pass(c.load, -1)
		}
		t.Logf("edge %.2f, load %.2f: within a tenth after %.1f minutes", c.edge, c.load, minutes)
		if minutes > c.minutes {
			t.Errorf("edge %.2f at load %.2f: %.1f minutes, want %v", c.edge, c.load, minutes, c.minutes)
		}
	}
}

// A target that was declared nearly twice as able as it is gets the replicas that it needs within some lead times of two
// minutes: all that misses tell at first is that the edge lies below the load.
func TestPlansRecoverFromATooOptimisticPrior(t *testing.T) {
	const demand, truth, lead = 5., 0.55, 8
	p := newPool(6, truth, 9)
	orders := make([]int32, lead)
	for i := range orders {
		orders[i] = p.replicas
	}
	recovered := math.Inf(1)
	for i := range 4 * 60 {
		p.pass(demand/float64(p.replicas), -1)
		orders = append(orders[1:], int32(p.Staffing(unit).Plan([]Demand{{Busy: demand / p.Estimate(unit).PerReplica, Probability: 1}}).Replicas))
		p.replicas = max(1, orders[0])
		if missed := logistic(Steepness(demand, 1) * math.Log(demand/float64(p.replicas)/truth)); missed > 0.05 {
			recovered = math.Inf(1)
		} else if math.IsInf(recovered, 1) {
			recovered = float64(i+1) * tick.Minutes()
		}
	}
	t.Logf("from %.1f minutes on fewer than 5%% missed; %d replicas, edge %.3f ± %.1f%%", recovered, p.replicas, p.believed(), 100*math.Sqrt(p.Outcomes.Edge.Variance))
	if recovered > 15 {
		t.Errorf("recovered after %.1f minutes", recovered)
	}
	near(t, "edge", p.believed(), truth, 0.2)
}

func TestStraysDoNotMatter(t *testing.T) {
	p, without := newPool(20, 1, 4), newPool(20, 1, 4)
	for range 4 * 120 {
		p.pass(0.5, strays)
		without.pass(0.5, 0)
	}
	t.Logf("edge %.3f ± %.1f%%, without strays %.3f", p.believed(), 100*math.Sqrt(p.Outcomes.Edge.Variance), without.believed())
	near(t, "edge with a stray miss in 2000", p.believed(), without.believed(), 0.05)
}

func TestOneLostTickMovesTheEdgeOfASmallPoolLittle(t *testing.T) {
	p := newPool(4, 1, 4)
	for range 4 * 120 {
		p.pass(0.5, 0)
	}
	p.pass(0.5, 1)
	if got := p.believed(); got < 0.8 {
		t.Errorf("one tick in which everything missed moves the edge to %.3f", got)
	}
}

// What was believed firmly can be unlearned: beliefs fade, and none is ever excluded for good.
func TestWhatChangesForGoodIsLearnedAnew(t *testing.T) {
	p := newPool(6, 1, 5)
	for _, edge := range []float64{1, 0.8} {
		p.edge = edge
		for i := range 4 * 60 * 3 {
			p.pass(edge*(0.75+0.2*math.Sin(float64(i)/12)), -1)
		}
		t.Logf("edge %.2f: %.3f ± %.1f%%", edge, p.believed(), 100*math.Sqrt(p.Outcomes.Edge.Variance))
		near(t, "edge", p.believed(), edge, 0.06)
	}
}

// Requests end a while after they came: when load falls, the first misses are still those of the load before.
func TestMissesThatComeLateAreOfTheLoadBefore(t *testing.T) {
	p := newPool(4, 1, 11)
	for i := range 4 * 120 {
		load, met := 0.95, 0.95
		if i%16 >= 8 {
			load = 0.4
			if i%16 >= 10 {
				met = 0.4
			}
		}
		p.pass(load, logistic(Steepness(4*met, 1)*math.Log(met)))
	}
	t.Logf("edge %.3f ± %.1f%%, steepness × %.2f", p.believed(), 100*math.Sqrt(p.Outcomes.Edge.Variance), p.Outcomes.Edge.Factor)
	near(t, "edge", p.believed(), 1, 0.08)
	if p.Outcomes.Edge.Factor < 0.7 {
		t.Errorf("misses seem to grow slowly: steepness × %.2f", p.Outcomes.Edge.Factor)
	}
}

// What was seen long ago is believed less firmly, and gives way to the prior in time.
func TestEvidenceFades(t *testing.T) {
	p := newPool(4, 0.8, 12)
	for i := range 4 * 120 {
		p.pass(0.8*(0.75+0.2*math.Sin(float64(i)/60)), -1)
	}
	before, was := p.believed(), math.Sqrt(p.Outcomes.Edge.Variance)
	for range 4 * 60 * 12 {
		p.pass(0.2, 0)
	}
	after, is := p.believed(), math.Sqrt(p.Outcomes.Edge.Variance)
	t.Logf("edge %.3f ± %.1f%%, twelve quiet hours later %.3f ± %.1f%%", before, 100*was, after, 100*is)
	if after < 0.97*before || after > 1.03 || is < 1.5*was || is > errDeclared*1.05 {
		t.Errorf("from %.3f ± %.3f to %.3f ± %.3f", before, was, after, is)
	}
}

func TestTheEdgeStaysWithinItsGrid(t *testing.T) {
	for name, c := range map[string]struct{ load, miss float64 }{
		"everything misses at a fifth": {0.2, 1},
		"nothing misses at three":      {3, 0},
	} {
		p := newPool(3, 1, 6)
		for range 4 * 60 {
			p.pass(c.load, c.miss)
		}
		e := p.Outcomes.Edge
		if !(e.Mean >= gridLow && e.Mean <= gridAt(gridSize-1) && e.Variance >= 0 && e.Factor >= steepnesses[0] && e.Factor <= steepnesses[len(steepnesses)-1]) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestTheTextTellsWhatMissesHaveChanged(t *testing.T) {
	p := newPool(6, 0.8, 8)
	if got := p.Estimate(unit).Text; strings.Contains(got, "miss") {
		t.Errorf("before anything was seen: %s", got)
	}
	for i := range 4 * 60 {
		p.pass(0.8*(0.75+0.2*math.Sin(float64(i)/12)), -1)
	}
	if got := p.Estimate(unit).Text; !strings.Contains(got, "1 requests/s declared; requests miss from 0.") {
		t.Error(got)
	}
}

// arrivals takes ticks of arrivals drawn in batches of a size, at rates in turns of so many ticks.
func arrivals(ticks, turn int, batch float64, rates ...float64) float64 {
	var o Outcomes
	source := rand.NewPCG(9, 10)
	for i := range ticks {
		rate, came := rates[i/turn%len(rates)], 0.
		if rate > 0 {
			came = batch * distuv.Poisson{Lambda: rate * tick.Seconds() / batch, Src: source}.Rand()
		}
		o.disperse(came, tick.Seconds())
	}
	return o.IndexOfDispersion()
}

func TestIndexOfDispersion(t *testing.T) {
	if got := new(Outcomes).IndexOfDispersion(); got != dispersionPrior {
		t.Errorf("at first: %v", got)
	}
	for name, c := range map[string]struct {
		got, low, high float64
	}{
		"Poisson":                                  {arrivals(960, 1, 1, 5), 1, 1.15},
		"Poisson, few":                             {arrivals(960, 1, 1, 0.3), 1, 1.15},
		"Poisson, on and off":                      {arrivals(960, 40, 1, 20, 0), 1, 1.15},
		"Poisson, ten times more every 10 min":     {arrivals(960, 40, 1, 20, 2), 1, 1.6},
		"bursts of 30":                             {arrivals(960, 1, 30, 20), 20, 40},
		"bursts of 3":                              {arrivals(960, 1, 3, 20), 2.2, 3.8},
		"bursts of 30, ten times more and less":    {arrivals(960, 40, 30, 60, 10), 15, 60},
		"more even than Poisson counts as Poisson": {even(960, 300), 1, 1},
	} {
		t.Logf("%s: %.2f", name, c.got)
		if !(c.got >= c.low && c.got <= c.high) {
			t.Errorf("%s: %.2f, want %.4g to %.4g", name, c.got, c.low, c.high)
		}
	}
}

// even is the index of arrivals that are always as many.
func even(ticks int, came float64) float64 {
	var o Outcomes
	for range ticks {
		o.disperse(came, tick.Seconds())
	}
	return o.IndexOfDispersion()
}

func TestATrendIsNoNoise(t *testing.T) {
	var o Outcomes
	came := 100.
	for range 480 { // doubles every hour, as evenly as can be
		came *= math.Exp2(1. / 240)
		o.disperse(came, tick.Seconds())
	}
	if got := o.IndexOfDispersion(); got > 1 {
		t.Errorf("got %.3f", got)
	}
}
