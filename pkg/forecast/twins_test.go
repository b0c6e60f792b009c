package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Twins are the same by the plainest way there is: everything is kept and gone through anew.

// plainResiduals are Residuals as a list that is sorted when it is asked.
type plainResiduals struct {
	kept                  []float64
	cover, every, skipped int
}

func (r *plainResiduals) add(e float64) {
	if r.skipped++; r.skipped < r.every {
		return
	}
	r.skipped = 0
	switch full := len(r.kept) == maxResiduals; {
	case full && r.every*maxResiduals < r.cover:
		for i := range maxResiduals / 2 {
			r.kept[i] = r.kept[2*i+1]
		}
		r.kept = r.kept[:maxResiduals/2]
		r.every *= 2
	case full:
		r.kept = r.kept[1:]
	}
	r.kept = append(r.kept, e)
}

func TestResidualsAreThoseOfTheTimeCovered(t *testing.T) {
	for _, cover := range []int{1, 100, maxResiduals, 1000, 5000} {
		rng := seeded(1)
		r := newResiduals(cover)
		twin := plainResiduals{cover: cover, every: 1}
		for n := range 4000 {
			e := float64(float32(rng.NormFloat64()))
			if n%5 == 0 {
				e = 0 // ties
			}
			r.add(e)
			if twin.add(e); n%61 > 0 && n > 800 {
				continue
			}
			want := slices.Sorted(slices.Values(twin.kept))
			if len(want) != len(r.Sorted) || !slices.EqualFunc(want, r.Sorted, func(a float64, b float32) bool { return a == float64(b) }) {
				t.Fatalf("cover %d, %d offered: %d are kept, should be %d", cover, n+1, len(r.Sorted), len(want))
			}
			for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.9999} {
				rank := min(max(int(math.Ceil(float64(len(want)+1)*q)), 1), len(want))
				weight := 4 / (float64(n+1) + 4)
				if got, want := r.quantile(q, 7, 4), (1-weight)*want[rank-1]+weight*7; math.Abs(got-want) > 1e-9 {
					t.Fatalf("cover %d, %d offered: quantile %v is %v, should be %v", cover, n+1, q, got, want)
				}
			}
		}
	}
}

// What is kept reaches back as far as the cover, and no more than twice as far.
func TestResidualsReachBackOverTheirCover(t *testing.T) {
	for _, cover := range []int{1, maxResiduals, 1000, 5000} {
		r := newResiduals(cover)
		const offered = 20_000
		for n := range offered {
			r.add(float64(n))
		}
		reach := offered - int(r.Sorted[0])
		if least := min(max(cover, maxResiduals), offered); reach < least/2 || reach > 2*least {
			t.Errorf("of a cover of %d the oldest is %d offers old", cover, reach)
		}
	}
}

func TestNoResidualsAreThePrior(t *testing.T) {
	var r Residuals
	if got := r.quantile(0.9, 3, 4); got != 3 {
		t.Errorf("got %v", got)
	}
}

// spoiled series have gaps, zeros and a jump.
func spoiled(n int) []float64 {
	rng := seeded(3)
	return series(n, func(i int) float64 {
		if rng.IntN(10) == 0 {
			return math.NaN()
		}
		return math.Floor(20*rng.Float64()) * (1 + float64(i/700))
	})
}

func TestLevelsAreThoseOfTheWholeSeries(t *testing.T) {
	s := asked(time.Minute, 1)
	x := newStream(s)
	var known []float64
	// discounted is the mean in which the n-th value weighs max(1/n, share) against those before it
	discounted := func(values []float64, share float64) float64 {
		var sum, rest float64 = 0, 1
		for n := len(values); n > 0; n-- {
			w := math.Max(1/float64(n), share)
			sum += rest * w * values[n-1]
			rest *= 1 - w
		}
		return sum
	}
	for i, v := range spoiled(2000) {
		x.feed(1, func(int) float64 { return v })
		if v >= 0 && (v > 0 || len(known) > 0) {
			known = append(known, v)
		}
		if i%97 > 0 || len(known) < 2 {
			continue
		}
		var changes []float64
		for k := 1; k < len(known); k++ {
			changes = append(changes, math.Abs(known[k]-known[k-1]))
		}
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-9*(1+want) {
				t.Fatalf("row %d: %s is %v, should be %v", i, what, got, want)
			}
		}
		l := x.Levels
		near("the last value", l.Last, known[len(known)-1])
		near("the one before", l.Before, known[len(known)-2])
		near("the mean change", l.Change, discounted(changes, 1./60))
		near("the mean of days", l.Mean, discounted(known, math.Ln2*float64(time.Minute)/float64(meanHalfLife)))
		for k, got := range l.Averages {
			near("an average", got, discounted(known, 1/float64(int(1)<<k)))
		}
	}
}

func TestTheDaysClockHoldsTheMeansOfItsRounds(t *testing.T) {
	const rounds, perDay = 9, 144
	x := newStream(asked(10*time.Minute, 1))
	rng := seeded(4)
	values := series(rounds*perDay, func(int) float64 { return 5 + 10*rng.Float64() })
	x.feed(len(values), at(values))
	if x.Day.Period != 24*time.Hour {
		t.Fatalf("the day's clock goes round in %v", x.Day.Period)
	}
	for p := range perDay {
		mean := 0.0
		for d := range rounds {
			mean += math.Max(1/float64(d+1), newestDay) * (values[d*perDay+p] - mean)
		}
		if math.Abs(float64(x.Day.Mean[p])-mean) > 1e-5*mean || x.Day.Count[p] != rounds {
			t.Fatalf("at phase %d the mean is %v of %d, should be %v of %d", p, x.Day.Mean[p], x.Day.Count[p], mean, rounds)
		}
		for k := range pastDays {
			if got, want := x.Day.Newest[k][p], float32(values[(rounds-1-k)*perDay+p]); got != want {
				t.Fatalf("at phase %d, %d days back: %v, should be %v", p, k, got, want)
			}
		}
		sum := 0.0
		for w := -3; w <= 3; w++ {
			sum += float64(x.Day.Mean[(p+w+perDay)%perDay]) / 7
		}
		if got := x.Day.around(x.Day.Mean, p, 3); math.Abs(got-sum) > 1e-9*sum {
			t.Fatalf("around phase %d: %v, should be %v", p, got, sum)
		}
	}
}

// due is a forecast that has come due with random quantiles of all experts.
func due(rng *rand.Rand, s *Spec, rows int) *Pending {
	p := &Pending{Rows: rows, Quantiles: make([]float64, len(s.Quantiles)*numExperts), Mixed: make([]float64, len(s.Quantiles))}
	for i := range p.Quantiles {
		p.Quantiles[i] = 10 + rng.NormFloat64()
	}
	for i := range p.Mixed {
		p.Mixed[i] = 10 + rng.NormFloat64()
	}
	ascend(p.Mixed)
	return p
}

func TestLossesAndWeightsFollowTheirFormula(t *testing.T) {
	s := asked(time.Minute, 5)
	rng := seeded(5)
	l := newLane(&s, 5)
	var forecasts []*Pending
	var actuals []float64
	for range 300 {
		p, actual := due(rng, &s, 1+rng.IntN(3)), 10+rng.NormFloat64()
		forecasts, actuals = append(forecasts, p), append(actuals, actual)
		l.Losses.add(&s, p, actual)
	}
	l.weigh(&s, 5000)
	start := startWeights(&s, 5000)
	for q, quantile := range s.Quantiles {
		want := make([]float64, numExperts)
		for _, clock := range lossClocks {
			sums, count, age := make([]float64, numExperts), 0.0, 0.0
			for k, p := range slices.Backward(forecasts) {
				w := float64(p.Rows) * math.Exp2(-age/float64(clock.halfLife))
				count += w
				for e := range sums {
					sums[e] += w * pinball(actuals[k], p.Quantiles[q*numExperts+e], quantile)
				}
				age += float64(p.Rows) * float64(s.Step)
			}
			best, total := slices.Min(sums), 0.0
			own := make([]float64, numExperts)
			for e := range own {
				own[e] = start[e] * math.Exp(-clock.sharp*math.Sqrt(count/5)*(sums[e]-best)/best)
				total += own[e]
			}
			for e := range own {
				want[e] += own[e] / total / float64(len(lossClocks))
			}
		}
		for e, w := range want {
			if got := l.Weights[q*numExperts+e]; math.Abs(got-w) > 1e-9 {
				t.Fatalf("quantile %v: %s weighs %v, should %v", quantile, Experts()[e], got, w)
			}
		}
	}
}
