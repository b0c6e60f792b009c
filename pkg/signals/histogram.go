package signals

import (
	"math"
	"slices"
	"sort"
)

// Histogram is a classic Prometheus histogram, in the unit of the quantity it describes (seconds for latencies).
type Histogram struct {
	// Bounds are the finite upper bounds, ascending; the bucket above the last one is implied.
	Bounds []float64
	// Counts are cumulative: Counts[i] observations were at most Bounds[i]. One longer than Bounds: the last entry
	// counts all observations.
	Counts []float64
	// Sum is the sum of all observations.
	Sum float64
}

// Count returns the number of observations.
func (h *Histogram) Count() float64 {
	if h == nil || len(h.Counts) == 0 {
		return 0
	}
	return h.Counts[len(h.Counts)-1]
}

// Mean returns the mean observation, false where there was none.
func (h *Histogram) Mean() (float64, bool) {
	n := h.Count()
	if n <= 0 {
		return 0, false
	}
	return h.Sum / n, true
}

// Quantile returns the q-quantile (0 to 1) by linear interpolation within the bucket, the lowest bucket starting at
// zero, as PromQL's histogram_quantile does. A rank in the bucket above the last bound yields that bound: the true
// value is larger and saturated says so. ok is false where nothing was observed or q is outside 0 to 1.
func (h *Histogram) Quantile(q float64) (value float64, saturated, ok bool) {
	n := h.Count()
	if n <= 0 || len(h.Bounds) == 0 || !(q >= 0 && q <= 1) {
		return 0, false, false
	}
	rank := q * n
	i := sort.Search(len(h.Counts)-1, func(i int) bool { return h.Counts[i] >= rank })
	if i == len(h.Bounds) {
		return h.Bounds[i-1], true, true
	}
	lowBound, lowCount := 0.0, 0.0
	if i > 0 {
		lowBound, lowCount = h.Bounds[i-1], h.Counts[i-1]
	}
	in := h.Counts[i] - lowCount
	if in <= 0 {
		return h.Bounds[i], false, true
	}
	return lowBound + (h.Bounds[i]-lowBound)*(rank-lowCount)/in, false, true
}

// CountAtMost returns how many observations were at most x, by linear interpolation within x's bucket. Observations
// above the last bound count as larger than any x.
func (h *Histogram) CountAtMost(x float64) float64 {
	if h.Count() == 0 || x < 0 {
		return 0
	}
	i := sort.SearchFloat64s(h.Bounds, x)
	switch {
	case len(h.Bounds) == 0:
		return 0
	case i == len(h.Bounds):
		return h.Counts[i-1]
	}
	lowBound, lowCount := 0.0, 0.0
	if i > 0 {
		lowBound, lowCount = h.Bounds[i-1], h.Counts[i-1]
	}
	width := h.Bounds[i] - lowBound
	if width <= 0 {
		return h.Counts[i]
	}
	share := (x - lowBound) / width // before it is multiplied: tiny counts and widths would underflow together
	return math.Min(h.Counts[i], lowCount+(h.Counts[i]-lowCount)*share)
}

// Merge adds histograms, those with other bounds by interpolation on the union of all bounds. Nil and empty ones are
// passed over; the result is nil where nothing is left. The arguments stay unchanged.
func Merge(hs ...*Histogram) *Histogram {
	var sum *Histogram
	for _, h := range hs {
		switch {
		case h.Count() <= 0:
		case sum == nil:
			sum = h.clone()
		case sum.sameBounds(h):
			sum.add(h)
		default:
			sum = sum.rebucket(h.Bounds)
			sum.add(h.rebucket(sum.Bounds))
		}
	}
	return sum
}

func (h *Histogram) clone() *Histogram {
	return &Histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum}
}

func (h *Histogram) add(o *Histogram) {
	for i, c := range o.Counts {
		h.Counts[i] += c
	}
	h.Sum += o.Sum
}

// minus returns h − o; both have the same bounds. A bucket that shrank (a torn page) counts as unchanged.
func (h *Histogram) minus(o *Histogram) *Histogram {
	d := h.clone()
	floor := 0.0
	for i, c := range o.Counts {
		floor = math.Max(floor, d.Counts[i]-c)
		d.Counts[i] = floor
	}
	d.Sum = math.Max(0, h.Sum-o.Sum)
	return d
}

func (h *Histogram) sameBounds(o *Histogram) bool { return slices.Equal(h.Bounds, o.Bounds) }

// rebucket returns h on the union of its bounds and extra.
func (h *Histogram) rebucket(extra []float64) *Histogram {
	bounds := slices.Concat(h.Bounds, extra)
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	counts := make([]float64, len(bounds)+1)
	for i, b := range bounds {
		counts[i] = h.CountAtMost(b)
	}
	counts[len(bounds)] = h.Count()
	return &Histogram{Bounds: bounds, Counts: counts, Sum: h.Sum}
}

// Scaled returns the histogram with every count multiplied by k, nil of nil.
func (h *Histogram) Scaled(k float64) *Histogram {
	if h == nil {
		return nil
	}
	s := h.clone()
	for i := range s.Counts {
		s.Counts[i] *= k
	}
	s.Sum *= k
	return s
}
