package backtest

import (
	"math"
	"time"
)

// history is what the rules of the baselines look at: the last rows, and the first and the last known one.
type history struct {
	rows []float64 // ring; NaN: unknown
	n    int       // rows seen
	step time.Duration
	end  time.Time // of the newest row
	// first and last are the values of the first and the last known row, which end at firstEnd and lastEnd.
	first, last       float64
	firstEnd, lastEnd time.Time
}

// push takes the next row.
func (h *history) push(end time.Time, v float64) {
	h.end = end
	if !known(v) {
		v = math.NaN()
	}
	h.rows[h.n%len(h.rows)] = v
	h.n++
	if math.IsNaN(v) {
		return
	}
	if h.firstEnd.IsZero() {
		h.first, h.firstEnd = v, end
	}
	h.last, h.lastEnd = v, end
}

// back is the row that is so many rows before the newest, NaN where it is unknown or no longer kept.
func (h *history) back(rows int) float64 {
	if rows < 0 || rows >= min(h.n, len(h.rows)) {
		return math.NaN()
	}
	return h.rows[(h.n-1-rows)%len(h.rows)]
}

// most is the largest of the n rows that end with the one so many rows before the newest, NaN where one is unknown.
func (h *history) most(rows, n int) float64 {
	most := math.Inf(-1)
	for i := rows; i < rows+n; i++ {
		v := h.back(i)
		if math.IsNaN(v) {
			return v
		}
		most = max(most, v)
	}
	return most
}
