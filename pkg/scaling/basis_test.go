package scaling

import (
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

func TestAForecastSaysWhatItRestsOn(t *testing.T) {
	mixture := func(change func(*forecast.Forecast)) forecast.Forecast {
		f := forecast.Forecast{
			Model: forecast.Mixture, Quantile: 0.9, Quantiles: []float64{0.5, 0.9, 0.97},
			Weights: []forecast.Weight{
				{Expert: "regression", Share: 0.404}, {Expert: "mean-8", Share: 0.22}, {Expert: "clock", Share: 0.1}, {Expert: "day", Share: 0.05},
			},
			Skill: forecast.Skill{Known: true, Due: 400, Hours: 0.213, Days: 0.1, Coverage: []float64{0.5, 0.912, 0.97}},
		}
		change(&f)
		return f
	}
	cases := map[string]struct {
		forecast forecast.Forecast
		want     string
	}{
		"the experts, with how they have done": {
			mixture(func(*forecast.Forecast) {}),
			"experts (regression 40%, mean-8 22%, clock 10%), skill +0.21 over hours, enough in 91% of cases",
		},
		"the experts, while nobody can tell": {
			mixture(func(f *forecast.Forecast) { f.Weights, f.Skill = f.Weights[:1], forecast.Skill{Due: 7} }),
			"experts (regression 40%), still learning (7 forecasts came due)",
		},
		"the last value, because the experts are worse": {
			mixture(func(f *forecast.Forecast) {
				f.Model, f.Withdrawn = forecast.LastValue, "does not beat the last value: skill -0.031 over days"
			}),
			"last value (experts withdrawn: does not beat the last value: skill -0.031 over days)",
		},
		"one expert alone, chosen for a comparison": {
			mixture(func(f *forecast.Forecast) { f.Model = forecast.LastValue }), "last-value",
		},
		"an expert that has nearly all the weight": {
			mixture(func(f *forecast.Forecast) {
				f.Weights[0].Share, f.Weights[1].Share = 0.997, 0.003
				f.Weights = f.Weights[:2]
			}),
			"experts (regression 100%), skill +0.21 over hours, enough in 91% of cases",
		},
		"a forecast without weights": {
			mixture(func(f *forecast.Forecast) { f.Weights, f.Skill = nil, forecast.Skill{} }), "experts, still learning (0 forecasts came due)",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := basis(c.forecast); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// A status keeps 512 bytes of a step.
func TestTheLongestBasisFitsIntoAStatus(t *testing.T) {
	f := forecast.Forecast{Model: forecast.Mixture, Skill: forecast.Skill{Known: true, Hours: -1234.56}}
	for range namedExperts {
		longest := ""
		for _, name := range forecast.Experts() {
			if len(name) > len(longest) {
				longest = name
			}
		}
		f.Weights = append(f.Weights, forecast.Weight{Expert: longest, Share: 1})
	}
	if text := basis(f); len(text) > 400 || strings.Count(text, "regression") != namedExperts {
		t.Errorf("%d bytes: %q", len(text), text)
	}
}
