package metricsapi

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// GetExternalMetric answers with one item for each InferenceAutoscaler of the namespace that the selector matches, and
// with an empty list where it matches none.
func (p *Provider) GetExternalMetric(_ context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	if err := p.unsynced(); err != nil {
		return nil, err
	}
	q, err := p.catalog.parse(info.Metric, selector)
	if err != nil {
		return nil, err
	}
	targets, err := p.targets(namespace, q.objects)
	if err != nil {
		return nil, err
	}
	if len(targets) > 1 && !q.series.additive {
		return nil, badRequest("%s cannot be added up, and selector %q matches %d InferenceAutoscalers (%s, %s, …); narrow it with inferenceautoscaler=NAME",
			info.Metric, selector, len(targets), targets[0].reference.Name, targets[1].reference.Name)
	}
	now := p.opts.Now()
	list := &external_metrics.ExternalMetricValueList{}
	for _, o := range targets {
		a, err := p.answer(o, q, now)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, externalValue(o, info.Metric, a))
	}
	return list, nil
}

// targets returns the InferenceAutoscalers of a namespace that a selector matches, by name.
func (p *Provider) targets(namespace string, selector labels.Selector) ([]*object, error) {
	candidates, err := p.candidates(namespace, selector)
	if err != nil {
		return nil, err
	}
	matching := candidates[:0]
	for _, o := range candidates {
		if selector.Matches(o.labels) {
			matching = append(matching, o)
		}
	}
	return matching, nil
}

// candidates returns the only InferenceAutoscaler that a selector can match where it names one, else all.
func (p *Provider) candidates(namespace string, selector labels.Selector) ([]*object, error) {
	for _, key := range []string{"inferenceautoscaler", "target"} {
		if name, ok := selector.RequiresExactMatch(key); ok {
			o, err := p.caches.get(autoscalersResource, namespace, name)
			if apierrors.IsNotFound(err) {
				return nil, nil
			}
			return []*object{o}, err
		}
	}
	return p.caches.list(autoscalersResource, namespace, labels.Everything())
}

func externalValue(o *object, metric string, a answer) external_metrics.ExternalMetricValue {
	s := series{quantile: a.quantile}
	return external_metrics.ExternalMetricValue{
		MetricName:    metric,
		MetricLabels:  merged(o.labels, s.labels()),
		Timestamp:     metav1.NewTime(a.time),
		WindowSeconds: a.windowSeconds(),
		Value:         a.value,
	}
}
