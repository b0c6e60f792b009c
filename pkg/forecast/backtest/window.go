package backtest

import (
	"math"
	"slices"
)

// window holds the residuals of the last rows, in order of time and sorted. A row without a residual takes its place in
// time and none among the sorted ones.
type window struct {
	ring   []float64 // of fixed length once full; NaN: no residual
	next   int       // where in the ring the next one goes, once full
	size   int
	sorted []float64
}

func newWindow(rows int) window { return window{size: max(1, rows)} }

// push takes the newest row's residual, NaN where it has none, and forgets the oldest row's when the window is full.
func (w *window) push(residual float64) {
	if len(w.ring) < w.size {
		w.ring = append(w.ring, residual)
	} else {
		w.forget(w.ring[w.next])
		w.ring[w.next] = residual
		w.next = (w.next + 1) % w.size
	}
	if !math.IsNaN(residual) {
		i, _ := slices.BinarySearch(w.sorted, residual)
		w.sorted = slices.Insert(w.sorted, i, residual)
	}
}

func (w *window) forget(residual float64) {
	if i, ok := slices.BinarySearch(w.sorted, residual); ok {
		w.sorted = slices.Delete(w.sorted, i, i+1)
	}
}

// rank is the conformal quantile of the residuals: of m the ceil((m+1)q)-th smallest, by which a further one, were they
// exchangeable, is exceeded with a chance of at most 1 − q. Where m is too small for that there is no such residual, and
// the largest is returned: of 8 residuals the quantile 0.9 wants the ninth. It is 0 where there is no residual.
func (w *window) rank(q float64) float64 {
	m := len(w.sorted)
	if m == 0 {
		return 0
	}
	rank := int(math.Ceil(float64(m+1)*q - 1e-9)) // (19+1)·0.95 is 19, also where it comes out a trifle above
	return w.sorted[min(max(rank, 1), m)-1]
}
