package metricsapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	cmv1beta1 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta1"
	cmv1beta2 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	customclient "k8s.io/metrics/pkg/client/custom_metrics"
	externalclient "k8s.io/metrics/pkg/client/external_metrics"

	"github.com/preheat-autoscaler/preheat/pkg/metricsapi"
	"github.com/preheat-autoscaler/preheat/pkg/metricsapi/metricsapitest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func serve(t *testing.T) *metricsapitest.Server {
	t.Helper()
	p := metricsapi.LlamaProvider(t)
	return metricsapitest.Start(t, metricsapi.Parts{Custom: p, External: p}, 0)
}

// TestGolden pins the bytes on the wire of both custom versions, of the external one and of a status error.
func TestGolden(t *testing.T) {
	const v1beta1, v1beta2 = "/apis/custom.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2"
	tests := map[string]struct {
		path   string
		status int
	}{
		"custom-v1beta1-pods":       {v1beta1 + "/namespaces/default/pods/*/inference_requests_waiting?labelSelector=app%3Dllama", 200},
		"custom-v1beta2-pods":       {v1beta2 + "/namespaces/default/pods/*/inference_requests_waiting?labelSelector=app%3Dllama", 200},
		"custom-v1beta1-object":     {v1beta1 + "/namespaces/default/deployments.apps/llama/inference_requests_per_second", 200},
		"custom-v1beta2-object":     {v1beta2 + "/namespaces/default/deployments.apps/llama/inference_requests_per_second", 200},
		"custom-v1beta2-quantile":   {v1beta2 + "/namespaces/default/deployments.apps/llama/inference_time_to_first_token_seconds?metricLabelSelector=quantile%3D0.95", 200},
		"custom-v1beta2-autoscaler": {v1beta2 + "/namespaces/default/inferenceautoscalers.preheat.dev/llama/inference_recommended_replicas", 200},
		"custom-v1beta2-stale":      {v1beta2 + "/namespaces/default/statefulsets.apps/qwen/inference_requests_waiting", 404},
		"custom-v1beta2-none":       {v1beta2 + "/namespaces/default/pods/*/inference_requests_waiting?labelSelector=app%3Dgone", 200},
		"external":                  {"/apis/external.metrics.k8s.io/v1beta1/namespaces/default/inference_demand_forecast_requests_per_second?labelSelector=inferenceautoscaler%3Dllama", 200},
		"external-none":             {"/apis/external.metrics.k8s.io/v1beta1/namespaces/default/inference_requests_waiting?labelSelector=model%3Dgone", 200},
		"external-unknown-metric":   {"/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue", 404},
	}
	server := serve(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, body, err := server.Get(t.Context(), test.path, http.Header{"Accept": {"application/json"}})
			if err != nil || status != test.status {
				t.Fatalf("status %d (%v), want %d: %s", status, err, test.status, body)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, bytes.TrimSpace(body), "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			golden(t, filepath.Join("testdata", name+".json"), got.Bytes())
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestClients reads through the clients that the HPA controller uses.
func TestClients(t *testing.T) {
	server := serve(t)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	for _, version := range []schema.GroupVersion{cmv1beta1.SchemeGroupVersion, cmv1beta2.SchemeGroupVersion} {
		t.Run("custom "+version.Version, func(t *testing.T) {
			client, err := customclient.NewForVersionForConfig(rest.CopyConfig(server.Client), mapper, version)
			if err != nil {
				t.Fatal(err)
			}
			checkCustomClient(t, client.NamespacedMetrics("default"))
		})
	}
	t.Run("external", func(t *testing.T) {
		client, err := externalclient.NewForConfig(rest.CopyConfig(server.Client))
		if err != nil {
			t.Fatal(err)
		}
		list, err := client.NamespacedMetrics("default").List("inference_requests_waiting", labels.SelectorFromSet(labels.Set{"deployment": "llama"}))
		if err != nil || len(list.Items) != 1 || list.Items[0].Value.MilliValue() != 7500 {
			t.Errorf("%v (%v), want one item of 7500m", list, err)
		}
	})
}

func checkCustomClient(t *testing.T, client customclient.MetricsInterface) {
	t.Helper()
	object, err := client.GetForObject(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "llama", "inference_requests_per_second", labels.Everything())
	if err != nil {
		t.Fatal(err)
	}
	if object.Value.MilliValue() != 4000 || object.WindowSeconds == nil || *object.WindowSeconds != 28 {
		t.Errorf("object: %+v, want 4 per second over 28 s", object)
	}
	pods, err := client.GetForObjects(schema.GroupKind{Kind: "Pod"}, labels.SelectorFromSet(labels.Set{"app": "llama"}), "inference_requests_waiting", labels.Everything())
	if err != nil || len(pods.Items) != 2 {
		t.Errorf("pods: %v (%v), want the two ready ones", pods, err)
	}
	_, err = client.GetForObject(schema.GroupKind{Kind: "Pod"}, "qwen-0", "inference_requests_waiting", labels.Everything())
	if !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("stale pod: %v, want NotFound with the reason", err)
	}
}

// TestAggregatedDiscovery asks as the kube-apiserver's aggregator does.
func TestAggregatedDiscovery(t *testing.T) {
	server := serve(t)
	_, body, err := server.Get(t.Context(), "/apis", http.Header{"Accept": {"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}})
	if err != nil {
		t.Fatal(err)
	}
	var list apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	got := map[string][]string{}
	for _, group := range list.Items {
		for _, version := range group.Versions {
			got[group.Name] = append(got[group.Name], version.Version)
			if len(version.Resources) == 0 {
				t.Errorf("%s/%s has no resources", group.Name, version.Version)
			}
			for _, r := range version.Resources {
				if r.ResponseKind == nil || r.ResponseKind.Kind == "" || len(r.Verbs) == 0 {
					t.Errorf("%s %s: kind %v, verbs %v: kubectl would not list it", group.Name, r.Resource, r.ResponseKind, r.Verbs)
				}
			}
		}
	}
	want := map[string][]string{"custom.metrics.k8s.io": {"v1beta2", "v1beta1"}, "external.metrics.k8s.io": {"v1beta1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups and versions, the preferred first (-want +got):\n%s", diff)
	}
}

func TestOtherPaths(t *testing.T) {
	server := serve(t)
	tests := map[string]string{
		"/openapi/v2":                           "custom_metrics",
		"/openapi/v3":                           "external.metrics.k8s.io",
		"/livez":                                "ok",
		"/apis/custom.metrics.k8s.io/v1beta1":   "deployments.apps/inference_requests_waiting",
		"/apis/custom.metrics.k8s.io/v1beta2":   "deployments.apps/inference_requests_waiting",
		"/apis/external.metrics.k8s.io/v1beta1": metricsapi.RecommendedReplicas,
	}
	for path, want := range tests {
		status, body, err := server.Get(t.Context(), path, http.Header{"Accept": {"application/json"}})
		if err != nil || status != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: status %d (%v), without %q", path, status, err, want)
		}
	}
	if _, _, err := server.Get(t.Context(), "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/inference_requests_waiting?labelSelector=target%3Dllama", nil); err != nil {
		t.Fatal(err)
	}
	_, body, err := server.Get(t.Context(), "/metrics", nil)
	if err != nil || !strings.Contains(string(body), `metrics_apiserver_metric_freshness_seconds_count{group="external.metrics.k8s.io"}`) {
		t.Errorf("the age of samples is not on /metrics (%v)", err)
	}
}

func TestOnlyReadersAreLetIn(t *testing.T) {
	server := serve(t)
	server.Client.BearerToken = "nobody"
	for _, path := range []string{"/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/llama-a/inference_requests_waiting", "/metrics"} {
		status, body, err := server.Get(t.Context(), path, nil)
		if err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: status %d (%v), want 401: %s", path, status, err, body)
		}
	}
}

// TestShutdown sees a server that was told to stop go on serving, not ready, for the delay.
func TestShutdown(t *testing.T) {
	p := metricsapi.LlamaProvider(t)
	server := metricsapitest.Start(t, metricsapi.Parts{Custom: p}, 2*time.Second)
	server.Stop()
	notReady, served := false, 0
	for deadline := time.Now().Add(1500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status, _, err := server.Get(t.Context(), "/readyz", nil)
		notReady = notReady || err == nil && status != http.StatusOK
		status, _, err = server.Get(t.Context(), "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/llama-a/inference_requests_waiting", nil)
		if err != nil || status != http.StatusOK {
			t.Fatalf("refused while draining: status %d (%v)", status, err)
		}
		served++
	}
	if !notReady || served == 0 {
		t.Errorf("not ready: %v, served %d reads after the stop", notReady, served)
	}
	select {
	case err := <-server.Done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it did not stop")
	}
}

func TestReadyChecks(t *testing.T) {
	var mu sync.Mutex
	failure := error(nil)
	check := healthz.NamedCheck("loop", func(*http.Request) error {
		mu.Lock()
		defer mu.Unlock()
		return failure
	})
	p := metricsapi.LlamaProvider(t)
	server := metricsapitest.Start(t, metricsapi.Parts{Custom: p, Ready: []healthz.HealthChecker{check}}, 0)
	mu.Lock()
	failure = errors.New("no tick for 60 s")
	mu.Unlock()
	status, body, err := server.Get(t.Context(), "/readyz", nil)
	if err != nil || status != http.StatusInternalServerError || !strings.Contains(string(body), "[-]loop failed") {
		t.Errorf("status %d (%v): %s", status, err, body)
	}
	if status, _, err := server.Get(t.Context(), "/livez", nil); err != nil || status != http.StatusOK {
		t.Errorf("livez: status %d (%v)", status, err)
	}
	if status, _, err := server.Get(t.Context(), "/apis/external.metrics.k8s.io/v1beta1", nil); err != nil || status != http.StatusNotFound {
		t.Errorf("external metrics are served without being asked for: status %d (%v)", status, err)
	}
}
