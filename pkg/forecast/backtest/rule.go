package backtest

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// rule is a point forecast so many rows ahead from a history with at least one known row.
type rule func(h *history, ahead int, statistic forecast.Statistic) float64

func lastValue(h *history, _ int, _ forecast.Statistic) float64 { return h.last }

// recentMean is over the known of the last rows, the last value where all are unknown.
func recentMean(h *history, _ int, _ forecast.Statistic) float64 {
	sum, n := 0.0, 0
	for i := range max(3, int(30*time.Minute/h.step)) {
		if v := h.back(i); !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return h.last
	}
	return sum / float64(n)
}

func seasonalDay(h *history, ahead int, statistic forecast.Statistic) float64 {
	return orElse(h.season(24*time.Hour, ahead, statistic), h.last)
}

func seasonalWeek(h *history, ahead int, statistic forecast.Statistic) float64 {
	return orElse(h.season(7*24*time.Hour, ahead, statistic), seasonalDay(h, ahead, statistic))
}

// season is the row one period before the one so far ahead, or the largest of those up to it; of several periods where
// one does not reach back to a row that has ended. A period that is no multiple of the step is rounded to rows.
func (h *history) season(period time.Duration, ahead int, statistic forecast.Statistic) float64 {
	rows := max(1, int((period+h.step/2)/h.step))
	back := (ahead+rows-1)/rows*rows - ahead
	if statistic == forecast.Maximum {
		return h.most(back, ahead)
	}
	return h.back(back)
}

// drift follows the straight line from the first to the last known row, not below zero.
func drift(h *history, ahead int, _ forecast.Statistic) float64 {
	span := float64(h.lastEnd.Sub(h.firstEnd)) / float64(h.step)
	if span == 0 {
		return h.last
	}
	return max(0, h.last+(h.last-h.first)/span*float64(ahead))
}

// orElse is the value, or the other where it is unknown.
func orElse(v, other float64) float64 {
	if math.IsNaN(v) {
		return other
	}
	return v
}
