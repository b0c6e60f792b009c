package kube

import (
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Endpoints says which pods to scrape: those of every target that serve, have served and may again, or could serve and are
// kept from it. A pod that is still starting has no page yet. It is safe for concurrent use.
type Endpoints struct {
	targets *Targets
	views   *views
	pods    pods
	births  *births
	options Options
	log     *slog.Logger

	mu sync.Mutex
	// unlocated are the pods whose page cannot be found, so that each is told of once.
	unlocated map[types.UID]bool
}

// Endpoints returns one endpoint for each pod, whatever the number of targets that select it, but for the pods that are read
// out of Prometheus.
func (e *Endpoints) Endpoints() []scrape.Endpoint {
	var found []scrape.Endpoint
	unlocated := map[types.UID]bool{}
	e.each(func(pod *corev1.Pod, source v1alpha1.MetricsSource) {
		if source.Prometheus != nil {
			return
		}
		endpoint, err := e.endpoint(pod, source)
		if err != nil {
			unlocated[pod.UID] = true
			e.tell(pod, err)
			return
		}
		found = append(found, endpoint)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unlocated = unlocated
	return found
}

// Queried returns the pods that are read out of Prometheus.
func (e *Endpoints) Queried() []prom.Endpoint {
	var found []prom.Endpoint
	expressions := map[*v1alpha1.PrometheusSource]*prom.Expressions{}
	e.each(func(pod *corev1.Pod, source v1alpha1.MetricsSource) {
		p := source.Prometheus
		if p == nil {
			return
		}
		if expressions[p] == nil {
			expressions[p] = expressionsOf(p)
		}
		found = append(found, prom.Endpoint{
			Pod: podID(pod), Naming: prom.Naming(p.Labels), Profile: profileOf(source), Expressions: expressions[p],
			Since: startedAt(pod.Status.ContainerStatuses, servingContainer(pod, source.Port)), Staleness: source.StalenessBound.Duration,
		})
	})
	return found
}

// expressionsOf returns the expressions of a spec, nil where it has none.
func expressionsOf(p *v1alpha1.PrometheusSource) *prom.Expressions {
	if len(p.Expressions) == 0 {
		return nil
	}
	of := map[signals.Metric]string{}
	for name, expression := range p.Expressions {
		if m, ok := signals.MetricNamed(name); ok { // of the schema's names all are
			of[m] = string(expression)
		}
	}
	return &prom.Expressions{Of: of}
}

// each calls f once for each pod to read, with how the first of its targets says that it is read.
func (e *Endpoints) each(f func(*corev1.Pod, v1alpha1.MetricsSource)) {
	seen := map[types.UID]bool{}
	for _, entry := range e.targets.list() {
		for _, pod := range e.serving(entry.autoscaler) {
			if !seen[pod.UID] {
				seen[pod.UID] = true
				f(pod, entry.autoscaler.Spec.Metrics)
			}
		}
	}
}

// serving returns the pods of a target that have a page to show.
func (e *Endpoints) serving(a *v1alpha1.InferenceAutoscaler) []*corev1.Pod {
	seen, ok := e.views.of(idOf(a))
	if !ok || seen.read.target != targetOf(a) {
		return nil
	}
	var serving []*corev1.Pod
	for _, pod := range e.pods.matching(a.Namespace, seen.selector) {
		if hasPage(pod, e.births.see(pod), servingContainer(pod, a.Spec.Metrics.Port)) {
			serving = append(serving, pod)
		}
	}
	return serving
}

// hasPage reports whether a pod's engine runs and has loaded its model. A pod that is overloaded loses its readiness
// first and is then worth looking at most, as long as it is the same process.
func hasPage(pod *corev1.Pod, b birth, serving string) bool {
	running := startedAt(pod.Status.ContainerStatuses, serving)
	if finished(pod) || pod.Status.PodIP == "" || running.IsZero() {
		return false
	}
	return loaded(pod) || running.Equal(startedAt(b.containers, serving))
}

// endpoint returns where a pod's page is.
func (e *Endpoints) endpoint(pod *corev1.Pod, source v1alpha1.MetricsSource) (scrape.Endpoint, error) {
	page, _ := e.options.EnginePage(source.Engine)
	url, err := metricsURL(pod, source, page)
	if err != nil {
		return scrape.Endpoint{}, err
	}
	return scrape.Endpoint{Pod: podID(pod), URL: url, Profile: profileOf(source)}, nil
}

// profileOf returns the name of the engine's profile, empty where the engine's samples tell.
func profileOf(source v1alpha1.MetricsSource) string {
	if source.Engine == "auto" {
		return ""
	}
	return source.Engine
}

// tell logs that a pod's page cannot be found, once for each pod.
func (e *Endpoints) tell(pod *corev1.Pod, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.unlocated[pod.UID] {
		e.log.Warn("cannot scrape pod", "namespace", pod.Namespace, "pod", pod.Name, "error", err)
	}
}
