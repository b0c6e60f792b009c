package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// seriesScore is how the forecasts of a series did.
type seriesScore struct {
	Series string `json:"series"`
	File   string `json:"file"`
	Unit   string `json:"unit"`
	// StepS is the length of a row in seconds, Rows how many there are, Unknown those of which nothing is known.
	StepS   float64 `json:"step_s"`
	Rows    int     `json:"rows"`
	Unknown int     `json:"unknown_rows"`
	Mean    float64 `json:"mean"`
	Origins int     `json:"origins"`
	// LeftOutS are the horizons that are no multiple of the step, in seconds.
	LeftOutS []float64 `json:"left_out_horizons_s,omitempty"`
	// Loss is each forecaster's over that of the last value, the geometric mean over the horizons.
	Loss     map[string]float64 `json:"loss,omitempty"`
	Horizons []horizonScore     `json:"horizons"`
	Verdict  string             `json:"verdict"`
}

// horizonScore is how the forecasts for one horizon did.
type horizonScore struct {
	HorizonS  float64 `json:"horizon_s"`
	Forecasts int     `json:"forecasts"`
	// Unknown is how many could not be scored since nobody knows what came, Withdrawn how many were the last value's.
	Unknown   int `json:"unknown"`
	Withdrawn int `json:"withdrawn"`
	// Loss is each forecaster's over that of the last value, by name; below 1 the better one.
	Loss map[string]float64 `json:"loss,omitempty"`
	// Quantiles are Preheat's.
	Quantiles []quantileScore `json:"quantiles"`
}

// quantileScore says how one quantile held.
type quantileScore struct {
	Quantile float64 `json:"quantile"`
	// Coverage is the share of forecasts that were not exceeded, which should be Quantile; Pinball the mean loss in the
	// series' unit, LastValue that of the last value's quantile.
	Coverage  float64 `json:"coverage"`
	Pinball   float64 `json:"pinball"`
	LastValue float64 `json:"pinball_last_value"`
}

// duration is the horizon.
func (h *horizonScore) duration() time.Duration {
	return time.Duration(h.HorizonS * float64(time.Second))
}

// forecasters are the names in the order of the table; the last value is what they are held against.
func forecasters() []string {
	return append([]string{preheatForecast}, slices.DeleteFunc(backtest.Baselines(), func(n string) bool { return n == backtest.LastValue })...)
}

// judge sums up what the passes over a series brought.
func (t *forecastTarget) judge() {
	own, recorded := t.scores[preheatForecast], t.recorded()
	s := seriesScore{
		Series: t.Name, File: t.file, Unit: t.Unit, StepS: t.Step.Seconds(), Rows: len(t.Values), Unknown: len(t.Values) - t.Known(),
		Mean: recorded.Mean(), Origins: len(t.origins), Horizons: []horizonScore{},
	}
	for _, h := range t.left {
		s.LeftOutS = append(s.LeftOutS, h.Seconds())
	}
	for i := range own.Horizons {
		s.Horizons = append(s.Horizons, t.horizon(i))
	}
	s.Loss = overall(s.Horizons)
	s.Verdict = verdictOn(&s)
	t.judged = s
}

// horizon sums up one horizon.
func (t *forecastTarget) horizon(i int) horizonScore {
	own, last := t.scores[preheatForecast], t.scores[backtest.LastValue]
	h := &own.Horizons[i]
	out := horizonScore{HorizonS: h.Horizon.Seconds(), Forecasts: h.Forecasts, Unknown: h.Unknown, Withdrawn: h.Withdrawn, Quantiles: []quantileScore{}}
	if h.Forecasts == 0 {
		return out
	}
	for k, q := range own.Quantiles {
		out.Quantiles = append(out.Quantiles, quantileScore{q, h.Coverage(k), h.Pinball[k], last.Horizons[i].Pinball[k]})
	}
	out.Loss = map[string]float64{}
	for _, name := range forecasters() {
		other := t.scores[name]
		out.Loss[name] = ratioOf(lossAt(&other, i), lossAt(&last, i))
	}
	return out
}

// slack is the share of a series' mean that is added to both losses of a ratio, as package backtest does: errors below it do
// not matter to an autoscaler.
const slack = 0.003

// lossAt is the loss at a horizon over the quantiles that are compared.
func lossAt(s *backtest.Score, i int) float64 {
	loss := slack * s.Mean
	for _, k := range tailOf(s.Quantiles) {
		loss += s.Horizons[i].Pinball[k]
	}
	return loss
}

// ratioOf is one where both are the same, also zero.
func ratioOf(a, b float64) float64 {
	if a == b {
		return 1
	}
	return a / b
}

// overall is the geometric mean of each forecaster's losses over the horizons, nil where nothing was scored.
func overall(horizons []horizonScore) map[string]float64 {
	var out map[string]float64
	for _, name := range forecasters() {
		sum, n := 0.0, 0.0
		for _, h := range horizons {
			if x, known := h.Loss[name]; known {
				sum, n = sum+math.Log(x), n+1
			}
		}
		if n > 0 {
			if out == nil {
				out = map[string]float64{}
			}
			out[name] = math.Exp(sum / n)
		}
	}
	return out
}

// alike is how near to 1 a loss is that says nothing.
const alike = 0.02

// verdictOn says in words what the figures say.
func verdictOn(s *seriesScore) string {
	own, known := s.Loss[preheatForecast]
	switch {
	case len(s.Horizons) == 0 && len(s.LeftOutS) > 0:
		return "nothing was forecast: no horizon is a whole multiple of its step."
	case s.Rows > 0 && s.Mean == 0:
		return "there was no demand: nothing can be said of forecasts."
	case !known:
		return "nothing could be scored: of no forecast is it known what came."
	}
	text := "the forecast does as well as the last value with the same calibration"
	switch {
	case own < 1-alike:
		text = fmt.Sprintf("the forecast loses %.0f %% less than the last value with the same calibration", 100*(1-own))
	case own > 1+alike:
		text = fmt.Sprintf("the forecast loses %.0f %% more than the last value with the same calibration: it does not help here", 100*(own-1))
	}
	text += s.spread() + "; " + s.rival(own) + "; " + s.held()
	if w := s.withdrawn(); w >= 0.005 {
		text += fmt.Sprintf("; in %.0f %% of the forecasts it stood back for the last value", 100*w)
	}
	if n := s.most(); n < fewForecasts {
		text += fmt.Sprintf("; with %d forecasts that says little", n)
	}
	return text + "."
}

// fewForecasts is the number below which scores are mostly chance: at 0.9, some ten of them are exceeded.
const fewForecasts = 100

// most is the largest number of forecasts that were scored at one horizon.
func (s *seriesScore) most() int {
	n := 0
	for _, h := range s.Horizons {
		n = max(n, h.Forecasts)
	}
	return n
}

// spread names the horizons at which the forecast does best and worst, where they differ.
func (s *seriesScore) spread() string {
	scored := slices.DeleteFunc(slices.Clone(s.Horizons), func(h horizonScore) bool { return h.Loss == nil })
	if len(scored) < 2 {
		return ""
	}
	by := func(a, b horizonScore) int { return cmp.Compare(a.Loss[preheatForecast], b.Loss[preheatForecast]) }
	best, worst := slices.MinFunc(scored, by), slices.MaxFunc(scored, by)
	if factor(best.Loss[preheatForecast]) == factor(worst.Loss[preheatForecast]) {
		return ""
	}
	return fmt.Sprintf(" (%s %s ahead, %s %s ahead)", factor(best.Loss[preheatForecast]), shortly(best.duration()), factor(worst.Loss[preheatForecast]), shortly(worst.duration()))
}

// rival says how the best of the simple rules does.
func (s *seriesScore) rival(own float64) string {
	rules := forecasters()[1:]
	best := slices.MinFunc(rules, func(a, b string) int { return cmp.Compare(s.Loss[a], s.Loss[b]) })
	switch x := s.Loss[best]; {
	case x >= 1-alike/2:
		return "no simple rule beats the last value"
	case x < own-alike/2:
		return fmt.Sprintf("%s alone does better still, %s", best, factor(x))
	}
	return fmt.Sprintf("the best simple rule is %s, %s", best, factor(s.Loss[best]))
}

// held says how the quantile that matters most held: 0.9, or the highest.
func (s *seriesScore) held() string {
	var covered, n, q float64
	for _, h := range s.Horizons {
		for i, x := range h.Quantiles {
			if x.Quantile == 0.9 || i == len(h.Quantiles)-1 {
				q = x.Quantile
				covered, n = covered+x.Coverage*float64(h.Forecasts), n+float64(h.Forecasts)
				break
			}
		}
	}
	return fmt.Sprintf("demand stayed below its %s quantile in %.1f %% of cases", strconv.FormatFloat(q, 'g', -1, 64), 100*covered/n)
}

// withdrawn is the share of forecasts that were the last value's.
func (s *seriesScore) withdrawn() float64 {
	withdrawn, n := 0, 0
	for _, h := range s.Horizons {
		withdrawn, n = withdrawn+h.Withdrawn, n+h.Forecasts
	}
	return float64(withdrawn) / float64(max(1, n))
}

// factor writes a relative loss.
func factor(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + "x" }
