package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/front"
)

// gateway says whether there is a gateway where the spec says, and with Probe whether its pages tell of the target.
func (e *examination) gateway(ctx context.Context, w *ward, t *target) {
	g, _ := front.GatewayOf(t.InferenceAutoscaler)
	before := len(w.found)
	e.service(ctx, w, g.Namespace, g.Service, "spec.gateway.service", false)
	if slices.ContainsFunc(w.found[before:], func(f Finding) bool { return f.Severity != OK }) {
		return
	}
	found, err := e.Kube.DiscoveryV1().EndpointSlices(g.Namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + g.Service})
	if err != nil {
		w.unread(right{"list", "endpointslices.discovery.k8s.io", g.Namespace}, err)
		return
	}
	var ready []discoveryv1.Endpoint
	for _, s := range found.Items {
		for _, endpoint := range s.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready = append(ready, endpoint)
			}
		}
	}
	switch {
	case len(ready) == 0:
		w.problem("see its pods, or correct spec.gateway.service", "Service %s/%s has no ready endpoint: nothing is known of what the gateway sees", g.Namespace, g.Service)
	case e.Probe:
		e.probeGateway(ctx, w, t, g, ready)
	}
}

// probeGateway asks the pods of a gateway for their metric pages, as probe asks a target's.
func (e *examination) probeGateway(ctx context.Context, w *ward, t *target, g front.Gateway, endpoints []discoveryv1.Endpoint) {
	_, path := front.Address(g.Kind)
	telling := 0
	for i := range endpoints[:min(len(endpoints), probed)] {
		of := endpoints[i].TargetRef
		if of == nil || of.Kind != "Pod" {
			continue // nothing that the API server's proxy leads to
		}
		at := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s", g.Namespace, of.Name, g.Port, path)
		got, err := e.Raw.Get(ctx, at)
		switch {
		case err != nil:
			w.unread(right{"get", "pods/proxy", g.Namespace}, err)
			return
		case forbidden(got):
			w.mayNotProbe(g.Namespace)
			return
		case got.Code != http.StatusOK:
			w.problem(t.edit()+": spec.gateway.port; see NetworkPolicy, and whether the page wants authentication", "the gateway's pod %s gives no metric page (HTTP %d at %s)", of.Name, got.Code, at)
			continue
		}
		switch pools, err := front.Tells(got.Body, got.Header.Get("Content-Type"), g); {
		case err == nil:
			telling++
		case g.Holds():
			w.problem(t.edit()+": spec.gateway.kind and pool"+shown(pools), "the page of the gateway's pod %s does not tell what it holds for the target: %s", of.Name, oneLine(err))
		default: // its series come with the first request
			w.warn(t.edit()+": spec.gateway.kind and pool"+shown(pools)+", unless it has had no request yet", "the page of the gateway's pod %s does not tell of the target: %s", of.Name, oneLine(err))
		}
	}
	if telling > 0 {
		w.ok("the pages of %d pods of the gateway tell of the target", telling)
	}
}

// shown names the pools that a page shows.
func shown(pools []string) string {
	if len(pools) == 0 {
		return ""
	}
	const most = 5
	more := ""
	if len(pools) > most {
		more = fmt.Sprintf(" and %d more", len(pools)-most)
	}
	return " (the page shows " + strings.Join(pools[:min(len(pools), most)], ", ") + more + ")"
}

// mayNotProbe says which right a probe takes.
func (w *ward) mayNotProbe(namespace string) {
	w.unknown("ask for the right; 'kubectl auth can-i get pods/proxy -n "+namespace+"' tells when you have it", "not looked at: you lack the right to get pods/proxy -n %s", namespace)
}
