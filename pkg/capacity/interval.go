package capacity

import (
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Interval is what one replica reported between two readings.
type Interval struct {
	// Seconds is its length.
	Seconds float64
	// Running is the mean number of requests in the batch, Waiting the smaller of the two queue lengths, Preemptions the
	// requests that were put back into the queue.
	Running, Waiting, Preemptions float64
	// ITL is the mean inter-token latency in seconds and Tokens the number of observations behind it.
	ITL, Tokens float64
	// Finished requests, the growth of the running batch, and the prompt, prefilled and generated tokens of the interval.
	// Prompt tokens that a prefix cache supplied are not among the prefilled ones.
	Finished, Grown, Prompt, Prefilled, Generated float64
	// First are the first tokens; FirstKnown is false where they are not counted.
	First      float64
	FirstKnown bool
	// KV is the mean KV-cache utilization, negative where it is not known; Max the engine's largest batch, zero where
	// it is not known.
	KV, Max float64
	// TTFT and TPOT are the requests' times to first token and mean times per output token, nil where not known.
	TTFT, TPOT *signals.Histogram
}

// finite reports whether every figure is a finite number: another would stay in the sums for ever.
func (x Interval) finite() bool {
	sum := x.Seconds + x.Running + x.Waiting + x.Preemptions + x.First + x.ITL + x.Tokens + x.Finished + x.Grown +
		x.Prompt + x.Prefilled + x.Generated + x.KV + x.Max + x.TTFT.Count() + x.TPOT.Count()
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// served is the number of requests that the tokens of an interval are of. A request in the batch has produced half of its
// tokens, on average. One that was given up while it waited has none, so that those that finished are asked only where
// first tokens are not counted.
func (x Interval) served() float64 {
	if x.FirstKnown {
		return math.Max(0, x.First-x.Grown/2)
	}
	return math.Max(0, x.Finished+x.Grown/2)
}

// drowned reports whether a replica had more to do than it can: what it then computes again, or for requests that are given
// up, is counted nowhere, and its steps say nothing of what it sustains.
func (x Interval) drowned() bool { return x.Waiting >= x.Running/2 || x.Preemptions > 0 }

// misses returns how many requests were judged by the objectives in an interval, and how many missed one. Requests that
// miss both are counted once and those that miss either twice at most: half of the rarer misses are taken to be others'.
func (x Interval) misses(c Config) (judged, missed float64) {
	first := beyond(x.TTFT, c.TTFT.Seconds())
	each := beyond(x.TPOT, c.TPOT.Seconds())
	judged = max(x.TTFT.Count(), x.TPOT.Count())
	return judged, min(judged, max(first, each)+min(first, each)/2)
}

// beyond is how many observations exceed an objective, none where there is no objective.
func beyond(h *signals.Histogram, objective float64) float64 {
	if h.Count() == 0 || objective <= 0 {
		return 0
	}
	return h.Count() - h.CountAtMost(objective)
}
