package arima

import (
	"errors"
	"math"
)

// Where the search begins (start_p, start_q), in a short series: no more than a third of its values, and one below 10.
const (
	startLags = 2
	shortest  = 10
)

// nearestRoot is how near to the unit circle an inverse root may lie; a model beyond does not count.
const nearestRoot = 0.99

// ErrNoModel says that no model of the search could be fitted with its roots away from the unit circle.
var ErrNoModel = errors.New("no order fits the series")

// Auto chooses an order and fits it: differences by the KPSS test, then from (2,2), (0,0), (1,0) and (0,1) by steps of one to
// whichever neighbour has the first lower AIC (Hyndman and Khandakar 2008, "Automatic time series forecasting").
func Auto(series []float64) (*Model, error) {
	if err := checkSeries(series, 1); err != nil {
		return nil, err
	}
	if constant(series) {
		return newSearch(series, 0).only(Order{})
	}
	d := differences(series)
	s := newSearch(series, d)
	if constant(difference(series, d)) {
		// A polynomial. Upstream leaves the intercept in, even with two differences.
		return s.only(Order{D: d, Intercept: true})
	}
	s.begin()
	s.improve()
	if s.best == nil {
		return nil, ErrNoModel
	}
	return s.best, nil
}

// search is one search: the order that steps are taken from, and the best model until now.
type search struct {
	series []float64
	at     Order
	most   int // lags
	tried  map[Order]bool
	best   *Model
}

func newSearch(series []float64, d int) *search {
	return &search{
		series: series, at: Order{D: d, Intercept: d < 2},
		most: min(MaxLags, len(series)/3), tried: make(map[Order]bool),
	}
}

// only fits one order.
func (s *search) only(o Order) (*Model, error) {
	if !s.try(o) {
		return nil, ErrNoModel
	}
	return s.best, nil
}

// begin tries the four models that the search begins with, and the empty one without intercept, and steps to the best.
func (s *search) begin() {
	start := min(startLags, s.most)
	if len(s.series) < shortest {
		start = min(start, 1)
	}
	s.at.P, s.at.Q = start, start
	s.try(s.at)
	for _, lags := range [][2]int{{0, 0}, {1, 0}, {0, 1}} {
		s.step(lags[0], lags[1])
	}
	empty := s.at
	empty.P, empty.Q, empty.Intercept = 0, 0, false
	if s.at.Intercept && s.try(empty) {
		s.at.P, s.at.Q = 0, 0 // and the intercept remains for the steps to come: so does upstream's
	}
}

// improve steps to a better neighbour until there is none.
func (s *search) improve() {
	for s.toNeighbour() {
	}
}

// toNeighbour steps to the first neighbour that is better, and says whether there was one.
func (s *search) toNeighbour() bool {
	for _, by := range [][2]int{{-1, 0}, {0, -1}, {1, 0}, {0, 1}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}} {
		if s.step(s.at.P+by[0], s.at.Q+by[1]) {
			return true
		}
	}
	other := s.at
	other.Intercept = !other.Intercept
	if !s.try(other) {
		return false
	}
	s.at = other
	return true
}

// step tries an order with the present differences and intercept, goes there where it is better, and says so.
func (s *search) step(p, q int) bool {
	o := Order{P: p, D: s.at.D, Q: q, Intercept: s.at.Intercept}
	if min(p, q) < 0 || max(p, q) > s.most || !s.try(o) {
		return false
	}
	s.at = o
	return true
}

// try fits an order that was not tried before, and says whether it is the best.
func (s *search) try(o Order) bool {
	if s.tried[o] || len(s.tried) >= MaxFits {
		return false
	}
	s.tried[o] = true
	m, err := Fit(s.series, o)
	if err != nil || !m.rooted() || s.best != nil && !(m.AIC() < s.best.AIC()) || math.IsNaN(m.AIC()) {
		return false
	}
	s.best = m
	return true
}

// rooted says whether the inverse roots are away from the unit circle. Where there is a moving average, upstream looks at its
// roots alone.
func (m *Model) rooted() bool {
	_, ar, ma, _ := m.Coefficients()
	if m.order.Q == 0 {
		return within(ar, nearestRoot)
	}
	negate(ma)
	return within(ma, nearestRoot)
}
