//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// vigilPeriod is the time between two looks.
const vigilPeriod = 200 * time.Millisecond

// vigil reads metrics through the aggregator every 200 ms, and watches that neither an APIService becomes unavailable nor
// the target loses a replica.
type vigil struct {
	node   *realNode
	cancel context.CancelFunc
	done   sync.WaitGroup

	// What was seen; read after end.
	polls    int
	slowest  time.Duration
	down     time.Duration // each failed look counts until the next one
	failures []string
	lost     []string // APIServices that were unavailable, and replicas that went
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
	v := &vigil{node: n, cancel: cancel}
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
			problem = err
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
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	raw, err := n.kube.Discovery().RESTClient().Get().RequestURI(uri).Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("%s: %w: %.300s", uri, err, raw)
	}
	var list struct {
		Items []struct {
			Value string `json:"value"`
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list.Items) != 1 || list.Items[0].Value == "" {
		return fmt.Errorf("%s: one value is wanted, read %s (%v)", uri, raw, err)
	}
	return nil
}

// lookAtObjects remembers the APIServices that are unavailable and every replica less than before.
func (v *vigil) lookAtObjects(replicas int) func(ctx context.Context, at time.Time) {
	v.replicas = replicas
	return func(ctx context.Context, at time.Time) {
		now := v.node.replicas(ctx, engines)
		if now >= 0 && now < v.replicas {
			v.lost = append(v.lost, fmt.Sprintf("%s: %d replicas of %d", at.Format("15:04:05.000"), now, v.replicas))
		}
		v.replicas = max(now, v.replicas)
		for _, gv := range metricGroups {
			if problem := v.node.unavailable(ctx, gv.Version+"."+gv.Group); problem != "" && ctx.Err() == nil {
				v.lost = append(v.lost, at.Format("15:04:05.000: ")+problem)
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

// report fails the test for what was lost, and where metrics could not be read for longer than the bound.
func (v *vigil) report(t *testing.T, bound time.Duration) {
	t.Helper()
	v.end()
	t.Logf("%d looks, %d failed: %v without metrics (bound %v); slowest look %v; %d replicas",
		v.polls, len(v.failures), v.down.Round(time.Millisecond), bound, v.slowest.Round(time.Millisecond), v.replicas)
	for _, f := range v.failures {
		t.Log(f)
	}
	if v.down > bound {
		t.Errorf("metrics could not be read for %v, bound %v", v.down, bound)
	}
	if len(v.lost) > 0 {
		t.Errorf("lost on the way:\n%q", v.lost)
	}
	if v.polls < 10 {
		t.Errorf("only %d looks: this watched nothing", v.polls)
	}
}
