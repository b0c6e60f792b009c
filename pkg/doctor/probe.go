package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// probed is the most pods of a target that are asked for their page.
const probed = 10

// probe asks ready pods for their metric pages, through the API server's pod proxy: what it sees is what the API server
// reaches, not what the service does.
func (e *examination) probe(ctx context.Context, w *ward, t *target) {
	if t.Spec.Metrics.Prometheus != nil {
		w.ok("its engines are read out of Prometheus: the pods are not asked")
		return
	}
	pods, err := t.pods()
	if err != nil || len(pods) == 0 {
		return // check pods says so
	}
	engines := map[string]int{}
	asked := 0
	for i := range pods {
		if !isReady(&pods[i]) || asked == probed {
			continue
		}
		asked++
		path := proxyPath(&pods[i], t.Spec.Metrics, e.Profiles)
		got, err := e.Raw.Get(ctx, path)
		pod := "pod " + pods[i].Name
		switch {
		case err != nil:
			w.unread(right{"get", "pods/proxy", t.Namespace}, err)
			return
		case forbidden(got):
			w.mayNotProbe(t.Namespace)
			return
		case got.Code != http.StatusOK:
			w.problem(t.edit()+": spec.metrics.port and path; see NetworkPolicy", "%s gives no metric page (HTTP %d at %s)", pod, got.Code, path)
			continue
		}
		engine, err := e.Profiles.Detect(got.Body)
		if err != nil {
			w.problem(fmt.Sprintf("preheatctl inspect -n %s pod/%s; %s: spec.metrics.port and path, or add a profile of the engine", t.Namespace, pods[i].Name, t.edit()), "the page of %s is of no known engine: %s", pod, oneLine(err))
			continue
		}
		if reading, err := exposition.Decode(got.Body, got.Header.Get("Content-Type"), engine); err != nil || !telling(reading) {
			w.problem(fmt.Sprintf("preheatctl inspect -n %s pod/%s says what is missing", t.Namespace, pods[i].Name), "the page of %s is of %s, and tells nothing of its load", pod, engine.Name())
			continue
		}
		engines[engine.Name()]++
	}
	for _, name := range sortedKeys(engines) {
		w.ok("%d pods serve a page of %s", engines[name], name)
	}
}

// telling reports whether a reading has something that load is made of.
func telling(r *signals.Reading) bool {
	return slices.ContainsFunc([]signals.Metric{signals.RequestsRunning, signals.RequestsWaiting, signals.RequestsInflight, signals.RequestsFinished}, func(m signals.Metric) bool {
		_, known := r.Value(m)
		return known
	})
}

// proxyPath is a pod's metric page as the API server's proxy reaches it: each part from the spec, else from the pod's
// annotations, else from a named port or the engine.
func proxyPath(pod *corev1.Pod, m v1alpha1.MetricsSource, profiles *exposition.Profiles) string {
	note := func(name string) string {
		return cmp.Or(pod.Annotations["preheat.dev/metrics-"+name], pod.Annotations["prometheus.io/"+name])
	}
	port, path := "8000", "/metrics"
	if p, ok := profiles.Named(m.Engine); ok {
		port, path = strconv.Itoa(p.Port()), p.Path()
	} else if declared := declaredPorts(pod); len(declared) == 1 {
		port = strconv.Itoa(int(declared[0])) // as the service does
	}
	for _, name := range []string{"http", "metrics"} { // the better one last
		if n, ok := portNamed(pod, name); ok {
			port = n
		}
	}
	if m.Port != nil {
		port = m.Port.String()
	} else {
		port = cmp.Or(note("port"), port)
	}
	if n, ok := portNamed(pod, port); ok {
		port = n
	}
	path = cmp.Or(m.Path, note("path"), path)
	scheme := ""
	if cmp.Or(string(m.Scheme), note("scheme")) == "https" {
		scheme = "https:"
	}
	return fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/proxy/%s", pod.Namespace, url.PathEscape(scheme+pod.Name+":"+port), strings.TrimPrefix(path, "/"))
}

// portNamed is the number of a container port.
func portNamed(pod *corev1.Pod, name string) (string, bool) {
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return strconv.Itoa(int(p.ContainerPort)), true
			}
		}
	}
	return "", false
}
