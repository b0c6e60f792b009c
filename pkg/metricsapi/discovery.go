package metricsapi

import (
	"fmt"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	cmv1beta1 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta1"
	cmv1beta2 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	emv1beta1 "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// The custom metrics versions, the preferred one first. The library's own group document knows only v1beta1; the
// kube-apiserver prefers what its APIServices' versionPriority says.
var customVersions = []schema.GroupVersion{cmv1beta2.SchemeGroupVersion, cmv1beta1.SchemeGroupVersion}

// groupPriority is among the aggregated documents of this server only, which has no more than two groups.
const groupPriority = 100

// discover registers aggregated discovery, which the library leaves out: without it an aggregated request gets an empty
// list, and clients see no resources at all.
func discover(manager aggregated.ResourceManager, custom provider.CustomMetricsProvider, external provider.ExternalMetricsProvider) error {
	if custom != nil {
		lister := provider.NewCustomMetricResourceLister(custom)
		for i, gv := range customVersions {
			if err := discoverVersion(manager, gv, lister, groupPriority-i); err != nil {
				return err
			}
		}
	}
	if external != nil {
		return discoverVersion(manager, emv1beta1.SchemeGroupVersion, provider.NewExternalMetricResourceLister(external), groupPriority)
	}
	return nil
}

func discoverVersion(manager aggregated.ResourceManager, gv schema.GroupVersion, lister discovery.APIResourceLister, versionPriority int) error {
	resources, err := genericapi.ConvertGroupVersionIntoToDiscovery(lister.ListAPIResources())
	if err != nil {
		return fmt.Errorf("describe %s for discovery: %w", gv, err)
	}
	for i := range resources {
		complete(&resources[i], gv)
	}
	manager.AddGroupVersion(gv.Group, apidiscoveryv2.APIVersionDiscovery{
		Version: gv.Version, Resources: resources, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
	})
	manager.SetGroupVersionPriority(metav1.GroupVersion(gv), groupPriority, versionPriority)
	return nil
}

// complete gives a resource that exists only for its subresources a kind and a verb: kubectl lists no resource without.
func complete(r *apidiscoveryv2.APIResourceDiscovery, gv schema.GroupVersion) {
	if r.ResponseKind == nil || r.ResponseKind.Kind == "" {
		r.ResponseKind = &metav1.GroupVersionKind{Kind: "MetricValueList"}
	}
	r.ResponseKind.Group, r.ResponseKind.Version = gv.Group, gv.Version
	if len(r.Verbs) == 0 {
		r.Verbs = []string{"get"}
	}
}
