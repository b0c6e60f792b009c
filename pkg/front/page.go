package front

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// errBlind says that a page does not tell whether anything is held.
var errBlind = errors.New("the page does not tell what is held")

// series says what a kind of gateway publishes. Of several names for one thing the first that is there counts: newer releases
// publish deprecated names beside the new ones, and to add them would count twice.
type series struct {
	// held are gauges of the requests that wait, pool and namespace the labels that say for whom; no namespace, no such label.
	held            []string
	pool, namespace string
	// proof are those that show that what is held would be there, for a page on which nothing is. ofPool says that they must
	// be of the same pool.
	proof  []string
	ofPool bool
	// passed are counters of the requests that are no longer held since they were sent on. They do not prove silence.
	passed []string
	// remedy is what to do about a page without any of these.
	remedy string
}

// published is what each kind of gateway publishes. Sources: llm-d-router v0.10 and Gateway API inference extension v1.6
// (pkg/epp/metrics; pkg/epp/handlers/server.go counts a request once it was admitted and a replica was chosen);
// Knative Serving (pkg/activator/handler/metrics.go, whose instruments are known to the page with their first request).
var published = map[v1alpha1.GatewayKind]series{
	v1alpha1.GatewayEndpointPicker: {
		held: []string{"llm_d_epp_flow_control_queue_size", "inference_extension_flow_control_queue_size"}, pool: "inference_pool",
		proof:  []string{"llm_d_epp_flow_control_pool_saturation", "inference_extension_flow_control_pool_saturation"},
		ofPool: true,
		passed: []string{"llm_d_epp_request_total", "inference_objective_request_total", "inference_model_request_total"},
		remedy: "switch on the endpoint picker's flow control, and see that spec.gateway.pool is the InferencePool's name",
	},
	v1alpha1.GatewayKnative: {
		held: []string{"kn_revision_request_queued"}, pool: "kn_revision_name", namespace: "k8s_namespace_name",
		proof:  []string{"kn_revision_request_queued"},
		remedy: "see that spec.gateway.service leads to the activators of Knative 1.22 or later; one that has just started tells with its first request",
	},
}

// tally is what one page says of one pool.
type tally struct {
	// held is what waits, passed what was sent on since the process began.
	held, passed float64
}

// families are the series of a page by name.
type families map[string]*dto.MetricFamily

// parsePage reads a metric page in the text format.
func parsePage(text []byte) (families, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("not a metric page: %w", err)
	}
	return found, nil
}

// of is what the page says of a gateway's pool. The error wraps errBlind where it says nothing.
func (page families) of(g Gateway) (tally, error) {
	names, ok := published[g.Kind]
	if !ok {
		return tally{}, fmt.Errorf("spec.gateway.kind %q is not known; write EndpointPicker or Knative", g.Kind)
	}
	own := map[string]string{names.pool: g.Pool}
	if names.namespace != "" {
		own[names.namespace] = g.PoolNamespace
	}
	proves := own
	if !names.ofPool {
		proves = nil
	}
	held, known, err := page.sum(names.held, own)
	if err != nil {
		return tally{}, err
	}
	if !known && !page.has(names.proof, proves) {
		return tally{}, fmt.Errorf("%w for %q: neither %s nor %s is there; %s", errBlind, g.Pool, names.held[0], names.proof[0], names.remedy)
	}
	passed, _, err := page.sum(names.passed, nil)
	return tally{held, passed}, err
}

// sum adds up the series with these labels of the first of the names that has any.
func (page families) sum(names []string, labels map[string]string) (total float64, found bool, _ error) {
	for _, name := range names {
		for _, m := range page[name].GetMetric() {
			if !carries(m, labels) {
				continue
			}
			v := valueOf(m)
			if !(v >= 0) || math.IsInf(v, 0) { // NaN too
				return 0, false, fmt.Errorf("%w: %s is %v", errBlind, name, v)
			}
			total, found = total+v, true
		}
		if found {
			return total, true, nil
		}
	}
	return 0, false, nil
}

// has reports whether there is a series with these labels under one of the names.
func (page families) has(names []string, labels map[string]string) bool {
	for _, name := range names {
		for _, m := range page[name].GetMetric() {
			if carries(m, labels) {
				return true
			}
		}
	}
	return false
}

func carries(m *dto.Metric, labels map[string]string) bool {
	matched := 0
	for _, l := range m.GetLabel() {
		if want, asked := labels[l.GetName()]; asked && want == l.GetValue() {
			matched++
		}
	}
	return matched == len(labels)
}

// valueOf is a sample's value, whatever its type is declared to be; NaN where it has none.
func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Untyped != nil:
		return m.Untyped.GetValue()
	}
	return math.NaN()
}
