package exposition

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// TestTraps reads a page for each thing that pages of engines are known to mislead with; the file's name says what.
func TestTraps(t *testing.T) { checkPages(t, "traps") }

// TestVersionsAndLayouts reads pages of engines as other versions, numbers of engines and options write them.
func TestVersionsAndLayouts(t *testing.T) { checkPages(t, "layouts") }

// checkPages compares the pages of a directory of testdata with its table, which was worked out by hand.
func checkPages(t *testing.T, dir string) {
	t.Helper()
	want := readExpectations(t, filepath.Join("testdata", dir+".tsv"))
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.prom"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d pages for a table of %d: %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".prom"), func(t *testing.T) { checkPage(t, file, want[name]) })
	}
}

// TGI's next batch size has 1,024 buckets, and a histogram of that size is no reason to refuse the page.
func TestHistogramOf1024Buckets(t *testing.T) {
	var page strings.Builder
	for i := 1; i <= 1024; i++ {
		fmt.Fprintf(&page, "tgi_batch_next_size_bucket{le=\"%d\"} %d\n", i, i)
		fmt.Fprintf(&page, "tgi_request_duration_bucket{le=\"%d\"} %d\n", i, i)
	}
	page.WriteString("tgi_request_duration_bucket{le=\"+Inf\"} 1024\ntgi_request_duration_count 1024\ntgi_request_duration_sum 9\n")
	page.WriteString("tgi_batch_next_size_count 1024\ntgi_batch_next_size_sum 9\ntgi_queue_size 2\n")
	r, p, err := mustLoad(t).Decode([]byte(page.String()), "")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := r.Value(signals.RequestsWaiting); p.Name() != "tgi" || v != 2 || !ok {
		t.Errorf("%s waits with %v %v", p.Name(), v, ok)
	}
	if h := r.Histogram(signals.E2E); h.Count() != 1024 || len(h.Bounds) != 1024 {
		t.Errorf("duration has %d bounds and %v observations", len(h.Bounds), h.Count())
	}
}

// A profile that was found before the engine inside showed itself gives way, so that whoever keeps it detects anew.
func TestAWrappersProfileGivesWayToTheEngineInside(t *testing.T) {
	ps := mustLoad(t)
	for name, c := range map[string]struct{ before, after, engine string }{
		"a Dynamo worker":  {"dynamo_component_inflight_requests{dynamo_endpoint=\"generate\"} 1\n", "vllm:num_requests_running 1\n", "dynamo-vllm"},
		"Ray Serve":        {"ray_serve_deployment_queued_queries 1\n", "ray_vllm_num_requests_running 1\n", "ray-vllm"},
		"KServe":           {"kn_serving_queue_depth 1\n", "sglang:num_running_reqs 1\n", "sglang"},
		"BentoML":          {"bentoml_service_request_total 1\n", "vllm:num_requests_running 1\n", "vllm"},
		"Triton":           {"nv_inference_request_success 1\n", "nv_trt_llm_request_metrics{request_type=\"max\"} 1\n", "triton-tensorrt-llm"},
		"Triton with vLLM": {"nv_inference_request_success 1\n", "vllm:generation_tokens_total{model=\"m\",version=\"1\"} 1\n", "triton-vllm"},
	} {
		t.Run(name, func(t *testing.T) {
			_, p, err := ps.Decode([]byte(c.before), "")
			if err != nil {
				t.Fatal(err)
			}
			page := []byte(c.before + c.after)
			if _, err := Decode(page, "", p); !errors.Is(err, ErrNoEngine) {
				t.Errorf("%s reads on: %v", p.Name(), err)
			}
			if _, p, err = ps.Decode(page, ""); err != nil || p.Name() != c.engine {
				t.Errorf("detected %v, %v; want %s", p, err, c.engine)
			}
		})
	}
}

func TestWhatCountsOneProtocolOnlyProvesNoSilence(t *testing.T) {
	ps := mustLoad(t)
	for page, partial := range map[string]bool{
		"model_infer_request_success_total 1\nrest_server_requests_in_progress 0\n": true,
		"bentoml_service_request_in_progress 0\n":                                   false,
	} {
		r, p, err := ps.Decode([]byte(page), "")
		if err != nil || r.Partial() != partial {
			t.Errorf("%q: partial %v, want %v (%v, %v)", page, r.Partial(), partial, p.Name(), err)
		}
	}
}

func TestEvidenceOfVersions(t *testing.T) {
	cases := map[string]struct{ page, want string }{
		"vLLM V0":                       {"vllm:num_requests_swapped 0\nvllm:gpu_cache_usage_perc 0\n", "V0 engine, to 0.9"},
		"vLLM V1, first releases":       {"vllm:gpu_cache_usage_perc{engine=\"0\"} 0\n", "V1 engine of 0.8 to 0.9.1"},
		"vLLM with both names":          {"vllm:gpu_cache_usage_perc{engine=\"0\"} 0\nvllm:kv_cache_usage_perc{engine=\"0\"} 0\n", "0.9.2 to 0.10, or up to 0.11 with hidden metrics shown"},
		"vLLM with the sleep state":     {"vllm:engine_sleep_state{sleep_state=\"awake\"} 1\n", "0.11.1 or later"},
		"vLLM with computed tokens":     {"vllm:request_prefill_kv_computed_tokens_count 0\n", "0.13 or 0.14"},
		"vLLM with tokens by source":    {"vllm:request_prefill_kv_computed_tokens_count 0\nvllm:prompt_tokens_by_source_total{source=\"x\"} 1\n", "0.15 or later"},
		"vLLM with waiting by reason":   {"vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 1\n", "0.20 or later"},
		"vLLM with max. concurrency":    {"vllm:cache_config_info{kv_cache_max_concurrency=\"9.5\"} 1\n", "0.24 or later"},
		"vLLM's Rust front end":         {"vllm:num_requests_running 1\n# EOF\n", "Rust front end, 0.23 or later"},
		"SGLang 0.4.4":                  {"sglang:time_per_output_token_seconds_count 1\n", "0.4.4 or before"},
		"SGLang 0.5":                    {"sglang:num_running_reqs{engine_type=\"unified\"} 1\n", "0.5 or later"},
		"data-parallel SGLang":          {"sglang:num_running_reqs{dp_rank=\"0\"} 1\n", "data-parallel"},
		"vLLM under Ray":                {"ray_vllm_num_requests_waiting_by_reason{reason=\"capacity\"} 1\n", "0.20 or later"},
		"llama.cpp with the cache":      {"llamacpp:kv_cache_usage_ratio 0\n", "before the second half of 2025"},
		"Knative with OpenTelemetry":    {"kn_serving_invocation_duration_seconds_count 1\n", "Knative 1.19 or later"},
		"Knative before OpenTelemetry":  {"revision_app_request_count 1\n", "before Knative 1.19"},
		"BentoML 1.0":                   {"bentoml_api_server_request_total 1\n", "1.0 or 1.1"},
		"NIM":                           {"num_request_max 1\ngpu_cache_usage_perc 0\n", "1.x"},
		"TensorRT-LLM, first releases":  {"trtllm_request_success_total 1\n", "before 1.3, or without enable_iter_perf_stats"},
		"Ray Serve without _total":      {"ray_serve_deployment_request_counter 1\n", "counters without _total"},
		"a Dynamo frontend with stages": {"dynamo_frontend_stage_requests{stage=\"route\"} 1\n", "2026 or later"},
	}
	ps := mustLoad(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := ps.Detect([]byte(c.page))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Evidence([]byte(c.page)); !slices.Contains(got, c.want) {
				t.Errorf("%s: evidence %q, want %q", p.Name(), got, c.want)
			}
		})
	}
	p, _ := ps.Named("vllm")
	if got := p.Evidence([]byte("<html>")); got != nil {
		t.Errorf("a page that cannot be read tells %q", got)
	}
}

func TestInspectSaysWhatIsMissingAndWhy(t *testing.T) {
	const page = "vllm:num_requests_running{engine=\"0\"} 1\nvllm:num_requests_waiting{engine=\"0\"} NaN\n" +
		"vllm:e2e_request_latency_seconds_count 3\n"
	in, err := mustLoad(t).Inspect([]byte(page), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]Missing{}
	for _, m := range in.Missing {
		missing[m.Name] = m
	}
	for name, want := range map[string]Missing{
		"inference_requests_waiting": {
			Reason: "vllm:num_requests_waiting is on the page, but not as a usable number", Sought: []string{"vllm:num_requests_waiting"},
		},
		"inference_requests_max": {Reason: "the engine does not tell"},
		"inference_prefill_tokens_total": {
			Reason: "none of the samples that tell is on the page",
			Sought: []string{"vllm:prompt_tokens_by_source_total"},
		},
		"inference_request_duration_seconds": {
			Reason: "vllm:e2e_request_latency_seconds_sum / vllm:e2e_request_latency_seconds_count is on the page, but not as a usable number",
			Sought: []string{"vllm:e2e_request_latency_seconds_sum"},
		},
	} {
		got := missing[name]
		if got.Reason != want.Reason || !slices.Equal(got.Sought, want.Sought) {
			t.Errorf("%s: %q, sought %q; want %q, %q", name, got.Reason, got.Sought, want.Reason, want.Sought)
		}
	}
	if _, ok := missing["inference_requests_running"]; ok || len(in.Notes) == 0 {
		t.Errorf("a value that is there is missing, or there are no notes: %+v", in)
	}
}

func TestInspectUsesTheProfileThatItIsGiven(t *testing.T) {
	page := []byte("vllm:num_requests_running 1\n")
	in, err := mustLoad(t).Inspect(page, "", mustNamed(t, "llm-d-inference-sim"))
	if err != nil || in.Engine != "llm-d-inference-sim" {
		t.Errorf("inspected as %+v, %v", in, err)
	}
	if _, err := mustLoad(t).Inspect(page, "", mustNamed(t, "tgi")); err == nil {
		t.Error("a page of another engine passes")
	}
	if _, err := mustLoad(t).Inspect([]byte("%"), "", nil); err == nil {
		t.Error("a page that is none passes")
	}
}

// Every embedded profile says what to do when its samples are missing, and has a page in testdata or in the corpus.
func TestEveryProfileIsTested(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range []string{"traps", "layouts", "corpus"} {
		for _, e := range readExpectations(t, filepath.Join("testdata", table+".tsv")) {
			seen[e.engine] = true
		}
	}
	for _, p := range mustLoad(t).all {
		if !seen[p.Name()] {
			t.Errorf("no page tests the profile %s", p.Name())
		}
		if p.spec.Remedy == "" {
			t.Errorf("profile %s has no remedy", p.Name())
		}
	}
	for _, name := range mustLoad(t).Names() {
		if _, err := os.Stat(filepath.Join("profiles", name+".yaml")); err != nil {
			t.Errorf("profile %s is not in a file of that name", name)
		}
	}
}
