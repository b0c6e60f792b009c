//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/preheat-autoscaler/preheat/pkg/switchover"
)

// crowd is how many models are woken at once.
const crowd = 100

// TestManyWakeAtOnce wakes many models through the activator as a gateway does, on a real control plane, its engines emulated,
// and takes away what a wake needs: the API server, and GPUs.
func TestManyWakeAtOnce(t *testing.T) {
	s := newSuite(t)
	g := &gate{suite: s, port: freePort(t)}
	g.start(t)
	g.deploy(t)
	step := func(name string, f func(*testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	step("all models go to zero", g.allAtZero)
	step("a hundred models are woken at once", g.allWake)
	step("an API server that is away delays the wake and no more", g.apiServerAway)
	step("without a free GPU requests are refused after a while, and the status says why", g.outOfStock)
}

// gate is an activator as the upstream of a gateway.
type gate struct {
	*suite
	port int
}

// start runs an activator, and says to the service that it is ready, as its pod's readiness would.
func (g *gate) start(t *testing.T) {
	t.Helper()
	rbac, err := os.ReadFile(filepath.Join("..", "..", "deploy", "components", "activator", "rbac.yaml"))
	must(t, err)
	account := "- {kind: ServiceAccount, name: preheat-activator, namespace: preheat-system}"
	must(t, g.cluster.Apply(t.Context(), []byte(strings.ReplaceAll(string(rbac), account, "- {apiGroup: rbac.authorization.k8s.io, kind: User, name: activator}"))))
	kubeconfig, err := g.cluster.ClientKubeconfig("activator")
	must(t, err)
	admin := freePort(t)
	must(t, g.cluster.Launch("activator", filepath.Join("..", "..", "bin", "preheat"), "activator",
		"--kubeconfig="+kubeconfig, fmt.Sprintf("--listen=127.0.0.1:%d", g.port), fmt.Sprintf("--admin=127.0.0.1:%d", admin),
		"--pod=activator-0", "--ip=127.0.0.1", "--namespace=preheat-system", "--first-port=30000", "--out-of-stock=4s"))
	must(t, g.cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: preheat-activator-0, namespace: preheat-system, labels: {kubernetes.io/service-name: preheat-activator}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
ports: [{name: admin, port: %d}]
`, admin)))
}

func model(i int) string { return fmt.Sprintf("model-%d", i) }

// deploy makes all models, with a replica each.
func (g *gate) deploy(t *testing.T) {
	t.Helper()
	var all strings.Builder
	all.WriteString("apiVersion: v1\nkind: Namespace\nmetadata: {name: crowd}\n")
	for i := range crowd {
		all.WriteString(g.manifest(model(i), 1))
	}
	must(t, g.cluster.Apply(t.Context(), []byte(all.String())))
}

func (g *gate) manifest(name string, gpus int) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: crowd}
spec:
  replicas: 1
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata:
      labels: {app: %[1]s, simulations.preheat.dev/engine: vllm}
      annotations: {simulations.preheat.dev/readiness: emulator}
    spec:
      containers:
      - name: vllm
        image: vllm.invalid/vllm:1
        ports: [{name: http, containerPort: 8000}]
        resources: {limits: {nvidia.com/gpu: %[2]d}}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: crowd}
spec: {selector: {app: %[1]s}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: %[1]s, namespace: crowd}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  mode: Own
  minReplicas: 0
  maxReplicas: 1
  slo: {ttft: 30s}
  capacity: {requestsPerSecond: "4"}
  leadTime: {override: 8s}
  forecast: {disabled: true}
  behavior: {scaleDown: {stabilizationWindowSeconds: 5}}
  activator: {service: %[1]s}
`, name, gpus)
}

func (g *gate) allAtZero(t *testing.T) {
	eventually(t, 3*time.Minute, func(ctx context.Context) string {
		list, err := g.kube.AppsV1().Deployments("crowd").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		up := 0
		for _, d := range list.Items {
			up += int(*d.Spec.Replicas)
		}
		if up > 0 || len(list.Items) < crowd {
			return fmt.Sprintf("%d replicas are asked for by %d models", up, len(list.Items))
		}
		return ""
	})
}

// ask sends a request for a model as a gateway would.
func (g *gate) ask(ctx context.Context, name string) (status int, retryAfter, body string, err error) {
	text := fmt.Sprintf(`{"model":%q,"prompt":"hello","max_tokens":4}`, g.model)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/v1/completions", g.port), strings.NewReader(text))
	if err != nil {
		return 0, "", "", err
	}
	request.Header.Set(switchover.TargetHeader, "crowd/"+name)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Retry-After"), string(answer), err
}

// served asks for a model and fails where it is not served.
func (g *gate) served(t *testing.T, name string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if status, _, body, err := g.ask(ctx, name); err != nil || status != http.StatusOK {
		t.Errorf("%s: status %d, %.300s (%v)", name, status, body, err)
	}
}

// allWake asks for all models in one instant.
func (g *gate) allWake(t *testing.T) {
	w, err := g.kube.AppsV1().Deployments("crowd").Watch(t.Context(), metav1.ListOptions{})
	must(t, err)
	defer w.Stop()
	var wakes []time.Duration
	seen, ended := map[string]bool{}, make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok && e.Type == watch.Modified && *d.Spec.Replicas == 1 && !seen[d.Name] {
				seen[d.Name] = true
				wakes = append(wakes, time.Since(began))
			}
			if len(seen) == crowd {
				return
			}
		}
	}()
	var running sync.WaitGroup
	for i := range crowd {
		running.Go(func() { g.served(t, model(i)) })
	}
	running.Wait()
	w.Stop()
	<-ended
	t.Logf("%d models woken at once: from the requests to the scale, as a watch sees it, %s; all served after %v",
		len(seen), spread(wakes), time.Since(began).Round(100*time.Millisecond))
	if len(seen) < crowd {
		t.Errorf("%d of %d were seen to wake", len(seen), crowd)
	}
}

// apiServerAway stops the API server in the very moment of the first request.
func (g *gate) apiServerAway(t *testing.T) {
	g.allAtZero(t)
	must(t, g.cluster.Signal("kube-apiserver", syscall.SIGSTOP))
	began := time.Now()
	time.AfterFunc(8*time.Second, func() {
		if err := g.cluster.Signal("kube-apiserver", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	g.served(t, model(0))
	t.Logf("served after %v, of which the API server was away for 8 s and the model loaded for %v", time.Since(began).Round(100*time.Millisecond), loadTime)
}

// outOfStock asks for a model for whose replica no node has room any more.
func (g *gate) outOfStock(t *testing.T) {
	must(t, g.cluster.Apply(t.Context(), []byte(g.manifest("huge", 8))))
	eventually(t, time.Minute, func(ctx context.Context) string {
		d, err := g.kube.AppsV1().Deployments("crowd").Get(ctx, "huge", metav1.GetOptions{})
		if err != nil || *d.Spec.Replicas != 0 {
			return fmt.Sprintf("the model is not at zero yet (%v)", err)
		}
		return ""
	})
	_, err := g.cluster.Kubectl(t.Context(), "-n", "crowd", "set", "resources", "deployment", "huge", "--limits=nvidia.com/gpu=9")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	status, retryAfter, body, err := g.ask(ctx, "huge")
	if err != nil || status != http.StatusServiceUnavailable || retryAfter == "" || !strings.Contains(body, "GPU") {
		t.Errorf("status %d, Retry-After %q, %.300s (%v); want 503 that names the GPUs", status, retryAfter, body, err)
	}
	t.Logf("refused after %v: %s", time.Since(began).Round(100*time.Millisecond), body)
	eventually(t, 30*time.Second, func(ctx context.Context) string {
		ia, err := g.preheat.InNamespace("crowd").Get(ctx, "huge", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if c := condition(ia, "Limited"); !strings.HasPrefix(c, "True/GPUsUnavailable") {
			return "condition Limited is " + c
		}
		return ""
	})
}
