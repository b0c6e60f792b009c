package main

import (
	"math"
	"time"
)

// resample makes rows of another step out of rates: their means over it, weighted by time. A row is unknown where no more
// than half of it is covered by known rates; a last row that the rates do not fill is dropped.
func resample(values []float64, period, step time.Duration) []float64 {
	if period == step {
		return values
	}
	total := time.Duration(len(values)) * period
	// The period of a record whose rows lie 7:12 or 7:13 apart comes out a little short of dividing its length.
	out := make([]float64, int((total+step/100)/step))
	for i := range out {
		out[i] = mean(values, period, time.Duration(i)*step, time.Duration(i+1)*step)
	}
	return out
}

// mean is that of the rates over [from, to).
func mean(values []float64, period, from, to time.Duration) float64 {
	sum, covered := 0.0, time.Duration(0)
	for i := int(from / period); i < len(values) && time.Duration(i)*period < to; i++ {
		overlap := min(to, time.Duration(i+1)*period) - max(from, time.Duration(i)*period)
		if v := values[i]; !math.IsNaN(v) {
			sum += v * overlap.Seconds()
			covered += overlap
		}
	}
	if 2*covered <= to-from {
		return math.NaN()
	}
	return sum / covered.Seconds()
}
