package metricsapi

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// Options configure a Provider.
type Options struct {
	Caches    Caches
	Samples   Samples
	Scrapes   Scrapes
	Decisions Decisions
	// DecisionStaleness is the age beyond which a decision serves nothing; default 1 minute, at least three ticks.
	DecisionStaleness time.Duration
	// Settling is for how long a pod that has become ready may be unknown without counting as missing: until it has
	// been found and, for a rate, scraped twice. Default 20 seconds.
	Settling time.Duration
	// Now is the clock that staleness is judged by; default time.Now.
	Now func() time.Time
	// Synced reports whether the caches are complete; until then everything is answered by 503. Nil means always.
	Synced func() bool
}

// Provider answers custom and external metrics. It is safe for concurrent use.
type Provider struct {
	opts     Options
	caches   Caches
	catalog  catalog
	custom   []provider.CustomMetricInfo
	external []provider.ExternalMetricInfo
}

var _ provider.MetricsProvider = (*Provider)(nil)

// NewProvider returns a Provider over caches that may still be filling.
func NewProvider(opts Options) (*Provider, error) {
	if opts.Samples == nil || opts.Scrapes == nil || opts.Decisions == nil {
		return nil, errors.New("metrics API: needs samples, scrapes and decisions")
	}
	if err := opts.Caches.validate(); err != nil {
		return nil, err
	}
	if err := indexPods(opts.Caches.Pods); err != nil {
		return nil, err
	}
	if opts.DecisionStaleness == 0 {
		opts.DecisionStaleness = time.Minute
	}
	if opts.Settling == 0 {
		opts.Settling = 20 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Synced == nil {
		opts.Synced = func() bool { return true }
	}
	p := &Provider{opts: opts, caches: opts.Caches, catalog: newCatalog()}
	p.custom, p.external = p.catalog.customInfos(), p.catalog.externalInfos()
	return p, nil
}

func (c catalog) customInfos() []provider.CustomMetricInfo {
	var infos []provider.CustomMetricInfo
	add := func(resource string, names []string) {
		for _, name := range names {
			infos = append(infos, provider.CustomMetricInfo{
				GroupResource: schema.ParseGroupResource(resource), Namespaced: true, Metric: name,
			})
		}
	}
	for _, resource := range servedResources() {
		add(resource, c.names(func(s series) bool { return s.isMeasured() || resource == autoscalersResource }))
	}
	return infos
}

func (c catalog) externalInfos() []provider.ExternalMetricInfo {
	var infos []provider.ExternalMetricInfo
	for _, name := range c.names(func(series) bool { return true }) {
		infos = append(infos, provider.ExternalMetricInfo{Metric: name})
	}
	return infos
}

// ListAllMetrics returns the same list at all times.
func (p *Provider) ListAllMetrics() []provider.CustomMetricInfo { return p.custom }

// ListAllExternalMetrics returns the same list at all times.
func (p *Provider) ListAllExternalMetrics() []provider.ExternalMetricInfo { return p.external }

// GetMetricByName answers for one object: with one value, or with a status error.
func (p *Provider) GetMetricByName(_ context.Context, name types.NamespacedName, info provider.CustomMetricInfo, selector labels.Selector) (*custom_metrics.MetricValue, error) {
	if err := p.unsynced(); err != nil {
		return nil, err
	}
	q, err := p.catalog.parse(info.Metric, selector)
	if err != nil {
		return nil, err
	}
	o, err := p.caches.get(info.GroupResource.String(), name.Namespace, name.Name)
	if err != nil {
		return nil, err
	}
	if !q.objects.Matches(o.labels) {
		return nil, notFound("%s of %s: its labels %q do not match the metric's selector %q", info.Metric, o, o.labels, q.objects)
	}
	a, err := p.answer(o, q, p.opts.Now())
	if err != nil {
		return nil, err
	}
	value := customValue(o, info.Metric, selector, a)
	return &value, nil
}

// GetMetricBySelector answers for every object of a namespace whose labels match. Objects of which nothing is known
// are left out, as the protocol wants it: the HPA counts the missing ones itself. Where nothing is known of any
// of those that could answer, the answer is a status error that says why.
func (p *Provider) GetMetricBySelector(_ context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, metricSelector labels.Selector) (*custom_metrics.MetricValueList, error) {
	if err := p.unsynced(); err != nil {
		return nil, err
	}
	q, err := p.catalog.parse(info.Metric, metricSelector)
	if err != nil {
		return nil, err
	}
	objects, err := p.caches.list(info.GroupResource.String(), namespace, selector)
	if err != nil {
		return nil, err
	}
	now := p.opts.Now()
	list := &custom_metrics.MetricValueList{}
	var missing error
	for _, o := range objects {
		if !q.objects.Matches(o.labels) || o.pod != nil && !isReady(o.pod) {
			continue
		}
		a, err := p.answer(o, q, now)
		if err != nil {
			missing = err
			continue
		}
		list.Items = append(list.Items, customValue(o, info.Metric, metricSelector, a))
	}
	if len(list.Items) == 0 && missing != nil {
		return nil, missing
	}
	return list, nil
}

func (p *Provider) unsynced() error {
	if p.opts.Synced() {
		return nil
	}
	return apierrors.NewServiceUnavailable("the metrics API is still reading the cluster's objects; ask again in a few seconds")
}

func (o *object) isAutoscaler() bool { return o.reference.Kind == v1alpha1.Kind }

func customValue(o *object, metric string, selector labels.Selector, a answer) custom_metrics.MetricValue {
	return custom_metrics.MetricValue{
		DescribedObject: o.reference,
		Metric:          custom_metrics.MetricIdentifier{Name: metric, Selector: echo(selector)},
		Timestamp:       metav1.NewTime(a.time),
		WindowSeconds:   a.windowSeconds(),
		Value:           a.value,
	}
}

// echo returns the selector that was asked with, as the protocol wants it in the answer; nil where there was none.
func echo(selector labels.Selector) *metav1.LabelSelector {
	if selector.Empty() {
		return nil
	}
	parsed, err := metav1.ParseToLabelSelector(selector.String())
	if err != nil {
		return nil
	}
	return parsed
}
