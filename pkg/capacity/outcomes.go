package capacity

import (
	"fmt"
	"math"
)

// The grid on which the edge is believed in: logarithms of the load, relative to the prior, at which half of the requests
// miss; and how much steeper or flatter than Staffing's law misses grow with load.
const (
	gridSize = 61
	gridLow  = -1.0
	gridStep = 0.025
)

var steepnesses = [...]float64{0.35, 0.5, 0.7, 1, 1.4}

const (
	// steepnessDoubt is the standard error of the logarithm of the steepness before anything was seen.
	steepnessDoubt = 0.4
	// outcomesHalfLife is how fast, in seconds, evidence of misses loses weight.
	outcomesHalfLife = 2 * 3600.
	// worth is how many independent requests those of one second are worth at most, and clump how many requests share one
	// fate: those that meet in a batch miss together.
	worth, clump = 0.7, 20.
	// surprise is how many independent misses a second is worth at most: what is late for some seconds at a load that was
	// borne for hours is a fault of something else, and takes half a minute to be believed.
	surprise = 0.13
	// strays is the share of requests that may miss, or meet, at any load: crashes and odd requests move no edge.
	strays = 0.0005
	// recovery is how long, in seconds, after an overload misses are laid at its door, unless they cease before; overload
	// is only believed to tell of capacity after settled seconds, when its misses have had time to show.
	recovery, settled, calm = 300., 75., 45.
	// ceased is the share of misses below which an overload is over.
	ceased = 0.2
	// farthest bounds the backlog of an overload, in seconds of a replica's work.
	farthest = 600.
	// memory is the half-life, in seconds, of the mean load of late: a request that ends now has come a while ago.
	memory = 40.
	// climb is the load of late over the present one below which load rises, and does not just seem to.
	climb = 0.93
	// dispersionHalfLife is in seconds; dispersionPrior is the index before anything was seen, worth dispersionWeight ticks.
	dispersionHalfLife                = 3600.
	dispersionPrior, dispersionWeight = 1.5, 8.
	// jump is by how many times its mean a squared difference counts at the most: a load that is switched on is no noise.
	jump = 9.
)

// Outcomes learns at which load per replica requests miss their objectives, from the requests that did and did not: what
// no law of an engine's steps knows, such as prompts that stop their neighbours' tokens, or a router that spreads badly.
//
// The share of requests that miss is taken for a logistic function of the logarithm of the load, 1/(1+(edge/load)^s), whose
// steepness s follows Staffing's law up to a factor. Edge and factor are believed in on a grid, each tick's misses
// weighing the beliefs by their likelihood (a Bayesian logistic regression without approximations).
type Outcomes struct {
	// Judged and Missed are the requests judged since the last tick and those of them that missed.
	Judged, Missed float64
	// Belief are logarithms of likelihoods, by steepness and edge, relative to the largest.
	Belief [len(steepnesses)][gridSize]float64
	// Late is the mean load of late.
	Late float64
	// Held is what the last tick has to tell, until the next one says that its load was not the beginning of more.
	Held Evidence
	// Overloaded says whether more arrives than is sustained, or is still being worked off: Backlog, in seconds of a
	// replica's work. Lasting is since when, in seconds; Recovering for how long misses tell nothing yet.
	Overloaded                   bool
	Backlog, Lasting, Recovering float64
	// Edge is where misses begin, as it was believed at the end of the last tick.
	Edge Edge
	// Dispersion and DispersionTicks are decayed sums over ticks of (difference)²/(sum) of two neighbours' arrivals and of 1;
	// Arrived is the number of the last tick.
	Dispersion, DispersionTicks, Arrived float64
}

// Evidence is what a tick tells: so many independent requests that missed and that met, at loads no higher than High and no
// lower than Low, by the logarithm; Steepness is that of Staffing's law, Keep what it leaves of what was believed before.
type Evidence struct{ Missed, Met, High, Low, Steepness, Keep float64 }

// count takes the requests of one replica's interval.
func (o *Outcomes) count(x Interval, c Config) {
	judged, missed := x.misses(c)
	o.Judged += judged
	o.Missed += missed
}

// disperse takes the arrivals of a tick of so many seconds.
func (o *Outcomes) disperse(arrived, seconds float64) {
	if o.Arrived > 0 && arrived > 0 {
		d := arrived - o.Arrived
		k := math.Exp2(-seconds / dispersionHalfLife)
		o.Dispersion = o.Dispersion*k + math.Min(d*d/(arrived+o.Arrived), jump*o.IndexOfDispersion())
		o.DispersionTicks = o.DispersionTicks*k + 1
	}
	o.Arrived = arrived
}

// IndexOfDispersion is the variance of arrivals in a tick over their mean: 1 of a Poisson process, more where requests come
// in bursts; never below 1. It is that of differences between neighbouring ticks, so that no trend counts.
func (o *Outcomes) IndexOfDispersion() float64 {
	return math.Max(1, (o.Dispersion+dispersionWeight*dispersionPrior)/(o.DispersionTicks+dispersionWeight))
}

// judge ends a tick of so many seconds in which each replica had that load, relative to the prior: it weighs the beliefs by
// what the last tick told, unless an overload has begun since, and holds what was counted in this one. Steepness is that of
// Staffing's law at the pool's size.
func (o *Outcomes) judge(load, steepness, seconds float64) {
	judged, missed := o.Judged, o.Missed
	o.Judged, o.Missed = 0, 0
	was, held := o.Overloaded, o.Held
	telling := o.telling(load, seconds, judged, missed)
	if held.Missed+held.Met > 0 && (was || !o.Overloaded) {
		if next := math.Log(load); next+math.Log(climb) > held.High && seconds <= memory {
			held.High = next
		}
		o.weigh(held)
	}
	if o.Late == 0 {
		o.Late = load
	}
	o.Late = load + math.Exp2(-seconds/memory)*(o.Late-load)
	o.Held = Evidence{}
	if telling && judged > 0 && load > 0 {
		unit := 1 / math.Max(clump, judged/(worth*seconds))
		o.Held = Evidence{
			Missed: math.Min(unit*missed, surprise*seconds), Met: unit * (judged - missed),
			High: math.Log(math.Max(load, o.Late)), Low: math.Log(load), Steepness: steepness, Keep: math.Exp2(-seconds / outcomesHalfLife),
		}
		if o.Late < climb*load {
			o.Held.Low = math.Log(o.Late)
		}
	}
}

// telling follows overloads, and says whether a tick's misses are of its load. Once more has arrived than is sustained,
// requests wait, and those that miss for it still do so when load has long fallen; capacity would be blamed for it.
func (o *Outcomes) telling(load, seconds, judged, missed float64) bool {
	edge := math.Exp(o.Edge.Mean)
	overloaded := load > edge || o.Backlog > 0
	o.Backlog = math.Min(math.Max(0, o.Backlog+(load-edge)*seconds), farthest)
	if overloaded != o.Overloaded {
		o.Overloaded, o.Lasting, o.Recovering = overloaded, 0, recovery
	}
	o.Lasting += seconds
	if overloaded {
		return load > edge && o.Lasting >= settled
	}
	if o.Recovering <= 0 {
		return true
	}
	o.Recovering -= seconds
	if judged > 0 && missed < ceased*judged && o.Lasting >= calm {
		o.Recovering = 0
	}
	return false
}

// weigh weighs the beliefs by the likelihood of a tick's requests. They came under its load or that of late, or of the tick
// after it, where load was switched on within it: those that missed are laid at the door of the highest one. The others
// are, in a climb, at that of the lower, since misses come after their load; what is no climb is noise, and both are the same.
func (o *Outcomes) weigh(x Evidence) {
	best := math.Inf(-1)
	for f := range o.Belief {
		s := steepnesses[f] * x.Steepness
		for j := range o.Belief[f] {
			b := o.Belief[f][j]*x.Keep + x.Missed*math.Log(missing(s*(x.High-gridAt(j)))) + x.Met*math.Log1p(-missing(s*(x.Low-gridAt(j))))
			o.Belief[f][j] = b
			best = math.Max(best, b)
		}
	}
	const least = -40 // what is as good as excluded can come back
	for f := range o.Belief {
		for j := range o.Belief[f] {
			o.Belief[f][j] = math.Max(o.Belief[f][j]-best, least)
		}
	}
}

func gridAt(j int) float64 { return gridLow + gridStep*float64(j) }

// missing is the share of misses at a distance from the edge, strays among them.
func missing(z float64) float64 { return strays + (1-2*strays)*logistic(z) }

func logistic(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// Edge is where misses begin: Mean and Variance of the logarithm of the load, relative to the prior, at which half of the
// requests miss, and the Factor of the steepness of Staffing's law.
type Edge struct{ Mean, Variance, Factor float64 }

// believe takes stock where the logarithm of the prior has a standard error.
func (o *Outcomes) believe(doubt float64) {
	var belief [len(steepnesses)][gridSize]float64
	best := math.Inf(-1)
	for f := range belief {
		z := math.Log(steepnesses[f]) / steepnessDoubt
		for j := range belief[f] {
			d := gridAt(j) / doubt
			belief[f][j] = o.Belief[f][j] - (d*d+z*z)/2
			best = math.Max(best, belief[f][j])
		}
	}
	var sum, mean, square, factor float64
	for f := range belief {
		for j := range belief[f] {
			w, at := math.Exp(belief[f][j]-best), gridAt(j)
			sum += w
			mean += w * at
			square += w * at * at
			factor += w * math.Log(steepnesses[f])
		}
	}
	mean /= sum
	o.Edge = Edge{Mean: mean, Variance: math.Max(0, square/sum-mean*mean), Factor: math.Exp(factor / sum)}
}

// text says what misses have changed, empty where they have hardly changed anything.
func (e Edge) text() string {
	const hardly = 0.02
	if math.Abs(e.Mean) < hardly {
		return ""
	}
	return fmt.Sprintf("; requests miss from %.2f times that on", math.Exp(e.Mean))
}
