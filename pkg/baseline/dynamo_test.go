package baseline

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// linear is an engine whose step takes base + prefill·tokens + context·tokens seconds, as the planes that upstream's tests
// fit, with 2048 batched tokens.
func linear(base, prefill, context float64) planned {
	return planned{factor: 1, engine: Engine{
		KVTokens: 100_000, MaxBatchedTokens: 2048,
		StepTime: func(s Step) time.Duration {
			return time.Duration((base + prefill*s.PrefillTokens + context*s.ContextTokens) * float64(time.Second))
		},
	}}
}

func plannerOn(e planned, ttft, itl time.Duration) *dynamo {
	return &dynamo{planned: e, slo: SLO{TTFT: ttft, TPOT: itl}}
}

// alike are engines that hold the same, with a thousand tokens a request.
func alike(n int, context, queued float64) []held {
	var out []held
	for range n {
		out = append(out, held{sequences: context / 1000, context: context, queued: queued})
	}
	return out
}

// ai-dynamo/dynamo@0c6da1e components/src/dynamo/planner/tests/unit/test_state_machine.py: TestPrefillConsolidation…,
// TestPrefillQueueBudgetRefinement, TestDecodeConsolidation… (objectives in ms; sensitivity 80).
func TestDynamoVotesAsUpstreamExpects(t *testing.T) {
	const ms = time.Millisecond
	prefill := linear(1e-3, 1e-5, 0)
	decode := linear(1e-3, 0, 1e-5)
	tests := map[string]struct {
		engine    planned
		ttft, itl time.Duration
		input     float64
		engines   []held
		prefill   vote
		decode    vote
	}{
		"test_n2_permits_when_queue_empty":                        {prefill, 100 * ms, time.Hour, 1500, alike(2, 0, 0), -1, -1},
		"test_n2_refuses_when_post_consolidation_breaks_sla":      {prefill, 400 * ms, time.Hour, 1500, alike(2, 0, 30000), 0, -1},
		"the same beyond the objective of 100 ms":                 {prefill, 100 * ms, time.Hour, 1500, alike(2, 0, 30000), 1, -1},
		"test_consolidation_only_inflates_queue_not_compute":      {prefill, 100 * ms, time.Hour, 1500, alike(10, 0, 2000), -1, -1},
		"test_high_own_compute_permits_scale_down: 21 ms of 23.2": {prefill, 50 * ms, time.Hour, 2000, alike(2, 0, 1000), -1, -1},
		"queueing would use 21 ms of 19.2":                        {prefill, 45 * ms, time.Hour, 2000, alike(2, 0, 1000), 0, -1},
		"test_t_own_above_sla_blocks_scale_down":                  {prefill, 21 * ms, time.Hour, 2000, alike(2, 0, 0), 0, -1},
		"test_post_consolidation_within_sla_permits: 41 of 80 ms": {decode, time.Hour, 100 * ms, 1000, alike(2, 1500, 0), -1, -1},
		"test_post_consolidation_breaches_sla_refuses: 171 ms":    {decode, time.Hour, 100 * ms, 1000, alike(2, 8000, 0), -1, 0},
		"test_post_consolidation_exceeds_max_kv_refuses":          {decode, time.Hour, 10 * time.Second, 1000, alike(2, 60000, 0), -1, 0},
		"queued prompts become context":                           {decode, time.Hour, 10 * time.Second, 1000, alike(2, 20000, 30000), -1, 0},
		"test_scale_up_when_all_above_sla":                        {decode, time.Hour, 5 * ms, 1000, alike(1, 30000, 0), 0, 1},
		"one of two above":                                        {decode, time.Hour, 100 * ms, 1000, append(alike(1, 30000, 0), alike(1, 1000, 0)...), -1, 0},
		"the last one stays":                                      {decode, time.Hour, 100 * ms, 1000, alike(1, 0, 0), 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := plannerOn(tt.engine, tt.ttft, tt.itl)
			tr := traffic{input: tt.input, output: 150}
			byPrefill, ttft := p.prefillVote(tt.engines, tr)
			byDecode, itl := p.decodeVote(tt.engines, tr)
			if byPrefill != tt.prefill || byDecode != tt.decode {
				t.Errorf("prefill %d (%.3g s), decode %d (%.3g s); want %d, %d", byPrefill, ttft, byDecode, itl, tt.prefill, tt.decode)
			}
		})
	}
}

// TestAggConsolidationAwareScaleDown of the same file: prompts of 300 tokens, steps of 1 ms + 0.1 ms per prompt token + 10 µs
// per token of context.
func TestDynamoTakesAnEngineOnlyWhereBothAgree(t *testing.T) {
	engine := linear(1e-3, 1e-4, 1e-5)
	held := func(context float64) []held { return []held{{10, context, 0}, {10, context, 0}} }
	tests := map[string]struct {
		ttft    time.Duration
		context float64
		want    vote
	}{
		"test_prefill_refusal_blocks_decode_only_scale_down": {500 * time.Millisecond, 30_000, 0},
		"test_both_sides_safe_permits_scale_down":            {2 * time.Second, 10_000, -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := plannerOn(engine, tt.ttft, time.Second)
			d := &draft{}
			if got := p.votes(d, held(tt.context), traffic{input: 300, output: 150}); got != tt.want {
				t.Errorf("got %d, want %d: %v", got, tt.want, d.Steps)
			}
		})
	}
}

// components/src/dynamo/planner/tests/unit/test_easy_scaling.py@165e9c4, TestAggEasy, TestDecode…Easy and TestAnyUpAllDown:
// a cache of 100,000 tokens.
func TestDynamoThresholdsAsUpstreamExpects(t *testing.T) {
	each := func(contexts ...float64) []held {
		var out []held
		for _, c := range contexts {
			out = append(out, held{context: c})
		}
		return out
	}
	tests := map[string]struct {
		goal    int
		engines []held
		want    vote
	}{
		"test_scale_up_above_100_pct":            {optimizeThroughput, each(110_000), 1},
		"test_scale_down_below_60_pct":           {optimizeThroughput, each(40_000, 40_000), -1},
		"test_no_change_between_thresholds":      {optimizeThroughput, each(70_000, 70_000), 0},
		"test_agg_scale_up_prefill_heavy":        {optimizeThroughput, []held{{context: 20_000, queued: 90_000}}, 1},
		"test_agg_scale_down":                    {optimizeThroughput, each(30_000, 30_000), -1},
		"test_any_engine_above_triggers_scaleup": {optimizeThroughput, each(50_000, 110_000), 1},
		"test_mixed_no_scale_down":               {optimizeThroughput, each(20_000, 70_000), 0},
		"test_all_below_triggers_scale_down":     {optimizeThroughput, each(20_000, 30_000, 25_000), -1},
		"test_no_scale_down_at_min":              {optimizeThroughput, each(0), 0},
		"test_scale_up_above_40_pct":             {optimizeLatency, each(45_000), 1},
		"test_scale_down_below_10_pct":           {optimizeLatency, each(5_000, 5_000), -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := plannerOn(linear(1e-3, 0, 0), time.Second, time.Second)
			p.goal = tt.goal
			if got := p.votes(&draft{}, tt.engines, traffic{}); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// By the formulas of perf_model/agg.py@518a702, worked out by hand: a step of 10 ms and 1 ms for each sequence, whatever it
// prefills.
func TestDynamoCapacity(t *testing.T) {
	bySequences := planned{factor: 1, engine: Engine{
		KVTokens: 1_000_000, MaxSequences: 100, MaxBatchedTokens: 8192,
		StepTime: func(s Step) time.Duration { return time.Duration(10+s.Sequences) * time.Millisecond },
	}}
	slow, small, few := bySequences, bySequences, bySequences
	slow.factor = 2
	small.engine.KVTokens = 10_500
	few.engine.MaxBatchedTokens = 110
	tests := map[string]struct {
		engine planned
		t      traffic
		slo    SLO
		want   float64
	}{
		"40 sequences within 50 ms, 100 tokens each":      {bySequences, traffic{1000, 100, 0}, SLO{time.Second, 50 * time.Millisecond}, 40 / (100 * 0.050)},
		"believed twice as slow, 15 of them":              {slow, traffic{1000, 100, 0}, SLO{time.Second, 50 * time.Millisecond}, 15 / (100 * 0.050)},
		"the cache holds ten of 1050 tokens":              {small, traffic{1000, 100, 0}, SLO{time.Second, 50 * time.Millisecond}, 10 / (100 * 0.020)},
		"all that the engine takes":                       {bySequences, traffic{1000, 100, 0}, SLO{time.Hour, time.Hour}, 100 / (100 * 0.110)},
		"prefill keeps pace up to 100 of 110 tokens":      {few, traffic{1000, 100, 0}, SLO{time.Hour, time.Hour}, 100 / (100 * 0.110)},
		"TTFT bounds it: (400 + 1000) tokens are 1 chunk": {bySequences, traffic{1000, 100, 0}, SLO{30 * time.Millisecond, time.Hour}, 20 / (100 * 0.030)},
		"not even one request meets it, and yet some do":  {bySequences, traffic{1000, 100, 0}, SLO{time.Second, time.Millisecond}, 1 / (100 * 0.011)},
		"no traffic":     {bySequences, traffic{}, SLO{time.Second, time.Second}, 0},
		"answers unseen": {bySequences, traffic{1000, 0, 0}, SLO{time.Second, time.Second}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.engine.capacity(tt.t, tt.slo); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
}

// test_load_based_scaling.py@0592372: test_kv_hit_rate_clamped, test_kv_hit_rate_discounts_queued_and_avg_isl,
// test_agg_find_best_engine_rps_uniform_discount_in_ttft_estimate.
func TestDynamoBelievesHitRatesAsUpstreamExpects(t *testing.T) {
	e := linear(1e-3, 1e-3, 1e-4)
	e.engine.MaxBatchedTokens = 100_000
	at := func(hit float64) float64 { return e.ttft(2000, 10, 1000, traffic{input: 1000, output: 150, hit: hit}) }
	if at(1.5) != at(0.95) || at(-0.3) != at(0) || at(math.NaN()) != at(0) {
		t.Errorf("TTFT at hit rates 1.5, 0.95: %g, %g; -0.3, NaN, 0: %g, %g, %g", at(1.5), at(0.95), at(-0.3), at(math.NaN()), at(0))
	}
	if half := at(0.5) / at(0); half >= 0.75 {
		t.Errorf("half the prompts cached: %g of the TTFT", half)
	}
	loose := SLO{10 * time.Second, 10 * time.Second}
	e.engine.MaxBatchedTokens = 8192
	none, most := e.capacity(traffic{4000, 200, 0}, loose), e.capacity(traffic{4000, 200, 0.8}, loose)
	if most <= none {
		t.Errorf("capacity %g with four fifths cached, %g without: want more", most, none)
	}
}

// test_load_predictors.py@004551e, TestConstantPredictor and TestKalmanPredictor.
func TestDynamoPredictsAsUpstreamExpects(t *testing.T) {
	feed := func(p predictor, xs ...float64) float64 {
		for _, x := range xs {
			p.add(x)
		}
		return p.next()
	}
	tests := map[string]struct {
		kind int
		xs   []float64
		want float64
	}{
		"test_returns_zero_with_no_data":                {predictConstant, nil, 0},
		"test_returns_last_added_value":                 {predictConstant, []float64{10, 20, 30}, 30},
		"test_skips_leading_zeros":                      {predictConstant, []float64{0, 0}, 0},
		"test_does_not_skip_zeros_after_nonzero":        {predictConstant, []float64{5, 0}, 0},
		"test_nan_treated_as_zero":                      {predictConstant, []float64{10, math.NaN()}, 0},
		"an infinite one too":                           {predictConstant, []float64{10, math.Inf(1)}, 0},
		"test_returns_zero_before_first_observation":    {predictKalman, nil, 0},
		"leading zeros are no observation":              {predictKalman, []float64{0, 0}, 0},
		"test_uses_last_value_until_minimum_points":     {predictKalman, []float64{10, 20}, 20},
		"a steady load is expected to stay":             {predictKalman, []float64{7, 7, 7, 7, 7, 7}, 7},
		"test_predict_returns_non_negative_on_decline…": {predictKalman, []float64{1000, 500, 200, 100, 50, 0, 0}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := feed(newPredictor(tt.kind), tt.xs...); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
	p := newPredictor(predictKalman)
	first, second := feed(p, 10, 12, 11, 14, 13, 15), p.next()
	if first != second {
		t.Errorf("test_caches_prediction_between_observations: %g, then %g", first, second)
	}
	line := newPredictor(predictKalman)
	var got float64
	for i := range 60 {
		line.add(float64(100 + 10*i))
		got = line.next()
	}
	if math.Abs(got-700) > 1 {
		t.Errorf("a load that grows by 10 a step from 100: %g after 60 steps, want 700", got)
	}
}

// TestFpmReconciliation, TestScalingInProgress and no_fpm_data of the same files.
func TestDynamoObservesOnlyWhileCountsDiffer(t *testing.T) {
	reading := &signals.Reading{Time: t0}
	for _, m := range []signals.Metric{signals.RequestsWaiting, signals.RequestsRunning, signals.KVCacheUtilization} {
		reading.Set(m, 0)
	}
	partly := &signals.Reading{Time: t0}
	partly.Set(signals.RequestsWaiting, 0)
	partly.Set(signals.KVCacheUtilization, 0)
	seen, unseen := scaling.Replica{Phase: scaling.Ready, Reading: reading}, scaling.Replica{Phase: scaling.Ready}
	half := scaling.Replica{Phase: scaling.Ready, Reading: partly}
	loads := scaling.Replica{Phase: scaling.Starting}
	tests := map[string]struct {
		desired  int32
		replicas []scaling.Replica
		reason   scaling.Reason
	}{
		"test_mismatch_skips_scaling":   {3, []scaling.Replica{seen, seen, unseen}, scaling.PartialData},
		"test_no_decision_when_scaling": {2, []scaling.Replica{seen, loads}, scaling.ScaleUpStabilized},
		"half a page is none":           {2, []scaling.Replica{seen, half}, scaling.PartialData},
		"test_no_fpm_data_reason":       {1, []scaling.Replica{unseen}, scaling.NoFreshData},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := New("dynamo", setup())
			if err != nil {
				t.Fatal(err)
			}
			o := Observation{Observation: scaling.Observation{Time: t0, Desired: tt.desired, Replicas: tt.replicas}}
			d := p.Decide(o)
			if d.Replicas != tt.desired || d.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s: %v", d.Replicas, d.Reason, tt.desired, tt.reason, d.Steps)
			}
		})
	}
}

// The floor of the forecast binds where both loops run, and only from below.
func TestDynamoLoadLoopMovesAboveItsFloor(t *testing.T) {
	tests := map[string]struct {
		loops   int
		floor   int32
		running float64
		want    int32
		reason  scaling.Reason
	}{
		"one more than the floor and what there is":  {loopsBoth, 2, 90, 4, scaling.ReactiveDemand},
		"one fewer, still above the floor":           {loopsBoth, 1, 1, 2, scaling.DemandFell},
		"one fewer, but for the floor":               {loopsBoth, 3, 1, 3, scaling.ForecastVeto},
		"the floor asks for more":                    {loopsBoth, 5, 1, 5, scaling.ForecastDemand},
		"the load's loop alone knows no such floor":  {loopLoad, 5, 1, 2, scaling.DemandFell},
		"neither: within the objective, not by much": {loopsBoth, 3, 45, 3, scaling.DemandMet},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := plannerOn(linear(1e-3, 1e-6, 1e-6), time.Second, 60*time.Millisecond)
			p.loops, p.floor, p.low, p.high = tt.loops, tt.floor, 1, 10
			p.forecasts = forecasts{&lastValue{}, &lastValue{1000}, &lastValue{200}, &lastValue{}}
			o := Observation{Observation: scaling.Observation{Time: t0, Desired: 3}}
			for range o.Desired {
				r := &signals.Reading{Time: t0}
				r.Set(signals.RequestsRunning, tt.running)
				r.Set(signals.RequestsWaiting, 0)
				r.Set(signals.KVCacheUtilization, tt.running/100)
				o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready, Reading: r})
			}
			if d := p.load(&o, begin(&o, dynamoStaleness)); d.Replicas != tt.want || d.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s: %v", d.Replicas, d.Reason, tt.want, tt.reason, d.Steps)
			}
		})
	}
}

func TestDynamoForecastWithoutTrafficIsNone(t *testing.T) {
	s := setup()
	s.Settings = map[string]float64{"loops": loopThroughput}
	l := newLine(t, "dynamo", s, 2)
	l.run(10 * time.Minute)
	if d := l.decisions[len(l.decisions)-1]; d.Replicas != 2 || d.Reason != scaling.NoFreshData {
		t.Errorf("no request in ten minutes: got %d %s, want no decision", d.Replicas, d.Reason)
	}
}

// TestBuiltinLoadPredictIdleTraffic: an idle interval carries the request's shape on, one before all traffic does not.
func TestDynamoKeepsTheRequestsShape(t *testing.T) {
	p := &dynamo{planned: linear(1e-3, 0, 0), forecasts: forecasts{&lastValue{}, &lastValue{}, &lastValue{}, &lastValue{}}}
	p.learn(10, traffic{input: 512, output: 128})
	p.learn(0, traffic{})
	if diff := cmp.Diff(traffic{input: 512, output: 128}, p.expected(), cmp.AllowUnexported(traffic{})); diff != "" || p.requests.next() != 0 {
		t.Errorf("after an idle interval: %g requests (-want +got):\n%s", p.requests.next(), diff)
	}
}

// The forecast's floor: 6 requests/s of 1000 + 200 tokens on a line whose engines are believed to serve some rate within the
// objective. Both loops together never go below it.
func TestDynamoFloorHoldsTheLoadLoop(t *testing.T) {
	s := setup()
	s.SLO = SLO{TTFT: 2 * time.Second, TPOT: 30 * time.Millisecond}
	l := newLine(t, "dynamo", s, 8)
	l.load(6)
	l.run(20 * time.Minute)
	p := l.policy.(*dynamo)
	want := ceil(6 / p.capacity(traffic{input: promptSize, output: answerSize}, s.SLO))
	if p.floor != want || l.desired < p.floor {
		t.Errorf("floor %d, %d replicas; want a floor of %d kept", p.floor, l.desired, want)
	}
	if d := l.decisions[len(l.decisions)-1]; !d.DemandKnown && p.floor == 0 {
		t.Errorf("no demand told: %+v", d)
	}
}
