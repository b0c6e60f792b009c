//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

// mostDown is how long metrics may be unreadable while the service is replaced or loses a replica.
const mostDown = time.Second

// TestServiceOnARealNode runs the service as deploy/ says, on a real node, beside engine pods that really run. The steps
// build on each other.
func TestServiceOnARealNode(t *testing.T) {
	n := newRealNode(t)
	step := func(name string, f func(*testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	step("the base comes up as it is shipped", n.baseComesUp)
	step("the overlay adds external metrics", n.overlayComesUp)
	step("the Service answers with the certificate that it made", n.serviceHasItsCertificate)
	step("the samples are taken and worked on", n.samplesAreTaken)
	step("engines run on the node", n.enginesRun)
	driver := n.load(t, append(stream(15*time.Second, 5, 5, 500, 150), shift(stream(4*time.Minute, 14, 14, 500, 150), 15*time.Second)...))
	step("engines are scaled up under load", n.enginesAreScaled)
	step("an HPA follows an external metric", n.hpaFollows)
	step("a rolling update leaves no gap", n.rollingUpdate)
	step("a killed leader is replaced", n.leaderIsKilled)
	step("requests were served", func(t *testing.T) { requestsServed(t, driver) })
	step("every right was enough and none too much", n.rightsFit)
}

func (n *realNode) baseComesUp(t *testing.T) {
	n.apply(t, "base")
	n.awaitRollout(t)
	for _, gv := range metricGroups[:2] {
		must(t, n.box.AwaitAPIService(t.Context(), gv))
	}
	eventually(t, 20*time.Second, func(ctx context.Context) string {
		budget, err := n.kube.PolicyV1().PodDisruptionBudgets(serviceNamespace).Get(ctx, "preheat", metav1.GetOptions{})
		if err != nil || budget.Status.CurrentHealthy != 2 || budget.Status.DisruptionsAllowed != 1 {
			return fmt.Sprintf("the budget counts %+v (%v), want two healthy pods of which one may go", budget.Status, err)
		}
		return ""
	})
	holder := n.awaitHolder(t, 30*time.Second, "")
	t.Logf("%s holds the lease", holder)
}

// overlayComesUp is an upgrade too: the flag of the overlay rolls the pods.
func (n *realNode) overlayComesUp(t *testing.T) {
	n.apply(t, "overlays/external-metrics")
	n.awaitRollout(t)
	for _, gv := range metricGroups {
		must(t, n.box.AwaitAPIService(t.Context(), gv))
	}
	resources := n.kubectl(t, "api-resources", "--cached=false")
	for _, group := range []string{"custom.metrics.k8s.io/v1beta2", "external.metrics.k8s.io/v1beta1"} {
		if !strings.Contains(resources, group) {
			t.Errorf("kubectl api-resources does not list %s", group)
		}
	}
}

// serviceHasItsCertificate asks the Service at its ClusterIP and verifies it against the bundle of every APIService.
func (n *realNode) serviceHasItsCertificate(t *testing.T) {
	service, err := n.kube.CoreV1().Services(serviceNamespace).Get(t.Context(), "preheat", metav1.GetOptions{})
	must(t, err)
	for _, gv := range metricGroups {
		api, err := n.apiService(t.Context(), gv.Version+"."+gv.Group)
		must(t, err)
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(api.Spec.CABundle) || api.Spec.InsecureSkipTLSVerify {
			t.Fatalf("APIService %s has no bundle or does not verify: %q", api.Name, api.Spec.CABundle)
		}
		transport := &http.Transport{
			DialContext: n.box.Dial, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "preheat.preheat-system.svc"},
		}
		response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get("https://" + service.Spec.ClusterIP + "/readyz")
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != http.StatusOK {
			t.Errorf("/readyz behind the ClusterIP answers %s", response.Status)
		}
	}
}

// samplesAreTaken applies every sample and waits until the service has said something on each InferenceAutoscaler.
func (n *realNode) samplesAreTaken(t *testing.T) {
	samples := filepath.Join(root(t), "deploy", "samples")
	n.kubectl(t, "apply", "-f", samples)
	eventually(t, 60*time.Second, func(ctx context.Context) string {
		list, err := n.preheat.InNamespace("default").List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) < 5 {
			return fmt.Sprintf("%d samples, want 5 (%v)", len(list.Items), err)
		}
		for _, ia := range list.Items {
			if condition(&ia, "Ready") == "" || ia.Status.ObservedGeneration != ia.Generation {
				return fmt.Sprintf("nothing was said on sample %s: %+v", ia.Name, ia.Status)
			}
		}
		pool, err := n.preheat.PoolsInNamespace("default").Get(ctx, "h100", metav1.GetOptions{})
		if err != nil || pool.Status.ObservedGeneration != pool.Generation {
			return fmt.Sprintf("nothing was said on the sample of a WarmPool (%v)", err)
		}
		return ""
	})
	n.kubectl(t, "delete", "--wait=false", "-f", samples)
}

// enginesRun starts two engines that load for 4 s.
func (n *realNode) enginesRun(t *testing.T) {
	must(t, n.box.Apply(t.Context(), enginesManifest()))
	n.awaitReady(t, engines, 2)
	n.behindTheirService(t)
}

// enginesAreScaled sees replicas come for a load that is more than two are said to serve.
func (n *realNode) enginesAreScaled(t *testing.T) {
	n.awaitCondition(t, 45*time.Second, engines, "Blind", "False")
	n.awaitReady(t, engines, 4)
	// Replicas that have just become ready have not been scraped yet: while most are such, the Service has no value.
	for _, metric := range []string{"inference_requests_running", "inference_generation_tokens_per_second", "inference_time_to_first_token_seconds_p95"} {
		eventually(t, 30*time.Second, func(ctx context.Context) string {
			raw, err := n.box.Kubectl(ctx, "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/engines/services/vllm/"+metric)
			if err != nil || !strings.Contains(raw, `"name":"`+metric+`"`) || !strings.Contains(raw, `"kind":"Service"`) || strings.Contains(raw, `"value":"0"`) {
				return fmt.Sprintf("metric %s of the Service reads %s (%v)", metric, raw, err)
			}
			return ""
		})
	}
	raw := n.kubectl(t, "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta1/namespaces/engines/pods/*/inference_requests_running")
	if count := strings.Count(raw, `"metricName":"inference_requests_running"`); count < 2 {
		t.Errorf("metric of the pods has %d values, want at least 2: %s", count, raw)
	}
	ia, err := n.status(t.Context(), engines)
	must(t, err)
	t.Logf("%d replicas after %q; lead time %+v", n.replicas(t.Context(), engines), ia.Status.LastDecision.Reason, ia.Status.LeadTime)
}

// behindTheirService reads an engine's own page through kube-proxy.
func (n *realNode) behindTheirService(t *testing.T) {
	t.Helper()
	service, err := n.kube.CoreV1().Services(engines).Get(t.Context(), "vllm", metav1.GetOptions{})
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DialContext: n.box.Dial, DisableKeepAlives: true}, Timeout: 3 * time.Second}
	eventually(t, 20*time.Second, func(context.Context) string {
		response, err := client.Get("http://" + net.JoinHostPort(service.Spec.ClusterIP, "80") + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		page, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(page), "vllm:num_requests_running") {
			return fmt.Sprintf("the page behind the ClusterIP is %.200q (%v)", page, err)
		}
		return ""
	})
}

func enginesManifest() []byte {
	return fmt.Appendf(nil, `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: vllm}}
  template:
    metadata: {labels: {app: vllm}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
      - name: vllm
        image: %[2]s
        imagePullPolicy: Never
        args: [-listen=:8000, -load-time=4s, -grace=15s, -profile=%[3]s]
        ports: [{name: http, containerPort: 8000}]
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
        resources: {limits: {nvidia.com/gpu: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: vllm, namespace: %[1]s}
spec: {selector: {app: vllm}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: vllm, namespace: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  mode: Own
  minReplicas: 2
  maxReplicas: 7
  slo: {ttft: 2s, tpot: 100ms}
  capacity: {requestsPerSecond: "4"}
  leadTime: {prior: 10s}
`, engines, engineImage, profile)
}

// hpaFollows scales a Deployment of nothing by the requests that another one has in flight.
func (n *realNode) hpaFollows(t *testing.T) {
	must(t, n.box.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: follower, namespace: %[1]s}
spec:
  replicas: 1
  selector: {matchLabels: {app: follower}}
  template:
    metadata: {labels: {app: follower}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: pause, image: "preheat.local/pause:1", imagePullPolicy: Never}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: follower, namespace: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: follower}
  minReplicas: 1
  maxReplicas: 3
  metrics:
  - type: External
    external:
      metric: {name: inference_requests_inflight, selector: {matchLabels: {inferenceautoscaler: vllm}}}
      target: {type: AverageValue, averageValue: "10"}
`, engines)))
	eventually(t, 60*time.Second, func(ctx context.Context) string {
		d, err := n.deployment(ctx, engines, "follower")
		if err != nil || d.Status.ReadyReplicas < 3 {
			return fmt.Sprintf("%d ready replicas, want 3 (%v)", d.Status.ReadyReplicas, err)
		}
		return ""
	})
}

// rollingUpdate replaces both replicas while metrics are read five times a second.
func (n *realNode) rollingUpdate(t *testing.T) {
	before, err := n.servicePods(t.Context())
	must(t, err)
	v := n.keepVigil(t)
	time.Sleep(3 * time.Second)
	n.kubectl(t, "-n", serviceNamespace, "patch", "deployment", "preheat", "-p",
		`{"spec":{"template":{"metadata":{"annotations":{"simulations.preheat.dev/rolled":"once"}}}}}`)
	n.awaitRollout(t)
	n.awaitGone(t, before)
	holder := n.awaitHolder(t, 30*time.Second, "")
	time.Sleep(3 * time.Second)
	v.report(t, 0)
	if slices.ContainsFunc(before, func(p corev1.Pod) bool { return p.Name == holder }) {
		t.Errorf("%s still holds the lease", holder)
	}
}

// awaitGone waits until the pods have ended, those that drain too.
func (n *realNode) awaitGone(t *testing.T, pods []corev1.Pod) {
	t.Helper()
	eventually(t, 90*time.Second, func(ctx context.Context) string {
		list, err := n.kube.CoreV1().Pods(serviceNamespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		for _, old := range pods {
			if slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return p.UID == old.UID }) {
				return old.Name + " is still there"
			}
		}
		return ""
	})
}

// leaderIsKilled takes the leader away without grace. The other one serves on and takes over the writing.
func (n *realNode) leaderIsKilled(t *testing.T) {
	leader, want := n.holder(t.Context()), n.replicas(t.Context(), engines)+1
	v := n.keepVigil(t)
	n.kubectl(t, "-n", engines, "patch", "ia", "vllm", "--type=merge", "-p", `{"spec":{"maxReplicas":20}}`) // room for one more
	n.kubectl(t, "-n", serviceNamespace, "delete", "pod", leader, "--grace-period=0", "--force")
	killed := time.Now()
	n.raiseMinimum(t, engines, want)
	holder := n.awaitHolder(t, 20*time.Second, leader)
	t.Logf("%s took over %v after the kill", holder, time.Since(killed).Round(100*time.Millisecond))
	eventually(t, 40*time.Second, func(ctx context.Context) string { // it decides every 15 s
		if r := n.replicas(ctx, engines); r < want {
			return fmt.Sprintf("%d replicas, want %d: the new leader has not acted", r, want)
		}
		return ""
	})
	t.Logf("it acted %v after the kill", time.Since(killed).Round(100*time.Millisecond))
	n.awaitRollout(t)
	v.report(t, mostDown) // the aggregator may have asked the dead one whether it is there
}

// requestsServed looks at what came back while the service was replaced: engines were neither lost nor overrun.
func requestsServed(t *testing.T, driver *loadgen.Driver) {
	sum, err := loadgen.Summarize(driver.Records(), loadgen.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond})
	must(t, err)
	t.Logf("%d requests, %d errors, attainment %.4f, p99 TTFT %v", sum.Requests, sum.Errors, sum.Attainment, sum.TTFTP99)
	if sum.Requests < 500 || sum.Errors > 0 {
		t.Errorf("%d of %d requests failed, want none of at least 500", sum.Errors, sum.Requests)
	}
}

// rightsFit compares what the service asked for with what its roles allow.
func (n *realNode) rightsFit(t *testing.T) {
	used := map[string]bool{}
	for _, a := range n.requests(t) {
		used[a.right()] = true
		if a.ResponseStatus.Code == http.StatusForbidden {
			t.Errorf("%s %s was forbidden", a.Verb, a.URI)
		}
	}
	if len(used) < 10 {
		t.Fatalf("only %d rights were used: the log tells nothing: %v", len(used), used)
	}
	for _, right := range n.granted(t) {
		verb, resource, _ := strings.Cut(right, " ")
		streamed := verb == "list" && used["watch "+resource] // listed where the API server does not stream lists
		if !used[right] && !streamed && reserved[right] == "" {
			t.Errorf("the right to %s is not used, and no reason is known for it", right)
		}
	}
	logs := n.kubectl(t, "-n", serviceNamespace, "logs", "-l", "app.kubernetes.io/name=preheat", "--tail=-1")
	for line := range strings.Lines(logs) {
		if strings.Contains(strings.ToLower(line), "forbidden") {
			t.Errorf("the service complains: %s", line)
		}
	}
}

// reserved are the rights that this test does not come to use.
var reserved = map[string]string{
	"get inferenceautoscalers.preheat.dev":       "to write a status again after a conflict",
	"get deployments.apps":                       "to name who else writes replicas",
	"get statefulsets.apps":                      "to name who else writes replicas",
	"update statefulsets/scale.apps":             "a target here is a Deployment",
	"patch horizontalpodautoscalers.autoscaling": "mode Floor",
	"list scaledobjects.keda.sh":                 "KEDA is not here",
	"watch scaledobjects.keda.sh":                "KEDA is not here",
	"patch scaledobjects.keda.sh":                "KEDA is not here",
	"create pods/eviction":                       "to replace a warm replica that cannot be woken",
	"patch events":                               "to count an event that comes again",
	"update secrets":                             "to rotate the certificate, after 60 days",
}

// granted lists the rights of the service's own roles.
func (n *realNode) granted(t *testing.T) []string {
	t.Helper()
	cluster, err := n.kube.RbacV1().ClusterRoles().Get(t.Context(), "preheat", metav1.GetOptions{})
	must(t, err)
	local, err := n.kube.RbacV1().Roles(serviceNamespace).Get(t.Context(), "preheat", metav1.GetOptions{})
	must(t, err)
	var rights []string
	for _, rule := range append(cluster.Rules, local.Rules...) {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					rights = append(rights, strings.TrimSuffix(fmt.Sprintf("%s %s.%s", verb, resource, group), "."))
				}
			}
		}
	}
	slices.Sort(rights)
	return rights
}

// load sends a stream to the engines until the test ends.
func (n *realNode) load(t *testing.T, requests []trace.Request) *loadgen.Driver {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	router := loadgen.NewRouter()
	driver, err := loadgen.New(loadgen.Options{Router: router, Model: n.model, Timeout: time.Minute, Dial: n.box.Dial})
	must(t, err)
	following, driving := make(chan error, 1), make(chan error, 1)
	go func() {
		following <- loadgen.Follow(ctx, n.kube, loadgen.Pods{Namespace: engines, Selector: "app=vllm", Port: 8000}, router)
	}()
	go func() { driving <- driver.Run(ctx, requests) }()
	t.Cleanup(func() { cancel(); <-driving; <-following })
	return driver
}
