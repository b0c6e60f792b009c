package baseline

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Predictors of the planner (ai-dynamo/dynamo@260b6ae components/src/dynamo/planner/core/load/predictors.py).
const (
	predictARIMA = iota
	predictConstant
	predictKalman
)

// predictor forecasts the next interval's value from those before. Zeros before the first load are left out.
type predictor interface {
	add(x float64)
	next() float64
}

func newPredictor(kind int) predictor {
	switch kind {
	case predictConstant:
		return &lastValue{}
	case predictKalman:
		return &kalmanTrend{}
	}
	return &autoARIMA{}
}

// finite reads what is no number as no load.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// lastValue expects what was last.
type lastValue struct{ value float64 }

func (p *lastValue) add(x float64) { p.value = finite(x) }
func (p *lastValue) next() float64 { return p.value }

// Noise of the local linear trend: of level, trend and measurement (kalman_q_level, kalman_q_trend, kalman_r), and the
// values before which the last one stands in (kalman_min_points).
const (
	kalmanPoints      = 5
	kalmanLevel       = 1.0
	kalmanSlope       = 0.1
	kalmanMeasurement = 10.0
	kalmanUncertain   = 1000.0
)

// kalmanTrend is a Kalman filter with a local linear trend: level and slope. It is ahead while its state is a forecast.
type kalmanTrend struct {
	state *mat.VecDense
	cov   *mat.Dense
	ahead bool
	seen  int
	last  float64
}

func (p *kalmanTrend) add(x float64) {
	x = finite(x)
	if p.seen == 0 && x == 0 {
		return
	}
	p.seen++
	p.last = x
	if p.seen == 1 {
		p.state = mat.NewVecDense(2, []float64{x, 0})
		p.cov = mat.NewDense(2, 2, []float64{kalmanUncertain, 0, 0, kalmanUncertain})
		return
	}
	if !p.ahead {
		p.predict()
	}
	p.update(x)
	p.ahead = false
}

func (p *kalmanTrend) next() float64 {
	if p.seen < kalmanPoints {
		return p.last
	}
	if !p.ahead {
		p.predict()
		p.ahead = true
	}
	return max(0, p.state.AtVec(0))
}

// predict moves state and covariance one interval on.
func (p *kalmanTrend) predict() {
	f := mat.NewDense(2, 2, []float64{1, 1, 0, 1})
	p.state.MulVec(f, mat.VecDenseCopyOf(p.state))
	var fp, fpf mat.Dense
	fp.Mul(f, p.cov)
	fpf.Mul(&fp, f.T())
	fpf.Add(&fpf, mat.NewDense(2, 2, []float64{kalmanLevel, 0, 0, kalmanSlope}))
	p.cov = &fpf
}

// update takes a measured level in.
func (p *kalmanTrend) update(x float64) {
	innovation := x - p.state.AtVec(0)
	variance := p.cov.At(0, 0) + kalmanMeasurement
	gain := mat.NewVecDense(2, []float64{p.cov.At(0, 0) / variance, p.cov.At(1, 0) / variance})
	p.state.AddScaledVec(p.state, innovation, gain)
	var shrink, next mat.Dense
	shrink.Outer(1, gain, mat.NewVecDense(2, []float64{1, 0}))
	next.Mul(&shrink, p.cov)
	next.Sub(p.cov, &next)
	p.cov = &next
}
