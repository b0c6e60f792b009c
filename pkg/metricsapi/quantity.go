package metricsapi

import (
	"math"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxValue is the largest value served. The HPA multiplies thousandths in int64, so that a value needs room above it:
// 1e12 is far beyond any demand and still leaves a factor of nine thousand.
const maxValue = 1e12

// quantity returns v in thousandths, the resolution at which the HPA reads, rounded up so that little does not become
// nothing. Values above maxValue are cut off there. It is false for NaN, infinities and negative values, which are no
// measurements.
func quantity(v float64) (resource.Quantity, bool) {
	if !(v >= 0) || math.IsInf(v, 0) {
		return resource.Quantity{}, false
	}
	// The relative part keeps 0.1+0.2 from being served as 0.301.
	milli := math.Ceil(math.Min(v, maxValue) * 1000 * (1 - 1e-12))
	return *resource.NewMilliQuantity(int64(milli), resource.DecimalSI), true
}
