package arima

import (
	"math"
	"slices"
)

// Parameters are, in this order: the intercept where the model has one, the coefficients of the lags, those of the moving
// average, and the variance. The optimizer moves in free coordinates: a model stays stationary and invertible wherever it
// goes (Monahan 1984, "A note on enforcing stationarity in autoregressive-moving average models"), and the variance is the
// square of its coordinate.

// size is the number of parameters.
func (o Order) size() int { return o.intercepts() + o.P + o.Q + 1 }

func (o Order) intercepts() int {
	if o.Intercept {
		return 1
	}
	return 0
}

// ar and ma are the coefficients' places among the parameters.
func (o Order) ar(params []float64) []float64 {
	from := o.intercepts()
	return params[from : from+o.P]
}

func (o Order) ma(params []float64) []float64 {
	from := o.intercepts() + o.P
	return params[from : from+o.Q]
}

// bound maps free coordinates to parameters.
func (o Order) bound(free []float64) []float64 {
	params := slices.Clone(free)
	stationary(o.ar(params))
	stationary(o.ma(params))
	negate(o.ma(params))
	last := len(params) - 1
	params[last] = free[last] * free[last]
	return params
}

// free maps parameters to free coordinates.
func (o Order) free(params []float64) []float64 {
	free := slices.Clone(params)
	unstationary(o.ar(free))
	negate(o.ma(free))
	unstationary(o.ma(free))
	last := len(free) - 1
	free[last] = math.Sqrt(params[last])
	return free
}

func negate(x []float64) {
	for i := range x {
		x[i] = -x[i]
	}
}

// stationary turns any numbers into the coefficients of a stationary autoregression, in place: each is mapped to a partial
// autocorrelation between -1 and 1, and the Durbin-Levinson recursion does the rest.
func stationary(x []float64) {
	for k := range x {
		r := x[k] / math.Sqrt(1+x[k]*x[k])
		var y [MaxLags]float64
		for i := range k {
			y[i] = x[i] + r*x[k-i-1]
		}
		copy(x, y[:k])
		x[k] = r
	}
	negate(x)
}

// unstationary is the inverse of stationary.
func unstationary(x []float64) {
	partials(x)
	for k, r := range x {
		x[k] = r / math.Sqrt(1-r*r)
	}
}

// partials turns the coefficients of an autoregression into its partial autocorrelations, their sign turned, in place.
func partials(x []float64) {
	negate(x)
	for k := len(x) - 1; k > 0; k-- {
		var y [MaxLags]float64
		for i := range k {
			y[i] = (x[i] - x[k]*x[k-i-1]) / (1 - x[k]*x[k])
		}
		copy(x, y[:k])
	}
}

// within says whether all inverse roots of the autoregression's polynomial lie inside a circle of the radius: whether the
// series whose coefficients are scaled by it is stationary.
func within(ar []float64, radius float64) bool {
	var scaled [MaxLags]float64
	factor := 1.0
	for i, a := range ar {
		factor /= radius
		scaled[i] = a * factor
	}
	return allPartialsBelowOne(scaled[:len(ar)])
}

func allPartialsBelowOne(x []float64) bool {
	for k, r := range slices.Backward(x) {
		if !(math.Abs(r) < 1) {
			return false
		}
		var y [MaxLags]float64
		for i := range k {
			y[i] = (x[i] + r*x[k-i-1]) / (1 - r*r)
		}
		copy(x, y[:k])
	}
	return true
}
