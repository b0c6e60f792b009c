package front

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func of(kind v1alpha1.GatewayKind, pool string) Gateway {
	return Gateway{Kind: kind, Pool: pool, PoolNamespace: "ml"}
}

func TestAGatewayIsAFile(t *testing.T) {
	for kind, p := range profiles {
		spec := &v1alpha1.Gateway{Kind: kind}
		if spec.Holds() != p.Holds || (Gateway{Kind: kind}).Holds() != p.Holds {
			t.Errorf("%s: its profile says that it holds requests: %v; the API says %v", kind, p.Holds, spec.Holds())
		}
		if port, path := Address(kind); port != p.Port || path != p.Path || port < 1 || !strings.HasPrefix(path, "/") {
			t.Errorf("%s: its page is at port %d, path %q", kind, port, path)
		}
		if p.Name == "" || p.Pool == "" || p.Remedy == "" {
			t.Errorf("%s: %+v lacks words", kind, p)
		}
		for i := 1; i < len(p.Requests); i++ {
			if p.Requests[i].Counted > p.Requests[i-1].Counted {
				t.Errorf("%s: %v sees more than %v and comes after it", kind, p.Requests[i].Sample, p.Requests[i-1].Sample)
			}
		}
	}
	for name, text := range map[string]string{
		"a way of counting that there is not": "kind: A\nrequests: [{sample: a, counted: never}]\n",
		"a holder that cannot say so":         "kind: A\nholds: true\nwaiting: [{sample: a}]\n",
		"a field that there is not":           "kind: A\nqueue: []\n",
		"a name that is none":                 "kind: A\nwaiting: [{sample: {a: b}}]\n",
	} {
		if _, err := parseProfile([]byte(text)); err == nil {
			t.Errorf("%s is taken for a profile", name)
		}
	}
	if (&Gateway{Kind: "Other"}).Holds() || (*v1alpha1.Gateway)(nil).Holds() {
		t.Error("an unknown gateway is said to hold requests")
	}
	if port, path := Address("Other"); port != 9090 || path != "/metrics" {
		t.Errorf("the page of an unknown gateway is at %d%s", port, path)
	}
}

// trap is a page and what it says of a pool.
type trap struct {
	of    Gateway
	page  string
	want  tally
	blind bool
}

const envoyPage = `envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|8000||llm.ml.svc.cluster.local"} 100
envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|8000|v2|llm.ml.svc.cluster.local"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|8000||llm-canary.ml.svc.cluster.local"} 1000
envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|8000||llm.other.svc.cluster.local"} 1000
envoy_cluster_upstream_rq_retry{envoy_cluster_name="outbound|8000||llm.ml.svc.cluster.local"} 5
envoy_cluster_upstream_cx_none_healthy{envoy_cluster_name="outbound|8000||llm.ml.svc.cluster.local"} 2
envoy_cluster_upstream_rq_pending_overflow{envoy_cluster_name="outbound|8000||llm.ml.svc.cluster.local"} 1
envoy_cluster_upstream_rq_active{envoy_cluster_name="outbound|8000||llm.ml.svc.cluster.local"} 7
envoy_cluster_upstream_rq_pending_active{envoy_cluster_name="outbound|8000||llm.ml.svc.cluster.local"} 3
`

const istioPage = `istio_requests_total{reporter="source",destination_service_name="llm",destination_service_namespace="ml",response_code="200"} 40
istio_requests_total{reporter="source",destination_service_name="llm",destination_service_namespace="ml",response_code="503",response_flags="UH",destination_workload="unknown"} 2
istio_requests_total{reporter="destination",destination_service_name="llm",destination_service_namespace="ml",response_code="200"} 41
istio_requests_total{reporter="source",destination_service_name="llm",destination_service_namespace="other",response_code="200"} 9
`

const routerPage = `vllm:num_incoming_requests_total{model="qwen"} 12
vllm:num_incoming_requests_total{model="other"} 70
vllm:current_qps{server="http://a:8000"} 3
vllm:num_requests_running{server="http://a:8000"} 33
vllm:num_requests_waiting{server="http://a:8000"} 44
`

var traps = map[string]trap{
	"EPP: deprecated names are published beside the new ones": {
		of: of(v1alpha1.GatewayEndpointPicker, "qwen"),
		page: `llm_d_epp_flow_control_queue_size{inference_pool="qwen"} 2
inference_extension_flow_control_queue_size{inference_pool="qwen"} 2
llm_d_epp_request_total{model_name="a"} 7
inference_objective_request_total{model_name="a"} 7
llm_d_epp_request_running{model_name="a"} 3
inference_objective_running_requests{model_name="a"} 3
`,
		want: tally{2, true, 7, scaling.CountedSent, "llm_d_epp_request_total", 3, true},
	},
	"EPP: legacy names alone": {
		of: of(v1alpha1.GatewayEndpointPicker, "qwen"),
		page: `inference_extension_flow_control_pool_saturation{inference_pool="qwen"} 0
inference_objective_request_total{model_name="a"} 7
inference_objective_running_requests{model_name="a"} 3
`,
		want: tally{0, true, 7, scaling.CountedSent, "inference_objective_request_total", 3, true},
	},
	"EPP: the pool's averages and an empty pool's running requests prove nothing": {
		of:    of(v1alpha1.GatewayEndpointPicker, "qwen"),
		page:  "llm_d_epp_average_queue_size{name=\"qwen\"} 0\nllm_d_epp_request_running{model_name=\"a\"} 0\nllm_d_epp_request_total{model_name=\"a\"} 0\n",
		blind: true,
	},
	"Knative: the activator counts no requests": {
		of:   of(v1alpha1.GatewayKnative, "chat"),
		page: `kn_revision_request_queued{k8s_namespace_name="ml",kn_revision_name="chat"} 6` + "\n",
		want: tally{held: 6, heldKnown: true},
	},
	"Knative: the queue-proxy is no activator": {
		of:    of(v1alpha1.GatewayKnative, "chat"),
		page:  "kn_serving_queue_depth 0\nkn_serving_invocation_duration_seconds_count 40\n",
		blind: true,
	},
	"KEDA: concurrency is what is held and what is in flight": {
		of: of(v1alpha1.GatewayKEDAHTTPAddOn, "chat"),
		page: `interceptor_request_concurrency{route_name="chat",route_namespace="ml"} 4
interceptor_request_concurrency{route_name="chat",route_namespace="other"} 9
interceptor_request_count_total{route_name="chat",route_namespace="ml",code="200"} 10
interceptor_request_count_total{route_name="chat",route_namespace="ml",code="502"} 1
`,
		want: tally{4, true, 11, scaling.CountedEnded, "interceptor_request_count_total", 4, true},
	},
	"KEDA: before 0.13 by host": {
		of:   of(v1alpha1.GatewayKEDAHTTPAddOn, "chat.example.org"),
		page: "interceptor_pending_requests{host=\"chat.example.org\"} 2\ninterceptor_requests_total{host=\"chat.example.org\",path=\"/\"} 8\n",
		want: tally{2, true, 8, scaling.CountedEnded, "interceptor_requests_total", 2, true},
	},
	"KEDA: another route's concurrency proves that this one's would be there": {
		of:   of(v1alpha1.GatewayKEDAHTTPAddOn, "chat"),
		page: `interceptor_request_concurrency{route_name="other",route_namespace="ml"} 4` + "\n",
		want: tally{heldKnown: true},
	},
	"Envoy: clusters are named after what they were made of, with ports and subsets": {
		of: of(v1alpha1.GatewayEnvoy, "llm"), page: envoyPage,
		want: tally{3, true, 108, scaling.CountedSent, "envoy_cluster_upstream_rq_total", 10, true},
	},
	"Envoy: a cluster by its full name": {
		of: of(v1alpha1.GatewayEnvoy, "outbound|8000|v2|llm.ml.svc.cluster.local"), page: envoyPage,
		want: tally{passed: 10, counted: scaling.CountedSent, source: "envoy_cluster_upstream_rq_total"},
	},
	"Envoy: the rules of an HTTPRoute are clusters each": {
		of: of(v1alpha1.GatewayEnvoy, "llm"),
		page: `envoy_cluster_upstream_rq_total{envoy_cluster_name="httproute/ml/llm/rule/0"} 4
envoy_cluster_upstream_rq_total{envoy_cluster_name="httproute/ml/llm/rule/1"} 3
envoy_cluster_upstream_rq_total{envoy_cluster_name="httproute/ml/llm-2/rule/0"} 100
`,
		want: tally{passed: 7, counted: scaling.CountedSent, source: "envoy_cluster_upstream_rq_total"},
	},
	"Envoy: requests for which no host is there are not in rq_total": {
		of: of(v1alpha1.GatewayEnvoy, "c"),
		page: `envoy_cluster_upstream_rq_total{envoy_cluster_name="c"} 0
envoy_cluster_upstream_cx_none_healthy{envoy_cluster_name="c"} 19
`,
		want: tally{passed: 19, counted: scaling.CountedSent, source: "envoy_cluster_upstream_rq_total"},
	},
	"Envoy: all of a listener's requests are not a cluster's": {
		of:    of(v1alpha1.GatewayEnvoy, "llm"),
		page:  "envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix=\"http\"} 9\n",
		blind: true,
	},
	"Istio: source and destination report the same requests": {
		of: of(v1alpha1.GatewayIstio, "llm"), page: istioPage,
		want: tally{passed: 42, counted: scaling.CountedEnded, source: "istio_requests_total"},
	},
	"Istio: only the destination reports": {
		of:   of(v1alpha1.GatewayIstio, "llm"),
		page: strings.ReplaceAll(istioPage, `"source"`, `"elsewhere"`),
		want: tally{passed: 41, counted: scaling.CountedEnded, source: "istio_requests_total"},
	},
	"Istio: the label of a cluster is cluster_name": {
		of: of(v1alpha1.GatewayIstio, "llm"), page: istioPage + strings.ReplaceAll(envoyPage, "envoy_cluster_name", "cluster_name"),
		want: tally{3, true, 108, scaling.CountedSent, "envoy_cluster_upstream_rq_total", 10, true},
	},
	"Istio: a waypoint reports by that name": {
		of:   of(v1alpha1.GatewayIstio, "llm"),
		page: strings.ReplaceAll(istioPage, `"source"`, `"waypoint"`) + "envoy_cluster_upstream_rq_total{cluster_name=\"xds-grpc\"} 2\n",
		want: tally{passed: 42, counted: scaling.CountedEnded, source: "istio_requests_total"},
	},
	"Envoy: kgateway's cluster of an InferencePool": {
		of: of(v1alpha1.GatewayEnvoy, "chat-pool"),
		page: `envoy_cluster_upstream_rq_total{envoy_cluster_name="endpointpicker_chat-pool_ml_original_dst"} 700
envoy_cluster_upstream_rq_total{envoy_cluster_name="endpointpicker_chat-pool_ml_ext_proc"} 9
`,
		want: tally{passed: 700, counted: scaling.CountedSent, source: "envoy_cluster_upstream_rq_total"},
	},
	"KEDA: the counter of a release before routes": {
		of: of(v1alpha1.GatewayKEDAHTTPAddOn, "llm.example"),
		page: `interceptor_pending_request_count{host="llm.example"} 5
interceptor_request_count_total{code="200",host="llm.example",method="post",path="/v1"} 21
interceptor_request_count_total{code="200",host="other.example",method="post",path="/v1"} 30
`,
		want: tally{5, true, 21, scaling.CountedEnded, "interceptor_requests_total", 5, true},
	},
	"Istio: Envoy's cluster statistics see more than Istio's own": {
		of: of(v1alpha1.GatewayIstio, "llm"), page: istioPage + envoyPage,
		want: tally{3, true, 108, scaling.CountedSent, "envoy_cluster_upstream_rq_total", 10, true},
	},
	"Envoy AI Gateway: a duration is known when the response ends": {
		of: of(v1alpha1.GatewayEnvoyAIGateway, "qwen"),
		page: `gen_ai_server_request_duration_seconds_count{gen_ai_original_model="qwen",gen_ai_request_model="qwen-8b"} 5
gen_ai_server_request_duration_seconds_count{gen_ai_original_model="qwen",gen_ai_request_model="qwen-8b",error_type="_OTHER"} 1
gen_ai_server_request_duration_seconds_count{gen_ai_original_model="qwen-8b",gen_ai_request_model="qwen-8b"} 50
gen_ai_client_token_usage_count{gen_ai_original_model="qwen",gen_ai_token_type="input"} 6
`,
		want: tally{passed: 6, counted: scaling.CountedEnded, source: "gen_ai_server_request_duration_seconds_count"},
	},
	"agentgateway: OpenMetrics, by backend": {
		of: of(v1alpha1.GatewayAgentgateway, "llm"),
		page: `# TYPE agentgateway_requests counter
agentgateway_requests_total{backend="ml/llm",status="200",reason="Upstream",route="ml/chat"} 91
agentgateway_requests_total{backend="ml/llm",status="503",reason="NoHealthyEndpoint",route="ml/chat"} 9
agentgateway_requests_total{backend="other/llm",status="200",route="other/chat"} 1000
# EOF
`,
		want: tally{passed: 100, counted: scaling.CountedEnded, source: "agentgateway_requests_total"},
	},
	"LiteLLM: worker processes are told apart by pid, failures are among all, and what is in flight is of all models": {
		of: of(v1alpha1.GatewayLiteLLM, "qwen"),
		page: `litellm_proxy_total_requests_metric_total{requested_model="qwen",status_code="200",pid="7"} 8
litellm_proxy_total_requests_metric_total{requested_model="qwen",status_code="200",pid="8"} 3
litellm_proxy_total_requests_metric_total{requested_model="qwen",status_code="503",pid="8"} 2
litellm_proxy_failed_requests_metric_total{requested_model="qwen",pid="8"} 2
litellm_proxy_total_requests_metric_created{requested_model="qwen",status_code="200"} 1.7e+09
litellm_in_flight_requests{pid="7"} 4
litellm_in_flight_requests{pid="8"} 5
`,
		want: tally{passed: 13, counted: scaling.CountedEnded, source: "litellm_proxy_total_requests_metric_total"},
	},
	"production-stack: the router shows engines' values, which are not its own": {
		of: of(v1alpha1.GatewayProductionStack, "qwen"), page: routerPage,
		want: tally{passed: 12, counted: scaling.CountedArrived, source: "vllm:num_incoming_requests_total"},
	},
	"production-stack: an engine's page is no router's": {
		of:    of(v1alpha1.GatewayProductionStack, "qwen"),
		page:  "vllm:num_requests_running{model_name=\"qwen\",engine=\"0\"} 3\nvllm:num_requests_waiting{model_name=\"qwen\",engine=\"0\"} 0\n",
		blind: true,
	},
	"a counter below zero": {
		of:   of(v1alpha1.GatewayProductionStack, "qwen"),
		page: "vllm:num_incoming_requests_total{model=\"qwen\"} -1\n", blind: true,
	},
	"a part of a value that is not a number": {
		of:   of(v1alpha1.GatewayEnvoy, "c"),
		page: "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"c\"} 1\nenvoy_cluster_upstream_rq_retry{envoy_cluster_name=\"c\"} NaN\n", blind: true,
	},
}

func TestTrapsOfGateways(t *testing.T) {
	for name, c := range traps {
		t.Run(name, func(t *testing.T) {
			page, err := parsePage([]byte(c.page), "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := page.of(c.of)
			if got != c.want || errors.Is(err, errBlind) != c.blind {
				t.Errorf("%+v, error %v; want %+v, blind: %v", got, err, c.want, c.blind)
			}
		})
	}
}

// TestCollectedPagesOfGateways reads pages that were collected beside the project, where they are.
func TestCollectedPagesOfGateways(t *testing.T) {
	const dir = "../../../shared/expositions"
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no collected metric pages: %v", err)
	}
	in := func(namespace string, g Gateway) Gateway { g.PoolNamespace = namespace; return g }
	for name, c := range map[string]struct {
		file string
		of   Gateway
		want tally
	}{
		"EPP": {
			"llm-d-router-epp-0.10.handmade.prom", of(v1alpha1.GatewayEndpointPicker, "llm-d-inference-pool"),
			tally{12, true, 9210, scaling.CountedSent, "llm_d_epp_request_total", 37, true},
		},
		"Envoy": {
			"envoy-istio-1.30.handmade.prom", in("default", of(v1alpha1.GatewayEnvoy, "llm")),
			tally{3, true, 9233, scaling.CountedSent, "envoy_cluster_upstream_rq_total", 40, true},
		},
		"Envoy AI Gateway": {
			"envoy-ai-gateway-1.1.prom", of(v1alpha1.GatewayEnvoyAIGateway, "qwen2.5:0.5b"),
			tally{passed: 1, counted: scaling.CountedEnded, source: "gen_ai_server_request_duration_seconds_count"},
		},
		"agentgateway": {
			"agentgateway-1.4-openmetrics.handmade.prom", in("default", of(v1alpha1.GatewayAgentgateway, "llm")),
			tally{passed: 9139, counted: scaling.CountedEnded, source: "agentgateway_requests_total"},
		},
		"agentgateway by model": {
			"agentgateway-1.4-openmetrics.handmade.prom", in("default", of(v1alpha1.GatewayAgentgateway, "qwen3-32b")),
			tally{passed: 40, counted: scaling.CountedEnded, source: "agentgateway_gen_ai_server_request_duration_count"},
		},
		"LiteLLM": {
			"litellm-1.9x.handmade.prom", of(v1alpha1.GatewayLiteLLM, "qwen3-32b"),
			tally{passed: 812, counted: scaling.CountedEnded, source: "litellm_proxy_total_requests_metric_total"},
		},
	} {
		text, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		page, err := parsePage(text, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := page.of(c.of); got != c.want || err != nil {
			t.Errorf("%s: %+v, error %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestEngineAndGatewayPagesAreNotTakenForEachOther(t *testing.T) {
	for name, c := range traps {
		page, err := parsePage([]byte(c.page), "")
		if err != nil {
			t.Fatal(err)
		}
		for kind := range profiles {
			if family(kind) == family(c.of.Kind) {
				continue
			}
			g := c.of
			g.Kind = kind
			if got, err := page.of(g); err == nil {
				t.Errorf("%s: read as %s it says %+v", name, kind, got)
			}
		}
	}
}

// family is the gateway whose series another kind may have too.
func family(kind v1alpha1.GatewayKind) v1alpha1.GatewayKind {
	if kind == v1alpha1.GatewayIstio {
		return v1alpha1.GatewayEnvoy
	}
	return kind
}

// moment is a page at a time, and how many had come by then.
type moment struct {
	page string
	came float64
}

func TestWhatGatewaysSeeComing(t *testing.T) {
	type page = string
	for name, c := range map[string]struct {
		of      Gateway
		moments []moment
	}{
		"a counter that moves when a response ends is flat while requests hang": {
			of(v1alpha1.GatewayLiteLLM, "m"),
			[]moment{
				{"litellm_proxy_total_requests_metric_total{requested_model=\"m\"} 5\n", 0},
				{"litellm_proxy_total_requests_metric_total{requested_model=\"m\"} 5\n", 0},
				{"litellm_proxy_total_requests_metric_total{requested_model=\"m\"} 9\n", 4},
			},
		},
		"with what is in flight beside it, it is not": {
			of(v1alpha1.GatewayKEDAHTTPAddOn, "m"),
			[]moment{
				{"interceptor_request_count_total{route_name=\"m\",route_namespace=\"ml\"} 5\ninterceptor_request_concurrency{route_name=\"m\",route_namespace=\"ml\"} 0\n", 0},
				{"interceptor_request_count_total{route_name=\"m\",route_namespace=\"ml\"} 5\ninterceptor_request_concurrency{route_name=\"m\",route_namespace=\"ml\"} 4\n", 4},
				{"interceptor_request_count_total{route_name=\"m\",route_namespace=\"ml\"} 9\ninterceptor_request_concurrency{route_name=\"m\",route_namespace=\"ml\"} 0\n", 4},
			},
		},
		"what is pending was not sent on yet": {
			of(v1alpha1.GatewayEnvoy, "m"),
			[]moment{
				{"envoy_cluster_upstream_rq_total{envoy_cluster_name=\"m\"} 10\nenvoy_cluster_upstream_rq_pending_active{envoy_cluster_name=\"m\"} 0\n", 0},
				{"envoy_cluster_upstream_rq_total{envoy_cluster_name=\"m\"} 11\nenvoy_cluster_upstream_rq_pending_active{envoy_cluster_name=\"m\"} 3\n", 4},
				{"envoy_cluster_upstream_rq_total{envoy_cluster_name=\"m\"} 14\nenvoy_cluster_upstream_rq_pending_active{envoy_cluster_name=\"m\"} 0\n", 4},
			},
		},
		"a process that began anew": {
			of(v1alpha1.GatewayProductionStack, "m"),
			[]moment{
				{"vllm:num_incoming_requests_total{model=\"m\"} 10\n", 0},
				{"vllm:num_incoming_requests_total{model=\"m\"} 2\n", 0},
				{"vllm:num_incoming_requests_total{model=\"m\"} 3\n", 1},
			},
		},
		"another counter than before": {
			of(v1alpha1.GatewayEndpointPicker, "m"),
			[]moment{
				{"llm_d_epp_flow_control_queue_size{inference_pool=\"m\"} 0\ninference_objective_request_total 10\n", 0},
				{"llm_d_epp_flow_control_queue_size{inference_pool=\"m\"} 1\nllm_d_epp_request_total 90\n", 1},
				{"llm_d_epp_flow_control_queue_size{inference_pool=\"m\"} 0\nllm_d_epp_request_total 91\n", 1},
			},
		},
		"a counter that begins with the first request": {
			of(v1alpha1.GatewayKnative, "m"),
			[]moment{
				{"kn_revision_request_queued{kn_revision_name=\"other\"} 0\n", 0},
				{"kn_revision_request_queued{kn_revision_name=\"m\",k8s_namespace_name=\"ml\"} 2\n", 2},
			},
		},
	} {
		s, total := &heardSource{}, 0.
		for i, m := range c.moments {
			found, err := parsePage([]byte(page(m.page)), "text/plain")
			if err != nil {
				t.Fatal(err)
			}
			is, err := found.of(c.of)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			total += s.came(is, c.of.Holds())
			if total != m.came {
				t.Errorf("%s: by page %d %v have come, want %v", name, i, total, m.came)
			}
			*s = heardSource{time: s.time.Add(1), tally: is}
		}
	}
}

func TestAGatewayThatOnlySees(t *testing.T) {
	s := newServed(t)
	epp, envoy, unheard := of(v1alpha1.GatewayEndpointPicker, "qwen"), of(v1alpha1.GatewayEnvoy, "llm"), of(v1alpha1.GatewayIstio, "none")
	var held []string
	r := NewGatewayReader(GatewayOptions{
		Targets: func() []GatewayTarget {
			return []GatewayTarget{{Target: "epp", Gateway: epp}, {Target: "envoy", Gateway: envoy}, {Target: "unheard", Gateway: unheard}}
		},
		Endpoints: func(Gateway) []Source { return []Source{s.source()} }, Log: slog.New(slog.DiscardHandler),
	})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.due(now)
	for _, text := range []string{envoyPage + queue(2, 5), strings.ReplaceAll(envoyPage, " 100\n", " 104\n") + queue(2, 6)} {
		page, err := parsePage([]byte(text), "")
		if err != nil {
			t.Fatal(err)
		}
		held = r.take(s.source(), page, nil, now)
	}
	if len(held) != 1 || held[0] != "epp" {
		t.Errorf("held for %v, want the target of the gateway that holds alone: what is pending in Envoy waits for a connection", held)
	}
	if f := r.Of("envoy"); f != (scaling.Front{}) {
		t.Errorf("Envoy is said to hold: %+v", f)
	}
	if f := r.Of("epp"); !f.Time.Equal(now) || f.Held != 2 || f.Arrived != 3 {
		t.Errorf("the endpoint picker holds %+v, want 2 and the 2 that it held at first and one more", f)
	}
	want := scaling.Gateway{
		Time: now, Source: "Envoy's envoy_cluster_upstream_rq_total", Arrived: 4, Counted: scaling.CountedSent,
		Waiting: 3, WaitingKnown: true, InFlight: 10, InFlightKnown: true,
	}
	if got := r.Seen("envoy"); got != want {
		t.Errorf("Envoy has seen %+v, want %+v", got, want)
	}
	want = scaling.Gateway{
		Time: now, Source: "an endpoint picker's llm_d_epp_request_total", Arrived: 3, Counted: scaling.CountedSent,
		Waiting: 2, WaitingKnown: true,
	}
	if got := r.Seen("epp"); got != want {
		t.Errorf("the endpoint picker has seen %+v, want %+v", got, want)
	}
	for target, source := range map[string]string{"unheard": "Istio's proxy", "nobody": ""} {
		if got := r.Seen(target); got != (scaling.Gateway{Source: source}) {
			t.Errorf("of %s %+v was seen", target, got)
		}
	}
}
