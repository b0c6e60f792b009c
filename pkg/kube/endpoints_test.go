package kube

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

func TestEndpointsAreThePodsWithAPage(t *testing.T) {
	w := ownWorld(t)
	w.pod("ready", nil)
	w.pod("draining", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: t0} })
	w.pod("loading", func(p *corev1.Pod) { unready(p, 1) })
	w.pod("waiting", func(p *corev1.Pod) { unscheduled(p, corev1.PodReasonUnschedulable) })
	w.pod("ended", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	w.pod("without-address", func(p *corev1.Pod) { p.Status.PodIP = "" })
	w.pod("of-another-app", func(p *corev1.Pod) { p.Labels["app"] = "other" })
	w.pod("overloaded", nil)
	w.pod("overloaded", func(p *corev1.Pod) { unready(p, 500) })
	w.pod("crashed", nil)
	w.pod("crashed", func(p *corev1.Pod) { unready(p, 500); restart(p, 501) })
	if got := w.Endpoints.Endpoints(); len(got) != 0 {
		t.Errorf("endpoints before the first observation: %v", got)
	}
	w.tick(vllm, t0, 3)
	var names []string
	for _, e := range w.Endpoints.Endpoints() {
		names = append(names, e.Pod.Name)
	}
	if diff := cmp.Diff([]string{"draining", "overloaded", "ready"}, names); diff != "" {
		t.Errorf("scraped pods (-want +got):\n%s", diff)
	}
}

func TestEndpointNamesPodAndProfile(t *testing.T) {
	for engine, profile := range map[string]string{"": "", "auto": "", "vllm": "vllm"} {
		t.Run("engine "+engine, func(t *testing.T) {
			w := newWorld(t)
			w.deployment("vllm", 1)
			w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Metrics.Engine = engine })
			w.pod("a", nil)
			w.tick(vllm, t0, 1)
			want := []scrape.Endpoint{{Pod: store.PodID{Namespace: "ml", Name: "a", UID: "a"}, URL: "http://10.0.0.1:8000/metrics", Profile: profile}}
			if diff := cmp.Diff(want, w.Endpoints.Endpoints()); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPodOfTwoTargetsIsScrapedOnce(t *testing.T) {
	w := ownWorld(t)
	w.autoscaler("advice", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeAdvise })
	w.pod("a", nil)
	w.tick(vllm, t0, 1)
	w.tick(controlloop.TargetID{Namespace: "ml", Name: "advice"}, t0, 1)
	if got := w.Endpoints.Endpoints(); len(got) != 1 {
		t.Errorf("endpoints %v, want one", got)
	}
}

func TestEndpointsOfAGoneTargetEnd(t *testing.T) {
	w := ownWorld(t)
	w.pod("a", nil)
	w.tick(vllm, t0, 1)
	w.Targets.drop(w.autoscalers.all[vllm])
	if got := w.Endpoints.Endpoints(); len(got) != 0 {
		t.Errorf("endpoints %v, want none", got)
	}
}

func TestAPodWithoutAPortDoesNotStopTheOthers(t *testing.T) {
	w := ownWorld(t)
	w.pod("a", func(p *corev1.Pod) { p.Spec.Containers[0].Ports = nil })
	w.pod("b", nil)
	w.tick(vllm, t0, 1)
	got := w.Endpoints.Endpoints()
	if !slices.ContainsFunc(got, func(e scrape.Endpoint) bool { return e.Pod.Name == "b" }) || len(got) != 1 {
		t.Errorf("endpoints %v, want b alone", got)
	}
}

func TestPodsOfATargetWithPrometheusAreQueriedAndNotScraped(t *testing.T) {
	w := newWorld(t)
	w.deployment("vllm", 2)
	w.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) {
		a.Spec.Metrics.Engine = "vllm"
		a.Spec.Metrics.Prometheus = &v1alpha1.PrometheusSource{
			Labels:      v1alpha1.PodLabels{Namespace: "ns", Pod: "kubernetes_pod_name"},
			Expressions: map[string]v1alpha1.PromQL{"inference_requests_waiting": "queue"},
		}
	})
	w.pod("a", nil)
	w.pod("b", nil)
	w.tick(vllm, t0, 2)
	if got := w.Endpoints.Endpoints(); len(got) != 0 {
		t.Errorf("scraped are %v", got)
	}
	got := w.Endpoints.Queried()
	if len(got) != 2 || got[0].Expressions == nil || got[0].Expressions != got[1].Expressions || got[0].Since.IsZero() {
		t.Fatalf("queried are %+v: want two pods with one set of expressions", got)
	}
	want := prom.Endpoint{
		Pod: store.PodID{Namespace: "ml", Name: "a", UID: "a"}, Naming: prom.Naming{Namespace: "ns", Pod: "kubernetes_pod_name"}, Profile: "vllm",
		Since: got[0].Since, Staleness: 30 * time.Second,
		Expressions: &prom.Expressions{Of: map[signals.Metric]string{signals.RequestsWaiting: "queue"}},
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("the endpoint (-want +got):\n%s", diff)
	}
	obs, err := w.Observer.Observe(t.Context(), vllm, t0)
	if err != nil {
		t.Fatal(err)
	}
	if problem := obs.Replicas[0].Problem; !strings.Contains(problem, "run it with --prometheus-url") {
		t.Errorf("without a Prometheus the problem is %q", problem)
	}
}
