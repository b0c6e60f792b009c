package front

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestAGatewaysPageTellsWhoseItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		page                       string
		kind                       v1alpha1.GatewayKind
		queued, inFlight, requests float64 // NaN where it does not tell
		counted                    scaling.Counted
		proven                     bool
		pools                      []string
	}{
		"an endpoint picker of two pools, under new and legacy names": {
			`llm_d_epp_flow_control_queue_size{inference_pool="a"} 2` + "\n" + `llm_d_epp_flow_control_queue_size{inference_pool="b"} 3` + "\n" +
				`inference_extension_flow_control_queue_size{inference_pool="a"} 2` + "\n" + "llm_d_epp_request_total 7\ninference_objective_request_total 7\n",
			v1alpha1.GatewayEndpointPicker, 5, math.NaN(), 7, scaling.CountedSent, true,
			[]string{"a", "b"},
		},
		"an endpoint picker without flow control": {
			"inference_objective_request_total 7\ninference_objective_running_requests 1\n",
			v1alpha1.GatewayEndpointPicker, math.NaN(), 1, 7, scaling.CountedSent, false, nil,
		},
		"a proxy of Istio, with clusters that are nobody's": {
			`envoy_cluster_upstream_rq_total{envoy_cluster_name="xds-grpc"} 90` + "\n" +
				`envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|80||llm.ml.svc.cluster.local"} 9` + "\n" +
				`envoy_cluster_upstream_rq_retry{envoy_cluster_name="outbound|80||llm.ml.svc.cluster.local"} 2` + "\n" +
				`istio_requests_total{reporter="source",destination_service_name="llm",destination_service_namespace="ml"} 6` + "\n",
			v1alpha1.GatewayIstio, math.NaN(), math.NaN(), 7, scaling.CountedSent, false,
			[]string{"llm", "outbound|80||llm.ml.svc.cluster.local"},
		},
		"LiteLLM, with several keys": {
			`litellm_proxy_total_requests_metric_total{requested_model="q",user="a"} 3` + "\n" + `litellm_proxy_total_requests_metric_total{requested_model="q",user="b"} 4` + "\n",
			v1alpha1.GatewayLiteLLM, math.NaN(), math.NaN(), 7, scaling.CountedEnded, false,
			[]string{"q"},
		},
		"agentgateway, in OpenMetrics": {
			"# TYPE agentgateway_requests counter\n" + `agentgateway_requests_total{backend="ml/q",status="200"} 4` + "\n# EOF\n",
			v1alpha1.GatewayAgentgateway, math.NaN(), math.NaN(), 4, scaling.CountedEnded, false,
			[]string{"ml/q"},
		},
		"an interceptor of KEDA": {
			`interceptor_request_concurrency{route_name="q",route_namespace="ml"} 4` + "\n",
			v1alpha1.GatewayKEDAHTTPAddOn, 4, 4, math.NaN(), scaling.CountedNever, true,
			[]string{"q"},
		},
		"a production-stack router": {
			`vllm:num_incoming_requests_total{model="q"} 4` + "\n" + `vllm:num_requests_running{server="http://10.0.0.1"} 3` + "\n",
			v1alpha1.GatewayProductionStack, math.NaN(), math.NaN(), 4, scaling.CountedArrived, false,
			[]string{"q"},
		},
	} {
		in, err := Inspect([]byte(strings.ReplaceAll(tc.page, "\n", "\r\n")), "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same := func(v Inspected, want float64) bool {
			return v.Known == !math.IsNaN(want) && (!v.Known || v.Value == want && len(v.Source) > 0)
		}
		if in.Kind != tc.kind || !same(in.Queued, tc.queued) || !same(in.InFlight, tc.inFlight) || !same(in.Requests, tc.requests) ||
			in.Counted != tc.counted || in.Proven != tc.proven || !slices.Equal(in.Pools, tc.pools) {
			t.Errorf("%s: %+v", name, in)
		}
	}
}

// Istio's proxies and the like talk to their own control plane from the start.
func TestAFreshGatewayIsNotTakenForTheProxyThatItIsMadeOf(t *testing.T) {
	const own = "envoy_cluster_upstream_rq_total{cluster_name=\"xds-grpc\"} 2\n"
	for page, want := range map[string]v1alpha1.GatewayKind{
		own: v1alpha1.GatewayEnvoy,
		own + "istio_build{component=\"proxy\",tag=\"1.30\"} 1\n": v1alpha1.GatewayIstio,
	} {
		if in, err := Inspect([]byte(page), ""); err != nil || in.Kind != want {
			t.Errorf("%q is said to be of %+v (%v), want %s", page, in, err, want)
		}
	}
}

func TestWhatIsNoGatewaysPageIsSaidToBeNone(t *testing.T) {
	for name, page := range map[string]string{
		"an engine":   `vllm:num_requests_running{engine="0"} 3` + "\n",
		"DCGM":        `DCGM_FI_DEV_GPU_UTIL{gpu="0"} 3` + "\n",
		"any program": "go_goroutines 3\n",
	} {
		if in, err := Inspect([]byte(page), ""); !errors.Is(err, ErrNoGateway) {
			t.Errorf("%s: %+v %v, want ErrNoGateway", name, in, err)
		}
	}
	if _, err := Inspect([]byte("<html>"), ""); err == nil || errors.Is(err, ErrNoGateway) {
		t.Errorf("HTML: %v, want that it is no metric page", err)
	}
	if _, err := Inspect([]byte(`llm_d_epp_flow_control_queue_size{inference_pool="a"} NaN`+"\n"), ""); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("a queue that is not a number: %v", err)
	}
}

func TestEveryKindOfGatewayIsDetected(t *testing.T) {
	for kind := range profiles {
		if !slices.Contains(detected, kind) {
			t.Errorf("%s is not among those that are detected", kind)
		}
	}
}
