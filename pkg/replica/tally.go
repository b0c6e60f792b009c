package replica

import (
	"math"
	"math/bits"
	"slices"
)

// tally is a Histogram being filled, in whole units (nanoseconds, picoseconds,
// tokens), so that the bucket of a value is found without a search.
type tally struct {
	scale *ruler
	// counts are as in Histogram, sum is in units of the Histogram.
	counts []uint64
	sum    float64
}

func newTally(scale *ruler) tally {
	return tally{scale: scale, counts: make([]uint64, len(scale.bounds))}
}

// observe records v once.
func (t *tally) observe(v int64) {
	t.counts[t.scale.bucket(v)]++
	t.sum += float64(v) * t.scale.unit
}

// into writes what was observed to h, using the memory it has.
func (t *tally) into(h *Histogram) {
	h.Bounds, h.Sum = t.scale.floats, t.sum
	h.Counts = append(h.Counts[:0], t.counts...)
}

// bigSum is a sum of 128 bits. It is exact, so that it does not depend on the parts
// in which it was added up: a stride is passed in more of them where more is looked at.
type bigSum struct{ high, low uint64 }

// add adds a product.
func (s *bigSum) add(a, b uint64) {
	high, low := bits.Mul64(a, b)
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high += high + carry
}

// float is the number nearest to the sum, or one beside it.
func (s *bigSum) float() float64 { return float64(s.high)*(1<<64) + float64(s.low) }

// ruler finds the bucket of a whole number.
type ruler struct {
	floats []float64 // the bounds as Histogram has them
	bounds []int64   // the same in units, and the largest number after the last
	unit   float64   // one unit in the Histogram's
	first  [256]uint8
}

func newRuler(bounds []float64, unit float64) *ruler {
	r := &ruler{floats: bounds, unit: unit}
	for _, b := range bounds {
		r.bounds = append(r.bounds, int64(math.Round(b/unit)))
	}
	r.bounds = append(r.bounds, math.MaxInt64)
	for c := range r.first {
		i, _ := slices.BinarySearch(r.bounds, lowest(c))
		r.first[c] = uint8(i)
	}
	return r
}

// bucket is the first one whose bound is not below v. Within a class there are at
// most two bounds, and no branch to mispredict.
func (r *ruler) bucket(v int64) int {
	i := int(r.first[class(v)])
	if r.bounds[i] < v {
		i++
	}
	if r.bounds[i] < v {
		i++
	}
	return i
}

// class is v's order of magnitude: the exponent and the first two bits after the
// one of v as a floating-point number. Numbers below one, which only zero is, are
// taken as one.
func class(v int64) uint8 {
	return uint8(math.Float64bits(float64(max(1, v)))>>50 - 1023<<2)
}

// lowest is the smallest number of a class.
func lowest(class int) int64 {
	exponent, quarters := class/4, int64(4+class&3)
	if exponent < 2 {
		return quarters << exponent / 4
	}
	return quarters << (exponent - 2)
}
