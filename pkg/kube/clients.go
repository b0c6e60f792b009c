package kube

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// Clients are the connections that the adapters use.
type Clients struct {
	Kubernetes  kubernetes.Interface
	Dynamic     dynamic.Interface
	Metadata    metadata.Interface
	Scales      scale.ScalesGetter
	Mapper      meta.RESTMapper
	Autoscalers Autoscalers
	// API is the connection to our own group.
	API *client.Client
	// AutoscalerInformer keeps the InferenceAutoscalers. It must not run yet: Cluster.Start runs it.
	AutoscalerInformer cache.SharedIndexInformer
}

// Connect makes the clients of one API server; nothing is sent yet. How many requests per second they may send is the
// caller's to say, in config.
func Connect(config *rest.Config, namespace string) (Clients, error) {
	core, errCore := kubernetes.NewForConfig(config)
	dyn, errDynamic := dynamic.NewForConfig(config)
	meta, errMetadata := metadata.NewForConfig(config)
	autoscalers, errAutoscalers := client.New(config)
	disco, errDiscovery := discovery.NewDiscoveryClientForConfig(config)
	if err := errors.Join(errCore, errDynamic, errMetadata, errAutoscalers, errDiscovery); err != nil {
		return Clients{}, fmt.Errorf("make clients: %w", err)
	}
	cached := memory.NewMemCacheClient(disco)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	scaleConfig := rest.CopyConfig(config)
	if config.QPS > 0 {
		scaleConfig.RateLimiter = newLimiter(config.QPS, config.Burst)
	}
	scales, err := scale.NewForConfig(scaleConfig, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(disco))
	if err != nil {
		return Clients{}, fmt.Errorf("make scale client: %w", err)
	}
	return Clients{
		Kubernetes: core, Dynamic: dyn, Metadata: meta, Scales: scales, Mapper: mapper,
		Autoscalers:        autoscalerClient{autoscalers},
		API:                autoscalers,
		AutoscalerInformer: autoscalers.NewInformer(namespace, 0).SharedIndexInformer,
	}, nil
}

// autoscalerClient narrows the client of InferenceAutoscalers to what is needed here.
type autoscalerClient struct{ all *client.Client }

// Get implements Autoscalers.
func (c autoscalerClient) Get(ctx context.Context, namespace, name string) (*v1alpha1.InferenceAutoscaler, error) {
	return c.all.InNamespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

// UpdateStatus implements Autoscalers.
func (c autoscalerClient) UpdateStatus(ctx context.Context, a *v1alpha1.InferenceAutoscaler) error {
	_, err := c.all.InNamespace(a.Namespace).UpdateStatus(ctx, a, metav1.UpdateOptions{})
	return err
}
