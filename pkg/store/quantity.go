package store

import (
	"fmt"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Quantity is something a Store can say of a pod or a group of pods. The set is closed: see Quantities.
type Quantity uint8

// The quantities that are not of a latency; LatencyQuantity gives those.
const (
	RequestsWaiting Quantity = iota
	RequestsWaitingCapacity
	RequestsRunning
	RequestsInFlight
	KVCacheUtilization
	RequestRate
	PromptTokenRate
	PrefillTokenRate
	GenerationTokenRate
	TokenRate
	PrefixCacheHitRatio

	firstLatency
)

// Aggregation is how a quantity of several pods becomes one.
type Aggregation uint8

// The aggregations.
const (
	// Sum adds the pods.
	Sum Aggregation = iota
	// CapacityWeightedMean is the mean weighted by KV-cache capacity, plain where a capacity is unknown.
	CapacityWeightedMean
	// RatioOfSums divides the pods' sums.
	RatioOfSums
	// HistogramMerge adds the pods' observations.
	HistogramMerge
)

// Statistic is one number of a latency distribution.
type Statistic uint8

// The statistics that are served.
const (
	Mean Statistic = iota
	P50
	P90
	P95
	P99

	numStatistics
)

var statistics = [numStatistics]struct {
	suffix, help string
	q            float64
}{
	Mean: {"avg", "Mean", 0},
	P50:  {"p50", "Median", 0.5},
	P90:  {"p90", "90th percentile", 0.9},
	P95:  {"p95", "95th percentile", 0.95},
	P99:  {"p99", "99th percentile", 0.99},
}

// servedLatencies are those of which statistics are served. Queue time is not: engines report it for finished requests
// only, so it is silent while a queue grows.
var servedLatencies = []struct {
	latency signals.Latency
	help    string
}{
	{signals.TTFT, "time from a request's arrival to its first token"},
	{signals.ITL, "time between two tokens of a request"},
	{signals.TPOT, "mean time per output token of a request"},
	{signals.E2E, "time from a request's arrival to its last token"},
}

// quantityInfo describes a Quantity. Which of metrics, latency are used depends on eval.
type quantityInfo struct {
	name, unit, help string
	aggregation      Aggregation
	eval             evaluation
	// metrics are added up; for a RatioOfSums the first is divided by the second.
	metrics []signals.Metric
	// instead are taken where those are not known: as a gauge their sum, as a rate the first less the others.
	instead   []signals.Metric
	latency   signals.Latency
	statistic Statistic
}

// evaluation is where a quantity's value comes from.
type evaluation uint8

const (
	gauges     evaluation = iota // the newest reading
	rates                        // increases over the window
	histograms                   // increases of distributions over the window
)

var quantityTable = buildTable()

func buildTable() []quantityInfo {
	table := make([]quantityInfo, firstLatency, int(firstLatency)+len(servedLatencies)*int(numStatistics))
	gauge := func(q Quantity, name, help string, ms ...signals.Metric) {
		table[q] = quantityInfo{name: name, unit: "requests", help: help, aggregation: Sum, eval: gauges, metrics: ms}
	}
	rate := func(q Quantity, name, unit, help string, ms ...signals.Metric) {
		table[q] = quantityInfo{name: name, unit: unit, help: help, aggregation: Sum, eval: rates, metrics: ms}
	}
	gauge(RequestsWaiting, signals.RequestsWaiting.String(), "Requests queued in the engine.", signals.RequestsWaiting)
	gauge(RequestsWaitingCapacity, signals.RequestsWaitingCapacity.String(),
		"Requests queued in the engine for want of capacity.", signals.RequestsWaitingCapacity)
	gauge(RequestsRunning, signals.RequestsRunning.String(), "Requests in the running batch.", signals.RequestsRunning)
	gauge(RequestsInFlight, "inference_requests_inflight", "Requests queued or running.",
		signals.RequestsWaiting, signals.RequestsRunning)
	table[RequestsInFlight].instead = []signals.Metric{signals.RequestsInflight}
	table[KVCacheUtilization] = quantityInfo{
		name: signals.KVCacheUtilization.String(), unit: "ratio", help: "Share of the KV cache that running requests use.",
		aggregation: CapacityWeightedMean, eval: gauges, metrics: []signals.Metric{signals.KVCacheUtilization},
	}
	rate(RequestRate, "inference_requests_per_second", "requests/s", "Requests finished per second.", signals.RequestsFinished)
	rate(PromptTokenRate, "inference_prompt_tokens_per_second", "tokens/s",
		"Prompt tokens taken in per second, cached ones included.", signals.PromptTokens)
	rate(PrefillTokenRate, "inference_prefill_tokens_per_second", "tokens/s",
		"Prompt tokens really computed per second.", signals.PromptTokensComputed)
	table[PrefillTokenRate].instead = []signals.Metric{signals.PromptTokens, signals.PromptTokensCached}
	rate(GenerationTokenRate, "inference_generation_tokens_per_second", "tokens/s",
		"Tokens generated per second.", signals.GenerationTokens)
	rate(TokenRate, "inference_tokens_per_second", "tokens/s", "Prompt and generated tokens per second.",
		signals.PromptTokens, signals.GenerationTokens)
	table[PrefixCacheHitRatio] = quantityInfo{
		name: "inference_prefix_cache_hit_ratio", unit: "ratio", help: "Share of prompt tokens found in the prefix cache.",
		aggregation: RatioOfSums, eval: rates, metrics: []signals.Metric{signals.PrefixCacheHits, signals.PrefixCacheQueries},
	}
	return appendLatencies(table)
}

func appendLatencies(table []quantityInfo) []quantityInfo {
	for _, l := range servedLatencies {
		for stat := range numStatistics {
			s := statistics[stat]
			table = append(table, quantityInfo{
				name: fmt.Sprintf("%s_%s", l.latency, s.suffix), unit: "s", help: fmt.Sprintf("%s of the %s.", s.help, l.help),
				aggregation: HistogramMerge, eval: histograms, latency: l.latency, statistic: stat,
			})
		}
	}
	return table
}

// Quantities returns all quantities in a fixed order.
func Quantities() []Quantity {
	qs := make([]Quantity, len(quantityTable))
	for i := range qs {
		qs[i] = Quantity(i)
	}
	return qs
}

// QuantityNamed returns the quantity that is served under a name, false where there is none.
func QuantityNamed(name string) (Quantity, bool) {
	for i, info := range quantityTable {
		if info.name == name {
			return Quantity(i), true
		}
	}
	return 0, false
}

// LatencyQuantity returns a statistic of a latency, false for one that is not served.
func LatencyQuantity(l signals.Latency, stat Statistic) (Quantity, bool) {
	for i, info := range quantityTable {
		if info.eval == histograms && info.latency == l && info.statistic == stat {
			return Quantity(i), true
		}
	}
	return 0, false
}

// Name returns the name under which the quantity is served, for example "inference_requests_waiting".
func (q Quantity) Name() string { return quantityTable[q].name }

// String returns the quantity's name.
func (q Quantity) String() string {
	if int(q) >= len(quantityTable) {
		return fmt.Sprintf("store.Quantity(%d)", uint8(q))
	}
	return q.Name()
}

// Unit returns the quantity's unit: requests, ratio (0 to 1), requests/s, tokens/s or s.
func (q Quantity) Unit() string { return quantityTable[q].unit }

// Help says in one sentence what the quantity is.
func (q Quantity) Help() string { return quantityTable[q].help }

// Aggregation returns how the quantity of several pods becomes one.
func (q Quantity) Aggregation() Aggregation { return quantityTable[q].aggregation }
