//go:build e2e

package testbed_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

func TestAServerOutsideTheClusterServesAnAggregatedAPI(t *testing.T) {
	c := startCluster(t, testbed.Options{HPASync: time.Second, FeatureGates: map[string]bool{"HPAScaleToZero": true}})
	gv := schema.GroupVersion{Group: "external.metrics.k8s.io", Version: "v1beta1"}
	port := serveExternalMetric(t, c, gv)
	err := c.RegisterAPIServices(t.Context(), testbed.APIServices{
		Namespace: "preheat-system", Service: "preheat", Port: port, User: "preheat", GroupVersions: []schema.GroupVersion{gv},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitAPIService(t.Context(), gv); err != nil {
		t.Fatal(err)
	}
	out, err := c.Kubectl(t.Context(), "get", "--raw", "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue_length")
	if err != nil || !strings.Contains(out, `"value":"12"`) {
		t.Errorf("the API server answered %q (%v), want the value 12", out, err)
	}

	if _, err := c.AddGPUNodes(t.Context(), 1, 8); err != nil {
		t.Fatal(err)
	}
	apply(t, c, deployment("scaled", 1, ""))
	apply(t, c, []byte(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaled}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: scaled}
  minReplicas: 0 # refused without the feature gate
  maxReplicas: 8
  metrics:
  - {type: External, external: {metric: {name: queue_length}, target: {type: AverageValue, averageValue: "4"}}}
`))
	client := clientOf(t, c)
	eventually(t, 30*time.Second, func(ctx context.Context) string {
		d, err := client.AppsV1().Deployments("default").Get(ctx, "scaled", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if *d.Spec.Replicas != 3 { // 12 waiting, 4 a replica
			return "the HPA did not scale to 3"
		}
		return ""
	})
}

// serveExternalMetric serves discovery and the metric queue_length = 12, with a certificate of the cluster's.
func serveExternalMetric(t *testing.T, c *testbed.Cluster, gv schema.GroupVersion) (port int) {
	t.Helper()
	certFile, keyFile, err := c.ServingCert([]string{"preheat.preheat-system.svc"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any = map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv.String(), "resources": []any{}}
		if strings.HasSuffix(r.URL.Path, "/queue_length") {
			answer = map[string]any{"kind": "ExternalMetricValueList", "apiVersion": gv.String(), "items": []any{
				map[string]any{"metricName": "queue_length", "timestamp": metav1.Now(), "value": "12"},
			}}
		}
		json.NewEncoder(w).Encode(answer)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}
