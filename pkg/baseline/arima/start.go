package arima

import (
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// leastVariance bounds the variance that the optimizer starts from.
const leastVariance = 1e-10

// invertible is the radius within which inverse roots must lie for coefficients to be started from.
const invertible = 1 - 1e-10

// startingPoint estimates parameters by two regressions (Hannan and Rissanen 1982): of the differenced series on twice as many
// lags as the moving average has, which leaves estimates of the shocks, and on the model's own lags and those shocks.
// Coefficients that are not stationary, or not invertible, begin at zero.
func startingPoint(series []float64, o Order) []float64 {
	x := difference(series, o.D)
	params := make([]float64, o.size())
	last := len(params) - 1
	if last == 0 {
		params[0] = max(leastVariance, mat.Dot(vec(x), vec(x))/float64(len(series)))
		return params
	}
	coefficients, left := regressARMA(x, o)
	copy(params, coefficients)
	if !within(o.ar(params), invertible) {
		clear(o.ar(params))
	}
	negated := slices.Clone(o.ma(params))
	negate(negated)
	if !within(negated, invertible) {
		clear(o.ma(params))
	}
	params[last] = max(leastVariance, left)
	return params
}

// regressARMA returns intercept and coefficients, and the variance of what they leave. They are zero where the series is too
// short for them.
func regressARMA(x []float64, o Order) (coefficients []float64, variance float64) {
	long := 2 * o.Q
	skip := max(long+o.Q, o.P)
	coefficients = make([]float64, o.size()-1)
	if len(x) <= skip {
		return coefficients, centredVariance(x, o.Q)
	}
	shocks := x
	if o.Q > 0 {
		lags := lagged(x, long, long)
		_, shocks = leastSquares(lags, x[long:])
	}
	columns := make([][]float64, 0, len(coefficients))
	if o.Intercept {
		columns = append(columns, ones(len(x)-skip))
	}
	columns = append(columns, lagged(x, o.P, skip)...)
	columns = append(columns, lagged(shocks, o.Q, skip-long)...)
	coefficients, left := leastSquares(columns, x[skip:])
	if len(left) <= max(1, o.Q) {
		return coefficients, stat.PopVariance(x, nil)
	}
	return coefficients, meanSquare(left[o.Q:])
}

// centredVariance is the variance that stands in for a regression's where there was none: that of the series, with a zero for
// each lag of the moving average.
func centredVariance(x []float64, q int) float64 {
	n := float64(len(x))
	return stat.PopVariance(x, nil) * n / (n + float64(q))
}

func ones(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// lagged returns the series from the given place on, one to count values earlier.
func lagged(x []float64, count, from int) [][]float64 {
	columns := make([][]float64, count)
	for i := range columns {
		columns[i] = x[from-i-1 : len(x)-i-1]
	}
	return columns
}

func meanSquare(x []float64) float64 {
	return mat.Dot(vec(x), vec(x)) / float64(len(x))
}

func vec(x []float64) *mat.VecDense { return mat.NewVecDense(len(x), x) }

// leastSquares regresses y on the columns, with the shortest of all solutions where there are several, and returns what they
// leave.
func leastSquares(columns [][]float64, y []float64) (coefficients, left []float64) {
	a := mat.NewDense(len(y), len(columns), nil)
	for j, c := range columns {
		a.SetCol(j, c)
	}
	coefficients = make([]float64, len(columns))
	var svd mat.SVD
	if svd.Factorize(a, mat.SVDThin) {
		if rank := svd.Rank(1e-15); rank > 0 {
			svd.SolveVecTo(vec(coefficients), vec(y), rank)
		}
	}
	left = slices.Clone(y)
	for j, c := range columns {
		for i, v := range c {
			left[i] -= coefficients[j] * v
		}
	}
	return coefficients, left
}
