package scaling

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// Past is what was demanded of a target by the step, oldest first; the last step ends at End. What is negative or not finite
// is unknown, and so is all of what is empty.
type Past struct {
	End  time.Time
	Step time.Duration
	// Demand is in requests per second, the others in tokens per second.
	Demand, Prompt, Generation []float64
}

// Recall has each forecast begin anew from a past, where that is at least twice as long as what the forecast knows; of the
// time from then up to now nothing is known. It reports whether any did. All else that was learned, and what guards
// scale-downs, stays.
func (s *State) Recall(p Past, now time.Time) bool {
	recalled := false
	for i, rows := range [...][]float64{p.Demand, p.Prompt, p.Generation} {
		known := s.forecasters()[i]
		if was := forecast.Recall(p.End, p.Step, rows); was.Span() > 0 && was.Span() >= 2*known.Span() {
			was.Skip(now)
			*known, recalled = was, true
		}
	}
	return recalled
}
