package capacity

import (
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Interval is what one replica reported between two readings.
type Interval struct {
	// Seconds is its length.
	Seconds float64
	// Running is the mean number of requests in the batch.
	Running float64
	// ITL is the mean inter-token latency in seconds and Tokens the number of observations behind it.
	ITL, Tokens float64
	// Finished requests, the growth of the running batch, and the prompt, prefilled and generated tokens of the interval.
	// Prompt tokens that a prefix cache supplied are not among the prefilled ones.
	Finished, Grown, Prompt, Prefilled, Generated float64
	// KV is the mean KV-cache utilization, negative where it is not known; Max the engine's largest batch, zero where
	// it is not known.
	KV, Max float64
	// TTFT and TPOT are the requests' times to first token and mean times per output token, nil where not known.
	TTFT, TPOT *signals.Histogram
}

// finite reports whether every figure is a finite number: another would stay in the sums for ever.
func (x Interval) finite() bool {
	sum := x.Seconds + x.Running + x.ITL + x.Tokens + x.Finished + x.Grown + x.Prompt + x.Prefilled + x.Generated +
		x.KV + x.Max + x.TTFT.Count() + x.TPOT.Count()
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

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
