package arima

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// autocovariances of an ARMA process with shocks of the given variance, by its moving average without end.
func autocovariances(n int, ar, ma []float64, variance float64) []float64 {
	const long = 4000
	psi := make([]float64, long)
	psi[0] = 1
	for k := 1; k < long; k++ {
		if k <= len(ma) {
			psi[k] = ma[k-1]
		}
		for i, a := range ar {
			if k > i {
				psi[k] += a * psi[k-i-1]
			}
		}
	}
	out := make([]float64, n)
	for lag := range out {
		out[lag] = variance * mat.Dot(vec(psi[lag:]), vec(psi[:long-lag]))
	}
	return out
}

// dense is the dumb twin of the filter: a normal distribution of all values at once, and its conditional mean of the next.
func dense(x []float64, mean float64, cov []float64) (loglik, next float64) {
	n := len(x)
	all := mat.NewSymDense(n, nil)
	centred, ahead := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	for i := range n {
		centred.SetVec(i, x[i]-mean)
		ahead.SetVec(i, cov[n-i])
		for j := i; j < n; j++ {
			all.SetSym(i, j, cov[j-i])
		}
	}
	var c mat.Cholesky
	if !c.Factorize(all) {
		return math.NaN(), math.NaN()
	}
	var solved mat.VecDense
	if err := c.SolveVecTo(&solved, centred); err != nil {
		return math.NaN(), math.NaN()
	}
	loglik = -0.5 * (float64(n)*math.Log(2*math.Pi) + c.LogDet() + mat.Dot(centred, &solved))
	return loglik, mean + mat.Dot(ahead, &solved)
}

// Orders of up to five lags on both sides, differenced not at all or once or twice, with coefficients drawn at random.
func TestFilterIsTheNormalDistributionOfAllValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		o := Order{P: rng.IntN(6), D: rng.IntN(3), Q: rng.IntN(6), Intercept: rng.IntN(2) == 0}
		free := make([]float64, o.size())
		for i := range free {
			free[i] = 0.7 * rng.NormFloat64()
		}
		free[len(free)-1] = 0.1 + rng.Float64()
		params := o.bound(free)
		x := simulate(rng, 25, o.D, 0, nil, nil)

		s := o.space(params)
		loglik, next := s.run(x)
		total := 1.0
		for _, a := range o.ar(params) {
			total -= a
		}
		y := difference(x, o.D)
		want, ahead := dense(y, s.intercept/total, autocovariances(len(y)+1, o.ar(params), o.ma(params), s.variance))
		for d := o.D - 1; d >= 0; d-- {
			lower := difference(x, d)
			ahead += lower[len(lower)-1]
		}
		// The levels are only nearly diffuse: a millionth of the shocks' variance shows.
		tolerance := 1e-7
		if o.D > 0 {
			tolerance = 1e-3
		}
		if !(math.Abs(loglik-want) < tolerance*(1+math.Abs(want)) && math.Abs(next-ahead) < tolerance*(1+math.Abs(ahead))) {
			t.Errorf("%v, %.3g: log likelihood %.9g, next %.9g; want %.9g, %.9g", o, params, loglik, next, want, ahead)
		}
	}
}

// The filter stops to compute covariances once they have settled: the same as if it did not.
func TestSettledFilterIsTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, tt := range []struct {
		o      Order
		params []float64
	}{
		{Order{Intercept: true}, []float64{3, 2}},
		{Order{P: 1, Intercept: true}, []float64{3, 0.9, 2}},
		{Order{P: 1, Q: 1}, []float64{0.5, 0.2, 2}},
		{Order{P: 2, D: 1, Q: 2}, []float64{0.5, 0.2, 0.4, 0.1, 2}},
	} {
		s := tt.o.space(tt.params)
		x := simulate(rng, 300, tt.o.D, 0, []float64{0.5}, nil)
		quick, next := s.run(x)
		slow := filter{space: &s, mean: s.startMean(), cov: s.startCov()}
		var want float64
		for i, v := range x {
			l := slow.take(v)
			if i >= tt.o.D {
				want += l
			}
		}
		if !slow.stays {
			t.Errorf("%v: the covariance has not settled in 300 values", tt.o)
		}
		if ahead := s.observed(&slow.mean); math.Abs(quick-want) > 1e-9 || math.Abs(next-ahead) > 1e-9 {
			t.Errorf("%v: log likelihood %.12g, next %.12g; want %.12g, %.12g", tt.o, quick, next, want, ahead)
		}
	}
}

func TestNoLikelihoodWithoutAStationaryPart(t *testing.T) {
	for name, s := range map[string]space{
		"a unit root":          Order{P: 1}.space([]float64{1, 2}),
		"no variance":          Order{P: 1}.space([]float64{0.5, 0}),
		"a negative one":       Order{}.space([]float64{-1}),
		"not even coordinates": Order{P: 1}.space([]float64{math.NaN(), 1}),
	} {
		if loglik, _ := s.run([]float64{1, 2, 3}); !math.IsInf(loglik, -1) {
			t.Errorf("%s: log likelihood %g, want none", name, loglik)
		}
	}
}
