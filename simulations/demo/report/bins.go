package report

import "math"

// Arrival is one request, as far as the picture shows it.
type Arrival struct {
	// T is when it arrived, in seconds.
	T float64
	// TTFT is the time to its first token, in seconds.
	TTFT float64
	// Missed says that it did not meet the SLO.
	Missed bool
}

// BinUp sorts arrivals into slices of width seconds from 0 to length. Arrivals outside are left out.
func BinUp(arrivals []Arrival, length, width float64) []Bin {
	n := int(math.Ceil(length / width))
	if n <= 0 {
		return nil
	}
	bins := make([]Bin, n)
	for i := range bins {
		bins[i].From, bins[i].To = float64(i)*width, math.Min(length, float64(i+1)*width)
	}
	for _, a := range arrivals {
		i := int(math.Floor(a.T / width))
		if i < 0 || i >= n {
			continue
		}
		b := &bins[i]
		b.Arrived++
		if a.Missed {
			b.Missed++
		}
		b.WorstTTFT = math.Max(b.WorstTTFT, a.TTFT)
	}
	return bins
}

// Rate returns the arrivals per second of each bin, at its middle.
func Rate(bins []Bin) []Point {
	out := make([]Point, len(bins))
	for i, b := range bins {
		out[i] = Point{(b.From + b.To) / 2, float64(b.Arrived) / (b.To - b.From)}
	}
	return out
}
