// Package signals is the engine-neutral vocabulary: what one replica of an inference engine reports about itself
// at one instant, whatever engine, version or page it came from.
//
// pkg/exposition fills a Reading from a page, pkg/store keeps Readings, pkg/metricsapi serves them and pkg/scaling
// decides on them. The package is pure: it knows no engine, no wire format, no clock and no cluster.
package signals

import (
	"fmt"
	"time"
)

// Metric names one scalar quantity of the vocabulary. Its String is the name under which the metrics API serves it.
type Metric uint8

// The scalar vocabulary. Gauges hold the value at Reading.Time; counters are cumulative since the engine started and
// go back to zero with it.
const (
	// RequestsWaiting is the number of requests queued in the engine, for whatever reason (gauge).
	RequestsWaiting Metric = iota
	// RequestsWaitingCapacity is the number of those that wait for want of capacity, not for an adapter slot or a
	// remote KV transfer; all of them where the engine does not tell (gauge).
	RequestsWaitingCapacity
	// RequestsRunning is the number of requests in the running batch (gauge).
	RequestsRunning
	// RequestsInflight is the number of requests queued or running, where the engine states it as one number: some show
	// nothing else (gauge). Of the others it is RequestsWaiting and RequestsRunning together.
	RequestsInflight
	// RequestsMax is the largest number of requests the engine runs at once (gauge; vLLM's max_num_seqs).
	RequestsMax
	// KVCacheUtilization is the share of KV-cache blocks in use by running requests, 0 to 1 (gauge).
	KVCacheUtilization
	// KVCacheCapacityTokens is the number of tokens the KV cache can hold (gauge).
	KVCacheCapacityTokens
	// RequestsFinished counts requests that ended, for whatever reason (counter); those that came, where
	// Reading.CountsArrivals says so.
	RequestsFinished
	// PromptTokens counts prompt tokens, those served from the prefix cache included (counter).
	PromptTokens
	// PromptTokensCached counts prompt tokens that a cache spared the engine to prefill. Not all of them pass through
	// PrefixCacheHits, which may be of blocks or of attempts (counter).
	PromptTokensCached
	// PromptTokensComputed counts prompt tokens that were really prefilled (counter).
	PromptTokensComputed
	// GenerationTokens counts tokens produced (counter).
	GenerationTokens
	// PrefixCacheQueries counts prompt tokens, or blocks of them, looked up in the prefix cache (counter).
	PrefixCacheQueries
	// PrefixCacheHits counts those found in it, in the same unit (counter).
	PrefixCacheHits
	// PrefixCacheHitRatio is the share of hits that the engine states itself, 0 to 1, over a time of its own choosing; it
	// serves where the two counters are unknown (gauge).
	PrefixCacheHitRatio
	// Preemptions counts requests put back into the queue for want of KV blocks (counter).
	Preemptions
	// Engines is the number of data-parallel engines behind the page (gauge).
	Engines
	// EnginesAwake is the number of those that are not asleep (gauge).
	EnginesAwake
	// LoRAAdaptersRunning is the number of adapters that running requests use (gauge).
	LoRAAdaptersRunning
	// LoRAAdaptersWaiting is the number of adapters that waiting requests ask for (gauge).
	LoRAAdaptersWaiting
	// LoRAAdaptersMax is the largest number of adapters that the engine serves at once (gauge; vLLM's max_loras).
	LoRAAdaptersMax

	// NumMetrics is the size of the scalar vocabulary, not a metric.
	NumMetrics
)

// Kind tells gauges from counters.
type Kind uint8

// The kinds of a Metric.
const (
	Gauge Kind = iota
	Counter
)

// metricInfo describes one Metric.
type metricInfo struct {
	name string
	kind Kind
}

var metricTable = [NumMetrics]metricInfo{
	RequestsWaiting:         {"inference_requests_waiting", Gauge},
	RequestsWaitingCapacity: {"inference_requests_waiting_capacity", Gauge},
	RequestsRunning:         {"inference_requests_running", Gauge},
	RequestsInflight:        {"inference_requests_inflight", Gauge},
	RequestsMax:             {"inference_requests_max", Gauge},
	KVCacheUtilization:      {"inference_kv_cache_utilization_ratio", Gauge},
	KVCacheCapacityTokens:   {"inference_kv_cache_capacity_tokens", Gauge},
	RequestsFinished:        {"inference_requests_total", Counter},
	PromptTokens:            {"inference_prompt_tokens_total", Counter},
	PromptTokensCached:      {"inference_prompt_tokens_cached_total", Counter},
	PromptTokensComputed:    {"inference_prefill_tokens_total", Counter},
	GenerationTokens:        {"inference_generation_tokens_total", Counter},
	PrefixCacheQueries:      {"inference_prefix_cache_queries_total", Counter},
	PrefixCacheHits:         {"inference_prefix_cache_hits_total", Counter},
	PrefixCacheHitRatio:     {"inference_prefix_cache_hit_ratio", Gauge},
	Preemptions:             {"inference_preemptions_total", Counter},
	Engines:                 {"inference_engines", Gauge},
	EnginesAwake:            {"inference_engines_awake", Gauge},
	LoRAAdaptersRunning:     {"inference_lora_adapters_running", Gauge},
	LoRAAdaptersWaiting:     {"inference_lora_adapters_waiting", Gauge},
	LoRAAdaptersMax:         {"inference_lora_adapters_max", Gauge},
}

// String returns the metric's normalised name, for example "inference_requests_waiting".
func (m Metric) String() string {
	if m >= NumMetrics {
		return fmt.Sprintf("signals.Metric(%d)", uint8(m))
	}
	return metricTable[m].name
}

// Kind tells whether the metric is a gauge or a counter.
func (m Metric) Kind() Kind { return metricTable[m].kind }

// MetricNamed returns the metric of a normalised name, false where there is none.
func MetricNamed(name string) (Metric, bool) {
	for m, info := range metricTable {
		if info.name == name {
			return Metric(m), true
		}
	}
	return 0, false
}

// Latency names one latency distribution of the vocabulary, in seconds.
type Latency uint8

// The latency vocabulary.
const (
	// TTFT is the time from a request's arrival at the engine to its first token, queueing included.
	TTFT Latency = iota
	// ITL is the time between two tokens of a request, one observation per token.
	ITL
	// TPOT is a request's mean time per output token after the first, one observation per request.
	TPOT
	// E2E is the time from a request's arrival to its last token.
	E2E
	// QueueTime is the time a request waited before it ran; engines report it for finished requests only.
	QueueTime

	// NumLatencies is the size of the latency vocabulary, not a latency.
	NumLatencies
)

var latencyNames = [NumLatencies]string{
	TTFT:      "inference_time_to_first_token_seconds",
	ITL:       "inference_inter_token_latency_seconds",
	TPOT:      "inference_time_per_output_token_seconds",
	E2E:       "inference_request_duration_seconds",
	QueueTime: "inference_request_queue_duration_seconds",
}

// String returns the latency's normalised name, for example "inference_time_to_first_token_seconds".
func (l Latency) String() string {
	if l >= NumLatencies {
		return fmt.Sprintf("signals.Latency(%d)", uint8(l))
	}
	return latencyNames[l]
}

// LatencyNamed returns the latency of a normalised name, false where there is none.
func LatencyNamed(name string) (Latency, bool) {
	for l, n := range latencyNames {
		if n == name {
			return Latency(l), true
		}
	}
	return 0, false
}

// Reading is what one replica reported at one instant. A value that was not on the page, or was there as NaN, Inf,
// negative or a sentinel, is unknown: it is never read as zero.
//
// A Reading is a plain value. Its histograms are shared on copy and must not be changed once they are set.
type Reading struct {
	// Time is when the page was fetched.
	Time time.Time
	// Started is when the engine process started, zero where it does not say; a later one means that all counters
	// began anew.
	Started time.Time

	known      uint32
	partial    bool
	arrivals   bool
	blocks     bool
	values     [NumMetrics]float64
	histograms [NumLatencies]*Histogram
}

// Value returns a scalar and whether it is known.
func (r *Reading) Value(m Metric) (float64, bool) {
	return r.values[m], r.known&(1<<m) != 0
}

// blank is the lower end of what some exporters write for "no value" (reference: DCGM's 9223372036854775794).
const blank = 9.2e18

// Valid reports whether an engine can mean v: it is not NaN, infinite, negative or a blank sentinel (9.2e18 or more).
func Valid(v float64) bool { return v >= 0 && v < blank }

// Set makes a scalar known. A value that is not Valid is refused and leaves the metric as it was.
func (r *Reading) Set(m Metric, v float64) {
	if !Valid(v) {
		return
	}
	r.values[m] = v + 0 // turns -0 into 0
	r.known |= 1 << m
}

// CachesBlocks reports whether PrefixCacheQueries and PrefixCacheHits count blocks, and not tokens.
func (r *Reading) CachesBlocks() bool { return r.blocks }

// SetCachesBlocks says that they count blocks.
func (r *Reading) SetCachesBlocks() { r.blocks = true }

// Partial reports whether the engine is known not to count all requests that it holds, those of one protocol for example: none
// in flight is then no proof that there are none.
func (r *Reading) Partial() bool { return r.partial }

// CountsArrivals reports whether RequestsFinished counts requests when they come, and not when they end.
func (r *Reading) CountsArrivals() bool { return r.arrivals }

// SetArrivals says that RequestsFinished counts requests when they come.
func (r *Reading) SetArrivals() { r.arrivals = true }

// SetPartial says that the engine does not count all requests that it holds.
func (r *Reading) SetPartial() { r.partial = true }

// Empty reports whether nothing at all is known.
func (r *Reading) Empty() bool {
	return r.known == 0 && r.histograms == [NumLatencies]*Histogram{}
}

// Histogram returns a latency distribution, nil where it is unknown.
func (r *Reading) Histogram(l Latency) *Histogram { return r.histograms[l] }

// SetHistogram makes a latency distribution known; nil makes it unknown again.
func (r *Reading) SetHistogram(l Latency, h *Histogram) { r.histograms[l] = h }

// Increase returns how much a counter rose between two readings of one replica, reset-safe: where the engine began
// anew, all that it has counted since is the increase (the part between the earlier reading and the reset is lost).
// It is unknown where either side is, and where the counter fell without that: a part of what it adds up has left the page,
// such as a model that was unloaded or a worker that is gone.
func Increase(earlier, later *Reading, m Metric) (float64, bool) {
	a, okA := earlier.Value(m)
	b, okB := later.Value(m)
	if !okA || !okB {
		return 0, false
	}
	switch {
	case anew(earlier, later, a, b):
		return b, true
	case b < a:
		return 0, false
	}
	return b - a, true
}

// partLeft is the least share of a counter that is there after a part of it has left the page; less is what a new process has
// counted. An engine has eight data-parallel ranks mostly at most.
const partLeft = 0.1

// anew reports whether a counter that rose or fell from a to b did so in a process that began between two readings. Where the
// page does not tell when it began, a counter that has all but vanished says so.
func anew(earlier, later *Reading, a, b float64) bool {
	if !earlier.Started.IsZero() && !later.Started.IsZero() {
		return later.Started.After(earlier.Started)
	}
	return b < partLeft*a
}

// Restarted reports whether the engine began anew between two readings of one replica; what was in flight is lost then.
func Restarted(earlier, later *Reading) bool {
	if anew(earlier, later, 0, 0) {
		return true
	}
	for m := range NumMetrics {
		a, okA := earlier.Value(m)
		b, okB := later.Value(m)
		if m.Kind() == Counter && okA && okB && anew(earlier, later, a, b) {
			return true
		}
	}
	return false
}

// HistogramIncrease returns what was observed between two readings of one replica, with the same reset rule as
// Increase; nil where that leaves it unknown, or where their buckets differ.
func HistogramIncrease(earlier, later *Reading, l Latency) *Histogram {
	a, b := earlier.Histogram(l), later.Histogram(l)
	if a == nil || b == nil || !a.sameBounds(b) {
		return nil
	}
	switch {
	case anew(earlier, later, a.Count(), b.Count()):
		return b
	case b.Count() < a.Count():
		return nil
	}
	return b.minus(a)
}

// HistogramIncreases returns what was observed over the readings of one replica, which are in order of time: the sum
// of HistogramIncrease from each that knows the distribution to the next such. It is nil where that is nothing.
func HistogramIncreases(readings []*Reading, l Latency) *Histogram {
	var sum *Histogram
	var from, last *Reading // from is the first since the last reset
	for _, r := range readings {
		h := r.Histogram(l)
		switch {
		case h == nil:
			continue
		case last == nil:
			from = r
		case !h.sameBounds(last.Histogram(l)):
			sum = Merge(sum, last.Histogram(l).minus(from.Histogram(l)))
			from = r
		case anew(last, r, last.Histogram(l).Count(), h.Count()):
			sum = Merge(sum, last.Histogram(l).minus(from.Histogram(l)), h)
			from = r
		case h.Count() < last.Histogram(l).Count():
			sum = Merge(sum, last.Histogram(l).minus(from.Histogram(l)))
			from = r
		}
		last = r
	}
	if last == from {
		return sum
	}
	return Merge(sum, last.Histogram(l).minus(from.Histogram(l)))
}

// PrefillIncrease returns how many prompt tokens were really prefilled between two readings of one replica: as the
// engine states it, or else the prompt tokens that came less the cached ones, or those found in the prefix cache. The difference is made of the two
// increases, since the two counters do not move at the same instant. It is unknown where neither can be told.
func PrefillIncrease(earlier, later *Reading) (float64, bool) {
	if computed, ok := Increase(earlier, later, PromptTokensComputed); ok {
		return computed, true
	}
	prompt, okP := Increase(earlier, later, PromptTokens)
	cached, okC := Increase(earlier, later, PromptTokensCached)
	if !okC && !later.blocks {
		cached, okC = Increase(earlier, later, PrefixCacheHits)
	}
	return max(0, prompt-cached), okP && okC
}

// Frozen reports whether requests run and yet nothing has moved between two readings of one replica that observes every
// token as it comes: then the later page is a copy of an old one and no news. An idle engine's page stands still by
// right, and so does one that counts tokens only when a request ends, while a long one runs: those have no buckets of
// ITL, or these move.
func Frozen(earlier, later *Reading) bool {
	running, ok := later.Value(RequestsRunning)
	_, counted := later.Value(GenerationTokens)
	a, b := earlier.Histogram(ITL), later.Histogram(ITL)
	return ok && counted && running > 0 && earlier.known == later.known && earlier.values == later.values &&
		a != nil && b != nil && len(b.Bounds) > 0 && a.Count() == b.Count()
}

// Still reports whether requests run and yet nothing at all has moved between two readings of one replica. Where that lasts for
// longer than requests do, the later page is a copy of an old one, also of an engine that counts tokens only when a request ends.
func Still(earlier, later *Reading) bool {
	running, okR := later.Value(RequestsRunning)
	inFlight, okF := later.Value(RequestsInflight)
	if earlier.known != later.known || earlier.values != later.values || !(okR && running > 0 || okF && inFlight > 0) {
		return false
	}
	for l := range NumLatencies {
		a, b := earlier.Histogram(l), later.Histogram(l)
		if (a == nil) != (b == nil) || a != nil && a.Count() != b.Count() {
			return false
		}
	}
	return true
}
