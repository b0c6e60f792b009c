package leadtime

import (
	"math"
	"time"
)

// sample is a time with its weight.
type sample struct {
	took   time.Duration
	weight float64
}

// samples are weighted times, ascending once they are all there. They are of fixed size, so that none of the estimates of
// a tick allocates.
type samples struct {
	n  int
	at [maxSamples]sample
	// total is the sum of weights, squares that of their squares.
	total, squares float64
}

// add inserts a time at its place. A weight that is no positive number counts nothing.
func (b *samples) add(took time.Duration, weight float64) {
	if !(weight > 0) || math.IsInf(weight, 0) || b.n == len(b.at) {
		return
	}
	i := b.n
	for ; i > 0 && b.at[i-1].took > took; i-- {
		b.at[i] = b.at[i-1]
	}
	b.at[i] = sample{took, weight}
	b.n++
	b.total += weight
	b.squares += weight * weight
}

// quantile returns the weighted q-quantile by the nearest rank, rounded up; zero of none. It is always one of the samples:
// between two kinds of starts there is nothing.
func (b *samples) quantile(q float64) time.Duration {
	const slack = 1e-9 // of sums of weights
	var reached float64
	for _, s := range b.at[:b.n] {
		if reached += s.weight; reached >= (q-slack)*b.total {
			return s.took
		}
	}
	return 0
}

// phase returns what is told of a phase.
func (b *samples) phase() Phase { return Phase{P50: b.quantile(0.5), P90: b.quantile(0.9)} }

// effective is how many equal samples know as much (Kish 1965).
func (b *samples) effective() float64 {
	if b.n == 0 {
		return 0
	}
	return b.total * b.total / b.squares
}

// median is the middle in logarithmic seconds.
func (b *samples) median() float64 { return logarithm(b.quantile(0.5)) }

// fit returns the distribution behind the samples, shrunk towards a log-normal one of the given median: quantile by
// quantile in the logarithm (quantiles and not probabilities are averaged, Vincent 1912, since what is wrong with a prior
// is its place). With n effective samples, at level p,
//
//	ln Q(p) = (n·m + k·µ)/(n+k) + (n·r(p) + K·z(p)·σ)/(n+K)
//
// where m is the samples' median and r(p) the distance of their quantiles from it, µ the median towards which is shrunk
// and z(p)·σ the same of the log-normal; k is how many samples that median is worth, K is shapeWeight. Few samples can show
// that they differ more than usual, but not that they differ less: the second term is at least r(p).
func (b *samples) fit(towards, k float64) Distribution {
	if b.n == 0 {
		return logNormal(towards, spread)
	}
	n, m := b.effective(), b.median()
	place, shape := n/(n+k), n/(n+shapeWeight)
	centre := place*m + (1-place)*towards
	var d Distribution
	for i, level := range levels {
		r := logarithm(b.quantile(level)) - m
		if usual := spread * normal[i]; math.Abs(r) < math.Abs(usual) {
			r = shape*r + (1-shape)*usual
		}
		d[i] = duration(math.Exp(centre + r))
	}
	return d
}

// logarithm is that of a time in seconds, no less than the resolution.
func logarithm(d time.Duration) float64 { return math.Log(max(d, resolution).Seconds()) }
