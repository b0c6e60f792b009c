package leadtime

import (
	"math"
	"sort"
	"time"
)

// levels are the probabilities at which a Distribution is known, normal their quantiles in the standard normal
// distribution.
var (
	levels = [...]float64{0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98}
	normal = [...]float64{
		-2.0537489, -1.6448536, -1.2815516, -0.8416212, -0.5244005, -0.2533471, 0,
		0.2533471, 0.5244005, 0.8416212, 1.2815516, 1.6448536, 2.0537489,
	}
)

// The places of the levels that have names.
const (
	atP50 = 6
	atP90 = 10
	top   = len(levels) - 1
)

const (
	// spread is the standard deviation of the logarithm of one target's starts under like circumstances (reference
	// traces-and-profiles.md B3; loads of image models in production, of several models together, have 0.48).
	spread = 0.25
	// tail is the index of the Pareto tail that a Distribution has above its last level. What has outlived all that was
	// seen so far does not follow what was seen; that its end is as far off as it is old is what lifetimes do where nothing
	// else is known (Harchol-Balter and Downey 1997, index 1). With index 2 the mean of the remaining time is the age, its
	// median 0.41 of the age: the same as for a log-normal of spread 0.8, which covers starts of all engines, at twice its
	// median.
	tail = 2
	// resolution is that of the times which a cluster shows: phases that took none may have taken as much.
	resolution = time.Second
)

// Distribution is how long something takes: its quantiles at the levels 2, 5, 10, 20 … 90, 95 and 98 %, ascending, with
// straight lines between them, nothing below and a heavy tail above. The zero value is that of what takes no time.
type Distribution [len(levels)]time.Duration

// logNormal is the log-normal distribution of a median in logarithmic seconds and a standard deviation sigma of the
// logarithm.
func logNormal(median, sigma float64) Distribution {
	var d Distribution
	for i, z := range normal {
		d[i] = duration(math.Exp(median + sigma*z))
	}
	return d
}

// through is the log-normal distribution with two quantiles given.
func through(p50, p90 time.Duration) Distribution {
	return logNormal(math.Log(p50.Seconds()), math.Log(p90.Seconds()/p50.Seconds())/normal[atP90])
}

// certain is the distribution of what always takes as long, up to its tail.
func certain(always time.Duration) Distribution {
	var d Distribution
	for i := range d {
		d[i] = always
	}
	return d
}

// duration converts seconds, bounded so that no sum of a few overflows.
func duration(seconds float64) time.Duration {
	const most = float64(1 << 60)
	return time.Duration(math.Min(seconds*float64(time.Second), most)).Round(10 * time.Millisecond)
}

// Quantile returns the time that is not exceeded with probability q, from 0 to 1; what lies outside counts as 0 or the
// highest probability below 1.
func (d Distribution) Quantile(q float64) time.Duration {
	if !(q > levels[0]) { // also where q is no number
		return d[0]
	}
	if q > levels[top] {
		const least = 1e-6 // of what lies above
		above := math.Max(1-q, least) / (1 - levels[top])
		return duration(d[top].Seconds() * math.Pow(above, -1.0/tail))
	}
	i := sort.SearchFloat64s(levels[:], q)
	share := (q - levels[i-1]) / (levels[i] - levels[i-1])
	return d[i-1] + time.Duration(share*float64(d[i]-d[i-1]))
}

// Below returns the probability that it takes no longer than t.
func (d Distribution) Below(t time.Duration) float64 {
	switch {
	case t < d[0]:
		return 0
	case t >= d[top]:
		if d[top] <= 0 {
			return 1
		}
		return 1 - (1-levels[top])*math.Pow(d[top].Seconds()/t.Seconds(), tail)
	}
	i := sort.Search(len(d), func(i int) bool { return d[i] > t })
	share := float64(t-d[i-1]) / float64(d[i]-d[i-1])
	return levels[i-1] + share*(levels[i]-levels[i-1])
}

// Remaining returns how much longer what has taken age so far will take, with probability q not exceeded: the quantile of
// those that take longer than age, less the age.
//
// In the median that is at first the median less the age, and for what has outlived all but one in fifty it grows with the
// age. It is never more than an hour beyond what is usual.
func (d Distribution) Remaining(age time.Duration, q float64) time.Duration {
	if d[top] <= 0 {
		return 0
	}
	age = max(0, age)
	if q = math.Max(0, math.Min(q, 1-1e-6)); math.IsNaN(q) {
		q = 0.5
	}
	bound := max(longestStart, d[top])
	if age >= d[top] { // the tail by itself: 1-Below would lose its digits
		return min(bound, duration(age.Seconds()*(math.Pow(1-q, -1.0/tail)-1)))
	}
	below := d.Below(age)
	return min(bound, max(0, d.Quantile(below+q*(1-below))-age))
}

// inTurn returns the q-quantile of the time that two things take one after the other, the first of which has taken age
// already: medians add, and the distances from them as the sides of a right angle, which is exact of what is independent
// and normally distributed.
func inTurn(first, second Distribution, age time.Duration, q float64) time.Duration {
	if math.IsNaN(q) {
		q = 0.5
	}
	m1, m2 := first.Remaining(age, 0.5), second.Quantile(0.5)
	d1, d2 := first.Remaining(age, q)-m1, second.Quantile(q)-m2
	return max(0, m1+m2+time.Duration(math.Copysign(math.Hypot(float64(d1), float64(d2)), q-0.5)))
}
