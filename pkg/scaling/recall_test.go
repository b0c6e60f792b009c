package scaling

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

func TestAPastIsRecalledWhereItIsLongerThanWhatIsKnown(t *testing.T) {
	end := time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)
	rows := func(minutes int) []float64 {
		all := make([]float64, minutes)
		for i := range all {
			all[i] = 5
		}
		return all
	}
	since := end.Add(-time.Hour)
	s := State{Since: since}
	if s.Recall(Past{End: end, Step: time.Minute}, end) {
		t.Error("nothing was recalled")
	}
	if !s.Recall(Past{End: end, Step: time.Minute, Demand: rows(600), Prompt: rows(60)}, end.Add(time.Minute)) {
		t.Error("ten hours are more than nothing")
	}
	if s.Forecast.Span() != 10*time.Hour || s.Tokens.Prompt.Span() != time.Hour || s.Tokens.Generation.Span() != 0 || s.Since != since {
		t.Errorf("%v %v %v since %v", s.Forecast.Span(), s.Tokens.Prompt.Span(), s.Tokens.Generation.Span(), s.Since)
	}
	f := s.Forecast.Advance(end.Add(2*time.Minute), 5, 8*time.Minute, forecast.Config{Step: 15 * time.Second, Quantile: 0.9})
	if !f.Known() {
		t.Error("no forecast from what is recalled")
	}
	if s.Recall(Past{End: end, Step: time.Minute, Demand: rows(1000)}, end.Add(3*time.Minute)) {
		t.Error("16 hours are not twice as much as ten")
	}
}
