package capacity

import "math"

// Headroom of random arrivals. Requests arrive faster than any forecast resolves, so that a replica sustains less of a
// random stream than of an even one, and a small pool less than a large one. Simulated for Poisson arrivals at 99 %
// attainment, the share of its capacity that a pool can use is 0.71, 0.80, 0.86, 0.89, 0.90 and 0.92 for 1, 2, 4, 8, 16
// and 32 replicas (iteration-level continuous batching, TTFT 2 s, TPOT 100 ms). x·1.03 + 0.30·√x meets those six points
// within 3 %: the square root is the law of Halfin and Whitt (1981), the 3 % what it leaves at large pools. Bursts widen the
// root as they widen the noise, by the root of the index of dispersion.
const (
	linearHeadroom = 0.03
	rootHeadroom   = 0.30
	// mostReplicas is more than any fleet has.
	mostReplicas = 1 << 30
	// leastPool is the smallest load, in busy replicas, that the law is used at.
	leastPool = 0.3
	// tolerable is how many times as many misses as are allowed may be expected of the least load that may come: the model
	// says more of them than there are, but a small pool is not to be run over because it has missed nothing for hours.
	tolerable = 3.
	// settledDoubt is the standard error of a capacity that is as well known as misses let it be: below it the misses
	// themselves, by their price, say better how many there are than a model of them.
	settledDoubt = 0.08
)

// headroom is how many replicas, relative to a load that keeps x busy on average, attain 99 %.
func headroom(x, dispersion float64) float64 {
	return 1 + linearHeadroom + rootHeadroom*math.Sqrt(dispersion/math.Max(x, leastPool))
}

// Steepness is how steeply misses grow with the load of a pool that keeps x replicas busy: the exponent s of
// 1/(1+(edge/load)^s) which gives a hundredth of misses with just the headroom.
func Steepness(x, dispersion float64) float64 {
	oddsOfAHundredth := math.Log(99)
	return oddsOfAHundredth / math.Log(headroom(x, dispersion))
}

// Demand is one of the loads that may come: x replicas kept busy at their edge, with a probability.
type Demand struct{ Busy, Probability float64 }

// Staffing says how many replicas are worth their cost. The zero value is of no use.
type Staffing struct {
	// Variance is that of the logarithm of a replica's capacity, Factor that of the steepness, Dispersion the index of
	// dispersion of arrivals.
	Variance, Factor, Dispersion float64
	// Price is what a missing request is worth, in replica time of a request, Headroom the same where it is certain what
	// comes.
	Price, Headroom float64
	// Allowed is the share of requests that may miss.
	Allowed float64
}

// Plan is a number of replicas and what it is expected to miss.
type Plan struct {
	// Replicas is the number, Misses the expected share of requests that miss an objective.
	Replicas, Misses float64
}

// Misses is the share of requests that miss an objective where a load that keeps x replicas busy meets n.
func (s Staffing) Misses(x, n float64) float64 {
	if x <= 0 {
		return 0
	}
	return logistic(s.slope(x) * math.Log(x/n))
}

// slope is the steepness of misses over the logarithm of a load that keeps x replicas busy. The uncertainty of the edge
// flattens it as that of a normal variable flattens a logistic function (MacKay's approximation, 1992).
func (s Staffing) slope(x float64) float64 {
	steep := s.Factor * Steepness(x, s.Dispersion)
	doubt := math.Max(0, s.Variance-settledDoubt*settledDoubt)
	return steep / math.Sqrt(1+math.Pi/8*doubt*steep*steep)
}

// Reserve are replicas beside those that serve which can be had sooner than a new one. They are no part of a Plan's
// Replicas.
type Reserve struct {
	// Replicas is how many there are, Late the share, 0 to 1, of the time that a new one takes for which they are late too.
	Replicas, Late float64
}

// Missed is the expected replica time of missing requests where loads meet n replicas, which may be none.
func (s Staffing) Missed(loads []Demand, n float64) float64 {
	p := s.prospect(loads)
	return p.missedWith(math.Max(0, n))
}

// demands are as many loads as a plan is made of at the most.
const demands = 16

// prospect is a distribution of loads with what of their misses does not depend on the number of replicas.
type prospect struct {
	number                int
	weight, slope, middle [demands]float64
	reserve               Reserve
}

// prospect prepares loads; what there are too many of is added to the last one.
func (s Staffing) prospect(loads []Demand) (p prospect) {
	for _, d := range loads {
		if !(d.Busy > 0) {
			continue
		}
		i := min(p.number, demands-1)
		p.number = i + 1
		p.weight[i] += d.Probability * d.Busy
		p.slope[i], p.middle[i] = s.slope(d.Busy), math.Log(d.Busy)
	}
	return p
}

// missed is the expected replica time of missing requests with n replicas and the reserve.
func (p *prospect) missed(n float64) float64 {
	if p.reserve.Replicas <= 0 {
		return p.missedWith(n)
	}
	late := math.Min(math.Max(p.reserve.Late, 0), 1)
	return late*p.missedWith(n) + (1-late)*p.missedWith(n+p.reserve.Replicas)
}

// missedWith is the expected replica time of missing requests with n replicas.
func (p *prospect) missedWith(n float64) (missed float64) {
	at := math.Log(n)
	for i := range p.number {
		missed += p.weight[i] * logistic(p.slope[i]*(p.middle[i]-at))
	}
	return missed
}

// Plan returns the number of replicas, at least one, that costs the least, its misses included; no more than it would be if
// it were certain that the largest of the loads comes, and enough for the least of them.
func (s Staffing) Plan(loads []Demand) Plan { return s.PlanWith(loads, Reserve{}) }

// PlanWith is Plan where there is a reserve.
func (s Staffing) PlanWith(loads []Demand, reserve Reserve) Plan {
	var mean float64
	var most Demand
	least := math.Inf(1)
	for _, d := range loads {
		mean += d.Probability * d.Busy
		least = math.Min(least, d.Busy)
		if d.Busy > most.Busy {
			most.Busy = d.Busy
		}
	}
	if !(mean > 0) {
		return Plan{Replicas: 1}
	}
	const fewest, spare = 0.7, 2.5 // bounds of what is tried, relative to the least and the most that may come
	most.Probability = 1
	certain := s.prospect([]Demand{most})
	n := certain.cheapest(math.Max(1, math.Floor(fewest*most.Busy)), math.Ceil(spare*most.Busy)+2, s.Headroom)
	all := s.prospect(loads)
	all.reserve = reserve
	enough := math.Min(s.enough(least), math.Ceil(spare*least))
	n = all.cheapest(math.Max(enough, math.Max(1, math.Floor(fewest*least))), math.Max(enough, n), s.Price)
	return Plan{Replicas: n, Misses: all.missed(n) / mean}
}

// enough is the least number of replicas with which no more than is tolerable is expected to miss.
func (s Staffing) enough(x float64) float64 {
	missed := tolerable * s.Allowed
	if !(missed > 0 && missed < 0.5) {
		return 1
	}
	return math.Ceil(x * math.Pow((1-missed)/missed, 1/s.slope(x)))
}

// cheapest is the number of replicas between two bounds that costs the least at a price. The candidates are so many that it
// takes about the same time whatever the bounds.
func (p *prospect) cheapest(low, high, price float64) float64 {
	if !(high < mostReplicas) { // no load that there is
		low, high = math.Min(low, mostReplicas), mostReplicas
	}
	best := low
	for {
		const candidates = 128 // enough not to step over a dip of the cost
		step := math.Max(1, math.Floor((high-low)/candidates))
		cheapest := math.Inf(1)
		for n := low; n <= high; n += step {
			if cost := n + price*p.missed(n); cost < cheapest {
				cheapest, best = cost, n
			}
		}
		if step == 1 {
			return best
		}
		low, high = math.Max(low, best-step), math.Min(high, best+step)
	}
}
