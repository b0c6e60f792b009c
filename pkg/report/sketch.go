package report

import "math"

// sketch counts times by logarithmic buckets, so that bins can be merged without keeping the times. A quantile is right
// to half a bucket, 7 %.
type sketch [sketchBuckets]uint32

// The first bucket takes all up to a millisecond, each next one reaches 15 % further, the last one takes all beyond
// about ten minutes.
const (
	sketchBuckets = 96
	sketchLeast   = 0.001
	sketchGrowth  = 1.15
)

// add counts a time in seconds.
func (s *sketch) add(seconds float64) {
	i := 0
	if seconds > sketchLeast {
		i = min(sketchBuckets-1, int(math.Ceil(math.Log(seconds/sketchLeast)/math.Log(sketchGrowth))))
	}
	s[i]++
}

// merge adds the counts of another.
func (s *sketch) merge(o *sketch) {
	for i, n := range o {
		s[i] += n
	}
}

// quantile returns the q-quantile (0 to 1) in seconds, interpolated within its bucket; NaN where nothing was counted.
func (s *sketch) quantile(q float64) float64 {
	var total float64
	for _, n := range s {
		total += float64(n)
	}
	if total == 0 {
		return math.NaN()
	}
	rank, below := q*total, 0.0
	for i, n := range s {
		if n > 0 && below+float64(n) >= rank {
			return sketchLeast * math.Pow(sketchGrowth, float64(i)-1+(rank-below)/float64(n))
		}
		below += float64(n)
	}
	return sketchLeast * math.Pow(sketchGrowth, sketchBuckets-1)
}
