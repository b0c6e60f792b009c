package forecast

import (
	"math"
	"slices"
	"time"
)

// maxResiduals is how many residuals a quantile rests on: on 250 the measure of DESIGN.md is no better than on 2000.
const maxResiduals = 384

// maxResidual bounds a residual, so that it stays finite as what it is kept as.
const maxResidual = 1e30

// Residuals are the errors of late, of which quantiles are taken: up to maxResiduals of them, spread over a longer time.
// While they are few each one is kept; when there is no room left every other one is forgotten and from then on every
// other one is left out, until the time to be covered is covered; then the oldest gives way.
type Residuals struct {
	// Ring holds them in order of time once the oldest is at Next, Sorted in ascending order.
	Ring, Sorted []float32
	Next         int
	// Cover is how many offers they are spread over, Every how many offers one is kept of, Skipped how many were left out
	// since, Offered how many there have been.
	Cover, Every, Skipped, Offered int
}

func newResiduals(cover int) Residuals { return Residuals{Cover: cover, Every: 1} }

// memoryOf is how many rows a span has.
func memoryOf(span, step time.Duration) int { return int(math.Max(1, float64(span)/float64(step))) }

func (r *Residuals) add(e float64) {
	r.Offered++
	if r.Skipped++; r.Skipped < r.Every {
		return
	}
	r.Skipped = 0
	if len(r.Ring) == maxResiduals && r.Every*maxResiduals < r.Cover {
		r.thin()
	}
	x := float32(min(max(e, -maxResidual), maxResidual))
	if len(r.Ring) < maxResiduals {
		r.Ring = append(r.Ring, x)
	} else {
		i, _ := slices.BinarySearch(r.Sorted, r.Ring[r.Next])
		r.Sorted = slices.Delete(r.Sorted, i, i+1)
		r.Ring[r.Next] = x
		r.Next = (r.Next + 1) % maxResiduals
	}
	i, _ := slices.BinarySearch(r.Sorted, x)
	r.Sorted = slices.Insert(r.Sorted, i, x)
}

// thin forgets every other residual. The ring has not gone round yet.
func (r *Residuals) thin() {
	for i := range maxResiduals / 2 {
		r.Ring[i] = r.Ring[2*i+1]
	}
	r.Ring = r.Ring[:maxResiduals/2]
	r.Sorted = append(r.Sorted[:0], r.Ring...)
	slices.Sort(r.Sorted)
	r.Every *= 2
}

// quantile returns the conformal rank quantile, the ⌈(n+1)q⌉-th smallest (Vovk, Gammerman and Shafer, Algorithmic
// Learning in a Random World, 2005), drawn towards prior as weight more residuals of that quantile would.
func (r *Residuals) quantile(q, prior, weight float64) float64 {
	n := len(r.Sorted)
	if n == 0 {
		return prior
	}
	rank := int(math.Ceil(float64(n+1) * q))
	seen := float64(r.Sorted[min(max(rank, 1), n)-1])
	w := 1 / (float64(r.Offered)/weight + 1)
	return (1-w)*seen + w*prior
}

// rank is the share of residuals below e.
func (r *Residuals) rank(e float64) float64 {
	i, _ := slices.BinarySearch(r.Sorted, float32(e))
	return float64(i) / float64(len(r.Sorted)+1)
}
