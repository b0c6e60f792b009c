//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

const (
	// interval and scrapeInterval are the service's in these tests: a tenth or so of the defaults.
	interval       = 2 * time.Second
	scrapeInterval = time.Second
	// loadTime is how long an emulated replica loads.
	loadTime = 6 * time.Second
	profile  = "llama-3.1-70b-h100x4"
)

var metricGroups = []schema.GroupVersion{
	{Group: "custom.metrics.k8s.io", Version: "v1beta1"},
	{Group: "custom.metrics.k8s.io", Version: "v1beta2"},
	{Group: "external.metrics.k8s.io", Version: "v1beta1"},
}

// suite is a control plane on loopback with simulated GPU nodes, emulated engines and two replicas of the service.
type suite struct {
	cluster *testbed.Cluster
	kube    kubernetes.Interface
	preheat *client.Client
	fleet   *emulator.Fleet
	model   string
	ports   map[string]int // of the service's replicas, by name
	flags   []string       // further ones of the service
}

// newSuite starts all of it and ends it with the test; the service gets further flags. It skips where the control plane is
// not built.
func newSuite(t *testing.T, flags ...string) *suite {
	t.Helper()
	c, err := testbed.Start(t.Context(), testbed.Options{
		HPASync: interval, HPADownscaleStabilization: 10 * time.Second, ControllerQPS: 300, LogDir: os.Getenv("E2E_LOGS"),
	})
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	s := &suite{cluster: c, ports: map[string]int{}, flags: flags}
	config := rest.CopyConfig(c.Config())
	config.QPS, config.Burst = 200, 400
	s.kube, err = kubernetes.NewForConfig(config)
	must(t, err)
	s.preheat, err = client.New(config)
	must(t, err)
	must(t, c.Apply(t.Context(), crds.All()))
	_, err = c.AddGPUNodes(t.Context(), 24, 8)
	must(t, err)
	s.startFleet(t)
	s.grant(t)
	s.startService(t, "preheat-a")
	s.startService(t, "preheat-b")
	must(t, c.RegisterAPIServices(t.Context(), testbed.APIServices{
		Namespace: "preheat-system", Service: "preheat", Port: s.ports["preheat-a"], User: "preheat", GroupVersions: metricGroups,
	}))
	for _, gv := range metricGroups {
		must(t, c.AwaitAPIService(t.Context(), gv))
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) startFleet(t *testing.T) {
	t.Helper()
	p, err := replica.ProfileNamed(profile)
	must(t, err)
	s.model = p.Model
	s.fleet, err = emulator.NewFleet(emulator.FleetOptions{
		Client: s.kube, Engine: emulator.Options{Profile: p}, LoadTime: loadTime, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.fleet.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// grant gives the user preheat what deploy/base gives the service's account.
func (s *suite) grant(t *testing.T) {
	t.Helper()
	rbac, err := os.ReadFile(filepath.Join("..", "..", "deploy", "base", "rbac.yaml"))
	must(t, err)
	account := "- {kind: ServiceAccount, name: preheat, namespace: preheat-system}"
	if !strings.Contains(string(rbac), account) {
		t.Fatalf("deploy/base/rbac.yaml has no subject %q", account)
	}
	namespace := "apiVersion: v1\nkind: Namespace\nmetadata: {name: preheat-system}\n---\n"
	user := strings.ReplaceAll(string(rbac), account, "- {apiGroup: rbac.authorization.k8s.io, kind: User, name: preheat}")
	must(t, s.cluster.Apply(t.Context(), []byte(namespace+user)))
}

// startService starts one replica of the built service.
func (s *suite) startService(t *testing.T, name string) {
	t.Helper()
	kubeconfig, err := s.cluster.ClientKubeconfig("preheat")
	must(t, err)
	cert, key, err := s.cluster.ServingCert([]string{"preheat.preheat-system.svc"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	must(t, err)
	port := freePort(t)
	s.ports[name] = port
	must(t, s.cluster.Launch(name, filepath.Join("..", "..", "bin", "preheat"), append([]string{
		"--kubeconfig=" + kubeconfig, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + cert, "--tls-private-key-file=" + key,
		"--interval=" + interval.String(), "--scrape-interval=" + scrapeInterval.String(), "--external-metrics=true",
		"--leader-elect=true", "--namespace=preheat-system", "--identity=" + name,
	}, s.flags...)...))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually polls until check says nothing more, and fails with what it said last.
func eventually(t *testing.T, within time.Duration, check func(ctx context.Context) string) {
	t.Helper()
	complaint := ""
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if complaint = check(t.Context()); complaint == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", within, complaint)
}

// throughout polls and fails as soon as check says something.
func throughout(t *testing.T, span time.Duration, check func(ctx context.Context) string) {
	t.Helper()
	for deadline := time.Now().Add(span); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if complaint := check(t.Context()); complaint != "" {
			t.Fatal(complaint)
		}
	}
}

// deploy makes a namespace with a Deployment "vllm" of emulated replicas, four GPUs each, and waits until they serve.
func (s *suite) deploy(t *testing.T, namespace string, replicas int) {
	t.Helper()
	must(t, s.cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: vllm}}
  template:
    metadata:
      labels: {app: vllm, simulations.preheat.dev/engine: vllm}
      annotations: {simulations.preheat.dev/readiness: emulator}
    spec:
      containers:
      - name: vllm
        image: vllm.invalid/vllm:1
        ports: [{name: http, containerPort: 8000}]
        resources: {limits: {nvidia.com/gpu: 4}}
`, namespace, replicas)))
	s.awaitReady(t, namespace, replicas)
}

func (s *suite) awaitReady(t *testing.T, namespace string, atLeast int) {
	t.Helper()
	eventually(t, 60*time.Second, func(ctx context.Context) string {
		d, err := s.kube.AppsV1().Deployments(namespace).Get(ctx, "vllm", metav1.GetOptions{})
		if err != nil || int(d.Status.ReadyReplicas) < atLeast {
			return fmt.Sprintf("%s: %d of %d replicas ready (%v)", namespace, d.Status.ReadyReplicas, atLeast, err)
		}
		return ""
	})
}

// replicas returns spec.replicas of a namespace's Deployment, -1 where it cannot be read.
func (s *suite) replicas(ctx context.Context, namespace string) int {
	d, err := s.kube.AppsV1().Deployments(namespace).Get(ctx, "vllm", metav1.GetOptions{})
	if err != nil || d.Spec.Replicas == nil {
		return -1
	}
	return int(*d.Spec.Replicas)
}

// autoscale makes an InferenceAutoscaler "vllm" of the Deployment "vllm"; spec is further YAML at the depth of spec.
func (s *suite) autoscale(t *testing.T, namespace, mode string, low, high int, spec string) {
	t.Helper()
	must(t, s.cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: vllm, namespace: %s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  mode: %s
  minReplicas: %d
  maxReplicas: %d
  slo: {ttft: 2s, tpot: 100ms}
  metrics: {stalenessBound: 5s}
%s
`, namespace, mode, low, high, spec)))
}

// status returns an InferenceAutoscaler's status.
func (s *suite) status(ctx context.Context, namespace string) (*v1alpha1.InferenceAutoscaler, error) {
	return s.preheat.InNamespace(namespace).Get(ctx, "vllm", metav1.GetOptions{})
}

// condition returns "Status/Reason: message" of a condition, empty where it is not there.
func condition(ia *v1alpha1.InferenceAutoscaler, kind string) string {
	for _, c := range ia.Status.Conditions {
		if c.Type == kind {
			return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return ""
}

// awaitCondition waits until a condition reads as wanted: it begins with prefix and contains all of parts.
func (s *suite) awaitCondition(t *testing.T, within time.Duration, namespace, kind, prefix string, parts ...string) {
	t.Helper()
	eventually(t, within, func(ctx context.Context) string {
		ia, err := s.status(ctx, namespace)
		if err != nil {
			return err.Error()
		}
		got := condition(ia, kind)
		ok := strings.HasPrefix(got, prefix)
		for _, p := range parts {
			ok = ok && strings.Contains(got, p)
		}
		if !ok {
			return fmt.Sprintf("condition %s is %q, want %q with %q", kind, got, prefix, parts)
		}
		return ""
	})
}

// drive sends a steady or ramping stream of requests to a namespace's replicas until it ends or the test does, and
// returns its driver and a function that waits for the end.
func (s *suite) drive(t *testing.T, namespace string, requests []trace.Request) (*loadgen.Driver, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	router := loadgen.NewRouter()
	following := make(chan error, 1)
	go func() {
		following <- loadgen.Follow(ctx, s.kube, loadgen.Pods{Namespace: namespace, Selector: "app=vllm", Port: 8000}, router)
	}()
	driver, err := loadgen.New(loadgen.Options{Router: router, Model: s.model, Timeout: time.Minute})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- driver.Run(ctx, requests) }()
	var ended bool
	wait := func() {
		if !ended {
			ended = true
			<-done
		}
	}
	t.Cleanup(func() { cancel(); wait(); <-following })
	return driver, wait
}

// stream makes requests of the same size whose rate moves evenly from one to another over the length.
func stream(length time.Duration, from, to float64, prompt, output int) []trace.Request {
	var requests []trace.Request
	for at := time.Duration(0); at < length; {
		rate := from + (to-from)*at.Seconds()/length.Seconds()
		requests = append(requests, trace.Request{At: at, PromptTokens: prompt, OutputTokens: output})
		at += time.Duration(float64(time.Second) / rate)
	}
	return requests
}

// shift moves requests to a later time.
func shift(requests []trace.Request, by time.Duration) []trace.Request {
	for i := range requests {
		requests[i].At += by
	}
	return requests
}
