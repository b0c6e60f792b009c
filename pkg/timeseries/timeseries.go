// Package timeseries holds time-ordered samples, the windows over them and their resampling into even steps.
//
// It is part of the core and its lowest layer: no clock, I/O, log, goroutine or global randomness, and no knowledge of
// what the numbers mean.
package timeseries

import (
	"sort"
	"time"
)

// Sample is one value at one instant. Its unit is the series'.
type Sample struct {
	Time  time.Time
	Value float64
}

// Series is a list of samples in ascending order of time.
type Series []Sample

// Append adds a sample that is not older than the last one (an older one is dropped) and forgets all that is older
// than keep before it. The receiver's storage is reused.
func (s Series) Append(x Sample, keep time.Duration) Series {
	if n := len(s); n > 0 && x.Time.Before(s[n-1].Time) {
		return s
	}
	if first := s.from(x.Time.Add(-keep)); first > 0 {
		s = append(s[:0], s[first:]...)
	}
	return append(s, x)
}

// from returns the index of the first sample that is not before t.
func (s Series) from(t time.Time) int {
	return sort.Search(len(s), func(i int) bool { return !s[i].Time.Before(t) })
}

// Since returns the samples that are not before t, sharing storage.
func (s Series) Since(t time.Time) Series { return s[s.from(t):] }

// Last returns the newest sample, false where there is none.
func (s Series) Last() (Sample, bool) {
	if len(s) == 0 {
		return Sample{}, false
	}
	return s[len(s)-1], true
}

// Max returns the largest value, false where there is none.
func (s Series) Max() (float64, bool) {
	return s.extreme(func(x, best float64) bool { return x > best })
}

// Min returns the smallest value, false where there is none.
func (s Series) Min() (float64, bool) {
	return s.extreme(func(x, best float64) bool { return x < best })
}

func (s Series) extreme(better func(x, best float64) bool) (float64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	best := s[0].Value
	for _, x := range s[1:] {
		if better(x.Value, best) {
			best = x.Value
		}
	}
	return best, true
}

// Sum returns the sum of the values.
func (s Series) Sum() float64 {
	var sum float64
	for _, x := range s {
		sum += x.Value
	}
	return sum
}

// Mean returns the mean of the values, false where there is none.
func (s Series) Mean() (float64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	return s.Sum() / float64(len(s)), true
}
