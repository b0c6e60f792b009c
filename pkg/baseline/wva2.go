package baseline

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// wvaRates is the time over which the engines' counters are averaged, wvaHistory the observations of capacity kept for
// each class of output length.
const (
	wvaRates   = 5 * time.Minute
	wvaHistory = 10
)

// tokens is what one replica holds and can hold, in tokens: in use and in all, its queue in requests, and the mean
// request with the share of prompts found in the prefix cache.
type tokens struct {
	inUse, capacity, queue float64
	input, output, hit     float64
}

// wvaTokens is the token-based analysis
// (llm-d/llm-d-workload-variant-autoscaler@b08b1c7 internal/engines/analyzers/saturation_v2/analyzer.go).
type wvaTokens struct {
	cache, queue     float64
	up, down         float64
	batched, atOnce  float64
	observedByOutput [3][]float64
}

// outputClass sorts by mean output length: short below 100 tokens, medium below 500, long.
func outputClass(output float64) int {
	switch {
	case output < 100:
		return 0
	case output < 500:
		return 1
	}
	return 2
}

// capacityOf returns the tokens that a replica can hold: the memory's share, or fewer where computing bounds it.
func (w *wvaTokens) capacityOf(t tokens) float64 {
	memory := math.Floor(t.capacity * w.cache)
	return min(memory, w.computeBound(t, memory))
}

// computeBound is what a replica held when its queue was saturated; else the mean of the last such, or the steady state
// of its configuration, or the memory's share.
func (w *wvaTokens) computeBound(t tokens, memory float64) float64 {
	seen := &w.observedByOutput[outputClass(t.output)]
	switch {
	case t.queue >= w.queue && t.inUse > 0:
		*seen = append(*seen, t.inUse)
		if len(*seen) > wvaHistory {
			*seen = slices.Delete(*seen, 0, 1)
		}
		return t.inUse
	case len(*seen) > 0:
		return math.Floor(mean(*seen))
	}
	if steady := w.steady(t.input, t.output); steady > 0 {
		return steady
	}
	return memory
}

// steady is what a replica holds where prefill and decode keep pace, zero where that cannot be told.
func (w *wvaTokens) steady(input, output float64) float64 {
	if w.batched <= 0 || output <= 0 {
		return 0
	}
	n := min(w.batched*output/(input+output), w.atOnce)
	return math.Floor(n * (input + output/2))
}

// demandOf is what a replica holds and will hold of its queue, in tokens.
func demandOf(t tokens) float64 { return t.inUse + t.queue*math.Floor(t.input) }

// queueDemand is what waits in the gateway, in tokens, for the mean request of the replicas.
func queueDemand(queued, queuedTokens float64, replicas []tokens) float64 {
	var input, output, hit, n float64
	for _, t := range replicas {
		if t.input > 0 || t.output > 0 {
			input, output, hit, n = input+t.input, output+t.output, hit+t.hit, n+1
		}
	}
	if n == 0 {
		return queuedTokens
	}
	return max(queuedTokens, queued*input/n)*(1-hit/n) + queued*output/n
}

// balance returns the tokens wanted beyond what is there and coming, and those that are spare of what is there.
func (w *wvaTokens) balance(demand, perReplica, ready, pending float64) (required, spare float64) {
	return max(0, demand/w.up-perReplica*(ready+pending)), max(0, perReplica*ready-demand/w.down)
}

func mean(xs []float64) float64 {
	var sum float64
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	n := len(xs)
	if n == 0 {
		return 0
	}
	return (xs[(n-1)/2] + xs[n/2]) / 2
}

// wva2 is the second version: as many replicas as the tokens need, those that load included.
type wva2 struct {
	wvaBase
	wvaTokens
	perReplica float64
}

func wva2Policy() maker {
	return maker{
		name: "wva-v2",
		knobs: append([]Knob{
			number("kv-threshold", 0.80, 0.01, 1, "share of the KV cache that counts as capacity").tuned(0.1, 0.15, 0.2, 0.3, 0.5, 0.8),
			number("up-threshold", 0.85, 0.01, 2, "share of capacity above which it scales up").tuned(0.75, 0.85),
			number("down-boundary", 0.70, 0.01, 2, "share of capacity below which it scales down"),
			number("queue-threshold", 5, 0.1, 1000, "waiting requests at which a replica is saturated"),
			seconds("up-window", 240, "stabilization window of the HPA's scale-up"),
		}, wvaKnobs()...),
		build: func(s Setup, v values) (Policy, error) {
			return &wva2{wvaBase: newWVABase(s, v, wvaRates), wvaTokens: wvaTokens{
				cache: v.of("kv-threshold"), queue: v.of("queue-threshold"), up: v.of("up-threshold"), down: v.of("down-boundary"),
				batched: float64(s.Engine.MaxBatchedTokens), atOnce: float64(s.Engine.MaxSequences),
			}}, nil
		},
	}
}

// Decide implements Policy.
func (p *wva2) Decide(o Observation) scaling.Decision {
	return p.decide(&o, func(d *draft) (int32, string) { return p.optimize(&o, d) })
}

func (p *wva2) optimize(o *Observation, d *draft) (int32, string) {
	replicas := p.replicas(o)
	current := existing(o)
	var demand float64
	var capacities []float64
	for _, t := range replicas {
		demand += demandOf(t)
		capacities = append(capacities, p.capacityOf(t))
	}
	if len(capacities) > 0 {
		p.perReplica = median(capacities)
	}
	if !o.Gateway.Time.IsZero() && o.Time.Sub(o.Gateway.Time) <= prometheusStaleness {
		demand += queueDemand(o.Gateway.Queued, o.Gateway.QueuedTokens, replicas)
	}
	if len(replicas) == 0 || p.perReplica <= 0 {
		return p.target, "no replica reports its tokens"
	}
	required, spare := p.balance(demand, p.perReplica, float64(d.Ready), float64(current-d.Ready))
	why := fmt.Sprintf("%.0f tokens of demand, %.0f per replica, %d ready, %d loading: %.0f missing, %.0f to spare",
		demand, p.perReplica, d.Ready, current-d.Ready, required, spare)
	switch {
	case required > 0:
		return current + ceil(required/p.perReplica), why
	case spare > 0:
		return max(1, current-whole(math.Floor(spare/p.perReplica))), why
	}
	return current, why
}

// replicas returns the tokens of each ready replica that reports them.
func (p *wva2) replicas(o *Observation) []tokens {
	var out []tokens
	from := o.Time.Add(-wvaPeak)
	for i := range o.Replicas {
		r := &o.Replicas[i]
		size, okS := p.log.most(r.ID, signals.KVCacheCapacityTokens, from)
		share, okC := p.log.most(r.ID, signals.KVCacheUtilization, from)
		queue, okQ := p.log.most(r.ID, signals.RequestsWaiting, from)
		if r.Phase != scaling.Ready || !okS || !okC || !okQ || size <= 0 {
			continue
		}
		t := tokens{inUse: math.Floor(share * size), capacity: size, queue: queue}
		t.input = p.log.perRequest(r.ID, signals.PromptTokens)
		t.output = p.log.perRequest(r.ID, signals.GenerationTokens)
		t.hit = p.log.share(r.ID, signals.PrefixCacheHits, signals.PrefixCacheQueries)
		out = append(out, t)
	}
	return out
}
