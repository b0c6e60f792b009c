package score

import (
	"math"
	"math/bits"
	"time"
)

// Sketch counts durations in buckets of logarithmic width, so that quantiles cost the same memory for ten values as for
// a billion. Its zero value is empty and ready for use.
//
// Each power of two is divided into 128 equal buckets and a quantile is answered with the middle of its bucket: at most
// 1/256, 0.4 %, off; below 128 ns it is exact.
type Sketch struct {
	counts [buckets]uint64
	n      uint64
	max    time.Duration
	sum    float64 // seconds
}

const (
	subBits = 7
	// buckets are 128 for the values below 2^7 and 128 for each power of two from 2^7 to 2^62.
	buckets = (64 - subBits) << subBits
)

// Observe counts a value; a negative one is none and is passed over.
func (s *Sketch) Observe(d time.Duration) {
	s.add(d, 1)
}

// add counts a value n times.
func (s *Sketch) add(d time.Duration, n uint64) {
	if d < 0 || n == 0 {
		return
	}
	s.counts[bucket(uint64(d))] += n
	s.n += n
	s.sum += float64(n) * d.Seconds()
	s.max = max(s.max, d)
}

// Count is the number of values.
func (s *Sketch) Count() uint64 { return s.n }

// Quantile returns the smallest value that at least the share q, 0 to 1, of all values do not exceed; false where there
// are no values.
func (s *Sketch) Quantile(q float64) (time.Duration, bool) {
	if s.n == 0 {
		return 0, false
	}
	rank := min(max(uint64(math.Ceil(q*float64(s.n))), 1), s.n)
	if rank == s.n {
		return s.max, true
	}
	var seen uint64
	for i, n := range s.counts {
		if seen += n; seen >= rank {
			return min(middle(i), s.max), true
		}
	}
	return s.max, true
}

// latency returns the quantiles that are reported, nil where there are no values.
func (s *Sketch) latency() *Latency {
	if s.n == 0 {
		return nil
	}
	at := func(q float64) float64 {
		d, _ := s.Quantile(q)
		return d.Seconds()
	}
	return &Latency{P50: at(0.5), P90: at(0.9), P99: at(0.99), Mean: s.sum / float64(s.n), Max: s.max.Seconds()}
}

func bucket(x uint64) int {
	if x < 1<<subBits {
		return int(x)
	}
	shift := bits.Len64(x) - 1 - subBits
	return (shift+1)<<subBits + int(x>>shift)&(1<<subBits-1)
}

// middle is the middle of a bucket.
func middle(i int) time.Duration {
	if i < 1<<subBits {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	low := uint64(1<<subBits+i&(1<<subBits-1)) << shift
	return time.Duration(low + (1<<shift)/2)
}
