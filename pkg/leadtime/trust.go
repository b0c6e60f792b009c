package leadtime

import "math"

// What is assumed of how lead times change. DESIGN.md has what halving and doubling each does.
const (
	// kinship is the distance in the logarithm over which two starts speak for each other: the spread of one kind. Starts
	// that differ by a quarter do so for the greater part, by a factor of two hardly.
	kinship = spread
	// changeRate is the probability that lead times are others from one start to the next (another image, other disks).
	changeRate = 0.1
	// anything is the density of a start of which nothing is known, in the logarithm: any time from a second to an hour.
	anything = 1 / 8.19
	// surprise is how many starts of a run the chance counts for that the next one is like none of them.
	surprise = 0.5
	// alone is what a start counts for that no other is like, next to 1 for many alike.
	alone = 0.1
)

// trust returns how much each of several starts counts for the next one, from their lengths in logarithmic seconds, oldest
// first: the probability that nothing has changed since it, times how far others bear it out.
//
// The first is the posterior of the run length by Adams and MacKay (2007). Within a run the next start is like one of the
// others or like nothing known (a Dirichlet process with kernels), so that a mix of two kinds is a run like any other,
// while after one length that is new a change is about as likely as an accident. Three starts of three times the length
// leave hardly anything to the older ones. The second keeps an accident from being a quantile.
func trust(lengths []float64) []float64 {
	runs := make([]float64, len(lengths)) // by where they began
	for t, y := range lengths {
		extend(runs[:t+1], lengths[:t], y)
	}
	weights := make([]float64, len(lengths))
	var since float64
	for i, r := range runs {
		since += r
		weights[i] = since
	}
	return borneOut(weights, lengths)
}

// extend takes the next start into the probabilities of the runs: one for each of the starts so far, and the new one.
func extend(runs, before []float64, y float64) {
	last := len(before)
	if last == 0 {
		runs[0] = 1
		return
	}
	alike, total := 0.0, 0.0
	for s := last - 1; s >= 0; s-- {
		alike += likeness(y, before[s])
		length := float64(last - s)
		density := (surprise*anything + alike/(kinship*math.Sqrt(2*math.Pi))) / (surprise + length)
		runs[s] *= density * (1 - changeRate)
		total += runs[s]
	}
	runs[last] = changeRate * anything // of what the former runs have together, which is 1
	total += runs[last]
	for s := range runs {
		runs[s] /= total
	}
}

// borneOut returns weights less what is taken from starts that are alone.
func borneOut(weights, lengths []float64) []float64 {
	trusted := make([]float64, len(weights))
	for i, y := range lengths {
		others := alone
		for j, z := range lengths {
			if i != j {
				others += likeness(y, z)
			}
		}
		trusted[i] = weights[i] * others / (1 + others)
	}
	return trusted
}

// likeness is 1 for two lengths that are the same, falling to 0.
func likeness(y, z float64) float64 {
	d := (y - z) / kinship
	return math.Exp(-d * d / 2)
}
