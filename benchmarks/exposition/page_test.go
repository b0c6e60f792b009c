package exposition_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// pageWriter writes a page as vLLM 0.13 with its default flags does: one engine, 30 families, each counter and
// histogram with a series that tells when it was created, about 41 KB.
type pageWriter struct {
	strings.Builder
	model string
	// requests is the number of requests that the histograms have seen.
	requests float64
}

const createdAt = "1.7682643398899463e+09"

// vllmPage returns the page of an engine that has finished so many requests.
func vllmPage(requests int) []byte {
	w := &pageWriter{model: "Qwen/Qwen3-0.6B", requests: float64(requests)}
	w.gauges()
	w.counters()
	sizes := []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000}
	w.histogram("request_prompt_tokens", "Number of prompt tokens per request.", 300, sizes)
	w.histogram("request_generation_tokens", "Number of generated tokens per request.", 200, sizes)
	w.histogram("iteration_tokens_total", "Histogram of the number of tokens per engine step.", 400,
		[]float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384})
	w.histogram("request_max_num_generation_tokens", "Histogram of the largest number of generated tokens asked for.", 256, sizes)
	w.histogram("request_params_n", "Histogram of the request parameter n.", 1, []float64{1, 2, 5, 10, 20})
	w.histogram("request_params_max_tokens", "Histogram of the request parameter max_tokens.", 512, sizes)
	w.histogram("time_to_first_token_seconds", "Histogram of the time to the first token in seconds.", 0.2,
		[]float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560})
	perToken := []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	w.histogram("inter_token_latency_seconds", "Histogram of the time between tokens in seconds.", 0.03, perToken)
	w.histogram("request_time_per_output_token_seconds", "Histogram of a request's mean time per output token in seconds.", 0.03, perToken)
	perRequest := []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	for _, phase := range []string{"e2e_request_latency", "request_queue_time", "request_inference_time", "request_prefill_time", "request_decode_time"} {
		w.histogram(phase+"_seconds", "Histogram of the time that requests spend, in seconds.", 5, perRequest)
	}
	w.histogram("request_prefill_kv_computed_tokens", "Histogram of KV tokens computed in prefill, cached ones left out.", 250, sizes)
	w.cacheConfig()
	return []byte(w.String())
}

func (w *pageWriter) head(name, help, kind string) {
	fmt.Fprintf(w, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help, name, kind)
}

// number writes a float as Python's client library does: 3.0, 1.5, 1.2e+06.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e6 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%v", v)
}

func (w *pageWriter) sample(name, extra string, value string) {
	fmt.Fprintf(w, "vllm:%s{engine=\"0\",%smodel_name=%q} %s\n", name, extra, w.model, value)
}

func (w *pageWriter) gauges() {
	w.head("num_requests_running", "Number of requests in model execution batches.", "gauge")
	w.sample("num_requests_running", "", "8.0")
	w.head("num_requests_waiting", "Number of requests waiting to be processed.", "gauge")
	w.sample("num_requests_waiting", "", "3.0")
	w.head("engine_sleep_state", "Sleep state of the engine; awake is 1 while the engine is awake, "+
		"weights_offloaded is 1 at sleep level 1, discard_all is 1 at sleep level 2.", "gauge")
	for i, state := range []string{"awake", "weights_offloaded", "discard_all"} {
		fmt.Fprintf(w, "vllm:engine_sleep_state{engine=\"0\",model_name=%q,sleep_state=%q} %s\n", w.model, state, number(math.Max(0, 1-float64(i))))
	}
	w.head("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", "gauge")
	w.sample("kv_cache_usage_perc", "", "0.4375")
}

func (w *pageWriter) counters() {
	for _, c := range []struct {
		name, help string
		perRequest float64
	}{
		{"prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.", 300},
		{"prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", 120},
		{"external_prefix_cache_queries", "Queries of a cache shared between instances through a KV connector, in terms of number of queried tokens.", 0},
		{"external_prefix_cache_hits", "Hits in a cache shared between instances through a KV connector, in terms of number of cached tokens.", 0},
		{"mm_cache_queries", "Multi-modal cache queries, in terms of number of queried items.", 0},
		{"mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items.", 0},
		{"num_preemptions", "Cumulative number of preemptions from the engine.", 0.01},
		{"prompt_tokens", "Number of prefill tokens processed.", 300},
		{"generation_tokens", "Number of generation tokens processed.", 200},
	} {
		w.head(c.name+"_total", c.help, "counter")
		w.sample(c.name+"_total", "", number(c.perRequest*w.requests))
		w.head(c.name+"_created", c.help, "gauge")
		w.sample(c.name+"_created", "", createdAt)
	}
	const help = "Count of successfully processed requests."
	reasons := []string{"stop", "length", "abort", "error"}
	w.head("request_success_total", help, "counter")
	for i, reason := range reasons {
		w.sample("request_success_total", fmt.Sprintf("finished_reason=%q,", reason), number(math.Floor(w.requests/math.Pow(4, float64(i)))))
	}
	w.head("request_success_created", help, "gauge")
	for _, reason := range reasons {
		w.sample("request_success_created", fmt.Sprintf("finished_reason=%q,", reason), createdAt)
	}
}

// histogram writes exponentially distributed observations.
func (w *pageWriter) histogram(name, help string, mean float64, bounds []float64) {
	w.head(name, help, "histogram")
	for _, le := range bounds {
		count := math.Floor(w.requests * (1 - math.Exp(-le/mean)))
		w.sample(name+"_bucket", fmt.Sprintf("le=%q,", number(le)), number(count))
	}
	w.sample(name+"_bucket", `le="+Inf",`, number(w.requests))
	w.sample(name+"_count", "", number(w.requests))
	w.sample(name+"_sum", "", fmt.Sprint(w.requests*mean*1.0000001))
	w.head(name+"_created", help, "gauge")
	w.sample(name+"_created", "", createdAt)
}

func (w *pageWriter) cacheConfig() {
	w.head("cache_config_info", "Information of the LLMEngine CacheConfig", "gauge")
	w.WriteString(`vllm:cache_config_info{block_size="16",cache_dtype="auto",calculate_kv_scales="False",` +
		`cpu_kvcache_space_bytes="None",cpu_offload_gb="0.0",enable_prefix_caching="True",engine="0",` +
		`gpu_memory_utilization="0.9",is_attention_free="False",kv_cache_memory_bytes="None",kv_offloading_backend="None",` +
		`kv_offloading_size="None",kv_sharing_fast_prefill="False",mamba_block_size="None",mamba_cache_dtype="auto",` +
		`mamba_page_size_padded="None",mamba_ssm_cache_dtype="auto",num_cpu_blocks="None",num_gpu_blocks="27896",` +
		`num_gpu_blocks_override="None",prefix_caching_hash_algo="sha256",sliding_window="None",swap_space="4.0"} 1.0` + "\n")
}

func TestThePageIsOfTheSizeOfARealOne(t *testing.T) {
	page := vllmPage(1000)
	if n := len(page); n < 39_000 || n > 44_000 {
		t.Errorf("the page has %d bytes, a real one of this version about 41,500", n)
	}
	samples := 0
	for line := range strings.Lines(string(page)) {
		if line[0] != '#' {
			samples++
		}
	}
	if samples < 330 || samples > 360 {
		t.Errorf("the page has %d samples, a real one 346", samples)
	}
}
