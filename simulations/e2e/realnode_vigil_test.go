//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// vigilPeriod is the time between two looks.
const vigilPeriod = 200 * time.Millisecond

// shownFailures is how many of a vigil's failures are printed.
const shownFailures = 10

// readTimeout bounds the read of one metric; slow is not down.
const readTimeout = 5 * time.Second

// vigil reads metrics every 200 ms, and watches that neither an APIService becomes unavailable nor the target loses a
// replica. It reads through the aggregator, which keeps its connection to one replica, and behind the Service over a new
// connection each time, as a kube-apiserver does that has just started or knows the endpoints.
type vigil struct {
	node   *realNode
	direct *http.Client
	host   string // the Service's
	cancel context.CancelFunc
	done   sync.WaitGroup

	// What was seen; read after end.
	polls    int
	slowest  time.Duration
	down     time.Duration // each failed look counts until the next one
	failures []string
	away     map[string]time.Duration // how long each APIService was unavailable, by as many looks
	awayWhy  []string
	fewer    []string // the target's replicas that went
	replicas int      // the most of the target
}

// watchedMetrics are one of each kind: measured, decided, external.
var watchedMetrics = []string{
	"/apis/custom.metrics.k8s.io/v1beta2/namespaces/engines/inferenceautoscalers.preheat.dev/vllm/inference_requests_running",
	"/apis/custom.metrics.k8s.io/v1beta1/namespaces/engines/inferenceautoscalers.preheat.dev/vllm/inference_recommended_replicas",
	"/apis/external.metrics.k8s.io/v1beta1/namespaces/engines/inference_requests_per_second?labelSelector=inferenceautoscaler%3Dvllm",
}

// keepVigil begins at once; the caller ends it.
func (n *realNode) keepVigil(t *testing.T) *vigil {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	v := &vigil{node: n, cancel: cancel, away: map[string]time.Duration{}}
	v.direct, v.host = n.behindService(t)
	v.done.Go(func() { every(ctx, v.look) })
	v.done.Go(func() { every(ctx, v.lookAtObjects(n.replicas(ctx, engines))) })
	t.Cleanup(v.end)
	return v
}

// end stops looking; then the fields may be read.
func (v *vigil) end() {
	v.cancel()
	v.done.Wait()
}

func every(ctx context.Context, f func(ctx context.Context, at time.Time)) {
	ticker := time.NewTicker(vigilPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f(ctx, time.Now())
		}
	}
}

// look reads every metric once.
func (v *vigil) look(ctx context.Context, at time.Time) {
	var problem error
	for _, uri := range watchedMetrics {
		if err := v.node.readMetric(ctx, uri); err != nil {
			problem = fmt.Errorf("through the aggregator: %w", err)
		}
		if err := v.readDirectly(ctx, uri); err != nil {
			problem = fmt.Errorf("behind the Service: %w", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	v.polls++
	took := time.Since(at)
	v.slowest = max(v.slowest, took)
	if problem != nil {
		v.down += max(took, vigilPeriod)
		v.failures = append(v.failures, fmt.Sprintf("%s: %v", at.Format("15:04:05.000"), problem))
	}
}

// readMetric says what is wrong unless there is exactly one value.
func (n *realNode) readMetric(ctx context.Context, uri string) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	raw, err := n.kube.Discovery().RESTClient().Get().RequestURI(uri).Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("%s: %w: %.300s", uri, err, raw)
	}
	return oneValue(uri, raw)
}

func (v *vigil) readDirectly(ctx context.Context, uri string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.host+uri, nil)
	if err != nil {
		return err
	}
	response, err := v.direct.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", uri, err)
	}
	return oneValue(uri, raw)
}

func oneValue(uri string, raw []byte) error {
	var list struct {
		Items []struct {
			Value string `json:"value"`
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("%s: read %.300q: %w", uri, raw, err)
	}
	if len(list.Items) != 1 || list.Items[0].Value == "" {
		return fmt.Errorf("%s: one value is wanted, read %.300s", uri, raw)
	}
	return nil
}

// behindService returns a client that connects to the Service anew for each request, as the administrator, and the
// Service's address. It trusts the bundle of an APIService alone.
func (n *realNode) behindService(t *testing.T) (c *http.Client, host string) {
	t.Helper()
	api, err := n.apiService(t.Context(), "v1beta2.custom.metrics.k8s.io")
	must(t, err)
	service, err := n.kube.CoreV1().Services(serviceNamespace).Get(t.Context(), "preheat", metav1.GetOptions{})
	must(t, err)
	config := n.box.Config()
	config.CAFile, config.CAData, config.ServerName = "", api.Spec.CABundle, "preheat.preheat-system.svc"
	trust, err := rest.TLSConfigFor(config)
	must(t, err)
	transport := &http.Transport{DialContext: n.box.Dial, DisableKeepAlives: true, TLSClientConfig: trust}
	return &http.Client{Transport: transport, Timeout: readTimeout}, "https://" + service.Spec.ClusterIP
}

// lookAtObjects adds up for how long APIServices are unavailable, and remembers every replica less than before.
func (v *vigil) lookAtObjects(replicas int) func(ctx context.Context, at time.Time) {
	v.replicas = replicas
	return func(ctx context.Context, at time.Time) {
		now := v.node.replicas(ctx, engines)
		if now >= 0 && now < v.replicas {
			v.fewer = append(v.fewer, fmt.Sprintf("%s: %d replicas of %d", at.Format("15:04:05.000"), now, v.replicas))
		}
		v.replicas = max(now, v.replicas)
		for _, gv := range metricGroups {
			name := gv.Version + "." + gv.Group
			if problem := v.node.unavailable(ctx, name); problem != "" && ctx.Err() == nil {
				v.away[name] += vigilPeriod
				v.awayWhy = append(v.awayWhy, at.Format("15:04:05.000: ")+problem)
			}
		}
	}
}

// apiService reads an APIService.
func (n *realNode) apiService(ctx context.Context, name string) (*apiregistrationv1.APIService, error) {
	raw, err := n.kube.Discovery().RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/" + name).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	service := &apiregistrationv1.APIService{}
	return service, json.Unmarshal(raw, service)
}

// unavailable says why an APIService is not available, nothing where it is.
func (n *realNode) unavailable(ctx context.Context, name string) string {
	service, err := n.apiService(ctx, name)
	if err != nil {
		return fmt.Sprintf("APIService %s: %v", name, err)
	}
	for _, c := range service.Status.Conditions {
		if c.Type == apiregistrationv1.Available && c.Status == apiregistrationv1.ConditionTrue {
			return ""
		}
	}
	return fmt.Sprintf("APIService %s is not available: %v", name, service.Status.Conditions)
}

// report fails the test for replicas that went, where metrics could not be read for longer than mostDown, and where an
// APIService was unavailable for longer than mostAway.
func (v *vigil) report(t *testing.T, mostAway time.Duration) {
	t.Helper()
	v.end()
	t.Logf("%d looks, %d failed: %v without metrics (bound %v); slowest look %v; %d replicas",
		v.polls, len(v.failures), v.down.Round(time.Millisecond), mostDown, v.slowest.Round(time.Millisecond), v.replicas)
	for _, f := range v.failures[:min(len(v.failures), shownFailures)] {
		t.Log(f)
	}
	if v.down > mostDown {
		t.Errorf("metrics could not be read for %v, bound %v", v.down, mostDown)
	}
	for name, away := range v.away {
		if away > mostAway {
			t.Errorf("APIService %s was unavailable for %v, bound %v:\n%q", name, away, mostAway, v.awayWhy)
		}
	}
	if len(v.fewer) > 0 {
		t.Errorf("lost on the way:\n%q", v.fewer)
	}
	if v.polls < 10 {
		t.Errorf("only %d looks: this watched nothing", v.polls)
	}
}
