package emulator

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// sample is one line of a family: its labels without braces, and its value.
type sample struct {
	labels string
	value  float64
}

// page writes the text format as Python's prometheus_client does: floats always
// with a point, exponents from a million on, and a _created gauge beside every
// counter and histogram.
type page struct {
	b       []byte
	created float64 // Unix seconds
	// before and after are the labels of an engine's series that sort before
	// and after le: engine, then model_name.
	before, after string
	// broken makes every value NaN.
	broken bool
}

func (p *page) family(name, kind, help string) {
	p.b = fmt.Appendf(p.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) sample(name, labels string, v float64) {
	p.b = append(p.b, name...)
	if labels != "" {
		p.b = append(append(append(p.b, '{'), labels...), '}')
	}
	if p.broken {
		v = math.NaN()
	}
	p.b = append(appendFloat(append(p.b, ' '), v), '\n')
}

func (p *page) gauge(name, help string, samples ...sample) {
	p.family(name, "gauge", help)
	for _, s := range samples {
		p.sample(name, s.labels, s.value)
	}
}

// counter writes name_total and its creation times; name has no suffix.
func (p *page) counter(name, help string, samples ...sample) {
	p.family(name+"_total", "counter", help)
	labels := make([]string, len(samples))
	for i, s := range samples {
		p.sample(name+"_total", s.labels, s.value)
		labels[i] = s.labels
	}
	p.createdOf(name, help, labels...)
}

func (p *page) createdOf(name, help string, labels ...string) {
	p.family(name+"_created", "gauge", help)
	for _, l := range labels {
		p.sample(name+"_created", l, p.created)
	}
}

func (p *page) histogram(name, help string, h replica.Histogram) {
	p.family(name, "histogram", help)
	p.buckets(name, p.before+",", ","+p.after, h)
	p.createdOf(name, help, p.before+","+p.after)
}

// buckets writes a histogram whose other labels sort around le.
func (p *page) buckets(name, before, after string, h replica.Histogram) {
	var below uint64
	for i, n := range h.Counts {
		below += n
		bound := math.Inf(1)
		if i < len(h.Bounds) {
			bound = h.Bounds[i]
		}
		p.b = append(append(append(p.b, name...), "_bucket{"...), before...)
		p.b = append(appendFloat(append(p.b, `le="`...), bound), '"')
		p.b = append(append(p.b, after...), "} "...)
		p.b = append(p.value(float64(below)), '\n')
	}
	rest := strings.Trim(before+strings.TrimPrefix(after, ","), ",")
	p.sample(name+"_count", rest, float64(below))
	p.sample(name+"_sum", rest, h.Sum)
}

func (p *page) value(v float64) []byte {
	if p.broken {
		v = math.NaN()
	}
	return appendFloat(p.b, v)
}

// engineLabels is the label set of one series of the engine; an extra label is
// put where it sorts.
func (p *page) engineLabels(extra ...string) string {
	if len(extra) == 0 {
		return p.before + "," + p.after
	}
	pair := fmt.Sprintf("%s=%q", extra[0], extra[1])
	if extra[0] < "model_name" {
		return p.before + "," + pair + "," + p.after
	}
	return p.before + "," + p.after + "," + pair
}

func (p *page) one(v float64) sample { return sample{p.engineLabels(), v} }

func (p *page) with(label, value string, v float64) sample {
	return sample{p.engineLabels(label, value), v}
}

// appendFloat formats as prometheus_client does: 3.0, 0.45, 1.5e+06, +Inf, NaN.
func appendFloat(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...)
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case v != 0 && (math.Abs(v) >= 1e6 || math.Abs(v) < 1e-4):
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, v, 'f', -1, 64)
	if bytes.IndexByte(b[start:], '.') >= 0 {
		return b
	}
	return append(b, ".0"...)
}

// page renders the metric page of this moment.
func (p *PodServer) page() []byte {
	snap := p.engine.snapshot()
	snap.sleepLevel = p.sleeper.shownLevel()
	p.mu.Lock()
	broken := p.fault == NaNFault
	p.mu.Unlock()
	out := &page{
		b:       make([]byte, 0, 64<<10),
		created: float64(snap.created.UnixNano()) / 1e9,
		before:  `engine="0"`,
		after:   fmt.Sprintf("model_name=%q", p.options.ModelName),
	}
	out.process(snap)
	out.broken = broken
	out.gauges(snap)
	out.counters(snap)
	out.sizes(snap)
	out.latencies(snap)
	out.cacheConfig(p.options.Profile)
	out.broken = false
	p.web.write(out)
	return out.b
}

// process writes the python_* and process_* families. Their values are
// plausible, not measured: the process they would describe does not exist.
func (p *page) process(snap snapshot) {
	generations := func(base float64) []sample {
		return []sample{{`generation="0"`, base}, {`generation="1"`, math.Floor(base / 10)}, {`generation="2"`, math.Floor(base / 100)}}
	}
	up := time.Since(snap.created).Seconds()
	p.counter("python_gc_objects_collected", "Objects collected by the garbage collector.", generations(10742)...)
	p.counter("python_gc_objects_uncollectable", "Objects found that cannot be collected.", generations(0)...)
	p.counter("python_gc_collections", "Collections per generation.", generations(1390+math.Floor(up))...)
	p.gauge("python_info", "Python platform.", sample{`implementation="CPython",major="3",minor="12",patchlevel="11",version="3.12.11"`, 1})
	p.gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", sample{"", 18932842496})
	p.gauge("process_resident_memory_bytes", "Resident memory in bytes.", sample{"", 1392402432})
	p.gauge("process_start_time_seconds", "Start of the process, in seconds since the epoch.", sample{"", math.Floor(p.created*100) / 100})
	p.counter("process_cpu_seconds", "User and system CPU time in seconds.", sample{"", math.Floor(100*(90+0.05*up)) / 100})
	p.gauge("process_open_fds", "Open file descriptors.", sample{"", float64(70 + snap.stats.Running + snap.stats.Waiting)})
	p.gauge("process_max_fds", "Limit of open file descriptors.", sample{"", 1048576})
}

func (p *page) gauges(snap snapshot) {
	s := snap.stats
	p.gauge("vllm:num_requests_running", "Requests in the running batch.", p.one(float64(s.Running)))
	p.gauge("vllm:num_requests_waiting", "Requests in the queue.", p.one(float64(s.Waiting)))
	p.gauge("vllm:num_requests_waiting_by_reason", "Requests in the queue: for want of capacity, or deferred for another reason.",
		p.with("reason", "capacity", float64(s.Waiting)), p.with("reason", "deferred", 0))
	p.sleepStates(snap.sleepLevel)
	p.gauge("vllm:kv_cache_usage_perc", "KV-cache usage, 1 is full.", p.one(s.KVUsage))
}

func (p *page) counters(snap snapshot) {
	s := snap.stats
	cached := float64(s.CachedTokens)
	p.counter("vllm:prefix_cache_queries", "Tokens looked up in the prefix cache.", p.one(float64(s.PromptTokens)))
	p.counter("vllm:prefix_cache_hits", "Tokens found in the prefix cache.", p.one(cached))
	p.counter("vllm:external_prefix_cache_queries", "Tokens looked up in a cache shared between instances.", p.one(0))
	p.counter("vllm:external_prefix_cache_hits", "Tokens found in a cache shared between instances.", p.one(0))
	p.counter("vllm:mm_cache_queries", "Items looked up in the multi-modal cache.", p.one(0))
	p.counter("vllm:mm_cache_hits", "Items found in the multi-modal cache.", p.one(0))
	p.counter("vllm:num_preemptions", "Preemptions.", p.one(float64(s.Preemptions)))
	p.counter("vllm:prompt_tokens", "Prompt tokens processed.", p.one(float64(s.PromptTokens)))
	p.counter("vllm:prompt_tokens_by_source", "Prompt tokens by where their KV came from.",
		p.with("source", "local_compute", float64(s.PromptTokens)-cached), p.with("source", "local_cache_hit", cached),
		p.with("source", "external_kv_transfer", 0))
	p.counter("vllm:prompt_tokens_cached", "Prompt tokens found in any cache.", p.one(cached))
	p.counter("vllm:generation_tokens", "Tokens generated.", p.one(float64(s.GenerationTokens)))
	t := snap.totals
	p.counter("vllm:request_success", "Requests that ended, by reason.",
		p.with("finished_reason", "stop", float64(t.stopped)), p.with("finished_reason", "length", float64(t.length)),
		p.with("finished_reason", "abort", float64(t.aborted)), p.with("finished_reason", "error", 0),
		p.with("finished_reason", "repetition", 0))
}

func (p *page) sizes(snap snapshot) {
	s, t := snap.stats, snap.totals
	p.histogram("vllm:request_prompt_tokens", "Prompt tokens per request.", s.PromptSize)
	p.histogram("vllm:request_generation_tokens", "Generated tokens per request.", s.GenerationSize)
	p.histogram("vllm:iteration_tokens_total", "Tokens computed per engine step.", s.IterationTokens)
	p.histogram("vllm:request_max_num_generation_tokens", "Most tokens generated by a sequence of the request.", s.GenerationSize)
	p.histogram("vllm:request_params_n", "The n parameter of requests.", t.parallel)
	p.histogram("vllm:request_params_max_tokens", "The max_tokens parameter of requests.", t.maxTokens)
}

func (p *page) latencies(snap snapshot) {
	s := snap.stats
	p.histogram("vllm:time_to_first_token_seconds", "Time from arrival to the first token.", s.TTFT)
	p.histogram("vllm:inter_token_latency_seconds", "Time between two tokens of a request.", s.ITL)
	p.histogram("vllm:request_time_per_output_token_seconds", "Mean time per token after the first, per request.", s.TPOT)
	p.histogram("vllm:e2e_request_latency_seconds", "Time from arrival to the last token.", s.E2E)
	p.histogram("vllm:request_queue_time_seconds", "Time in the queue.", s.Queue)
	p.histogram("vllm:request_inference_time_seconds", "Time in the batch.", s.Inference)
	p.histogram("vllm:request_prefill_time_seconds", "Time from scheduling to the first token.", s.Prefill)
	p.histogram("vllm:request_decode_time_seconds", "Time from the first to the last token.", s.Decode)
	p.histogram("vllm:request_prefill_kv_computed_tokens", "Prompt tokens computed and not found in a cache, per request.", s.ComputedSize)
}

func (p *page) cacheConfig(profile replica.Profile) {
	blocks := profile.KVTokens / profile.BlockSize
	tokens := blocks * profile.BlockSize
	labels := fmt.Sprintf(`block_size="%d",cache_dtype="auto",enable_prefix_caching="True",engine="0",gpu_memory_utilization="0.9",`+
		`is_attention_free="False",kv_cache_max_concurrency="%.2f",kv_cache_memory_bytes="None",kv_cache_size_tokens="%d",`+
		`kv_offloading_backend="native",kv_offloading_size="None",kv_sharing_fast_prefill="False",mamba_block_size="None",`+
		`mamba_cache_dtype="auto",mamba_cache_mode="none",mamba_page_size_padded="None",mamba_ssm_cache_dtype="auto",`+
		`num_cpu_blocks="None",num_gpu_blocks="%d",num_gpu_blocks_override="None",prefix_caching_hash_algo="sha256",`+
		`sliding_window="None",user_specified_block_size="False"`,
		profile.BlockSize, float64(tokens)/float64(profile.MaxModelLen), tokens, blocks)
	p.gauge("vllm:cache_config_info", "The engine's cache configuration.", sample{labels, 1})
}
