package front

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

var (
	picker  = Gateway{Kind: v1alpha1.GatewayEndpointPicker, Namespace: "ml", Service: "epp", Port: 9090, Pool: "qwen", PoolNamespace: "ml"}
	knative = Gateway{Kind: v1alpha1.GatewayKnative, Namespace: "knative-serving", Service: "activator-service", Port: 9090, Pool: "chat-00001", PoolNamespace: "ml"}
)

func TestPageTellsWhatIsHeld(t *testing.T) {
	const (
		saturation = `llm_d_epp_flow_control_pool_saturation{inference_pool="qwen",stage="effective"} 1` + "\n"
		queue      = `llm_d_epp_flow_control_queue_size{inference_pool="qwen",fairness_id="a"} 2` + "\n" + `llm_d_epp_flow_control_queue_size{inference_pool="qwen",fairness_id="b"} 3` + "\n"
		legacy     = `inference_extension_flow_control_queue_size{inference_pool="qwen"} 4` + "\n"
		kn         = `kn_revision_request_queued{k8s_namespace_name="ml",kn_revision_name="chat-00001"} 6` + "\n"
	)
	for name, c := range map[string]struct {
		of    Gateway
		page  string
		want  tally
		blind bool
	}{
		"all queues of the pool":                                  {of: picker, page: queue, want: tally{held: 5}},
		"legacy names":                                            {of: picker, page: legacy, want: tally{held: 4}},
		"legacy names beside new ones are not added":              {of: picker, page: legacy + queue, want: tally{held: 5}},
		"a legacy name where the new one is of another pool":      {of: picker, page: legacy + strings.ReplaceAll(queue, "qwen", "other"), want: tally{held: 4}},
		"a queue that says zero":                                  {of: picker, page: `llm_d_epp_flow_control_queue_size{inference_pool="qwen"} 0` + "\n"},
		"no queue, and flow control is on":                        {of: picker, page: saturation},
		"no queue, and flow control is on under its legacy name":  {of: picker, page: `inference_extension_flow_control_pool_saturation{inference_pool="qwen"} 1` + "\n"},
		"no queue, and flow control is on for another pool":       {of: picker, page: strings.ReplaceAll(saturation, "qwen", "other"), blind: true},
		"no flow control":                                         {of: picker, page: `llm_d_epp_request_total{model_name="a"} 9` + "\n", blind: true},
		"another pool's queue":                                    {of: picker, page: strings.ReplaceAll(queue, "qwen", "other"), blind: true},
		"queues of no pool, as in the extension before 1.3":       {of: picker, page: `inference_extension_flow_control_queue_size{fairness_id="a",priority="0"} 0` + "\n", blind: true},
		"an empty page":                                           {of: picker, blind: true},
		"a queue that is not a number":                            {of: picker, page: saturation + `llm_d_epp_flow_control_queue_size{inference_pool="qwen"} NaN` + "\n", blind: true},
		"a queue that is below zero":                              {of: picker, page: saturation + `llm_d_epp_flow_control_queue_size{inference_pool="qwen"} -1` + "\n", blind: true},
		"a queue that is infinite":                                {of: picker, page: saturation + `llm_d_epp_flow_control_queue_size{inference_pool="qwen"} +Inf` + "\n", blind: true},
		"a queue that is a histogram":                             {of: picker, page: "# TYPE llm_d_epp_flow_control_queue_size histogram\n" + `llm_d_epp_flow_control_queue_size_count{inference_pool="qwen"} 1` + "\n", blind: true},
		"what was sent on, of all models, under the new name":     {of: picker, page: saturation + "llm_d_epp_request_total{model_name=\"a\"} 7\nllm_d_epp_request_total{model_name=\"b\"} 1\ninference_objective_request_total{model_name=\"a\"} 7\n", want: tally{passed: 8}},
		"what was sent on, under the oldest name":                 {of: picker, page: saturation + "inference_model_request_total{model_name=\"a\"} 7\n", want: tally{passed: 7}},
		"a revision's queue":                                      {of: knative, page: kn, want: tally{held: 6}},
		"another revision's queue: this one never had any":        {of: knative, page: strings.ReplaceAll(kn, "00001", "00002")},
		"a revision of the same name in another namespace":        {of: knative, page: strings.ReplaceAll(kn, `"ml"`, `"other"`)},
		"a Knative page without queues":                           {of: knative, page: `kn_revision_request_concurrency{kn_revision_name="chat-00001"} 0` + "\n", blind: true},
		"a gateway of another kind, as a later API may allow one": {of: Gateway{Kind: "Other"}, blind: true},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := parsePage([]byte(c.page), "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := page.of(c.of)
			if got.held != c.want.held || got.passed != c.want.passed || (err != nil) != c.blind {
				t.Errorf("%+v, error %v; want %+v, an error: %v", got, err, c.want, c.blind)
			}
			if c.blind && c.of.Kind != "Other" && !errors.Is(err, errBlind) {
				t.Errorf("error %v does not say that the page does not tell", err)
			}
		})
	}
}

func TestPageMustBeAMetricPage(t *testing.T) {
	for name, page := range map[string]string{
		"HTML":           "<html><body>llm_d_epp_flow_control_queue_size</body></html>\n",
		"JSON":           `{"held": 0}`,
		"binary":         "\x00\x01\xff\xfe\n",
		"a page cut off": `llm_d_epp_flow_control_queue_size{inference_pool="qwen"} 1`,
		"a sample twice": strings.Repeat(`llm_d_epp_flow_control_queue_size{inference_pool="qwen"} 1`+"\n", 2),
	} {
		if _, err := parsePage([]byte(page), ""); err == nil {
			t.Errorf("%s is taken for a metric page", name)
		}
	}
}

// TestPagesAsGatewaysServeThem reads pages that were collected beside the project, where they are.
func TestPagesAsGatewaysServeThem(t *testing.T) {
	const dir = "../../../shared/expositions"
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no collected metric pages: %v", err)
	}
	for file, c := range map[string]struct {
		of    Gateway
		want  tally
		blind bool
	}{
		"llm-d-router-epp-0.10.handmade.prom":    {of: Gateway{Kind: v1alpha1.GatewayEndpointPicker, Pool: "llm-d-inference-pool"}, want: tally{held: 12, passed: 9210}},
		"knative-queue-proxy-1.21.handmade.prom": {of: knative, blind: true}, // not the activator's
		"vllm-0.13.prom":                         {of: picker, blind: true},
		"envoy-istio-1.30.handmade.prom":         {of: picker, blind: true},
		"sglang-0.5-2026.02.handmade.prom":       {of: knative, blind: true},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		page, err := parsePage(text, "")
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got, err := page.of(c.of); got.held != c.want.held || got.passed != c.want.passed || errors.Is(err, errBlind) != c.blind {
			t.Errorf("%s: %+v, error %v; want %+v, an error: %v", file, got, err, c.want, c.blind)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add(`llm_d_epp_flow_control_queue_size{inference_pool="qwen"} 1` + "\n")
	f.Add("# TYPE kn_revision_request_queued gauge\nkn_revision_request_queued{} NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		page, err := parsePage([]byte(text), "")
		if err != nil {
			return
		}
		for _, g := range []Gateway{picker, knative} {
			if got, _ := page.of(g); !(got.held >= 0) || !(got.passed >= 0) {
				t.Errorf("%+v of %q", got, text)
			}
		}
	})
}
