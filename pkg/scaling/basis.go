package scaling

import (
	"fmt"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// namedExperts is how many experts a step names: those that a decision rests on most.
const namedExperts = 3

// basis says what a forecast rests on and how it has done, for people to read: the experts with the largest shares, the
// skill against the last value and how often the quantile was enough.
func basis(f forecast.Forecast) string {
	switch {
	case f.Withdrawn != "":
		return fmt.Sprintf("last value (experts withdrawn: %s)", f.Withdrawn)
	case f.Model != forecast.Mixture:
		return f.Model // one expert alone, for comparisons
	case !f.Skill.Known:
		return fmt.Sprintf("%s%s, still learning (%d forecasts came due)", f.Model, shares(f.Weights), f.Skill.Due)
	}
	return fmt.Sprintf("%s%s, skill %+.2f over hours, enough in %.0f%% of cases",
		f.Model, shares(f.Weights), f.Skill.Hours, 100*f.Coverage())
}

// shares names the largest weights in brackets; nothing where there are none, and none that would read 0%.
func shares(weights []forecast.Weight) string {
	const least = 0.005
	var named []string
	for _, w := range weights[:min(len(weights), namedExperts)] {
		if w.Share >= least {
			named = append(named, fmt.Sprintf("%s %.0f%%", w.Expert, 100*w.Share))
		}
	}
	if len(named) == 0 {
		return ""
	}
	return " (" + strings.Join(named, ", ") + ")"
}
