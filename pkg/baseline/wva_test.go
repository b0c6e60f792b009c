package baseline

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// defaults are the thresholds of that file: KV cache 0.80, queue 5, to spare 0.10 and 3.
func defaults() wvaSpec { return wvaSpec{cache: 0.80, queue: 5, spareCache: 0.10, spareQueue: 3} }

// llm-d/llm-d-workload-variant-autoscaler internal/saturation/analyzer_test.go (read in the fork
// red-hat-data-services/workload-variant-autoscaler@9278cbc).
func TestWVAAnalyzesAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		loads []load
		want  saturation
	}{
		"scale up due to low KV spare Saturation":            {[]load{{0.75, 2}, {0.76, 2}}, saturation{2, 0.045, 3, true, false}},
		"scale up due to low queue spare Saturation":         {[]load{{0.50, 3}, {0.50, 3}}, saturation{2, 0.30, 2, true, false}},
		"no scale up - healthy Saturation":                   {[]load{{0.50, 1}, {0.50, 1}}, saturation{2, 0.30, 4, false, false}},
		"scale down safe - adequate headroom":                {[]load{{0.20, 1}, {0.30, 1}, {0.25, 1}}, saturation{3, 0.55, 4, false, true}},
		"scale down unsafe - insufficient headroom":          {[]load{{0.70, 2}, {0.75, 2}}, saturation{2, 0.075, 3, true, false}},
		"scale down unsafe - only one non-saturated replica": {[]load{{0.50, 2}}, saturation{1, 0.30, 3, false, false}},
		"EmptyMetrics":                        {nil, saturation{}},
		"AllSaturated":                        {[]load{{0.85, 2}, {0.50, 6}, {0.90, 7}}, saturation{0, 0, 0, true, false}},
		"at the thresholds is saturated":      {[]load{{0.80, 0}, {0.50, 5}, {0.79, 0}}, saturation{1, 0.01, 5, true, false}},
		"SaturatedReplicas: one of three not": {[]load{{0.85, 2}, {0.50, 6}, {0.60, 2}}, saturation{1, 0.20, 3, false, false}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			close := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
			if diff := cmp.Diff(tt.want, defaults().analyze(tt.loads), cmp.AllowUnexported(saturation{}), close); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// CalculateSaturationTargets of the same file, with one variant.
func TestWVAMovesByOneAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		up, down               bool
		target, current, ready int32
		seen                   int
		want                   int32
	}{
		"one more: ScaleUpCheapest":                            {true, false, 2, 2, 2, 2, 3},
		"one fewer: ScaleDownMostExpensive":                    {false, true, 2, 2, 2, 2, 1},
		"never the last":                                       {false, true, 1, 1, 1, 1, 1},
		"held where wanted is not there: TransitionBlocking":   {true, false, 4, 2, 2, 2, 4},
		"held where some load: PendingReplicasBlocksScaling":   {true, false, 3, 3, 2, 2, 3},
		"held where one does not report":                       {true, false, 3, 3, 3, 2, 3},
		"unchanged where there is neither too little nor much": {false, false, 2, 2, 2, 2, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &wva{wvaBase: wvaBase{target: tt.target}}
			d := &draft{scaling.Decision{Ready: tt.ready}}
			if got := p.next(d, saturation{up: tt.up, down: tt.down}, tt.seen, tt.current); got != tt.want {
				t.Errorf("got %d, want %d: %v", got, tt.want, d.Steps)
			}
		})
	}
}

// byTokens is an analyzer as in upstream's tests: thresholds 0.8, 5, 0.85 and 0.70.
func byTokens() *wvaTokens { return &wvaTokens{cache: 0.8, queue: 5, up: 0.85, down: 0.70} }

// internal/engines/analyzers/saturation_v2/analyzer_test.go (same fork @1509a8d). Replicas hold 16,000 tokens, requests have
// 100 + 50 unless said.
func TestWVA2CapacityAsUpstreamExpects(t *testing.T) {
	one := func(inUse, queue float64) tokens {
		return tokens{inUse: inUse, capacity: 16000, queue: queue, input: 100, output: 50}
	}
	long := one(6000, 2)
	long.output = 600
	chunked := one(5000, 2)
	chunked.input, chunked.output = 500, 100
	unknown := tokens{inUse: 5000, capacity: 16000}
	tests := map[string]struct {
		batched, atOnce float64
		then            []tokens
		want            float64
	}{
		"should use k1 (memory-bound) when k2 is unknown":                            {0, 0, []tokens{one(5000, 0)}, 12800},
		"should use k2 (compute-bound) when queue is saturated":                      {0, 0, []tokens{one(8000, 6)}, 8000},
		"should detect compute-bound when k2 < k1 with high queue and low KV":        {0, 0, []tokens{one(4000, 10)}, 4000},
		"should use historical k2 when queue drops below threshold":                  {0, 0, []tokens{one(8000, 6), one(6000, 2)}, 8000},
		"should use different k2 history buckets for different output lengths":       {0, 0, []tokens{one(8000, 6), long}, 12800},
		"should derive k2 from chunked prefill params, which exceeds k1":             {2048, 256, []tokens{chunked}, 12800},
		"should fall back to k1 when no batch/queue/history data exists":             {2048, 256, []tokens{unknown}, 12800},
		"the history is averaged over ten: eleven seen, of which the first is gone":  {0, 0, append(eleven(one), one(0, 0)), 5000},
		"the memory bounds what was seen beyond it":                                  {0, 0, []tokens{one(15000, 9)}, 12800},
		"a queue without a token in use is no observation (tokensInUse must be > 0)": {0, 0, []tokens{one(0, 9)}, 12800},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := byTokens()
			w.batched, w.atOnce = tt.batched, tt.atOnce
			var got float64
			for _, x := range tt.then {
				got = w.capacityOf(x)
			}
			if got != tt.want {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
}

// eleven observations of which the last ten average 5000.
func eleven(one func(inUse, queue float64) tokens) []tokens {
	out := []tokens{one(10000, 9)}
	for range 5 {
		out = append(out, one(4000, 9), one(6000, 9))
	}
	return out
}

// estimateCapacityFromParams of the same file.
func TestWVA2SteadyStateAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct{ batched, atOnce, input, output, want float64 }{
		"should compute k2 from B, S, I, O":   {4096, 256, 500, 100, 140800},
		"should cap N_steady at MaxNumSeqs":   {8192, 64, 100, 200, 12800},
		"should return 0 when avgOutput is 0": {8192, 256, 500, 0, 0},
		"should return 0 when params is nil":  {0, 0, 500, 100, 0},
		"chunked prefill":                     {2048, 256, 500, 100, 140800},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (&wvaTokens{batched: tt.batched, atOnce: tt.atOnce}).steady(tt.input, tt.output); got != tt.want {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
}

// "Scheduler queue demand" of the same file: a replica with 5000 tokens in use, ten requests queued; four bytes make a token.
func TestWVA2QueueDemandAsUpstreamExpects(t *testing.T) {
	r := tokens{inUse: 5000, capacity: 16000, input: 100, output: 50}
	hit := r
	hit.hit = 0.5
	tests := map[string]struct {
		queued, queuedTokens float64
		replica              tokens
		want                 float64
	}{
		"should not add demand when scheduler queue is nil":            {0, 0, r, 5000},
		"should reduce input tokens by prefix cache hit rate":          {10, 4000 / 4, hit, 6000},
		"should use max of bytes and count estimates for input tokens": {10, 20000 / 4, r, 10500},
		"should attribute full demand: count based":                    {10, 0, r, 6500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := demandOf(tt.replica) + queueDemand(tt.queued, tt.queuedTokens, []tokens{tt.replica})
			if got != tt.want {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
	if got := queueDemand(10, 700, nil); got != 700 {
		t.Errorf("without any replica: got %g, want what the gateway holds, 700", got)
	}
}

// "Scaling signals" and "Pending replicas" of the same file, by the formula of analyzer.go@b28a4f6.
func TestWVA2BalanceAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		demand, ready, pending float64
		required, spare        bool
	}{
		"should signal scale-up when demand exceeds threshold":            {11300, 1, 0, true, false},
		"should signal scale-down when utilization is below boundary":     {2000, 2, 0, false, true},
		"should signal steady state when utilization is between":          {10000, 1, 0, false, false},
		"should include pending replicas in anticipated supply":           {11300, 1, 1, false, false},
		"should NOT include pending replicas in scale-down: 12000 of two": {18000, 2, 1, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			required, spare := byTokens().balance(tt.demand, 12800, tt.ready, tt.pending)
			if required > 0 != tt.required || spare > 0 != tt.spare {
				t.Errorf("got %g required, %g to spare; want %t, %t", required, spare, tt.required, tt.spare)
			}
		})
	}
}

func TestMedianAsUpstreamExpects(t *testing.T) {
	for want, xs := range map[float64][]float64{0: nil, 42: {42}, 3: {5, 1, 3}, 4: {1, 3, 5, 7}} {
		if got := median(xs); got != want {
			t.Errorf("median of %v: got %g, want %g", xs, got, want)
		}
	}
}

// Eight requests/s keep 72 of 1200 tokens running; a replica of the line counts 0.8 of 48,000 tokens. 86,400/0.85 need
// three of these, but a fourth that the first queue asked for stays, since 4·38,400 - 86,400/0.70 spares less than one.
// At 2/s 21,600/0.70 leave no more than one.
func TestWVA2FollowsTokens(t *testing.T) {
	s := setup()
	s.Settings = map[string]float64{"up-window": 0, "down-window": 0}
	s.Engine = Engine{}
	l := newLine(t, "wva-v2", s, 1)
	l.load(2)
	l.run(10 * time.Minute)
	if l.desired != 1 {
		t.Errorf("21,600 tokens: %d replicas, want 1", l.desired)
	}
	l.load(8)
	l.run(30 * time.Minute)
	if l.desired != 4 {
		t.Errorf("86,400 tokens: %d replicas, want 4: %v", l.desired, l.decisions[len(l.decisions)-1].Steps)
	}
	l.load(2)
	l.run(15 * time.Minute)
	if l.desired != 1 {
		t.Errorf("21,600 tokens again: %d replicas, want 1", l.desired)
	}
	l.lost = 1
	l.load(8)
	l.run(10 * time.Minute)
	if l.desired != 1 {
		t.Errorf("nothing reported for ten minutes: %d replicas, want the target to stay", l.desired)
	}
}

// One replica per minute at most, and none while one loads: the ramp that WVA cannot follow. The HPA behind it adds its
// 240 s of stabilization.
func TestWVAClimbsSlowly(t *testing.T) {
	s := setup()
	s.Settings = map[string]float64{"up-window": 0}
	l := newLine(t, "wva", s, 1)
	l.load(16)
	l.run(10 * time.Minute)
	if l.desired < 4 || l.desired > 6 {
		t.Errorf("ten minutes after a load for five replicas: %d, want about one more every two minutes", l.desired)
	}
}

// Upstream's scale to zero is off by default and not restated.
func TestWVAKeepsOneReplicaThoughNoneAreAllowed(t *testing.T) {
	for _, name := range []string{"wva", "wva-v2"} {
		l := newLine(t, name, Setup{Min: 0, Max: 8}, 2)
		l.run(40 * time.Minute)
		if l.desired != 1 {
			t.Errorf("%s: %d replicas after 40 idle minutes, want 1", name, l.desired)
		}
	}
}
