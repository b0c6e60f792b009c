package oracle

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// planner finds the cheapest number of ready replicas over time where misses have a price and each replica that is added
// costs a lead time: by dynamic programming over cells and numbers of replicas, with misses as a curve tells.
type planner struct {
	work []float64 // around each slot, in replicas
	// steady is what must be ready lest a queue builds up that no moment's utilization tells of.
	steady  []float64
	arrived []float64 // requests in each slot
	slot    float64   // seconds
	per     int       // cells in a slot
	whole   int       // cells in all
	lead    float64   // seconds that an added replica holds GPUs before it is ready
	locked  int       // slots at the start during which no more than the initial replicas can be ready
	initial int32
	low     int32
	most    int32
	// table has room for where each state comes from; each plan uses it again.
	table []int16
}

// states is how many there are, of slots and numbers of replicas.
func (p *planner) states() int { return len(p.work) * int(p.most+1) }

// plan returns the replicas wanted in each slot at a price, in replica-seconds for a miss.
func (p *planner) plan(shares *[sizes][utilizations]float64, price float64) []int32 {
	levels := int(p.most) + 1
	value := make([]float64, levels) // of the cheapest way to be at each level in the present slot
	for n := range value {
		value[n] = p.lead * float64(max(0, n-int(p.initial)))
	}
	from := p.table[:p.states()]
	next := make([]float64, levels)
	for t := range p.work {
		p.step(value, next, from[t*levels:(t+1)*levels])
		for n := range next {
			next[n] += p.slotCost(shares, price, t, n)
		}
		value, next = next, value
	}
	return p.trace(value, from, levels)
}

// step carries the values over to the next slot: replicas are given up for nothing, each one added costs a lead time.
func (p *planner) step(value, next []float64, from []int16) {
	best, at := math.Inf(1), 0
	for n := range value {
		if best+p.lead < value[n] {
			best += p.lead
		} else {
			best, at = value[n], n
		}
		next[n], from[n] = best, int16(at)
	}
	best, at = math.Inf(1), 0
	for n := len(value) - 1; n >= 0; n-- {
		if value[n] < best {
			best, at = value[n], n
		}
		if best < next[n] {
			next[n], from[n] = best, int16(at)
		}
	}
}

func (p *planner) slotCost(shares *[sizes][utilizations]float64, price float64, t, n int) float64 {
	if n < int(p.low) || (t < p.locked && n > int(p.initial)) {
		return math.Inf(1)
	}
	x := float64(n)
	if n == 0 || x < p.steady[t] {
		return p.slot*x + price*p.arrived[t]
	}
	return p.slot*x + price*p.arrived[t]*shares[size(x)][utilization(p.work[t], x)]
}

func (p *planner) trace(value []float64, from []int16, levels int) []int32 {
	n := 0
	for i := range value {
		if value[i] < value[n] {
			n = i
		}
	}
	out := make([]int32, len(p.work))
	for t := len(out) - 1; t >= 0; t-- {
		out[t] = int32(n)
		n = int(from[t*levels+n])
	}
	return out
}

// priced plans at the price at which just as many requests miss as may: first so that queues never last, then with a
// tenth less, which pays where there is more to be gained from misses than from steadiness.
func (s *search) priced() error {
	var table []int16
	for _, part := range []float64{1, 0.9} {
		p := s.planner(part)
		if p == nil {
			return nil
		}
		if table == nil {
			table = make([]int16, p.states())
		}
		p.table = table
		if err := s.haggle(p); err != nil {
			return err
		}
	}
	return nil
}

// mostStates bounds the table of a plan, two bytes for each slot and number of replicas: 16 MiB hold an hour of 2,300
// replicas by the second, a week of 220 by its cells of 16 s. For more the slots are made longer, up to coarsest: a week of
// 660. Beyond that staffing has to do, which is good at such numbers.
const (
	mostStates = 1 << 23
	coarsest   = time.Minute
)

// haggle runs plans at one price after the other. Each run teaches the next plan, so that a price does not come to the
// same twice; the price follows the misses until nothing gets better.
func (s *search) haggle(p *planner) error {
	price := haggle{at: s.openingPrice(), goal: float64(s.goal())}
	if s.lesson != nil {
		price.haste = rehearsedHaste
	}
	for tries, idle := 0, 0; tries < mostPrices && idle < idlePrices; tries++ {
		shares, best := s.learned().shares(), s.best
		want := p.cells(p.plan(&shares, price.at))
		t, err := s.staff("priced", want)
		if err != nil {
			return err
		}
		if idle++; s.best != best {
			idle = 0
		}
		price.follow(float64(t.missed))
		s.price = price.at
	}
	return nil
}

// openingPrice is where haggling begins: what a rehearsal came to, and what the whole has come to since.
func (s *search) openingPrice() float64 {
	switch {
	case s.lesson == nil:
		return 2 * s.firstPrice()
	case s.price == 0:
		return s.lesson.price
	}
	return s.price
}

// Bounds of the search for a price: runs in all and in a row without success.
const (
	mostPrices = 16
	idlePrices = 5
	// astray is the misses over the goal from where on a run teaches nothing: once the whole load queues, misses tell of
	// the queue and not of the moment, and a price that makes giving up pay is too low.
	astray = 5
)

// haggle moves a price until the misses are at a goal. Misses are about inversely proportional to the price; where the
// price swings to and fro it moves less and less.
type haggle struct {
	at, goal float64
	floor    float64
	last     float64 // logarithm of the last change
	damping  float64
	// haste multiplies what the price rises by where it is more than one.
	haste float64
}

// rehearsedHaste makes up for the few runs that a rehearsed load has to meet the objective: close to the goal misses fell by
// a third of what the price rose on a week of the diurnal workload.
const rehearsedHaste = 3

func (h *haggle) follow(missed float64) {
	const aim, mostChange, leastDamping = 0.95, 0.7, 0.3
	over := (missed + 1) / (aim*h.goal + 1)
	if over > astray {
		h.floor = max(h.floor, 1.05*h.at)
	}
	change := math.Log(over)
	if change > 0 {
		change *= max(1, h.haste)
	}
	change = min(max(change, -mostChange), mostChange)
	if h.damping == 0 {
		h.damping = 1
	} else if change*h.last < 0 {
		h.damping = max(leastDamping, h.damping*0.7)
	}
	h.last = change
	h.at = max(h.floor, h.at*math.Exp(change*h.damping))
}

// persistence is the window over which replicas must sustain the mean of what arrives: what was seen of shorter crowds
// does not hold for longer ones, in which every request waits for all before it.
const persistence = 3 * time.Minute

// mostRuns that the curve is learned from; those whose misses are nearest to the goal.
const mostRuns = 6

func (s *search) learned() *curve {
	goal := float64(s.goal()) + 1
	distance := func(t *tally) float64 { return math.Abs(math.Log((float64(t.missed) + 1) / goal)) }
	near := slices.Clone(s.tallies)
	slices.SortStableFunc(near, func(a, b *tally) int { return cmp.Compare(distance(a), distance(b)) })
	var c curve
	if s.lesson != nil {
		c = s.lesson.curve
	}
	x := s.demand(sight)
	for i, t := range near[:min(len(near), mostRuns)] {
		if i == 0 || float64(t.missed) <= astray*goal {
			c.learn(x, s.survey, t)
		}
	}
	return &c
}

// planner plans with what the load tells; part is how much of what steadiness asks for it insists on. Nil where there is
// too much to plan.
func (s *search) planner(part float64) *planner {
	work, steady, scale := s.demand(sight), s.demand(persistence), s.scale(s.p)
	p := &planner{lead: s.usual().Seconds(), initial: s.p.Target.Initial, low: s.p.Target.Min}
	p.most = min(s.most, max(p.low, int32(min(2*scale*slices.Max(work)+4, math.MaxInt16-1))))
	p.per = s.slots(len(work), int(p.most)+1)
	p.whole = len(work)
	if p.per == 0 {
		return nil
	}
	p.slot, p.locked = float64(p.per)*s.cell.Seconds(), s.of(s.usual())/p.per
	for from := 0; from < len(work); from += p.per {
		to := min(from+p.per, len(work))
		arrived := 0.0
		for i := from; i < min(to, len(s.arrived)); i++ {
			arrived += float64(s.arrived[i] - s.lost[i])
		}
		p.arrived = append(p.arrived, arrived)
		p.work = append(p.work, mean(work[from:to]))
		p.steady = append(p.steady, part*scale*slices.Max(steady[from:to]))
	}
	return p
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// slots is how many cells make a slot so that a plan has no more states than it may: as few as possible, none where slots
// would be too long.
func (s *search) slots(cells, levels int) int {
	for per := 1; ; per++ {
		switch {
		case per > 1 && time.Duration(per)*s.cell > coarsest:
			return 0
		case (cells+per-1)/per*levels <= mostStates:
			return per
		}
	}
}

// cells is a plan cell by cell.
func (p *planner) cells(plan []int32) []int32 {
	if p.per == 1 {
		return plan
	}
	out := make([]int32, 0, len(plan)*p.per)
	for _, n := range plan {
		out = append(out, slices.Repeat([]int32{n}, p.per)...)
	}
	return out[:p.whole]
}
