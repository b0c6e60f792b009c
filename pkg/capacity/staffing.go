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
	// Price is what a missing request is worth, in replica time of a request.
	Price float64
}

// Plan is a number of replicas and what it is expected to miss.
type Plan struct {
	// Replicas is the number, Misses the expected share of requests that miss an objective.
	Replicas, Misses float64
}

// Misses is the share of requests that miss an objective where a load that keeps x replicas busy meets n. The uncertainty
// of the edge widens the logistic function as that of a normal variable does (MacKay's approximation, 1992).
func (s Staffing) Misses(x, n float64) float64 {
	if x <= 0 {
		return 0
	}
	steep := s.Factor * Steepness(x, s.Dispersion)
	return logistic(steep * math.Log(x/n) / math.Sqrt(1+math.Pi/8*steep*steep*s.Variance))
}

// demands are as many loads as a plan is made of at the most.
const demands = 16

// prospect is a distribution of loads with what of their misses does not depend on the number of replicas.
type prospect struct {
	number                int
	weight, steep, middle [demands]float64
}

// prospect prepares loads; what there are too many of is added to the last one.
func (s Staffing) prospect(loads []Demand) (p prospect) {
	for _, d := range loads {
		if !(d.Busy > 0) {
			continue
		}
		i := min(p.number, demands-1)
		p.number = i + 1
		steep := s.Factor * Steepness(d.Busy, s.Dispersion)
		p.weight[i] += d.Probability * d.Busy
		p.steep[i], p.middle[i] = steep/math.Sqrt(1+math.Pi/8*steep*steep*s.Variance), math.Log(d.Busy)
	}
	return p
}

// missed is the expected replica time of missing requests with n replicas.
func (p *prospect) missed(n float64) (missed float64) {
	at := math.Log(n)
	for i := range p.number {
		missed += p.weight[i] * logistic(p.steep[i]*(p.middle[i]-at))
	}
	return missed
}

// Plan returns the number of replicas, at least one, that costs the least, its misses included. The candidates are so many
// that it takes about the same time whatever the number.
func (s Staffing) Plan(loads []Demand) Plan {
	var mean, least, most float64
	for i, d := range loads {
		mean += d.Probability * d.Busy
		most = math.Max(most, d.Busy)
		if i == 0 || d.Busy < least {
			least = d.Busy
		}
	}
	if !(mean > 0) {
		return Plan{Replicas: 1}
	}
	const fewest, spare = 0.7, 2.5 // bounds of what is tried, relative to the least and the most that may come
	low, high := math.Max(1, math.Floor(fewest*least)), math.Ceil(spare*most)+2
	if !(high < mostReplicas) { // no load that there is
		low, high = math.Min(low, mostReplicas), mostReplicas
	}
	p := s.prospect(loads)
	best := low
	for {
		const candidates = 128 // enough not to step over a dip of the cost
		step := math.Max(1, math.Floor((high-low)/candidates))
		cheapest := math.Inf(1)
		for n := low; n <= high; n += step {
			if cost := n + s.Price*p.missed(n); cost < cheapest {
				cheapest, best = cost, n
			}
		}
		if step == 1 {
			return Plan{Replicas: best, Misses: p.missed(best) / mean}
		}
		low, high = math.Max(low, best-step), math.Min(high, best+step)
	}
}
