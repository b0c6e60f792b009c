package kube

import (
	"fmt"
	"math"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func forecastStatus(f forecast.Forecast, spec v1alpha1.Forecast) *v1alpha1.ForecastStatus {
	s := &v1alpha1.ForecastStatus{State: forecastState(f, spec), Message: f.Withdrawn}
	if !f.Known() {
		return s
	}
	horizon := readable(f.Horizon)
	s.RequestsPerSecond, s.Horizon, s.Model = quantity(f.Upper), &horizon, f.Model
	s.Quantile = percentage(f.Quantile, 3)
	quantileStatus(s, f)
	skillStatus(s, f.Skill)
	if f.Skill.Known {
		s.Coverage = percentage(f.Coverage(), 1)
	}
	weightStatus(s, f.Weights)
	return s
}

// quantileStatus tells the demand at each quantile, nothing of one that is no number.
func quantileStatus(s *v1alpha1.ForecastStatus, f forecast.Forecast) {
	for i, level := range f.Quantiles[:min(len(f.Quantiles), len(f.Values))] {
		if q := quantity(f.Values[i]); q != nil {
			s.Quantiles = append(s.Quantiles, v1alpha1.ForecastQuantile{Quantile: percentage(level, 3), RequestsPerSecond: *q})
		}
	}
}

// tokenStatus tells what is expected of tokens, whose sum only where both kinds are known.
func tokenStatus(s *v1alpha1.ForecastStatus, t scaling.Tokens) {
	prompt, generation := t.Prompt.Forecast, t.Generation.Forecast
	if prompt.Known() {
		s.PromptTokensPerSecond = quantity(prompt.Upper)
	}
	if generation.Known() {
		s.GenerationTokensPerSecond = quantity(generation.Upper)
	}
	if prompt.Known() && generation.Known() {
		s.TokensPerSecond = quantity(prompt.Upper + generation.Upper)
	}
}

// maxWeights is how many forecasters of a mixture are named.
const maxWeights = 3

// skillStatus tells how the forecast has done; nothing while too few have come due.
func skillStatus(s *v1alpha1.ForecastStatus, k forecast.Skill) {
	if k.Due > 0 {
		s.Due = new(int32(min(k.Due, math.MaxInt32)))
	}
	if !k.Known {
		return
	}
	s.SkillPercent, s.SkillOverHoursPercent = hundredths(k.Days), hundredths(k.Hours)
	if k.Seasonal != 0 {
		s.SkillAgainstSeasonalPercent = hundredths(k.Seasonal)
	}
	s.BiasPercent = hundredths(k.Bias)
}

// weightStatus names the largest shares.
func weightStatus(s *v1alpha1.ForecastStatus, weights []forecast.Weight) {
	for _, w := range weights[:min(len(weights), maxWeights)] {
		s.Weights = append(s.Weights, v1alpha1.ForecastWeight{Name: w.Expert, Share: percentage(w.Share, 1)})
	}
}

// hundredths returns a ratio in percent, nil where it is not a number. Losses have no upper bound: −1000 is bad enough.
func hundredths(ratio float64) *int32 {
	if math.IsNaN(ratio) {
		return nil
	}
	return new(int32(math.Max(-1000, math.Min(math.Round(100*ratio), 1000))))
}

// percentage returns a ratio with its sign, to so many decimals.
func percentage(ratio float64, decimals int) v1alpha1.Percent {
	p := math.Pow10(decimals)
	return v1alpha1.Percent(strconv.FormatFloat(math.Round(100*ratio*p)/p, 'f', -1, 64) + "%")
}

func forecastState(f forecast.Forecast, spec v1alpha1.Forecast) v1alpha1.ForecastState {
	switch {
	case spec.Disabled:
		return v1alpha1.ForecastDisabled
	case !f.Known() || f.Withdrawn != "":
		return v1alpha1.ForecastWithdrawn
	}
	return v1alpha1.ForecastActive
}

// forecasting says whether the forecast takes part in decisions, and if not whether that is its own fault.
func forecasting(f forecast.Forecast, spec v1alpha1.Forecast) verdict {
	kind := v1alpha1.ConditionForecasting
	switch {
	case spec.Disabled:
		return verdict{kind, metav1.ConditionFalse, ForecastDisabled, "spec.forecast.disabled is set: replicas follow the present demand"}
	case !f.Known():
		return verdict{kind, metav1.ConditionUnknown, ForecastLearning, "nothing has been forecast yet; replicas follow the present demand"}
	case f.Withdrawn != "" && !f.Skill.Known:
		return verdict{kind, metav1.ConditionUnknown, ForecastLearning, fmt.Sprintf("too few forecasts have come due (%d) to tell whether they help: %s", f.Skill.Due, f.Withdrawn)}
	case f.Withdrawn != "":
		return verdict{kind, metav1.ConditionFalse, ForecastNotSkilful, fmt.Sprintf(
			"withdrawn until it beats the last value again, which is forecast with in its place: %s", f.Withdrawn)}
	}
	if !f.Skill.Known {
		return verdict{kind, metav1.ConditionTrue, ForecastLearning, fmt.Sprintf(
			"the forecast is used; too few have come due (%d) to tell whether it beats the last value", f.Skill.Due)}
	}
	return verdict{kind, metav1.ConditionTrue, ForecastSkilful, fmt.Sprintf(
		"the forecast is used: its loss is %s over the last hours and %s over the last days", beside(f.Skill.Hours), beside(f.Skill.Days))}
}

// beside says a skill in words.
func beside(skill float64) string {
	if skill < 0 {
		return fmt.Sprintf("%.0f %% above that of the last value", -100*skill)
	}
	return fmt.Sprintf("%.0f %% below that of the last value", 100*skill)
}
