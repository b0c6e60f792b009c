package telemetry

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// family is a gauge with labels beside the target's, whose values come and go: horizons, quantiles, experts. What is no
// longer told of a target has no series any more. It is safe for concurrent use.
type family struct {
	vec *prometheus.GaugeVec
	mu  sync.Mutex
	// told are the label values that each target has, joined.
	told map[controlloop.TargetID]map[string][]string
}

// point is one value of a family with its labels' values.
type point struct {
	labels []string
	value  float64
}

func newFamily(name, help string, labels ...string) *family {
	return &family{
		vec:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"namespace", "name"}, labels...)),
		told: map[controlloop.TargetID]map[string][]string{},
	}
}

// put makes these points the only ones of a target.
func (f *family) put(id controlloop.TargetID, points []point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := f.told[id]
	now := make(map[string][]string, len(points))
	for _, p := range points {
		labels := append([]string{id.Namespace, id.Name}, p.labels...)
		key := strings.Join(labels, "\xff")
		now[key] = labels
		delete(gone, key)
		f.vec.WithLabelValues(labels...).Set(p.value)
	}
	for _, labels := range gone {
		f.vec.DeleteLabelValues(labels...)
	}
	if f.told[id] = now; len(now) == 0 {
		delete(f.told, id)
	}
}

// skills are the families by which a forecast is judged. All have the label horizon, in seconds.
type skills struct{ skill, coverage, bias, weight, due *family }

func newSkills() skills {
	return skills{
		skill: newFamily("preheat_target_forecast_skill_ratio",
			"1 - pinball loss of the forecast / that of repeating the last value or that of one season before, over the last hours or days; above 0 the forecast is the better one.",
			"horizon", "against", "over"),
		coverage: newFamily("preheat_target_forecast_coverage_ratio",
			"Share of due forecasts that were not exceeded, over days, 0 to 1; about the level (the quantile) where the forecast is honest.", "horizon", "level"),
		bias: newFamily("preheat_target_forecast_bias_ratio",
			"Mean of (median forecast - demand that came) / mean demand, over days.", "horizon"),
		weight: newFamily("preheat_target_forecast_weight_ratio",
			"Share of a forecaster in the mixture, 0 to 1; the five largest.", "horizon", "expert"),
		due: newFamily("preheat_target_forecast_due",
			"Forecasts that have come due since learning began, on which skill, coverage and bias rest.", "horizon"),
	}
}

func (s skills) families() []*family { return []*family{s.skill, s.coverage, s.bias, s.weight, s.due} }

// judged is how the forecasts for one horizon have done. Levels are the quantiles that the
// coverages of skill are of.
type judged struct {
	horizon time.Duration
	levels  []float64
	skill   forecast.Skill
	weights []forecast.Weight
}

// maxWeights bounds the forecasters told of one target: there are some dozens, and most have no weight worth a series.
const maxWeights = 5

// put makes these the judgements of a target; none removes all.
func (s skills) put(id controlloop.TargetID, all []judged) {
	var skill, coverage, bias, weight, due []point
	for _, j := range all {
		h := strconv.FormatFloat(j.horizon.Seconds(), 'f', -1, 64)
		due = append(due, point{[]string{h}, float64(j.skill.Due)})
		for _, w := range j.weights[:min(len(j.weights), maxWeights)] {
			weight = append(weight, point{[]string{h, w.Expert}, w.Share})
		}
		if !j.skill.Known {
			continue
		}
		bias = append(bias, point{[]string{h}, j.skill.Bias})
		skill = append(skill, point{[]string{h, "last-value", "hours"}, j.skill.Hours}, point{[]string{h, "last-value", "days"}, j.skill.Days})
		if j.skill.Seasonal != 0 {
			skill = append(skill, point{[]string{h, "seasonal-naive", "days"}, j.skill.Seasonal})
		}
		for i, q := range j.levels[:min(len(j.levels), len(j.skill.Coverage))] {
			coverage = append(coverage, point{[]string{h, strconv.FormatFloat(q, 'f', -1, 64)}, j.skill.Coverage[i]})
		}
	}
	s.skill.put(id, skill)
	s.coverage.put(id, coverage)
	s.bias.put(id, bias)
	s.weight.put(id, weight)
	s.due.put(id, due)
}
