package replica

import (
	"slices"
	"sort"
)

// Histogram counts observations in buckets, as a Prometheus classic histogram
// does before its buckets are made cumulative.
type Histogram struct {
	// Bounds are the inclusive upper bounds of the buckets, ascending; above
	// the last one there is one more bucket without bound.
	Bounds []float64
	// Counts has one more element than Bounds; they are not cumulative.
	Counts []uint64
	// Sum is the sum of all observations.
	Sum float64
}

// NewHistogram makes an empty histogram; bounds must ascend and is not copied.
func NewHistogram(bounds []float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

// Observe records the value v, times times.
func (h *Histogram) Observe(v float64, times uint64) {
	h.Counts[h.bucket(v)] += times
	h.Sum += v * float64(times)
}

// Count is the number of observations.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Clone returns an independent copy.
func (h Histogram) Clone() Histogram {
	h.Counts = slices.Clone(h.Counts)
	return h
}

func (h *Histogram) bucket(v float64) int { return sort.SearchFloat64s(h.Bounds, v) }

// Bucket bounds of vLLM's own histograms (V1 engine), for reading only: seconds of
// the first token, of gaps between tokens and the time per token, and of whole
// requests and their phases.
var (
	TTFTBounds    = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	ITLBounds     = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	LatencyBounds = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
)

// iterationBounds are those of the tokens of a step.
var iterationBounds = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}

// TokenBounds is the 1-2-5 series up to limit: the buckets vLLM uses for
// request sizes, which therefore depend on the model's maximum length.
func TokenBounds(limit int) []float64 {
	var out []float64
	for decade := 1; decade <= limit; decade *= 10 {
		for _, m := range []int{1, 2, 5} {
			if decade*m <= limit {
				out = append(out, float64(decade*m))
			}
		}
	}
	return out
}
