package emulator

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

const testModel = "test/model"

// swift is a profile for tests: a token every 2 ms.
func swift() replica.Profile {
	return replica.Profile{
		Name: "swift", Model: testModel, GPUs: 1,
		StepBase: 2, PrefillPerToken: 0.001, APIOverhead: 1,
		KVTokens: 16000, BlockSize: 16, MaxNumSeqs: 8, MaxNumBatchedTokens: 2048, MaxModelLen: 8192, StreamInterval: 4,
	}
}

// startPod serves a replica on loopback until the test ends.
func startPod(t *testing.T, profile replica.Profile) (*PodServer, string) {
	t.Helper()
	pod, err := New(Options{Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.64.255.1:0")
	if err != nil {
		t.Skipf("this machine has no address 127.64.255.1: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- pod.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = pod.Shutdown(ctx) // streams a test left open are cut
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return pod, "http://" + listener.Addr().String()
}

func loadedPod(t *testing.T, profile replica.Profile) (*PodServer, string) {
	t.Helper()
	pod, url := startPod(t, profile)
	pod.MarkLoaded()
	return pod, url
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func post(t *testing.T, url, body string, headers map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		request.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// value finds one series on a page by its name and a part of its labels.
func value(t *testing.T, page, name, labels string) float64 {
	t.Helper()
	scan := bufio.NewScanner(strings.NewReader(page))
	for scan.Scan() {
		line := scan.Text()
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") || !strings.Contains(line, labels) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	t.Fatalf("no %s with %q on the page", name, labels)
	return 0
}

func TestWhileLoadingEverythingIsUnavailable(t *testing.T) {
	pod, url := startPod(t, swift())
	for _, path := range []string{"/health", "/metrics", "/version", "/v1/models"} {
		if status, _ := get(t, url+path); status != http.StatusServiceUnavailable {
			t.Errorf("%s while loading: %d", path, status)
		}
	}
	if status, _ := post(t, url+"/v1/completions", `{"prompt":"x"}`, nil); status != http.StatusServiceUnavailable {
		t.Errorf("completion while loading: %d", status)
	}
	pod.MarkLoaded()
	for _, path := range []string{"/health", "/metrics", "/version", "/v1/models"} {
		if status, _ := get(t, url+path); status != http.StatusOK {
			t.Errorf("%s when loaded: %d", path, status)
		}
	}
}

// events splits a stream into the JSON of its chunks, without [DONE].
func events(t *testing.T, stream string) []map[string]any {
	t.Helper()
	var out []map[string]any
	parts := strings.Split(strings.TrimSpace(stream), "\n\n")
	for i, part := range parts {
		data, ok := strings.CutPrefix(part, "data: ")
		if !ok {
			t.Fatalf("no event: %q", part)
		}
		if i == len(parts)-1 {
			if data != "[DONE]" {
				t.Fatalf("the stream ends with %q", data)
			}
			break
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		out = append(out, v)
	}
	return out
}

func choice(v map[string]any) map[string]any {
	list, _ := v["choices"].([]any)
	if len(list) == 0 {
		return nil
	}
	return list[0].(map[string]any)
}

func TestStreamedCompletion(t *testing.T) {
	_, url := loadedPod(t, swift())
	status, text := post(t, url+"/v1/completions",
		`{"model":"test/model","prompt":"12345678","max_tokens":10,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`, nil)
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, text)
	}
	var words []int
	var reasons []any
	chunks := events(t, text)
	for _, v := range chunks[:len(chunks)-1] {
		words = append(words, strings.Count(choice(v)["text"].(string), filler))
		reasons = append(reasons, choice(v)["finish_reason"])
	}
	total := 0
	for _, n := range words {
		total += n
	}
	// 1, 4, 4, 1, unless this process was held up and chunks ran together.
	if words[0] < 1 || total != 10 || len(words) > 4 {
		t.Errorf("tokens per chunk: %v", words)
	}
	if last := reasons[len(reasons)-1]; last != "length" {
		t.Errorf("finish reasons: %v", reasons)
	}
	// The prompt as it stands in the body, with its quotes, is ten characters.
	want := map[string]any{"prompt_tokens": 2.0, "total_tokens": 12.0, "completion_tokens": 10.0}
	if diff := cmp.Diff(want, chunks[len(chunks)-1]["usage"]); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestChatStopsByItself(t *testing.T) {
	_, url := loadedPod(t, swift())
	headers := map[string]string{PromptTokensHeader: "700", CachedTokensHeader: "600", OutputTokensHeader: "5"}
	_, text := post(t, url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"max_tokens":50}`, headers)
	var got struct {
		Object  string
		Choices []struct {
			Reason  string `json:"finish_reason"`
			Message struct{ Content string }
		}
		Usage map[string]int
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Object != "chat.completion" || got.Choices[0].Reason != "stop" || got.Choices[0].Message.Content != strings.Repeat(filler, 5) || got.Usage["prompt_tokens"] != 700 {
		t.Errorf("got %+v", got)
	}
	_, page := get(t, url+"/metrics")
	for series, want := range map[string]float64{
		`vllm:request_success_total finished_reason="stop"`:         1,
		`vllm:prompt_tokens_total model_name`:                       700,
		`vllm:prompt_tokens_by_source_total source="local_compute"`: 100,
		`vllm:prefix_cache_hits_total model_name`:                   600,
		`vllm:generation_tokens_total model_name`:                   5,
	} {
		name, labels, _ := strings.Cut(series, " ")
		if v := value(t, page, name, labels); v != want {
			t.Errorf("%s = %v, want %v", series, v, want)
		}
	}
}

func TestStreamedChat(t *testing.T) {
	_, url := loadedPod(t, swift())
	_, text := post(t, url+"/v1/chat/completions", `{"messages":[],"max_completion_tokens":3,"ignore_eos":true,"stream":true}`, nil)
	var content string
	for _, v := range events(t, text) {
		delta := choice(v)["delta"].(map[string]any)
		if s, ok := delta["content"].(string); ok {
			content += s
		}
	}
	if content != strings.Repeat(filler, 3) {
		t.Errorf("content %q", content)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	_, url := loadedPod(t, swift())
	tests := map[string]struct {
		body    string
		headers map[string]string
		status  int
		say     string
	}{
		"no JSON":            {"{", nil, 400, "body"},
		"no prompt":          {`{}`, nil, 400, "prompt"},
		"another model":      {`{"model":"gpt-2","prompt":"x"}`, nil, 404, testModel},
		"no tokens wanted":   {`{"prompt":"x","max_tokens":0}`, nil, 400, "max_tokens"},
		"beyond the context": {`{"prompt":"x","max_tokens":10}`, map[string]string{PromptTokensHeader: "8190"}, 400, "the model takes 8192"},
		"a header of words":  {`{"prompt":"x"}`, map[string]string{PromptTokensHeader: "many"}, 400, PromptTokensHeader},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			status, text := post(t, url+"/v1/completions", tc.body, tc.headers)
			if status != tc.status || !strings.Contains(text, tc.say) {
				t.Errorf("%d %s, want %d with %q", status, text, tc.status, tc.say)
			}
		})
	}
}

// begin starts a stream that lasts for tokens and returns when its first byte
// is here.
func begin(t *testing.T, ctx context.Context, url string, tokens int) *http.Response {
	t.Helper()
	body := fmt.Sprintf(`{"prompt":"x","max_tokens":%d,"ignore_eos":true,"stream":true}`, tokens)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// eventually waits up to five seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within five seconds: %s", what)
}

func TestClientThatLeavesIsCancelled(t *testing.T) {
	pod, url := loadedPod(t, swift())
	ctx, leave := context.WithCancel(context.Background())
	begin(t, ctx, url, 8000)
	if pod.Inflight() != 1 {
		t.Fatalf("%d under way", pod.Inflight())
	}
	leave()
	eventually(t, "the request is aborted", func() bool { return pod.Inflight() == 0 })
	_, page := get(t, url+"/metrics")
	if v := value(t, page, "vllm:request_success_total", `"abort"`); v != 1 {
		t.Errorf("aborted: %v", v)
	}
	if v := value(t, page, "vllm:kv_cache_usage_perc", ""); v != 0 {
		t.Errorf("KV usage %v", v)
	}
}

func TestDrainFinishesStreamsAndKeepsMetrics(t *testing.T) {
	pod, url := loadedPod(t, swift())
	response := begin(t, t.Context(), url, 150) // 0.3 s
	drained := make(chan error, 1)
	go func() { drained <- pod.Drain(t.Context()) }()
	eventually(t, "health fails", func() bool { status, _ := get(t, url+"/health"); return status == 503 })
	if status, _ := post(t, url+"/v1/completions", `{"prompt":"x"}`, nil); status != 503 {
		t.Errorf("new work while draining: %d", status)
	}
	if status, _ := get(t, url+"/metrics"); status != 200 {
		t.Errorf("metrics while draining: %d", status)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || !bytes.HasSuffix(text, []byte("data: [DONE]\n\n")) {
		t.Errorf("the running stream was cut: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	pod, url := loadedPod(t, swift())
	set := func(f Fault) {
		t.Helper()
		if err := pod.SetFault(f); err != nil {
			t.Fatal(err)
		}
	}
	work := func() { post(t, url+"/v1/completions", `{"prompt":"x","max_tokens":2,"ignore_eos":true}`, nil) }

	set(StaleFault)
	work()
	if _, page := get(t, url+"/metrics"); value(t, page, "vllm:generation_tokens_total", "") != 0 {
		t.Error("a stale page moves")
	}
	set(NoFault)
	if _, page := get(t, url+"/metrics"); value(t, page, "vllm:generation_tokens_total", "") != 2 {
		t.Error("the page does not recover")
	}
	set(NaNFault)
	if _, page := get(t, url+"/metrics"); !math.IsNaN(value(t, page, "vllm:num_requests_running", "")) || math.IsNaN(value(t, page, "process_max_fds", "")) {
		t.Error("want NaN for the engine's values and only for them")
	}
	set(ErrorFault)
	if status, _ := get(t, url+"/metrics"); status != 500 {
		t.Errorf("error fault: %d", status)
	}
	set(GarbageFault)
	_, page := get(t, url+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(page)); err == nil {
		t.Error("garbage can be parsed")
	}
	set(HangFault)
	client := &http.Client{Timeout: 100 * time.Millisecond}
	if _, err := client.Get(url + "/metrics"); err == nil {
		t.Error("hang fault answered")
	}
	if err := pod.SetFault("sulk"); err == nil {
		t.Error("an unknown fault must be an error")
	}
}

func TestRestartResetsCountersAndBreaksStreams(t *testing.T) {
	pod, url := loadedPod(t, swift())
	post(t, url+"/v1/completions", `{"prompt":"x","max_tokens":5,"ignore_eos":true}`, nil)
	_, before := get(t, url+"/metrics")
	response := begin(t, t.Context(), url, 8000)
	if err := pod.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("the stream ended as if complete")
	}
	_, after := get(t, url+"/metrics")
	if value(t, before, "vllm:generation_tokens_total", "") != 5 || value(t, after, "vllm:generation_tokens_total", "") != 0 {
		t.Error("the counter did not go from 5 to 0")
	}
	if value(t, after, "process_start_time_seconds", "") < value(t, before, "process_start_time_seconds", "") {
		t.Error("the process got older")
	}
}

// TestPageIsVLLMs parses the page with Prometheus' own parser and looks for all
// families and buckets by their names at vLLM.
func TestPageIsVLLMs(t *testing.T) {
	profile := swift()
	profile.MaxModelLen = 131072
	profile.KVTokens = 1 << 20
	_, url := loadedPod(t, profile)
	post(t, url+"/v1/completions", `{"prompt":"x","max_tokens":3,"ignore_eos":true}`, nil)
	_, page := get(t, url+"/metrics")
	if n := len(page); n < 41_000 || n > 80_000 {
		t.Errorf("%d bytes: real pages have 41 to 60 KB", n)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for name, buckets := range map[string]int{
		"vllm:time_to_first_token_seconds": 23, "vllm:inter_token_latency_seconds": 20,
		"vllm:request_time_per_output_token_seconds": 20, "vllm:e2e_request_latency_seconds": 22,
		"vllm:request_queue_time_seconds": 22, "vllm:request_inference_time_seconds": 22,
		"vllm:request_prefill_time_seconds": 22, "vllm:request_decode_time_seconds": 22,
		"vllm:request_prompt_tokens": 17, "vllm:request_generation_tokens": 17, "vllm:iteration_tokens_total": 14,
		"vllm:request_max_num_generation_tokens": 17, "vllm:request_params_n": 6, "vllm:request_params_max_tokens": 17,
		"vllm:request_prefill_kv_computed_tokens": 17, "http_request_duration_highr_seconds": 22, "http_request_duration_seconds": 4,
	} {
		family, ok := families[name]
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		h := family.Metric[0].Histogram
		if len(h.Bucket) != buckets || h.GetSampleCount() == 0 {
			t.Errorf("%s: %d buckets and %d observations, want %d and some", name, len(h.Bucket), h.GetSampleCount(), buckets)
		}
		if _, ok := families[name+"_created"]; !ok {
			t.Errorf("%s_created is missing", name)
		}
	}
	for _, name := range []string{
		"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:num_requests_waiting_by_reason", "vllm:engine_sleep_state",
		"vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:external_prefix_cache_queries_total",
		"vllm:external_prefix_cache_hits_total", "vllm:mm_cache_queries_total", "vllm:mm_cache_hits_total", "vllm:num_preemptions_total",
		"vllm:prompt_tokens_total", "vllm:prompt_tokens_by_source_total", "vllm:prompt_tokens_cached_total", "vllm:generation_tokens_total",
		"vllm:request_success_total", "vllm:request_success_created", "vllm:cache_config_info", "http_requests_total",
		"process_start_time_seconds", "process_cpu_seconds_total", "python_info",
	} {
		if len(families[name].GetMetric()) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	for _, pair := range families["vllm:num_requests_running"].Metric[0].Label {
		if want := map[string]string{"engine": "0", "model_name": testModel}[pair.GetName()]; pair.GetValue() != want {
			t.Errorf("label %s=%q, want %q", pair.GetName(), pair.GetValue(), want)
		}
	}
}

func TestFloatsAreWrittenAsPythonDoes(t *testing.T) {
	for want, v := range map[string]float64{
		"0.0": 0, "3.0": 3, "0.45": 0.45, "999999.0": 999999, "1e+06": 1e6, "1.8932842496e+10": 18932842496,
		"1.7682643395e+09": 1768264339.5, "1e-05": 1e-5, "+Inf": math.Inf(1), "NaN": math.NaN(), "-2.5": -2.5,
	} {
		if got := string(appendFloat(nil, v)); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	pod, err := New(Options{Profile: swift()})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		pod.page()
	}
	if err := pod.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}
