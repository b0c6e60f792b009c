package forecast

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// Recall returns what is learned of a past alone: rows of one step, oldest first, of which the last one ends at end.
// Negative and not finite ones are unknown. Its first Advance learns seasons from all of them, levels and errors from the
// newest two days, as where the horizon changes.
func Recall(end time.Time, step time.Duration, rows []float64) State {
	s := State{Resampler: timeseries.Resampler{Step: step, At: end}}
	f := &s.Forecaster
	f.End = end
	for _, v := range rows {
		if !(v >= 0 && v < unbelievable) {
			f.Past.push(unknown)
			continue
		}
		f.Past.push(v)
		f.Known++
	}
	return s
}

// Span is how much time something is known of.
func (s *State) Span() time.Duration {
	return time.Duration(s.Forecaster.Known) * s.Resampler.Step
}
