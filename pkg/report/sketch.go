package report

import "math"

// sketch counts times by logarithmic buckets, so that bins can be merged without keeping the times. A quantile is right
// to a bucket, at most 12.5 %.
type sketch [sketchBuckets]uint32

// The first bucket takes all below a millisecond; then eight of equal width make each doubling, up to some twelve
// minutes; the last one takes all beyond.
const (
	sketchBuckets = 1 + 20*sketchSteps
	sketchLeast   = 0.001
	sketchBits    = 3
	sketchSteps   = 1 << sketchBits
)

// add counts a time in seconds.
func (s *sketch) add(seconds float64) {
	i := 0
	if x := seconds / sketchLeast; x >= 1 {
		// The exponent and the leading bits of the fraction count buckets from 1.0 on.
		const mantissa, bias = 52, 1023
		i = min(sketchBuckets-1, 1+int(math.Float64bits(x)>>(mantissa-sketchBits))-bias<<sketchBits)
	}
	s[i]++
}

// edge is where a bucket begins, in seconds.
func edge(i int) float64 {
	if i == 0 {
		return 0
	}
	doublings, step := (i-1)/sketchSteps, (i-1)%sketchSteps
	return math.Ldexp(sketchLeast*(1+float64(step)/sketchSteps), doublings)
}

// merge adds the counts of another.
func (s *sketch) merge(o *sketch) {
	for i, n := range o {
		s[i] += n
	}
}

// count is the number of times.
func (s *sketch) count() float64 {
	total := 0.0
	for _, n := range s {
		total += float64(n)
	}
	return total
}

// quantile returns the q-quantile (0 to 1) in seconds, interpolated within its bucket; NaN where nothing was counted.
func (s *sketch) quantile(q float64) float64 {
	rank, below := q*s.count(), 0.0
	for i, n := range s {
		if n > 0 && below+float64(n) >= rank {
			return edge(i) + (edge(i+1)-edge(i))*(rank-below)/float64(n)
		}
		below += float64(n)
	}
	return math.NaN()
}
