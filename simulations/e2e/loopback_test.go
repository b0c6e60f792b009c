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
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/external_metrics"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

// slow keeps replicas up for the length of a test, since nothing here is about scaling down.
const slow = "  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}\n"

// TestService runs the service on a real control plane, its engines emulated.
func TestService(t *testing.T) {
	s := newSuite(t)
	t.Run("a bad spec is refused with a message that says what to write", s.refusesBadSpecs)
	t.Run("both metric groups are listed", s.listsMetricGroups)
	t.Run("the service's own metrics are read with the token for that alone", s.guardsItsMetrics)
	t.Run("an HPA scales by a custom metric", s.hpaByCustomMetric)
	t.Run("an HPA scales by an external metric", s.hpaByExternalMetric)
	t.Run("a ramp is met by replicas ordered ahead", s.meetsRamp)
	t.Run("stale and garbage pages scale nothing down", s.holdsWhenBlind)
	t.Run("a rival HPA stops our writes", s.yieldsToRival)
	t.Run("the minimum of an HPA is raised and given back", s.raisesFloor)
	t.Run("a restart loses no replica", s.survivesRestart)
	t.Run("a follower takes over from a killed leader", s.failsOver)
}

func (s *suite) refusesBadSpecs(t *testing.T) {
	for want, spec := range map[string]string{
		"maxReplicas must be at least minReplicas": "minReplicas: 4, maxReplicas: 2",
		"needs mode Own":                       "minReplicas: 0, maxReplicas: 2",
		"requestsPerSecond or tokensPerSecond": "maxReplicas: 2, capacity: {requestsPerSecond: 1, tokensPerSecond: 1}",
	} {
		err := s.cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: bad, namespace: default}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}, %s}
`, spec))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one with %q", spec, err, want)
		}
	}
}

func (s *suite) listsMetricGroups(t *testing.T) {
	resources, err := s.cluster.Kubectl(t.Context(), "api-resources", "--cached=false")
	must(t, err)
	for _, group := range []string{"custom.metrics.k8s.io/v1beta2", "external.metrics.k8s.io/v1beta1"} {
		if !strings.Contains(resources, group) {
			t.Errorf("kubectl api-resources does not list %s", group)
		}
	}
	aggregated, err := s.kube.Discovery().RESTClient().Get().AbsPath("/apis").
		SetHeader("Accept", discovery.AcceptV2).Do(t.Context()).Raw()
	must(t, err)
	for _, want := range []string{"custom.metrics.k8s.io", "external.metrics.k8s.io", `"subresource":"inference_requests_waiting"`, `"resource":"inference_requests_running"`} {
		if !strings.Contains(string(aggregated), want) {
			t.Errorf("aggregated discovery does not list %s", want)
		}
	}
}

func (s *suite) guardsItsMetrics(t *testing.T) {
	rights, err := os.ReadFile(filepath.Join("..", "..", "deploy", "components", "scraping", "rbac.yaml"))
	must(t, err)
	must(t, s.cluster.Apply(t.Context(), rights))
	token, err := s.kube.CoreV1().ServiceAccounts("preheat-system").CreateToken(t.Context(), "preheat-scraper", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	config := rest.AnonymousClientConfig(s.cluster.Config())
	config.Host = fmt.Sprintf("https://127.0.0.1:%d", s.ports["preheat-a"])
	get := func(path string) (int, string) {
		client, err := rest.HTTPClientFor(config)
		must(t, err)
		response, err := client.Get(config.Host + path)
		must(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		must(t, err)
		return response.StatusCode, string(body)
	}
	if code, _ := get("/metrics"); code != http.StatusUnauthorized && code != http.StatusForbidden {
		t.Errorf("without a token the status is %d", code)
	}
	config.BearerToken = token.Status.Token
	if code, body := get("/metrics"); code != http.StatusOK || !strings.Contains(body, "\npreheat_") {
		t.Errorf("with the token the status is %d, and there are %d bytes", code, len(body))
	}
	if code, _ := get("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/inference_requests_waiting"); code != http.StatusForbidden {
		t.Errorf("metrics of pods are read with that token: status %d", code)
	}
}

// busy is a stream that keeps about 24 requests running on 70B replicas: 4 a second of 6 seconds each.
func busy(length time.Duration) []trace.Request { return stream(length, 4, 4, 200, 300) }

func (s *suite) hpaByCustomMetric(t *testing.T) {
	s.deploy(t, "custom", 1)
	s.autoscale(t, "custom", "Advise", 1, 6, "")
	must(t, s.cluster.Apply(t.Context(), []byte(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: vllm, namespace: custom}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  minReplicas: 1
  maxReplicas: 6
  metrics:
  - type: Pods
    pods: {metric: {name: inference_requests_running}, target: {type: AverageValue, averageValue: "8"}}
`)))
	s.drive(t, "custom", busy(40*time.Second))
	s.awaitReplicas(t, "custom", 3)
	raw, err := s.cluster.Kubectl(t.Context(), "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta1/namespaces/custom/pods/*/inference_requests_running")
	must(t, err)
	if !strings.Contains(raw, `"metricName":"inference_requests_running"`) {
		t.Errorf("raw read of v1beta1 is %s", raw)
	}
}

func (s *suite) hpaByExternalMetric(t *testing.T) {
	s.deploy(t, "external", 1)
	s.autoscale(t, "external", "Advise", 1, 6, "")
	must(t, s.cluster.Apply(t.Context(), []byte(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: vllm, namespace: external}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  minReplicas: 1
  maxReplicas: 6
  metrics:
  - type: External
    external:
      metric: {name: inference_requests_inflight, selector: {matchLabels: {inferenceautoscaler: vllm}}}
      target: {type: AverageValue, averageValue: "8"}
`)))
	s.drive(t, "external", busy(40*time.Second))
	s.awaitReplicas(t, "external", 3)
	metrics, err := external_metrics.NewForConfig(s.cluster.Config())
	must(t, err)
	list, err := metrics.NamespacedMetrics("external").List("inference_requests_inflight", labels.Everything())
	must(t, err)
	if len(list.Items) != 1 || list.Items[0].Timestamp.IsZero() || list.Items[0].Value.Sign() <= 0 {
		t.Errorf("external metric reads %+v, want one positive value with its time", list.Items)
	}
}

func (s *suite) awaitReplicas(t *testing.T, namespace string, atLeast int) {
	t.Helper()
	eventually(t, 45*time.Second, func(ctx context.Context) string {
		if n := s.replicas(ctx, namespace); n < atLeast {
			return fmt.Sprintf("%s has %d replicas, want %d", namespace, n, atLeast)
		}
		return ""
	})
}

// meetsRamp sends a load that grows from what one replica serves to several times that, slower than a replica loads.
func (s *suite) meetsRamp(t *testing.T) {
	s.deploy(t, "ramp", 2)
	s.autoscale(t, "ramp", "Own", 2, 10, slow+"  leadTime: {prior: 8s}\n")
	driver, wait := s.drive(t, "ramp", append(stream(20*time.Second, 6, 6, 1000, 200), shift(stream(60*time.Second, 6, 26, 1000, 200), 20*time.Second)...))
	forecast := false
	for range 80 {
		time.Sleep(time.Second)
		if ia, err := s.status(t.Context(), "ramp"); err == nil && ia.Status.LastDecision != nil {
			forecast = forecast || ia.Status.LastDecision.Reason == "ForecastDemand"
		}
	}
	wait()
	sum, err := loadgen.Summarize(driver.Records(), loadgen.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond})
	must(t, err)
	t.Logf("%d requests, attainment %.4f, p99 TTFT %v, %d replicas at the end", sum.Requests, sum.Attainment, sum.TTFTP99, s.replicas(t.Context(), "ramp"))
	if sum.Attainment < 0.99 {
		t.Errorf("attainment is %.4f, want 0.99: the replicas came late", sum.Attainment)
	}
	if n := s.replicas(t.Context(), "ramp"); n < 4 {
		t.Errorf("%d replicas at the end of the ramp, want at least 4", n)
	}
	if !forecast {
		t.Error("no decision was for ForecastDemand: nothing was ordered ahead")
	}
}

func (s *suite) holdsWhenBlind(t *testing.T) {
	s.deploy(t, "blind", 3)
	s.autoscale(t, "blind", "Own", 1, 6, "  behavior: {scaleDown: {stabilizationWindowSeconds: 5}}\n  capacity: {requestsPerSecond: \"3.6\"}\n")
	// enough that no replica is ever idle: a page frozen while nothing runs looks like an idle one's
	s.drive(t, "blind", stream(50*time.Second, 6, 6, 500, 200))
	s.awaitCondition(t, 20*time.Second, "blind", "Blind", "False")
	eventually(t, 20*time.Second, func(context.Context) string { return s.idle("blind") })
	before := s.replicas(t.Context(), "blind")
	s.faultAll(t, "blind", emulator.StaleFault)
	holding := func(ctx context.Context) string {
		if n := s.replicas(ctx, "blind"); n < before {
			return fmt.Sprintf("scaled down from %d to %d replicas while blind", before, n)
		}
		return ""
	}
	throughout(t, 10*time.Second, holding)
	s.awaitCondition(t, 10*time.Second, "blind", "Blind", "True/NoFreshData", "vllm-", "inference_requests_waiting")
	s.faultAll(t, "blind", emulator.GarbageFault)
	throughout(t, 10*time.Second, holding)
	s.awaitCondition(t, 10*time.Second, "blind", "Blind", "True/NoFreshData", "inference_requests_running")
	s.faultAll(t, "blind", emulator.NoFault)
	s.awaitCondition(t, 20*time.Second, "blind", "Blind", "False")
}

// idle names a replica of a namespace that has hardly anything to do, empty where all are busy.
func (s *suite) idle(namespace string) string {
	for _, name := range s.fleet.Names() {
		ns, pod, _ := strings.Cut(name, "/")
		if p, ok := s.fleet.Pod(ns, pod); ok && ns == namespace && p.Inflight() < 3 {
			return name + " is idle"
		}
	}
	return ""
}

// faultAll sets a fault on every replica of a namespace.
func (s *suite) faultAll(t *testing.T, namespace string, f emulator.Fault) {
	t.Helper()
	set := 0
	for _, name := range s.fleet.Names() {
		ns, pod, _ := strings.Cut(name, "/")
		if p, ok := s.fleet.Pod(ns, pod); ok && ns == namespace {
			must(t, p.SetFault(f))
			set++
		}
	}
	if set == 0 {
		t.Fatalf("no replica in %s to set a fault on", namespace)
	}
}

func (s *suite) yieldsToRival(t *testing.T) {
	s.deploy(t, "rival", 2)
	s.autoscale(t, "rival", "Own", 2, 8, slow)
	s.awaitCondition(t, 20*time.Second, "rival", "Conflict", "False")
	must(t, s.cluster.Apply(t.Context(), []byte(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: intruder, namespace: rival}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  minReplicas: 1
  maxReplicas: 8
  metrics: [{type: Pods, pods: {metric: {name: inference_requests_running}, target: {type: AverageValue, averageValue: "100"}}}]
`)))
	s.awaitCondition(t, 20*time.Second, "rival", "Conflict", "True", "intruder")
	s.raiseMinimum(t, "rival", 5)
	throughout(t, 3*interval, func(ctx context.Context) string {
		if n := s.replicas(ctx, "rival"); n >= 5 {
			return fmt.Sprintf("wrote %d replicas beside a rival HPA", n)
		}
		return ""
	})
	must(t, s.kube.AutoscalingV2().HorizontalPodAutoscalers("rival").Delete(t.Context(), "intruder", metav1.DeleteOptions{}))
	s.awaitReplicas(t, "rival", 5)
	s.awaitCondition(t, 20*time.Second, "rival", "Conflict", "False")
}

// raiseMinimum is the plainest way to make the service write.
func (s *suite) raiseMinimum(t *testing.T, namespace string, n int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"minReplicas":%d}}`, n)
	_, err := s.preheat.InNamespace(namespace).Patch(t.Context(), "vllm", types.MergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
}

func (s *suite) survivesRestart(t *testing.T) {
	s.deploy(t, "restart", 4)
	s.autoscale(t, "restart", "Own", 1, 6, "  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}\n  capacity: {requestsPerSecond: \"3\"}\n")
	s.drive(t, "restart", stream(40*time.Second, 2, 2, 500, 200))
	s.awaitCondition(t, 20*time.Second, "restart", "Blind", "False")
	for name := range s.ports {
		must(t, s.cluster.KillComponent(name))
	}
	for name := range s.ports {
		must(t, s.cluster.RestartComponent(name))
	}
	throughout(t, 25*time.Second, func(ctx context.Context) string {
		if n := s.replicas(ctx, "restart"); n < 4 {
			return fmt.Sprintf("%d of 4 replicas left after a restart, within the window", n)
		}
		return ""
	})
	s.awaitCondition(t, 10*time.Second, "restart", "Blind", "False")
}

func (s *suite) failsOver(t *testing.T) {
	s.deploy(t, "failover", 3)
	s.autoscale(t, "failover", "Own", 1, 6, slow)
	s.awaitCondition(t, 30*time.Second, "failover", "Ready", "True")
	leader := s.leader(t)
	must(t, s.cluster.KillComponent(leader))
	killed := time.Now()
	s.raiseMinimum(t, "failover", 4)
	eventually(t, 20*time.Second, func(ctx context.Context) string {
		n := s.replicas(ctx, "failover")
		if n < 3 {
			t.Fatalf("%d replicas left of 3 after the leader was killed", n)
		}
		if n < 4 {
			return "the follower has not acted"
		}
		return ""
	})
	t.Logf("the follower acted %v after %s was killed", time.Since(killed).Round(100*time.Millisecond), leader)
	must(t, s.cluster.RestartComponent(leader))
}

// leader returns the name of the replica that holds the lease.
func (s *suite) leader(t *testing.T) string {
	t.Helper()
	var name string
	eventually(t, 20*time.Second, func(ctx context.Context) string {
		leases, err := s.kube.CoordinationV1().Leases("preheat-system").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		for _, l := range leases.Items {
			if holder, ok := holderOf(l); ok && s.ports[holder] != 0 {
				name = holder
				return ""
			}
		}
		return "no replica holds the lease"
	})
	return name
}

func holderOf(l coordinationv1.Lease) (string, bool) {
	if l.Spec.HolderIdentity == nil {
		return "", false
	}
	return *l.Spec.HolderIdentity, true
}

// raisesFloor has an HPA that would keep one replica, and an InferenceAutoscaler that knows better.
func (s *suite) raisesFloor(t *testing.T) {
	s.deploy(t, "floor", 1)
	must(t, s.cluster.Apply(t.Context(), []byte(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: vllm, namespace: floor}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  minReplicas: 1
  maxReplicas: 6
  metrics: [{type: Pods, pods: {metric: {name: inference_requests_running}, target: {type: AverageValue, averageValue: "500"}}}]
`)))
	s.autoscale(t, "floor", "Floor", 3, 6, slow)
	minimum := func(ctx context.Context) int {
		h, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers("floor").Get(ctx, "vllm", metav1.GetOptions{})
		if err != nil || h.Spec.MinReplicas == nil {
			return -1
		}
		return int(*h.Spec.MinReplicas)
	}
	eventually(t, 30*time.Second, func(ctx context.Context) string {
		if n := minimum(ctx); n != 3 {
			return fmt.Sprintf("the HPA's minimum is %d, want 3", n)
		}
		return ""
	})
	s.awaitReplicas(t, "floor", 3) // by the HPA controller
	must(t, s.preheat.InNamespace("floor").Delete(t.Context(), "vllm", metav1.DeleteOptions{}))
	eventually(t, 30*time.Second, func(ctx context.Context) string {
		if n := minimum(ctx); n != 1 {
			return fmt.Sprintf("the HPA's minimum is %d after the InferenceAutoscaler is gone, want its own 1 back", n)
		}
		return ""
	})
}
