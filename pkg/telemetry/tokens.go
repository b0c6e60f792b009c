package telemetry

import (
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// tokens are the families about rates of tokens. All have the label kind, prompt or generation.
type tokens struct{ rate, point, upper, skill *family }

func newTokens() tokens {
	return tokens{
		rate: newFamily("preheat_target_tokens_per_second",
			"Tokens that the engines processed, all replicas together; prompt tokens count in full where the prefix cache served them.", "kind"),
		point: newFamily("preheat_target_forecast_tokens_per_second", "Tokens expected to be processed one lead time ahead.", "kind"),
		upper: newFamily("preheat_target_forecast_upper_tokens_per_second",
			"Upper quantile of the tokens processed one lead time ahead; preheat_target_forecast_quantile_ratio says which.", "kind"),
		skill: newFamily("preheat_target_forecast_tokens_skill_ratio",
			"1 - pinball loss of the forecast of tokens / that of repeating the last value, over the last hours or days; above 0 the forecast is the better one.", "kind", "over"),
	}
}

func (s tokens) families() []*family { return []*family{s.rate, s.point, s.upper, s.skill} }

// put makes these the tokens of a target; of kinds that are not known nothing is told.
func (s tokens) put(id controlloop.TargetID, t scaling.Tokens) {
	var rate, expected, upper, skill []point
	for _, k := range []struct {
		name string
		of   scaling.TokenDemand
	}{{"prompt", t.Prompt}, {"generation", t.Generation}} {
		if k.of.Known {
			rate = append(rate, point{[]string{k.name}, k.of.PerSecond})
		}
		f := k.of.Forecast
		if !f.Known() {
			continue
		}
		expected = append(expected, point{[]string{k.name}, f.Point})
		upper = append(upper, point{[]string{k.name}, f.Upper})
		if f.Skill.Known {
			skill = append(skill, point{[]string{k.name, "hours"}, f.Skill.Hours}, point{[]string{k.name, "days"}, f.Skill.Days})
		}
	}
	s.rate.put(id, rate)
	s.point.put(id, expected)
	s.upper.put(id, upper)
	s.skill.put(id, skill)
}
