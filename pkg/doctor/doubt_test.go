package doctor

import (
	"strings"
	"testing"
)

// A pod that declares one unnamed port 30000 (SGLang), engine auto: the service scrapes 30000 (kube.metricsURL: onlyPort).
func TestProbeAsksAnotherPortThanTheService(t *testing.T) {
	w := healthy(t)
	w.options.Probe, w.options.Profiles = true, profilesWith(t)
	for _, pod := range []string{"a", "b"} {
		w.set(t, "Pod ml/"+pod, []any{map[string]any{"name": "sglang", "ports": []any{map[string]any{"containerPort": int64(30000)}}}}, "spec", "containers")
		w.raw["/api/v1/namespaces/ml/pods/"+pod+":30000/proxy/metrics"] = answer(200, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\"} 1\nvllm:num_requests_waiting{model_name=\"m\"} 0\n")
	}
	for _, f := range w.examine(t).Findings {
		if f.Severity == Problem {
			t.Errorf("false problem: %s: %s -> %s", f.Check, f.Seen, f.Remedy)
		}
	}
}

// A page of a known engine that tells nothing of demand is called ok by the probe.
func TestProbeOfAPageWithoutValues(t *testing.T) {
	w := healthy(t)
	w.options.Probe, w.options.Profiles = true, profilesWith(t)
	for _, pod := range []string{"a", "b"} {
		w.raw["/api/v1/namespaces/ml/pods/"+pod+":8000/proxy/metrics"] = answer(200, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\"} NaN\n")
	}
	for _, f := range w.examine(t).Findings {
		if f.Check == "probe" && f.Severity == OK {
			t.Errorf("ok of a page without a usable value: %s", f.Seen)
		}
	}
}

// spec.gateway names a Service that does not exist, minReplicas 1.
func TestGatewayThatIsNotThere(t *testing.T) {
	w := healthy(t)
	w.set(t, ia, map[string]any{"kind": "Envoy", "service": "no-such-service", "pool": "q"}, "spec", "gateway")
	for _, f := range w.examine(t).Findings {
		if f.Severity != OK && strings.Contains(f.Seen+f.Remedy, "gateway") {
			return
		}
	}
	t.Error("no finding: spec.gateway leads nowhere, and nobody says so")
}

// An engine that tells requests in flight as one number.
func TestInflightOnlyEngine(t *testing.T) {
	w := healthy(t)
	delete(w.raw, "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ml/pods/*/inference_requests_running")
	w.raw["/apis/custom.metrics.k8s.io/v1beta2/namespaces/ml/pods/*/inference_requests_inflight"] = answer(200, `{"items":[{"timestamp":"`+ago(1e9)+`","value":"1"},{"timestamp":"`+ago(1e9)+`","value":"1"}]}`)
	for _, f := range w.examine(t).Findings {
		if f.Severity == Problem {
			t.Errorf("false problem: %s: %s", f.Check, f.Seen)
		}
	}
}

// flags with a space.
func TestFlagsWithASpace(t *testing.T) {
	s := settings{}
	s.flags([]string{"--watch-namespace", "ml", "--leader-elect", "--serving-cert-secret", "mine"})
	if s.watch != "ml" || s.secret != "mine" {
		t.Errorf("watch %q secret %q", s.watch, s.secret)
	}
}

// The pod itself (a mesh's authorization policy, kube-rbac-proxy) answers 403: that is not RBAC of the one who asks.
func TestThePodItselfForbids(t *testing.T) {
	w := healthy(t)
	w.options.Probe, w.options.Profiles = true, profilesWith(t)
	for _, pod := range []string{"a", "b"} {
		w.raw["/api/v1/namespaces/ml/pods/"+pod+":8000/proxy/metrics"] = answer(403, "RBAC: access denied")
	}
	for _, f := range w.examine(t).Findings {
		if f.Check == "probe" && strings.Contains(f.Seen, "you lack the right") {
			t.Errorf("%s %s -> %s", f.Severity, f.Seen, f.Remedy)
		}
	}
}

// A gateway's Service without an endpoint is no gateway.
func TestAGatewayWithoutEndpoints(t *testing.T) {
	w := healthy(t)
	w.set(t, ia, map[string]any{"kind": "EndpointPicker", "service": "epp", "pool": "p"}, "spec", "gateway")
	w.add(t, "apiVersion: v1\nkind: Service\nmetadata: {name: epp, namespace: ml}\nspec: {selector: {app: epp}, clusterIP: 10.0.0.1}")
	said := func() string {
		for _, f := range w.examine(t).Findings {
			if f.Check == "gateway" && f.Severity == Problem {
				return f.Seen
			}
		}
		return ""
	}
	if got := said(); !strings.Contains(got, "no ready endpoint") {
		t.Errorf("said %q", got)
	}
	w.add(t, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: epp-1, namespace: ml, labels: {kubernetes.io/service-name: epp}}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.2], conditions: {ready: true}}]")
	if got := said(); got != "" {
		t.Errorf("with an endpoint %q", got)
	}
}

// What a gateway's page says is sought under the name that the spec has for it, and a wrong one finds nothing.
func TestProbeOfAGateway(t *testing.T) {
	const picker = "# TYPE inference_extension_flow_control_queue_size gauge\ninference_extension_flow_control_queue_size{inference_pool=\"chat\"} 3\n"
	for name, c := range map[string]struct {
		kind, pool, path, page string
		code                   int
		want                   Severity
		says                   string
	}{
		"it tells":                  {"EndpointPicker", "chat", "9090/proxy/metrics", picker, 200, OK, "1 pods of the gateway"},
		"of another pool":           {"EndpointPicker", "chatt", "9090/proxy/metrics", picker, 200, Problem, "(the page shows chat)"},
		"guarded":                   {"EndpointPicker", "chat", "9090/proxy/metrics", "Unauthorized", 401, Problem, "wants authentication"},
		"of no request yet":         {"LiteLLM", "chat", "4000/proxy/metrics/", "litellm_in_flight_requests 0\n", 200, Warning, "has had no request yet"},
		"it may not be asked":       {"EndpointPicker", "chat", "9090/proxy/metrics", `{"message":"forbidden"}`, 403, Unknown, "pods/proxy"},
		"another kind than it says": {"Knative", "chat", "9090/proxy/metrics", picker, 200, Problem, "spec.gateway.kind"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			w.options.Probe, w.options.Profiles = true, profilesWith(t)
			w.set(t, ia, map[string]any{"kind": c.kind, "service": "front", "pool": c.pool}, "spec", "gateway")
			w.add(t, "apiVersion: v1\nkind: Service\nmetadata: {name: front, namespace: ml}\nspec: {selector: {app: front}, clusterIP: 10.0.0.1}")
			w.add(t, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: front-1, namespace: ml, labels: {kubernetes.io/service-name: front}}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.2], targetRef: {kind: Pod, name: front-0, namespace: ml}}]")
			w.raw["/api/v1/namespaces/ml/pods/front-0:"+c.path] = answer(c.code, c.page)
			for _, f := range w.examine(t).Findings {
				if f.Check == "gateway" && f.Severity == c.want && strings.Contains(f.Seen+f.Remedy, c.says) {
					return
				}
				if f.Check == "gateway" {
					t.Logf("%s: %s -> %s", f.Severity, f.Seen, f.Remedy)
				}
			}
			t.Errorf("no %s that says %q", c.want, c.says)
		})
	}
}
