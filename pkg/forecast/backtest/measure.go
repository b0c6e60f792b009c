package backtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// slack is the share of a series' mean that is added to both losses of a ratio: errors below it do not matter to an
// autoscaler, and a series that is forecast almost exactly must not decide a mean of ratios.
const slack = 0.003

// tail are the quantiles whose losses make the measure: those that capacity is ordered by.
var tail = [...]float64{0.9, 0.95}

// Ratio says how a forecaster does beside the reference on one series: tail loss over tail loss, below 1 the better one.
// The tail loss is the mean pinball loss at 0.9 plus that at 0.95 plus 0.3 % of the series' mean.
type Ratio struct {
	Series string `json:"series"`
	// Horizons are the ratios at each horizon.
	Horizons []HorizonRatio `json:"horizons"`
	// Ratio is the geometric mean over the horizons: each counts alike, though losses grow with the horizon.
	Ratio float64 `json:"ratio"`
	// Pooled is the ratio of the losses averaged over the horizons, in which the long ones weigh most.
	Pooled float64 `json:"pooled"`
}

// HorizonRatio is the ratio at one horizon.
type HorizonRatio struct {
	Horizon time.Duration `json:"horizon_ns"`
	Ratio   float64       `json:"ratio"`
}

// Compare sets a score beside the reference's of the same forecasts. Both must hold the quantiles 0.9 and 0.95. Horizons
// at which nothing was scored are left out; it is an error where none is left, or where the two scored other forecasts.
func Compare(s, reference *Score) (Ratio, error) {
	out := Ratio{Series: s.Series}
	fail := func(err error) (Ratio, error) { return Ratio{}, fmt.Errorf("compare scores of %s: %w", s.Series, err) }
	if len(s.Horizons) != len(reference.Horizons) {
		return fail(fmt.Errorf("%d horizons beside %d", len(s.Horizons), len(reference.Horizons)))
	}
	mine, theirs, logs := 0.0, 0.0, 0.0
	for i := range s.Horizons {
		a, b := &s.Horizons[i], &reference.Horizons[i]
		if a.Horizon != b.Horizon || a.Forecasts != b.Forecasts {
			return fail(fmt.Errorf("%d forecasts for %v beside %d for %v", a.Forecasts, a.Horizon, b.Forecasts, b.Horizon))
		}
		if a.Forecasts == 0 {
			continue
		}
		la, errA := s.tailLoss(a)
		lb, errB := reference.tailLoss(b)
		if err := errors.Join(errA, errB); err != nil {
			return fail(err)
		}
		ratio := over(la, lb)
		out.Horizons = append(out.Horizons, HorizonRatio{a.Horizon, ratio})
		mine, theirs, logs = mine+la, theirs+lb, logs+math.Log(ratio)
	}
	if len(out.Horizons) == 0 {
		return fail(errors.New("no forecast of which it is known what came true"))
	}
	out.Ratio, out.Pooled = math.Exp(logs/float64(len(out.Horizons))), over(mine, theirs)
	return out, nil
}

// over is a ratio of losses, 1 where both are zero: a series of zeros forecast exactly by both.
func over(a, b float64) float64 {
	if a == b {
		return 1
	}
	return a / b
}

// tailLoss is the loss at one horizon that the measure is made of.
func (s *Score) tailLoss(h *HorizonScore) (float64, error) {
	loss := slack * s.Mean
	for _, q := range tail {
		k := slices.Index(s.Quantiles, q)
		if k < 0 {
			return 0, fmt.Errorf("no quantile %v among %v: forecast it too", q, s.Quantiles)
		}
		loss += h.Pinball[k]
	}
	return loss, nil
}

// Summary sums up a forecaster over many series.
type Summary struct {
	// Series is how many were scored.
	Series int `json:"series"`
	// Measure is the geometric mean over the series of their Ratio, Pooled that of their Pooled.
	Measure float64 `json:"measure"`
	Pooled  float64 `json:"measure_pooled_horizons"`
	// Worst is the series with the largest Ratio.
	Worst Ratio `json:"worst"`
	// Coverage has one entry for each quantile.
	Coverage []Coverage `json:"coverage"`
	// Withdrawn is the share of the forecasts that were not the forecaster's own, 0 to 1.
	Withdrawn float64 `json:"withdrawn"`
}

// Coverage is how well a quantile holds over many series.
type Coverage struct {
	Quantile float64 `json:"quantile"`
	// Pooled is the share of all forecasts, of every series, horizon and origin, that were not exceeded.
	Pooled float64 `json:"pooled"`
	// Deviation is the mean over the series of |coverage − quantile|.
	Deviation float64 `json:"deviation"`
}

// Summarize compares each score with the reference's of the same index. It is an error where one cannot be compared.
func Summarize(scores, references []Score) (Summary, []Ratio, error) {
	if len(scores) != len(references) || len(scores) == 0 {
		return Summary{}, nil, fmt.Errorf("summarize: %d scores beside %d", len(scores), len(references))
	}
	out, ratios := Summary{Series: len(scores)}, make([]Ratio, len(scores))
	var faults []error
	logs, pooled := 0.0, 0.0
	for i := range scores {
		r, err := Compare(&scores[i], &references[i])
		if err != nil {
			faults = append(faults, err)
			continue
		}
		ratios[i] = r
		logs, pooled = logs+math.Log(r.Ratio), pooled+math.Log(r.Pooled)
		if r.Ratio > out.Worst.Ratio {
			out.Worst = r
		}
	}
	n := float64(len(scores))
	out.Measure, out.Pooled = math.Exp(logs/n), math.Exp(pooled/n)
	out.Coverage, out.Withdrawn = coverage(scores), withdrawn(scores)
	return out, ratios, errors.Join(faults...)
}

// coverage is that of every quantile over the scores, which have the same quantiles.
func coverage(scores []Score) []Coverage {
	out := make([]Coverage, len(scores[0].Quantiles))
	for k, q := range scores[0].Quantiles {
		covered, forecasts, deviation := 0, 0, 0.0
		for i := range scores {
			c, n := scores[i].covered(k)
			covered, forecasts = covered+c, forecasts+n
			deviation += math.Abs(float64(c)/float64(n) - q)
		}
		out[k] = Coverage{q, float64(covered) / float64(forecasts), deviation / float64(len(scores))}
	}
	return out
}

// withdrawn is the share of forecasts that were not the forecaster's own.
func withdrawn(scores []Score) float64 {
	withdrawn, forecasts := 0, 0
	for i := range scores {
		for _, h := range scores[i].Horizons {
			withdrawn, forecasts = withdrawn+h.Withdrawn, forecasts+h.Forecasts
		}
	}
	return float64(withdrawn) / float64(forecasts)
}
