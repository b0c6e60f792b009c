package arima

import (
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// levelCritical is the 5 % point of the KPSS statistic for stationarity around a level (Kwiatkowski, Phillips, Schmidt and
// Shin 1992, table 1).
const levelCritical = 0.463

// difference takes the differences between neighbours, d times.
func difference(x []float64, d int) []float64 {
	for range d {
		y := make([]float64, max(0, len(x)-1))
		for i := range y {
			y[i] = x[i+1] - x[i]
		}
		x = y
	}
	return x
}

// differences is how often a series must be differenced until the KPSS test does not refute, at 5 %, that it is stationary; 2
// at most (ndiffs).
func differences(x []float64) int {
	d := 0
	for ; d < MaxDifferences && !constant(x) && kpss(x) > levelCritical; d++ {
		x = difference(x, 1)
	}
	return d
}

// constant says whether all values are the same. A series without values is.
func constant(x []float64) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// kpss is the statistic: the mean square of the sums of deviations from the mean, over the long-run variance by a Bartlett
// window of 4·(n/100)^¼ lags.
func kpss(x []float64) float64 {
	n := float64(len(x))
	mean := stat.Mean(x, nil)
	e := make([]float64, len(x))
	var sum, sums float64
	for i, v := range x {
		e[i] = v - mean
		sum += e[i]
		sums += sum * sum
	}
	lags := int(4 * math.Pow(n/100, 0.25))
	longRun := mat.Dot(vec(e), vec(e))
	for i := 1; i <= min(lags, len(e)-1); i++ {
		weight := 1 - float64(i)/float64(lags+1)
		longRun += 2 * weight * mat.Dot(vec(e[i:]), vec(e[:len(e)-i]))
	}
	return sums / n / longRun
}
