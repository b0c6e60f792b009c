package backtest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// Score says how good the forecasts of one series were. Figures are over the forecasts whose actual is known.
type Score struct {
	Series string `json:"series"`
	// Quantiles are those of the forecasts; the other lists have one figure for each.
	Quantiles []float64 `json:"quantiles"`
	// Mean is that of the series' known rows, in its unit.
	Mean float64 `json:"mean"`
	// Horizons are the figures for each horizon, ascending.
	Horizons []HorizonScore `json:"horizons"`
}

// HorizonScore are the figures at one horizon.
type HorizonScore struct {
	Horizon time.Duration `json:"horizon_ns"`
	// Forecasts is how many were scored, Unknown how many could not be since nobody knows what came true.
	Forecasts int `json:"forecasts"`
	Unknown   int `json:"unknown"`
	// Pinball is the mean pinball loss of each quantile, in the series' unit; it says nothing where Forecasts is 0.
	Pinball []float64 `json:"pinball"`
	// Covered is how many forecasts were not exceeded, for each quantile.
	Covered []int `json:"covered"`
	// Withdrawn is how many of the forecasts were not the forecaster's own.
	Withdrawn int `json:"withdrawn"`
}

// Coverage is the share of the forecasts at quantile k that were not exceeded, 0 to 1; NaN where none was scored.
func (h *HorizonScore) Coverage(k int) float64 { return float64(h.Covered[k]) / float64(h.Forecasts) }

// Coverage is the share over all horizons.
func (s *Score) Coverage(k int) float64 {
	covered, n := s.covered(k)
	return float64(covered) / float64(n)
}

func (s *Score) covered(k int) (covered, forecasts int) {
	for i := range s.Horizons {
		covered += s.Horizons[i].Covered[k]
		forecasts += s.Horizons[i].Forecasts
	}
	return covered, forecasts
}

// Pinball is the loss of forecasting value for the quantile q where actual came true: q a unit below it, 1 − q a unit
// above. Its mean is least for the true quantile.
func Pinball(q, value, actual float64) float64 {
	if actual > value {
		return q * (actual - value)
	}
	return (1 - q) * (value - actual)
}

// Scorer adds up the forecasts of one series, of one run or of several.
type Scorer struct{ score Score }

// NewScorer scores forecasts of the series as the spec has them.
func NewScorer(series *Series, spec *forecast.Spec) *Scorer {
	s := &Scorer{Score{Series: series.Name, Quantiles: slices.Clone(spec.Quantiles), Mean: series.Mean()}}
	n := len(spec.Quantiles)
	for _, h := range spec.Horizons {
		s.score.Horizons = append(s.score.Horizons, HorizonScore{Horizon: h, Pinball: make([]float64, n), Covered: make([]int, n)})
	}
	return s
}

// Add takes a forecast. One of another horizon than the spec's is left out.
func (s *Scorer) Add(r Row) {
	i := slices.IndexFunc(s.score.Horizons, func(h HorizonScore) bool { return h.Horizon == r.Horizon })
	if i >= 0 {
		s.score.Horizons[i].add(r, s.score.Quantiles)
	}
}

// add sums the losses; Score divides them.
func (h *HorizonScore) add(r Row, quantiles []float64) {
	if math.IsNaN(r.Actual) {
		h.Unknown++
		return
	}
	h.Forecasts++
	if r.Withdrawn != "" {
		h.Withdrawn++
	}
	for k, q := range quantiles {
		h.Pinball[k] += Pinball(q, r.Values[k], r.Actual)
		if r.Actual <= r.Values[k] {
			h.Covered[k]++
		}
	}
}

// Score is that of what was added so far.
func (s *Scorer) Score() Score {
	out := s.score
	out.Horizons = slices.Clone(out.Horizons)
	for i := range out.Horizons {
		h := &out.Horizons[i]
		h.Pinball, h.Covered = slices.Clone(h.Pinball), slices.Clone(h.Covered)
		for k := range h.Pinball {
			h.Pinball[k] /= float64(max(1, h.Forecasts)) // NaN would not go into JSON
		}
	}
	return out
}

// Of runs the forecaster over the series and scores it.
func Of(r *Run, f Forecaster) (Score, error) {
	s := NewScorer(&r.Series, &r.Spec)
	if err := r.Forecast(f, s.Add); err != nil {
		return Score{}, fmt.Errorf("score: %w", err)
	}
	return s.Score(), nil
}
