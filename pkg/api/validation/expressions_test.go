package validation

import (
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// The schema knows each metric of the vocabulary, and no name beside.
func TestEachMetricMayHaveAnExpression(t *testing.T) {
	all := bounded + "metrics:\n  prometheus:\n    expressions:\n"
	for m := range signals.NumMetrics {
		all += "      " + m.String() + ": x\n"
	}
	ia, err := Parse(manifest(all))
	if err != nil || len(ia.Spec.Metrics.Prometheus.Expressions) != int(signals.NumMetrics) {
		t.Errorf("%+v: %v", ia, err)
	}
	if labels := ia.Spec.Metrics.Prometheus.Labels; labels.Namespace != "namespace" || labels.Pod != "pod" {
		t.Errorf("labels are %+v by default", labels)
	}
}
