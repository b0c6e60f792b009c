package exposition

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

var loadOnce = sync.OnceValues(func() (*Profiles, error) { return Load() })

func mustLoad(t testing.TB) *Profiles {
	t.Helper()
	ps, err := loadOnce()
	if err != nil {
		t.Fatalf("load profiles: %v", err)
	}
	return ps
}

func mustNamed(t testing.TB, name string) *Profile {
	t.Helper()
	p, ok := mustLoad(t).Named(name)
	if !ok {
		t.Fatalf("no profile %s", name)
	}
	return p
}

// scalars returns all known scalars without the common prefix of their names.
func scalars(r *signals.Reading) map[string]float64 {
	out := map[string]float64{}
	for m := range signals.NumMetrics {
		if v, ok := r.Value(m); ok {
			out[strings.TrimPrefix(m.String(), "inference_")] = v
		}
	}
	return out
}

func TestScalars(t *testing.T) {
	cases := map[string]struct {
		engine, contentType, page string
		want                      map[string]float64
	}{
		"vLLM V0 has no engine label and other cache names": {
			engine: "vllm",
			page: `
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="m"} 8.0
vllm:num_requests_waiting{model_name="m"} 3.0
vllm:num_requests_swapped{model_name="m"} 1.0
vllm:gpu_cache_usage_perc{model_name="m"} 0.25
vllm:gpu_prefix_cache_hit_rate{model_name="m"} -1.0
vllm:cache_config_info{block_size="16",num_gpu_blocks="100",num_gpu_blocks_override="None"} 1.0
`,
			want: map[string]float64{
				"requests_running": 8, "requests_waiting": 3, "requests_waiting_capacity": 3, "engines": 1,
				"kv_cache_utilization_ratio": 0.25, "kv_cache_capacity_tokens": 1600,
			},
		},
		"vLLM 0.9.2 to 0.10 shows both cache names, of which one counts": {
			engine: "vllm",
			page: `vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:gpu_prefix_cache_queries_total{engine="0",model_name="m"} 100
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 100
vllm:gpu_prefix_cache_hits_total{engine="0",model_name="m"} 40
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 40
`,
			want: map[string]float64{
				"kv_cache_utilization_ratio": 0.5, "prefix_cache_queries_total": 100, "prefix_cache_hits_total": 40,
			},
		},
		"vLLM 0.8 shows only the old cache names": {
			engine: "vllm",
			page: `vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.75
vllm:gpu_prefix_cache_queries_total{engine="0",model_name="m"} 100
vllm:gpu_prefix_cache_hits_total{engine="0",model_name="m"} 40
`,
			want: map[string]float64{
				"kv_cache_utilization_ratio": 0.75, "prefix_cache_queries_total": 100, "prefix_cache_hits_total": 40,
			},
		},
		"one gauge per API-server process, all but one zero": {
			engine: "vllm",
			page: `vllm:kv_cache_usage_perc{engine="0",model_name="m",pid="11"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="m",pid="12"} 0.8
vllm:kv_cache_usage_perc{engine="0",model_name="m",pid="13"} 0.0
vllm:num_requests_running{engine="0",model_name="m",pid="11"} 0
vllm:num_requests_running{engine="0",model_name="m",pid="12"} 7
vllm:num_requests_running{engine="0",model_name="m",pid="13"} 0
`,
			want: map[string]float64{"kv_cache_utilization_ratio": 0.8, "requests_running": 7, "engines": 1},
		},
		"two engines and two processes fold by process first": {
			engine: "vllm",
			page: `vllm:num_requests_running{engine="0",pid="1"} 0
vllm:num_requests_running{engine="0",pid="2"} 5
vllm:num_requests_running{pid="1",engine="1"} 7
vllm:num_requests_running{engine="1",pid="2"} 0
vllm:kv_cache_usage_perc{engine="0",pid="1"} 0
vllm:kv_cache_usage_perc{engine="0",pid="2"} 0.2
vllm:kv_cache_usage_perc{engine="1",pid="1"} 0.6
vllm:kv_cache_usage_perc{engine="1",pid="2"} 0
`,
			want: map[string]float64{"requests_running": 12, "engines": 2, "kv_cache_utilization_ratio": 0.4},
		},
		"data-parallel engines of unequal capacity weigh by it": {
			engine: "vllm",
			page: `vllm:kv_cache_usage_perc{engine="0"} 1
vllm:kv_cache_usage_perc{engine="1"} 0.2
vllm:cache_config_info{engine="1",block_size="16",num_gpu_blocks="300"} 1
vllm:cache_config_info{engine="0",block_size="16",num_gpu_blocks="100"} 1
`,
			want: map[string]float64{"kv_cache_utilization_ratio": 0.4, "kv_cache_capacity_tokens": 6400},
		},
		"the capacity that the engine states goes before blocks times block size": {
			engine: "vllm",
			page:   `vllm:cache_config_info{block_size="16",num_gpu_blocks="100",engine="0",kv_cache_size_tokens="999"} 1`,
			want:   map[string]float64{"kv_cache_capacity_tokens": 999},
		},
		"a capacity of None falls back to blocks": {
			engine: "vllm",
			page:   `vllm:cache_config_info{block_size="16",num_gpu_blocks="100",engine="0",kv_cache_size_tokens="None"} 1`,
			want:   map[string]float64{"kv_cache_capacity_tokens": 1600},
		},
		"a block count of None or 0 is no capacity": {
			engine: "vllm",
			page: `vllm:num_requests_waiting{engine="0"} 0
vllm:cache_config_info{block_size="16",num_gpu_blocks="None",engine="0"} 1
vllm:cache_config_info{block_size="16",num_gpu_blocks="0",engine="1"} 1
`,
			want: map[string]float64{"requests_waiting": 0, "requests_waiting_capacity": 0},
		},
		"deferred requests wait, but not for capacity": {
			engine: "vllm",
			page: `vllm:num_requests_waiting{engine="0"} 9
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 2
vllm:num_requests_waiting_by_reason{engine="0",reason="deferred"} 7
`,
			want: map[string]float64{"requests_waiting": 9, "requests_waiting_capacity": 2},
		},
		"of three sleep-state series per engine only awake counts": {
			engine: "vllm",
			page: `vllm:num_requests_running{engine="0"} 0
vllm:num_requests_running{engine="1"} 0
vllm:engine_sleep_state{engine="0",sleep_state="awake"} 0
vllm:engine_sleep_state{engine="0",sleep_state="weights_offloaded"} 1
vllm:engine_sleep_state{engine="0",sleep_state="discard_all"} 0
vllm:engine_sleep_state{engine="1",sleep_state="awake"} 1
vllm:engine_sleep_state{engine="1",sleep_state="weights_offloaded"} 0
vllm:engine_sleep_state{engine="1",sleep_state="discard_all"} 0
`,
			want: map[string]float64{"requests_running": 0, "engines": 2, "engines_awake": 1},
		},
		"requests finish for several reasons": {
			engine: "vllm",
			page: `vllm:request_success_total{engine="0",finished_reason="stop"} 31
vllm:request_success_total{engine="0",finished_reason="length"} 8
vllm:request_success_total{engine="0",finished_reason="abort"} 1
vllm:request_success_created{engine="0",finished_reason="abort"} 1.7e9
`,
			want: map[string]float64{"requests_total": 40},
		},
		"prompt tokens by source tell what was computed": {
			engine: "vllm",
			page: `vllm:prompt_tokens_total{engine="0"} 100
vllm:prompt_tokens_by_source_total{engine="0",source="local_compute"} 60
vllm:prompt_tokens_by_source_total{engine="0",source="local_cache_hit"} 40
vllm:request_prefill_kv_computed_tokens_sum{engine="0"} 55
`,
			want: map[string]float64{"prompt_tokens_total": 100, "prefill_tokens_total": 60, "prompt_tokens_cached_total": 40},
		},
		"a histogram whose name ends in _total is not a counter": {
			engine: "vllm",
			page: `vllm:generation_tokens_total{engine="0"} 5
vllm:iteration_tokens_total_bucket{engine="0",le="1.0"} 3
vllm:iteration_tokens_total_count{engine="0"} 3
vllm:iteration_tokens_total_sum{engine="0"} 9
`,
			want: map[string]float64{"generation_tokens_total": 5},
		},
		"the Rust front end declares counters without _total and writes integers": {
			engine: "vllm", contentType: openMetricsType,
			page: `# HELP vllm:prompt_tokens Number of prefill tokens processed.
# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{model_name="m",engine="0"} 31234 # {trace_id="a b"} 7 1.7e9
# TYPE vllm:num_requests_waiting gauge
# UNIT vllm:num_requests_waiting requests
vllm:num_requests_waiting{model_name="m",engine="0"} 3 1700000000.123
# EOF
`,
			want: map[string]float64{"prompt_tokens_total": 31234, "requests_waiting": 3, "requests_waiting_capacity": 3},
		},
		"a JSON content type over a text page means text": {
			engine: "vllm", contentType: "application/json",
			page: "vllm:num_preemptions_total 2\n", want: map[string]float64{"preemptions_total": 2},
		},
		"text version 1.0.0 means text": {
			engine: "vllm", contentType: "text/plain; version=1.0.0; charset=utf-8",
			page: "vllm:num_preemptions_total 2\n", want: map[string]float64{"preemptions_total": 2},
		},
		"odd spacing, order, commas, stamps, escapes and line ends": {
			engine: "vllm",
			page: "\n  vllm:num_requests_running { model_name = \"a\\\"b\\\\\" , engine=\"0\", }  4 1700000000000\r\n\n\n" +
				"vllm:num_requests_running{engine=\"1\",model_name=\"x{y} 9\",} +4.0e+000\n" +
				"{\"vllm:num_preemptions_total\",engine=\"0\"} 3\n" +
				"{\"vllm:num_preemptions_total\"} 4\n" +
				"# TYPE vllm:empty gauge\n#\n" +
				"vllm:request_success_total 5", // no newline at the end
			want: map[string]float64{"requests_running": 8, "engines": 2, "preemptions_total": 7, "requests_total": 5},
		},
		"a series that stands twice counts once": {
			engine: "vllm",
			page: `vllm:num_requests_running{engine="0",model_name="m"} 4
vllm:num_requests_running{model_name="m",engine="0"} 4
vllm:num_requests_running{model_name="m",engine="0",extra=""} 4
`,
			want: map[string]float64{"requests_running": 4, "engines": 1},
		},
		"NaN, infinite, negative and blank values are unknown": {
			engine: "vllm",
			page: `vllm:num_requests_running NaN
vllm:num_requests_waiting +Inf
vllm:kv_cache_usage_perc -1
vllm:prompt_tokens_total 9223372036854775794
vllm:generation_tokens_total 1e999
vllm:num_preemptions_total 1
`,
			want: map[string]float64{"preemptions_total": 1},
		},
		"one bad engine makes the sum unknown, not low": {
			engine: "vllm",
			page: `vllm:num_requests_running{engine="0"} 3
vllm:num_requests_running{engine="1"} NaN
vllm:num_preemptions_total 1
`,
			want: map[string]float64{"preemptions_total": 1},
		},
		"a bad value under the new name is not replaced by the old name's": {
			engine: "vllm",
			page: `vllm:prefix_cache_hits_total NaN
vllm:gpu_prefix_cache_hits_total 40
vllm:num_preemptions_total 1
`,
			want: map[string]float64{"preemptions_total": 1},
		},
		"a utilization above 1 is cut, not read as percent": {
			engine: "vllm", page: "vllm:kv_cache_usage_perc 1.0000002\n",
			want: map[string]float64{"kv_cache_utilization_ratio": 1},
		},
		"external data-parallel ranks have their own number": {
			engine: "vllm", page: `vllm:num_requests_running{engine="3"} 2`,
			want: map[string]float64{"requests_running": 2, "engines": 1},
		},
		"adapter and HTTP families do not disturb": {
			engine: "vllm",
			page: `vllm:lora_requests_info{max_lora="4",running_lora_adapters="a,b",waiting_lora_adapters=""} 1.7789e+09
http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 40.0
http_request_duration_highr_seconds_count 40.0
vllm:num_preemptions_total 1
`,
			want: map[string]float64{
				"preemptions_total": 1, "lora_adapters_running": 2, "lora_adapters_waiting": 0, "lora_adapters_max": 4,
			},
		},
		"SGLang ranks of one scheduler count once, data-parallel ranks add": {
			engine: "sglang",
			page: `sglang:num_running_reqs{dp_rank="0",tp_rank="0",pp_rank="0",moe_ep_rank="0"} 4
sglang:num_running_reqs{dp_rank="0",tp_rank="1",pp_rank="0",moe_ep_rank="1"} 5
sglang:num_running_reqs{dp_rank="1",tp_rank="2",pp_rank="0",moe_ep_rank="2"} 7
sglang:num_running_reqs{dp_rank="1",tp_rank="3",pp_rank="0",moe_ep_rank="3"} 6
sglang:token_usage{dp_rank="0",tp_rank="0"} 0.2
sglang:token_usage{dp_rank="1",tp_rank="2"} 0.8
sglang:max_total_num_tokens{dp_rank="0",tp_rank="0"} 3000
sglang:max_total_num_tokens{dp_rank="1",tp_rank="2"} 1000
`,
			want: map[string]float64{
				"requests_running": 12, "engines": 2, "kv_cache_capacity_tokens": 4000, "kv_cache_utilization_ratio": 0.35,
			},
		},
		"SGLang priorities are parts of the total under the empty one": {
			engine: "sglang",
			page: `sglang:num_queue_reqs{priority="",tp_rank="0"} 5
sglang:num_queue_reqs{priority="1",tp_rank="0"} 2
sglang:num_queue_reqs{priority="2",tp_rank="0"} 3
sglang:num_grammar_queue_reqs{tp_rank="0"} 1
sglang:num_running_reqs{priority="1",tp_rank="0"} 9
sglang:num_running_reqs{priority="",tp_rank="0"} 9
`,
			want: map[string]float64{"requests_waiting": 6, "requests_waiting_capacity": 6, "requests_running": 9, "engines": 1},
		},
		"an SGLang prefill worker waits in more queues than a unified one": {
			engine: "sglang",
			page: `sglang:num_queue_reqs{engine_type="prefill"} 1
sglang:num_prefill_bootstrap_queue_reqs{engine_type="prefill"} 2
sglang:num_prefill_inflight_queue_reqs{engine_type="prefill"} 4
sglang:num_decode_prealloc_queue_reqs{engine_type="prefill"} 8
`,
			want: map[string]float64{"requests_waiting": 7, "requests_waiting_capacity": 7},
		},
		"an SGLang decode worker likewise": {
			engine: "sglang",
			page: `sglang:num_queue_reqs{engine_type="decode"} 1
sglang:num_prefill_bootstrap_queue_reqs{engine_type="decode"} 2
sglang:num_decode_prealloc_queue_reqs{engine_type="decode"} 4
sglang:num_decode_transfer_queue_reqs{engine_type="decode"} 8
`,
			want: map[string]float64{"requests_waiting": 13, "requests_waiting_capacity": 13},
		},
		"SGLang gauges with le are not histograms": {
			engine: "sglang",
			page: `sglang:routing_key_running_req_count{gt="0",le="1"} 3
sglang:routing_key_running_req_count{gt="200",le="+Inf"} 0
sglang:num_running_reqs 2
`,
			want: map[string]float64{"requests_running": 2, "engines": 1},
		},
		"SGLang tokens per step go before tokens at request end": {
			engine: "sglang",
			page: `sglang:realtime_tokens_total{mode="prefill_compute",tp_rank="0"} 62
sglang:realtime_tokens_total{mode="prefill_cache",tp_rank="0"} 29
sglang:realtime_tokens_total{mode="decode",tp_rank="0"} 71
sglang:prompt_tokens_total 80
sglang:generation_tokens_total 60
sglang:cached_tokens_total{cache_source="device"} 20
sglang:cached_tokens_total{cache_source="host"} 5
`,
			want: map[string]float64{
				"prompt_tokens_total": 91, "prefill_tokens_total": 62, "generation_tokens_total": 71,
				"prefix_cache_queries_total": 80, "prefix_cache_hits_total": 25, "prompt_tokens_cached_total": 29,
			},
		},
		"an SGLang limit of 0 or a utilization of -1 is not set": {
			engine: "sglang",
			page: `sglang:max_running_requests_under_SLO 0
sglang:utilization -1
sglang:num_requests_total 4
`,
			want: map[string]float64{"requests_total": 4},
		},
		"SGLang's newest gauges give pages and their size": {
			engine: "sglang",
			page: `sglang:num_pages{dp_rank="0",tp_rank="0"} 100
sglang:num_pages{dp_rank="0",tp_rank="1"} 100
sglang:num_pages{dp_rank="1",tp_rank="2"} 100
sglang:page_size{dp_rank="0",tp_rank="0"} 64
sglang:page_size{dp_rank="1",tp_rank="2"} 64
sglang:cache_config_info{page_size="64",num_pages="100"} 1
`,
			want: map[string]float64{"kv_cache_capacity_tokens": 12800},
		},
		"SGLang 0.4 counts finished requests in its latency histogram": {
			engine: "sglang",
			page: `sglang:e2e_request_latency_seconds_sum{model_name="m"} 3.1e+06
sglang:e2e_request_latency_seconds_bucket{le="0.3",model_name="m"} 0.0
sglang:e2e_request_latency_seconds_bucket{le="+Inf",model_name="m"} 11228.0
sglang:e2e_request_latency_seconds_count{model_name="m"} 11228.0
`,
			want: map[string]float64{"requests_total": 11228},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := Decode([]byte(c.page), c.contentType, mustNamed(t, c.engine))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, scalars(r), approx); diff != "" {
				t.Errorf("scalars (-want +got):\n%s", diff)
			}
		})
	}
}

// approx compares numbers that are sums of the same terms in another order.
var approx = cmp.Comparer(func(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b))
})

func TestLatencies(t *testing.T) {
	const head = "vllm:time_to_first_token_seconds"
	cases := map[string]struct {
		page    string
		latency signals.Latency
		want    *signals.Histogram
	}{
		"engines add bucket by bucket": {
			page: head + `_bucket{engine="0",le="0.5",model_name="m"} 1
` + head + `_bucket{engine="0",le="1.0",model_name="m"} 2
` + head + `_bucket{engine="0",le="+Inf",model_name="m"} 4
` + head + `_count{engine="0",model_name="m"} 4
` + head + `_sum{engine="0",model_name="m"} 6.5
` + head + `_bucket{engine="1",le="0.5",model_name="m"} 10
` + head + `_bucket{engine="1",le="1",model_name="m"} 20
` + head + `_bucket{engine="1",le="+Inf",model_name="m"} 40
` + head + `_count{engine="1",model_name="m"} 40
` + head + `_sum{engine="1",model_name="m"} 65
`,
			want: &signals.Histogram{Bounds: []float64{0.5, 1}, Counts: []float64{11, 22, 44}, Sum: 71.5},
		},
		"engines with other buckets add by interpolation": {
			page: head + `_bucket{engine="0",le="1"} 4
` + head + `_bucket{engine="0",le="+Inf"} 4
` + head + `_sum{engine="0"} 2
` + head + `_bucket{engine="1",le="2"} 4
` + head + `_bucket{engine="1",le="+Inf"} 4
` + head + `_sum{engine="1"} 4
`,
			want: &signals.Histogram{Bounds: []float64{1, 2}, Counts: []float64{6, 8, 8}, Sum: 6},
		},
		"buckets out of order and twice": {
			page: head + `_sum 2
` + head + `_count 4
` + head + `_bucket{le="+Inf"} 4
` + head + `_bucket{le="2"} 3
` + head + `_bucket{le="1"} 1
` + head + `_bucket{le="1.0"} 1
`,
			want: &signals.Histogram{Bounds: []float64{1, 2}, Counts: []float64{1, 3, 4}, Sum: 2},
		},
		"no +Inf bucket: the count tells": {
			page: head + "_bucket{le=\"1\"} 1\n" + head + "_count 3\n" + head + "_sum 9\n",
			want: &signals.Histogram{Bounds: []float64{1}, Counts: []float64{1, 3}, Sum: 9},
		},
		"no count: the +Inf bucket tells": {
			page: head + "_bucket{le=\"1\"} 1\n" + head + "_bucket{le=\"+Inf\"} 3\n" + head + "_sum 9\n",
			want: &signals.Histogram{Bounds: []float64{1}, Counts: []float64{1, 3}, Sum: 9},
		},
		"counts that fall are raised": {
			page: head + "_bucket{le=\"1\"} 5\n" + head + "_bucket{le=\"2\"} 3\n" + head + "_bucket{le=\"+Inf\"} 4\n" + head + "_sum 9\n",
			want: &signals.Histogram{Bounds: []float64{1, 2}, Counts: []float64{5, 5, 5}, Sum: 9},
		},
		"an empty histogram is known to be empty": {
			page: head + "_bucket{le=\"1\"} 0\n" + head + "_bucket{le=\"+Inf\"} 0\n" + head + "_count 0\n" + head + "_sum 0\n",
			want: &signals.Histogram{Bounds: []float64{1}, Counts: []float64{0, 0}},
		},
		"a histogram cut off before its total is unknown": {
			page: head + "_bucket{le=\"1\"} 5\n" + head + "_bucket{le=\"2\"} 8\n",
		},
		"a histogram without its sum is unknown": {
			page: head + "_bucket{le=\"1\"} 5\n" + head + "_bucket{le=\"+Inf\"} 8\n" + head + "_count 8\n",
		},
		"one bad bucket makes it unknown": {
			page: head + "_bucket{le=\"1\"} NaN\n" + head + "_bucket{le=\"+Inf\"} 8\n" + head + "_count 8\n" + head + "_sum 1\n",
		},
		"a bound that is no number makes it unknown": {
			page: head + "_bucket{le=\"one\"} 1\n" + head + "_bucket{le=\"+Inf\"} 8\n" + head + "_count 8\n" + head + "_sum 1\n",
		},
		"time per output token was inter-token latency until 0.10": {
			page: `vllm:time_per_output_token_seconds_bucket{engine="0",le="0.1"} 3
vllm:time_per_output_token_seconds_count{engine="0"} 3
vllm:time_per_output_token_seconds_sum{engine="0"} 0.2
`,
			latency: signals.ITL,
			want:    &signals.Histogram{Bounds: []float64{0.1}, Counts: []float64{3, 3}, Sum: 0.2},
		},
		"where both names of inter-token latency are there, the new one counts once": {
			page: `vllm:time_per_output_token_seconds_count 3
vllm:time_per_output_token_seconds_sum 0.2
vllm:inter_token_latency_seconds_count 3
vllm:inter_token_latency_seconds_sum 0.2
`,
			latency: signals.ITL,
			want:    &signals.Histogram{Counts: []float64{3}, Sum: 0.2},
		},
		"the time per request is not the time per token where both are there": {
			page: "vllm:inter_token_latency_seconds_count 3\nvllm:inter_token_latency_seconds_sum 0.2\n" +
				"vllm:request_time_per_output_token_seconds_count 1\nvllm:request_time_per_output_token_seconds_sum 0.1\n",
			latency: signals.TPOT,
			want:    &signals.Histogram{Counts: []float64{1}, Sum: 0.1},
		},
		"the time per token stands in where there is no time per request": {
			page:    "vllm:time_per_output_token_seconds_count 3\nvllm:time_per_output_token_seconds_sum 0.2\n",
			latency: signals.TPOT,
			want:    &signals.Histogram{Counts: []float64{3}, Sum: 0.2},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := Decode([]byte("vllm:num_preemptions_total 1\n"+c.page), "", mustNamed(t, "vllm"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.Histogram(c.latency), approx); diff != "" {
				t.Errorf("%v (-want +got):\n%s", c.latency, diff)
			}
		})
	}
}

func TestAHistogramBeyondAllEnginesIsUnknown(t *testing.T) {
	var page strings.Builder
	for i := range maxBuckets + 1 {
		fmt.Fprintf(&page, "vllm:time_to_first_token_seconds_bucket{le=\"%d\"} 1\n", i)
	}
	page.WriteString("vllm:time_to_first_token_seconds_count 1\nvllm:time_to_first_token_seconds_sum 1\nvllm:num_preemptions_total 1\n")
	r, err := Decode([]byte(page.String()), "", mustNamed(t, "vllm"))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Histogram(signals.TTFT); h != nil {
		t.Errorf("a histogram of %d buckets is kept", len(h.Bounds))
	}
}

func TestSGLangQueueTimeCountsOneRank(t *testing.T) {
	var page strings.Builder
	for rank := range 4 {
		fmt.Fprintf(&page, "sglang:queue_time_seconds_bucket{tp_rank=\"%d\",pp_rank=\"0\",le=\"1\"} 5\n", rank)
		fmt.Fprintf(&page, "sglang:queue_time_seconds_count{tp_rank=\"%d\",pp_rank=\"0\"} 6\n", rank)
		fmt.Fprintf(&page, "sglang:queue_time_seconds_sum{tp_rank=\"%d\",pp_rank=\"0\"} 7\n", rank)
	}
	r, err := Decode([]byte(page.String()), "", mustNamed(t, "sglang"))
	if err != nil {
		t.Fatal(err)
	}
	want := &signals.Histogram{Bounds: []float64{1}, Counts: []float64{5, 6}, Sum: 7}
	if diff := cmp.Diff(want, r.Histogram(signals.QueueTime)); diff != "" {
		t.Errorf("queue time (-want +got):\n%s", diff)
	}
}

func TestStarted(t *testing.T) {
	const sample = "vllm:num_preemptions_total 1\n"
	cases := map[string]struct {
		page string
		want time.Time
	}{
		"the process says":                       {"process_start_time_seconds 1.7e+09\nvllm:prompt_tokens_created 1.8e9\n", time.Unix(1.7e9, 0)},
		"a counter's creation says":              {`vllm:prompt_tokens_created{engine="0"} 1.700000000e+09` + "\n", time.Unix(1.7e9, 0)},
		"of several engines the newest counts":   {"vllm:prompt_tokens_created{engine=\"0\"} 1.7e9\nvllm:prompt_tokens_created{engine=\"1\"} 1.71e9\n", time.Unix(1.71e9, 0)},
		"nothing says":                           {"", time.Time{}},
		"a time that cannot be is no time":       {"process_start_time_seconds 1e15\n", time.Time{}},
		"a time of zero is no time":              {"process_start_time_seconds 0\n", time.Time{}},
		"a time that is not a number is no time": {"process_start_time_seconds NaN\n", time.Time{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := Decode([]byte(sample+c.page), "", mustNamed(t, "vllm"))
			if err != nil {
				t.Fatal(err)
			}
			if !r.Started.Equal(c.want) {
				t.Errorf("Started = %v, want %v", r.Started, c.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	cases := map[string]struct {
		contentType, page string
		want              error
		says              string
	}{
		"nothing":                       {"", "", ErrNotExposition, "empty"},
		"only comments":                 {"", "# HELP a b\n# TYPE a gauge\n", ErrNoEngine, "no sample"},
		"HTML":                          {"text/html", "<html><body>404</body></html>\n", ErrNotExposition, "line 1"},
		"JSON":                          {"application/json", `[{"iter":1}]`, ErrNotExposition, "line 1"},
		"a JSON object":                 {"application/json", `{"detail":"Not Found"}`, ErrNotExposition, "line 1"},
		"bytes":                         {"", "\x00\x01\x02", ErrNotExposition, "line 1"},
		"garbage after good lines":      {"", "vllm:num_requests_running 1\n%%%\nvllm:num_requests_waiting 1\n", ErrNotExposition, "line 2"},
		"a wanted value that is a word": {"", "vllm:num_requests_running many\n", ErrNotExposition, "many"},
		"a hexadecimal value":           {"", "vllm:num_requests_running 0x10\n", ErrNotExposition, "0x10"},
		"another engine":                {"", "tgi_queue_size 1\ntgi_batch_current_size 2\n", ErrNoEngine, "tgi_queue_size"},
		"an engine without statistics":  {"", "http_requests_total 1\npython_info 1\n", ErrNoEngine, "--disable-log-stats"},
		"a router's re-export": {
			"", "vllm:num_requests_running{server=\"http://10.0.0.1\"} 1\nvllm:healthy_pods_total 2\n",
			ErrNoEngine, "vllm:healthy_pods_total",
		},
		"cut off in a name":               {"", "vllm:num_requests_running 1\nvllm:num_req", ErrTorn, "line 2"},
		"cut off in labels":               {"", "vllm:num_requests_running 1\nvllm:other{engine=\"0\",mod", ErrTorn, "line 2"},
		"cut off before the value":        {"", "vllm:num_requests_running 1\nvllm:num_requests_waiting{engine=\"0\"} ", ErrTorn, "line 2"},
		"OpenMetrics without its end":     {openMetricsType, "vllm:num_requests_running 1\n", ErrTorn, "# EOF"},
		"OpenMetrics cut off in its end":  {openMetricsType, "vllm:num_requests_running 1\n# EO", ErrTorn, "# EOF"},
		"OpenMetrics with a wrong sample": {openMetricsType, "vllm:num_requests_running\n# EOF\n", ErrNotExposition, "line 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := Decode([]byte(c.page), c.contentType, mustNamed(t, "vllm"))
			if !errors.Is(err, c.want) || r != nil {
				t.Fatalf("Decode = %v, %v; want error %v", r, err, c.want)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q does not mention %q", err, c.says)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	cases := map[string]struct {
		page, want string
		err        error
	}{
		"vLLM among process metrics":       {page: "process_cpu_seconds_total 1\nvllm:num_requests_running 1\n", want: "vllm"},
		"SGLang":                           {page: "sglang:num_running_reqs 1\n", want: "sglang"},
		"an engine embedded in a worker":   {page: "dynamo_component_requests_total 1\nvllm:num_requests_running 1\n", want: "dynamo-vllm"},
		"only the prefix itself":           {page: "vllm: 1\n", err: ErrNoEngine},
		"the prefix elsewhere in a name":   {page: "my_vllm:num_requests_running 1\n", err: ErrNoEngine},
		"a router":                         {page: "vllm:current_qps{server=\"a\"} 1\nvllm:num_requests_running 1\n", err: ErrNoEngine},
		"an unknown engine":                {page: "acme_queue_size 1\n", err: ErrNoEngine},
		"the prefix only in a comment":     {page: "# HELP vllm:num_requests_running x\nup 1\n", err: ErrNoEngine},
		"HTML":                             {page: "<html>", err: ErrNotExposition},
		"nothing":                          {page: "\n\n", err: ErrNotExposition},
		"a page that breaks off in a name": {page: "vllm:num_requests_running 1\nvllm:num", err: ErrTorn},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := mustLoad(t).Detect([]byte(c.page))
			if !errors.Is(err, c.err) {
				t.Fatalf("error = %v, want %v", err, c.err)
			}
			if c.err == nil && p.Name() != c.want {
				t.Errorf("detected %s, want %s", p.Name(), c.want)
			}
		})
	}
}

func TestEmbeddedProfilesListenWhereTheEnginesDo(t *testing.T) {
	ps := mustLoad(t)
	for name, want := range map[string]string{
		"vllm": "8000 [/metrics /v1/metrics]", "sglang": "30000 [/metrics]", "tensorrt-llm": "8000 [/prometheus/metrics]",
		"triton": "8002 [/metrics]", "triton-vllm": "8002 [/metrics]", "triton-tensorrt-llm": "8002 [/metrics]",
		"tgi": "3000 [/metrics]", "llamacpp": "8080 [/metrics]", "lmdeploy": "23333 [/metrics]",
		"nim": "8000 [/v1/metrics /metrics]", "dynamo-frontend": "8000 [/metrics]", "dynamo-worker": "8081 [/metrics]",
		"dynamo-vllm": "8081 [/metrics]", "dynamo-sglang": "8081 [/metrics]", "dynamo-tensorrt-llm": "8081 [/metrics]",
		"ray-serve": "8080 [/metrics]", "ray-vllm": "8080 [/metrics]", "ray-sglang": "8080 [/metrics]", "ovms": "8000 [/metrics]",
		"mlserver": "8082 [/metrics]", "seldon": "9006 [/metrics]", "bentoml": "3000 [/metrics]", "torchserve": "8082 [/metrics]",
		"mlc": "8000 [/metrics]", "knative-queue-proxy": "9088 [/metrics]", "llm-d-inference-sim": "8000 [/metrics /v1/metrics]",
		"generic": "8000 [/metrics]",
	} {
		p, ok := ps.Named(name)
		if !ok {
			t.Errorf("no profile %s", name)
			continue
		}
		if got := fmt.Sprint(p.Port(), " ", p.Paths()); got != want || p.Path() != p.Paths()[0] {
			t.Errorf("%s listens at %s, want %s", name, got, want)
		}
	}
	if _, ok := ps.Named("abacus"); ok {
		t.Error("found a profile that does not exist")
	}
	if len(ps.Names()) != 27 {
		t.Errorf("%d profiles: this test does not know all of %v", len(ps.Names()), ps.Names())
	}
}

// A further engine needs a file and no code: this one has no labels, milliseconds, ratios and sums of families.
func TestAnEngineIsAFile(t *testing.T) {
	ps, err := LoadFS(os.DirFS("testdata/profiles"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("testdata/abacus.prom")
	if err != nil {
		t.Fatal(err)
	}
	r, p, err := ps.Decode(page, "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name() != "abacus" {
		t.Errorf("detected %s", p.Name())
	}
	want := map[string]float64{
		"requests_waiting": 7, "requests_running": 3, "kv_cache_utilization_ratio": 0.25, "kv_cache_capacity_tokens": 6400,
		"requests_total": 12, "requests_max": 2.5, "prompt_tokens_total": 4000,
	}
	if diff := cmp.Diff(want, scalars(r), approx); diff != "" {
		t.Errorf("scalars (-want +got):\n%s", diff)
	}
	wantE2E := &signals.Histogram{Bounds: []float64{0.1, 1}, Counts: []float64{1, 3, 4}, Sum: 5}
	if diff := cmp.Diff(wantE2E, r.Histogram(signals.E2E), approx); diff != "" {
		t.Errorf("E2E (-want +got):\n%s", diff)
	}
}

func TestReadingsShareBounds(t *testing.T) {
	page := []byte("vllm:e2e_request_latency_seconds_bucket{le=\"1\"} 1\nvllm:e2e_request_latency_seconds_count 1\nvllm:e2e_request_latency_seconds_sum 1\n")
	p := mustNamed(t, "vllm")
	var bounds [2][]float64
	for i := range bounds {
		r, err := Decode(page, "", p)
		if err != nil {
			t.Fatal(err)
		}
		bounds[i] = r.Histogram(signals.E2E).Bounds
	}
	if &bounds[0][0] != &bounds[1][0] {
		t.Error("two readings hold their own copy of the same bounds")
	}
}

func TestDecodeKeepsNothingOfThePage(t *testing.T) {
	page := []byte("vllm:num_requests_running 1\nvllm:e2e_request_latency_seconds_bucket{le=\"1\"} 1\n" +
		"vllm:e2e_request_latency_seconds_count 1\nvllm:e2e_request_latency_seconds_sum 1\n")
	p := mustNamed(t, "vllm")
	r, err := Decode(page, "", p)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(scalars(r), *r.Histogram(signals.E2E))
	for i := range page {
		page[i] = '9'
	}
	if got := fmt.Sprint(scalars(r), *r.Histogram(signals.E2E)); got != want {
		t.Errorf("after the page was overwritten: %s, want %s", got, want)
	}
}

func cmpScalars(want map[string]float64, r *signals.Reading) string {
	return cmp.Diff(want, scalars(r), approx)
}
