package trace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Process is the distribution of the gaps between arrivals.
type Process string

// The processes.
const (
	Poisson Process = "poisson"
	Gamma   Process = "gamma"
	Weibull Process = "weibull"
)

// Arrivals is a renewal process in operational time, in which the rate is one: gaps shrink where the rate is high.
type Arrivals struct {
	// Process is Poisson where empty.
	Process Process
	// CV is the coefficient of variation of the gaps of Gamma and Weibull, zero for 1. Poisson's is 1. Services measured
	// have 1 to 4, single clients more than 10 (ServeGen, NSDI 2026).
	CV float64
}

// The CVs that can be drawn: below, arrivals are clockwork; above, the gaps' shape parameter loses precision.
const (
	minCV = 0.05
	maxCV = 20
)

func (a Arrivals) validate() error {
	processes := []Process{"", Poisson, Gamma, Weibull}
	if !slices.Contains(processes, a.Process) {
		return fmt.Errorf("process %q: want one of %s", string(a.Process), joined(processes[1:]))
	}
	if a.CV != 0 && (!(a.CV >= minCV) || a.CV > maxCV) {
		return fmt.Errorf("cv %v: must be between %v and %v", a.CV, minCV, float64(maxCV))
	}
	if (a.Process == "" || a.Process == Poisson) && a.CV != 0 && a.CV != 1 {
		return fmt.Errorf("cv %v: a Poisson process has 1; take gamma or weibull", a.CV)
	}
	return nil
}

// gaps draws gaps with a mean of one. The first, until the first arrival, is drawn from what is left of a gap at a random
// time, so that the expected number of arrivals is the same in every window, the first included.
type gaps struct {
	rng     *rand.Rand
	process Process
	// shape is of the gamma or Weibull distribution, scale that of the mean one.
	shape, scale float64
}

func newGaps(a Arrivals, rng *rand.Rand) *gaps {
	g := &gaps{rng: rng, process: a.Process, shape: 1, scale: 1}
	cv := a.CV
	if cv == 0 {
		cv = 1
	}
	switch a.Process {
	case "", Poisson:
	case Gamma:
		g.shape = 1 / (cv * cv)
		g.scale = 1 / g.shape
	case Weibull:
		g.shape = weibullShape(cv)
		g.scale = 1 / math.Gamma(1+1/g.shape)
	}
	return g
}

// next draws a gap.
func (g *gaps) next() float64 {
	switch g.process {
	case Gamma:
		return g.scale * gamma(g.rng, g.shape)
	case Weibull:
		return g.scale * math.Pow(g.rng.ExpFloat64(), 1/g.shape)
	default:
		return g.rng.ExpFloat64()
	}
}

// first draws the time from a random instant until the next arrival: a uniform part of a gap that is drawn with a
// probability proportional to its length.
func (g *gaps) first() float64 {
	switch g.process {
	case Gamma: // the length-biased gamma has a shape greater by one
		return g.rng.Float64() * g.scale * gamma(g.rng, g.shape+1)
	case Weibull: // and the power of the length-biased Weibull is gamma of 1+1/shape
		return g.rng.Float64() * g.scale * math.Pow(gamma(g.rng, 1+1/g.shape), 1/g.shape)
	default:
		return g.rng.ExpFloat64()
	}
}

// weibullShape is the shape at which a Weibull distribution has the coefficient of variation, which falls with it.
func weibullShape(cv float64) float64 {
	low, high := 0.1, 100.0
	for range 100 {
		middle := math.Sqrt(low * high)
		one, two := math.Gamma(1+1/middle), math.Gamma(1+2/middle)
		if two/(one*one)-1 > cv*cv {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// gamma draws from the gamma distribution with the given shape and scale 1,
// after Marsaglia and Tsang, "A simple method for generating gamma variables",
// ACM TOMS 26(3), 2000.
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(rng, shape+1) * math.Pow(1-rng.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		v = v * v * v
		if v > 0 && math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
