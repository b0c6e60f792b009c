// Package arima forecasts a series by one step with an ARIMA model whose order it chooses itself, as pmdarima's auto_arima
// does with its defaults: differences by the KPSS test, a stepwise search for the order by AIC, and the exact Gaussian
// likelihood of the model in state-space form (alkaline-ml/pmdarima pmdarima/arima/{auto,arima}.py @00b1541, @6503c6f,
// _auto_solvers.py @e5f76d5, on statsmodels/statsmodels statsmodels/tsa/statespace/sarimax.py @008359a). Seasons,
// regressors and bounds of a forecast are left out, for those who call it there give none.
//
// It is pure: no clock, no randomness, no goroutine; the work is bounded by the length of the series and MaxFits.
package arima

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// MaxLags bounds the autoregressive lags and the lags of the moving average, MaxDifferences the differences (max_p, max_q,
// max_d), and MaxFits the models that a search tries (max_steps).
const (
	MaxLags        = 5
	MaxDifferences = 2
	MaxFits        = 100
)

// Iterations of the optimizer: for a first fit, and for one more value from the parameters there were (maxiter, and update's
// own default).
const (
	firstIterations  = 50
	updateIterations = 5
)

// Order names a model: lags, differences, lags of the moving average, and whether the differenced series has a mean other
// than zero.
type Order struct {
	P, D, Q   int
	Intercept bool
}

// String writes the order as (p,d,q), with "+c" behind it where there is an intercept.
func (o Order) String() string {
	s := fmt.Sprintf("(%d,%d,%d)", o.P, o.D, o.Q)
	if o.Intercept {
		s += "+c"
	}
	return s
}

// check refuses orders beyond the bounds.
func (o Order) check() error {
	for _, n := range []struct {
		name       string
		value, top int
	}{{"lags", o.P, MaxLags}, {"differences", o.D, MaxDifferences}, {"lags of the moving average", o.Q, MaxLags}} {
		if n.value < 0 || n.value > n.top {
			return fmt.Errorf("order %v: %d %s, must lie between 0 and %d", o, n.value, n.name, n.top)
		}
	}
	return nil
}

// Model is a fitted model with the series that it was fitted to.
type Model struct {
	order  Order
	series []float64
	params []float64
	loglik float64
	next   float64
}

// ErrNoFit says that no model could be fitted: the likelihood is not finite where the optimizer went.
var ErrNoFit = errors.New("the likelihood is not finite")

// Fit estimates a model of the given order. The error is ErrNoFit where the likelihood is not finite, and says so where the
// series is shorter than two values beyond its differences, or holds a value that is no finite number.
func Fit(series []float64, o Order) (*Model, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkSeries(series, o.D+2); err != nil {
		return nil, err
	}
	m := &Model{order: o, series: slices.Clone(series)}
	if err := m.estimate(startingPoint(series, o), firstIterations); err != nil {
		return nil, err
	}
	return m, nil
}

func checkSeries(series []float64, least int) error {
	if len(series) < least {
		return fmt.Errorf("a series of %d values: needs at least %d", len(series), least)
	}
	for i, x := range series {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("value %d of %d is %v: must be finite", i+1, len(series), x)
		}
	}
	return nil
}

// Update adds values to the series, drops the oldest beyond keep, and moves the parameters by a few iterations from where
// they were. Where that fails, the model is as before.
func (m *Model) Update(keep int, values ...float64) error {
	series := append(slices.Clone(m.series), values...)
	series = series[max(0, len(series)-keep):]
	if err := checkSeries(series, m.order.D+2); err != nil {
		return err
	}
	next := &Model{order: m.order, series: series}
	if err := next.estimate(m.params, max(updateIterations, len(values)/10)); err != nil {
		return err
	}
	*m = *next
	return nil
}

// estimate moves from the given parameters to more likely ones.
func (m *Model) estimate(from []float64, iterations int) error {
	x := m.order.free(from)
	n := float64(len(m.series))
	err := descend(func(x []float64) float64 {
		s := m.order.space(m.order.bound(x))
		loglik, _ := s.run(m.series)
		return -loglik / n
	}, x, iterations)
	if err != nil {
		return err
	}
	m.params = m.order.bound(x)
	s := m.order.space(m.params)
	m.loglik, m.next = s.run(m.series)
	if math.IsNaN(m.next) || math.IsInf(m.next, 0) {
		return ErrNoFit
	}
	return nil
}

// Order returns the model's order.
func (m *Model) Order() Order { return m.order }

// Forecast is the value expected next, in the unit of the series; always finite.
func (m *Model) Forecast() float64 { return m.next }

// AIC is Akaike's criterion, less being better.
func (m *Model) AIC() float64 { return 2*float64(m.order.size()) - 2*m.loglik }

// Coefficients returns the intercept, the autoregressive coefficients, those of the moving average, and the variance of a
// step's shock. The intercept is the mean of the differenced series times one less the sum of the autoregressive ones.
func (m *Model) Coefficients() (intercept float64, ar, ma []float64, variance float64) {
	s := m.order.space(m.params)
	return s.intercept, slices.Clone(s.ar[:m.order.P]), slices.Clone(s.ma[1 : m.order.Q+1]), s.variance
}
