package exposition

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestHintsOfPagesWithoutAnEngine(t *testing.T) {
	const noise = "process_start_time_seconds 1\npython_gc_objects_collected_total 5\n"
	for name, c := range map[string]struct {
		page, says string
		relevant   []string
	}{
		"a router":        {"vllm:current_qps{server=\"a\"} 1\n", "production-stack router", nil},
		"other routers":   {"vllm:num_requests_running{server=\"a\"} 1\n", "label server", nil},
		"a gateway":       {noise + "llm_d_epp_request_total 1\n", "llm-d endpoint picker", []string{"llm_d_epp_request_total"}},
		"a GPU exporter":  {"DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 1\n", "GPU exporter", nil},
		"an idle engine":  {"# TYPE trtllm_num_requests_running gauge\n# TYPE trtllm_request_success counter\n", "it declares trtllm_num_requests_running, trtllm_request_success, as tensorrt-llm does, without a sample", nil},
		"a new engine":    {noise + "acme_queue_depth 1\nacme_step_seconds_bucket{le=\"1\"} 1\n", "", []string{"acme_queue_depth"}},
		"nothing telling": {noise, "", nil},
		"an idle one between samples": {
			noise + "# TYPE ts_inference_requests_total counter\n", "it declares ts_inference_requests_total, as torchserve does, without a sample", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := mustLoad(t).Hint([]byte(c.page))
			if err != nil {
				t.Fatal(err)
			}
			if got := h.String(); !strings.Contains(got, c.says) || c.says == "" && got != "" {
				t.Errorf("says %q, want %q", got, c.says)
			}
			if c.relevant != nil && !slices.Equal(h.Relevant, c.relevant) {
				t.Errorf("relevant are %q, want %q", h.Relevant, c.relevant)
			}
		})
	}
	if _, err := mustLoad(t).Hint([]byte("<html>")); !errors.Is(err, ErrNotExposition) {
		t.Errorf("HTML: %v", err)
	}
	many := strings.Builder{}
	for c := 'a'; c <= 'z'; c++ {
		many.WriteString("acme_requests_" + string(c) + " 1\n")
	}
	if h, err := mustLoad(t).Hint([]byte(many.String())); err != nil || len(h.Relevant) != maxRelevant {
		t.Errorf("%d names are relevant, %v", len(h.Relevant), err)
	}
}

func TestAPageWithoutSamplesIsIdleOrEmpty(t *testing.T) {
	p := mustNamed(t, "vllm")
	for page, want := range map[string]error{"": ErrNotExposition, "\n\n": ErrNotExposition, "# TYPE vllm:num_requests_running gauge\n": ErrNoEngine, "# EOF\n": ErrNoEngine} {
		if _, err := mustLoad(t).Detect([]byte(page)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", page, err, want)
		}
		if _, err := Decode([]byte(page), "", p); !errors.Is(err, want) {
			t.Errorf("%q by a profile: %v, want %v", page, err, want)
		}
	}
}

func TestWhatIsMissingMatters(t *testing.T) {
	for m, text := range scalarMatters {
		if text == "" {
			t.Errorf("%v: nothing is said of what it matters for", m)
		}
	}
	for l, text := range latencyMatters {
		if text == "" {
			t.Errorf("%v: nothing is said of what it matters for", l)
		}
	}
}
