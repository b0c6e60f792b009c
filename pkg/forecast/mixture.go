package forecast

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// lossClocks are the times over which losses are remembered by half, and how sharply they tell: the weights of three
// mixtures, whose mean is taken, so that both a slow and a quick change of the best expert are followed.
var lossClocks = [...]struct {
	halfLife time.Duration
	sharp    float64
}{{4 * 24 * time.Hour, 18}, {24 * time.Hour, 12}, {7 * time.Hour, 12}}

// regressionShare is the share of the weight that the regressions start with, once there are regressionRows rows.
const (
	regressionShare = 0.65
	regressionRows  = 500
)

// Losses are the experts' discounted pinball losses.
type Losses struct {
	// Sums are by clock, quantile and expert; Counts the discounted numbers of rows by clock; Due the number of
	// forecasts that have come due.
	Sums   [len(lossClocks)][]float64
	Counts [len(lossClocks)]float64
	Due    int
}

func newLosses(quantiles int) Losses {
	var l Losses
	for c := range l.Sums {
		l.Sums[c] = make([]float64, quantiles*numExperts)
	}
	return l
}

// add takes what came true of a forecast.
func (l *Losses) add(s *Spec, p *Pending, actual float64) {
	l.Due++
	var keep [len(lossClocks)]float64
	for c, clock := range lossClocks {
		keep[c] = math.Exp2(-float64(p.Rows) * float64(s.Step) / float64(clock.halfLife))
		l.Counts[c] = l.Counts[c]*keep[c] + float64(p.Rows)
	}
	rows := float64(p.Rows)
	for i, q := range s.Quantiles {
		for e := i * numExperts; e < (i+1)*numExperts; e++ {
			loss := rows * pinball(actual, p.Quantiles[e], q)
			for c := range keep {
				l.Sums[c][e] = l.Sums[c][e]*keep[c] + loss
			}
		}
	}
}

// pinball is the quantile loss: what a bound costs, too low being q/(1−q) times as dear as too high.
func pinball(actual, bound, q float64) float64 {
	if d := actual - bound; d > 0 {
		return q * d
	}
	return (1 - q) * (bound - actual)
}

// weighSometimes makes the weights anew: at each forecast at first, later at every sixteenth, since they change slowly.
func (l *Lane) weighSometimes(s *Spec, seen int) {
	if n := l.Losses.Due; n < 50 || n%16 == 0 {
		l.weigh(s, seen)
	}
}

// weigh makes the weights: exponential ones of the losses relative to the best expert's, the sharper the more
// independent forecasts they rest on.
func (l *Lane) weigh(s *Spec, seen int) {
	start := startWeights(s, seen)
	for i := range s.Quantiles {
		w := l.Weights[i*numExperts : (i+1)*numExperts]
		clear(w)
		for c, clock := range lossClocks {
			sums := l.Losses.Sums[c][i*numExperts : (i+1)*numExperts]
			sharp := clock.sharp * math.Sqrt(l.Losses.Counts[c]/float64(l.Rows))
			if slices.Contains(s.Without, stageAggregation) {
				sharp = 0
			}
			addWeights(w, &start, sums, sharp)
		}
	}
}

// addWeights adds the weights by one clock to w; together they are one of the clocks' equal shares.
func addWeights(w []float64, start *[numExperts]float64, sums []float64, sharp float64) {
	best := math.Inf(1)
	for e, loss := range sums {
		if start[e] > 0 {
			best = math.Min(best, loss)
		}
	}
	var own [numExperts]float64
	var sum float64
	for e, loss := range sums {
		if excess := loss - best; start[e] > 0 && excess <= 0 {
			own[e] = start[e]
		} else if x := sharp * excess / best; start[e] > 0 && x < 50 { // best may be zero
			own[e] = start[e] * math.Exp(-x)
		}
		sum += own[e]
	}
	for e := range own {
		w[e] += own[e] / sum / float64(len(lossClocks))
	}
}

// startWeights are the weights before any loss is known, of experts left out zero.
func startWeights(s *Spec, seen int) [numExperts]float64 {
	var w [numExperts]float64
	var sum float64
	copy(w[:], priors[:])
	w[expertStates] = 1
	for e := range expertRegressions {
		sum += w[e]
	}
	share := regressionShare * math.Min(1, 0.4+float64(seen)/regressionRows)
	for e := expertRegressions; e < numExperts; e++ {
		w[e] = share / (1 - share) * sum / (numExperts - expertRegressions)
	}
	if len(s.Without) == 0 {
		return w
	}
	for e, name := range Experts() {
		if slices.Contains(s.Without, name) {
			w[e] = 0
		}
	}
	return w
}

// mix sets the mixture's quantiles: the weighted means of the experts', ascending.
func (l *Lane) mix(s *Spec, p *Pending) {
	for i := range s.Quantiles {
		first := p.Quantiles[i*numExperts]
		p.Mixed[i] = first // and what the others add, so that what all agree on comes out exactly
		for e := i * numExperts; e < (i+1)*numExperts; e++ {
			p.Mixed[i] += l.Weights[e] * (p.Quantiles[e] - first)
		}
	}
	median := p.Mixed[middle(s.Quantiles)]
	for i := range s.Quantiles {
		p.Mixed[i] = median + math.Exp(l.Spread[i])*(p.Mixed[i]-median)
	}
	ascend(p.Mixed)
}

const (
	// adaption is how much the logarithm of a spread moves on an independent forecast that was missed: enough to double it
	// within some twenty misses of the same side, little enough to cost no more than a hundredth of the loss.
	adaption = 0.04
	// narrowest and widest bound a spread's logarithm.
	narrowest, widest = -0.7, 1.4
)

// widen draws a quantile out from the median when it was missed and in when it was not, in the proportion in which both
// come where it covers what it should: adaptive conformal inference (Gibbs and Candès, Adaptive conformal inference under
// distribution shift, 2021) on the scale instead of the level, since after a shift no level of the residuals seen reaches
// far enough.
func (l *Lane) widen(s *Spec, p *Pending, actual float64) {
	step := adaption * math.Min(1, float64(p.Rows)/float64(l.Rows))
	for i, q := range s.Quantiles {
		move := q - 1
		if actual > p.Mixed[i] {
			move = q
		}
		if q < 0.5 {
			move = -move
		}
		if q != 0.5 {
			l.Spread[i] = math.Min(math.Max(l.Spread[i]+step*move, narrowest), widest)
		}
	}
}

// ascend raises what is below the one before it.
func ascend(values []float64) {
	for i := 1; i < len(values); i++ {
		values[i] = math.Max(values[i], values[i-1])
	}
}

// shares are the experts' weights averaged over the quantiles, largest first.
func (l *Lane) shares(s *Spec) []Weight {
	names := Experts()
	out := make([]Weight, numExperts)
	for e := range out {
		out[e].Expert = names[e]
		for i := range s.Quantiles {
			out[e].Share += l.Weights[i*numExperts+e] / float64(len(s.Quantiles))
		}
	}
	slices.SortStableFunc(out, func(a, b Weight) int { return cmp.Compare(b.Share, a.Share) })
	return out
}
