package exposition

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// besides are names of a page that are nobody's new name.
var besides = []string{
	"vllm:num_requests_running", "vllm:kv_cache_usage_perc", "vllm:prompt_tokens_total", "vllm:generation_tokens_total",
	"vllm:time_to_first_token_seconds_count", "python_gc_objects_collected_total", "process_cpu_seconds_total", "vllm:num_preemptions_total",
}

func TestNearestFindsWhatWasRenamed(t *testing.T) {
	for trap, c := range map[string]struct{ sought, present string }{
		"words in another order":            {"vllm:num_requests_waiting", "vllm:num_waiting_requests"},
		"colon becomes underscore":          {"vllm:num_requests_waiting", "vllm_num_requests_waiting"},
		"the prefix changes":                {"vllm:num_requests_waiting", "acme_llm:num_requests_waiting"},
		"the prefix goes":                   {"vllm:num_requests_waiting", "num_requests_waiting"},
		"_total is added":                   {"vllm:request_success", "vllm:request_success_total"},
		"_total goes":                       {"vllm:request_success_total", "vllm:request_success"},
		"the unit changes":                  {"vllm:e2e_request_latency_seconds_count", "vllm:e2e_request_latency_milliseconds_count"},
		"singular and plural":               {"vllm:num_requests_waiting", "vllm:num_request_waiting"},
		"another word for waiting":          {"vllm:num_requests_waiting", "vllm:num_requests_queued"},
		"another word for finished":         {"vllm:request_success_total", "vllm:requests_completed_total"},
		"a word more":                       {"vllm:num_requests_waiting", "vllm:num_requests_waiting_by_reason"},
		"a slip of the pen":                 {"vllm:num_requests_waiting", "vllm:num_requests_waitng"},
		"capitals":                          {"vllm:num_requests_waiting", "vllm:Num_Requests_Waiting"},
		"a prefix that all the others have": {"sglang:num_queue_reqs", "vllm:num_queue_reqs"},
	} {
		t.Run(trap, func(t *testing.T) {
			if got := Nearest([]string{c.sought}, append(slices.Clone(besides), c.present), 3); len(got) == 0 || got[0] != c.present {
				t.Errorf("of %s: %q, want %s first", c.sought, got, c.present)
			}
		})
	}
}

func TestNearestFindsNothingWhereNothingIsLike(t *testing.T) {
	for _, sought := range []string{"vllm:num_requests_waiting", "vllm:request_success_total", ""} {
		if got := Nearest([]string{sought}, besides, 3); len(got) > 0 {
			t.Errorf("of %q: %q", sought, got)
		}
	}
	if got := Nearest([]string{"a"}, nil, 3); len(got) > 0 {
		t.Errorf("of nothing: %q", got)
	}
}

func TestNearestIsBounded(t *testing.T) {
	var names []string
	for i := range 3 * maxNames {
		names = append(names, fmt.Sprintf("vllm:num_requests_waiting_%d", i))
	}
	v := newNameIndex(names)
	if len(v.names) != maxNames {
		t.Errorf("%d names are looked at", len(v.names))
	}
	if got := Nearest([]string{"vllm:num_requests_waiting"}, names, 3); len(got) > 3 {
		t.Errorf("%d names are told", len(got))
	}
}

// needed are the names without which nothing is known of demand.
var needed = []signals.Metric{signals.RequestsWaiting, signals.RequestsRunning, signals.RequestsFinished}

func TestLacksNameWhatWasSoughtAndWhatIsThere(t *testing.T) {
	const rest = "vllm:num_requests_running 1\nvllm:kv_cache_usage_perc 0\nvllm:generation_tokens_total 7\n"
	for name, c := range map[string]struct{ page, want string }{
		"renamed": {
			rest + "vllm:num_waiting_requests 3\n",
			"inference_requests_waiting: sought vllm:num_requests_waiting; not on the page; nearest present: vllm:num_waiting_requests",
		},
		"gone":      {rest, "inference_requests_waiting: sought vllm:num_requests_waiting; not on the page"},
		"no number": {rest + "vllm:num_requests_waiting NaN\n", "vllm:num_requests_waiting is on the page, but"},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustNamed(t, "vllm")
			got := p.Lacks([]byte(c.page), needed[:1])[0].String()
			if !strings.Contains(got, c.want) || name == "gone" && strings.Contains(got, "nearest") {
				t.Errorf("says %q, want %q", got, c.want)
			}
		})
	}
	if got := mustNamed(t, "tgi").Lacks([]byte("a 1\n"), []signals.Metric{signals.LoRAAdaptersMax})[0].String(); !strings.Contains(got, "has no sample") {
		t.Errorf("of what the engine does not tell: %q", got)
	}
}

func TestAStrangePageIsToldByWhatItIsMostLike(t *testing.T) {
	for name, c := range map[string]struct {
		page string
		says []string
	}{
		"all renamed": {
			"acme_num_requests_waiting 1\nacme_num_requests_running 1\nacme_request_success_total 4\n",
			[]string{"most like one of vllm", "sought vllm:num_requests_waiting; not on the page; nearest present: acme_num_requests_waiting"},
		},
		"a gateway":   {"envoy_cluster_upstream_rq_active 1\n", []string{"Envoy"}},
		"no engine's": {"node_load1 1\n", nil},
		"no page":     {"<html>", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustLoad(t).Strange([]byte(c.page), needed)
			for _, part := range c.says {
				if !strings.Contains(got, part) {
					t.Errorf("says %q, want %q", got, part)
				}
			}
			if c.says == nil && got != "" {
				t.Errorf("says %q of a page that is like none", got)
			}
		})
	}
}

// A page of 2,000 names, twenty times those of an engine, that are all like something is looked through for every profile in about
// 0.1 s: that is done when a pod begins to fail, for one pod at a time.
func BenchmarkStrange(b *testing.B) {
	ps, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	var page strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&page, "acme_part%d_requests_%d_seconds 1\n", i%40, i)
	}
	text := []byte(page.String())
	for b.Loop() {
		ps.Strange(text, needed)
	}
}
