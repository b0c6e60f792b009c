// Package client reads InferenceAutoscalers and WarmPools from an API server and writes their status.
//
// It adds to the generic client of client-go nothing but the type: verbs, retries and rate limits are client-go's. It must
// not decide anything and must not start goroutines: an informer runs when its caller runs it.
package client

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/listers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// Autoscalers has the verbs on InferenceAutoscalers of one namespace: Create, Get, List, Watch, Update, UpdateStatus,
// Patch and Delete. It is safe for concurrent use.
type Autoscalers = gentype.ClientWithList[*v1alpha1.InferenceAutoscaler, *v1alpha1.InferenceAutoscalerList]

// Pools has the same verbs on the WarmPools of one namespace.
type Pools = gentype.ClientWithList[*v1alpha1.WarmPool, *v1alpha1.WarmPoolList]

// Client is a connection to an API server. It is safe for concurrent use.
type Client struct {
	rest       rest.Interface
	parameters runtime.ParameterCodec
}

// New makes a client from the configuration of a connection, which it does not change and does not open yet.
func New(config *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register %s: %w", v1alpha1.GroupVersion, err)
	}
	restClient, err := rest.RESTClientFor(groupConfig(config, scheme))
	if err != nil {
		return nil, fmt.Errorf("make client for %s: %w", v1alpha1.GroupVersion, err)
	}
	return &Client{rest: restClient, parameters: runtime.NewParameterCodec(scheme)}, nil
}

// groupConfig points config at our group. Custom resources have no protobuf encoding, so JSON is asked for whatever the
// caller uses for the built-in kinds.
func groupConfig(config *rest.Config, scheme *runtime.Scheme) *rest.Config {
	out := rest.CopyConfig(config)
	out.GroupVersion = &v1alpha1.GroupVersion
	out.APIPath = "/apis"
	out.ContentType = runtime.ContentTypeJSON
	out.AcceptContentTypes = runtime.ContentTypeJSON
	out.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	if out.UserAgent == "" {
		out.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	return out
}

// InNamespace gives the verbs on the InferenceAutoscalers of a namespace; metav1.NamespaceAll lists and watches them all.
func (c *Client) InNamespace(namespace string) *Autoscalers {
	return gentype.NewClientWithList(
		v1alpha1.ResourceName, c.rest, c.parameters, namespace,
		func() *v1alpha1.InferenceAutoscaler { return &v1alpha1.InferenceAutoscaler{} },
		func() *v1alpha1.InferenceAutoscalerList { return &v1alpha1.InferenceAutoscalerList{} },
	)
}

// PoolsInNamespace gives the verbs on the WarmPools of a namespace, or of all.
func (c *Client) PoolsInNamespace(namespace string) *Pools {
	return gentype.NewClientWithList(
		v1alpha1.PoolResourceName, c.rest, c.parameters, namespace,
		func() *v1alpha1.WarmPool { return &v1alpha1.WarmPool{} },
		func() *v1alpha1.WarmPoolList { return &v1alpha1.WarmPoolList{} },
	)
}

// Informer keeps a copy of the InferenceAutoscalers of a namespace, or of all, in memory while it runs.
type Informer struct {
	cache.SharedIndexInformer
	// Lister reads the copy. What it returns is shared: change a DeepCopy only.
	Lister Lister
}

// Lister reads InferenceAutoscalers from memory, with List(selector) and Namespaced(namespace).
type Lister struct {
	listers.ResourceIndexer[*v1alpha1.InferenceAutoscaler]
}

// Namespaced narrows the lister to a namespace, where Get(name) answers with a NotFound status error when there is none.
func (l Lister) Namespaced(namespace string) Lister {
	return Lister{listers.NewNamespaced(l.ResourceIndexer, namespace)}
}

// NewInformer makes an informer on a namespace, or on all for metav1.NamespaceAll. The caller runs it. Handlers are told
// of everything again each resync; 0 never does.
func (c *Client) NewInformer(namespace string, resync time.Duration) Informer {
	informer := newInformer(c.InNamespace(namespace), &v1alpha1.InferenceAutoscaler{}, resync)
	return Informer{
		SharedIndexInformer: informer,
		Lister:              Lister{listers.New[*v1alpha1.InferenceAutoscaler](informer.GetIndexer(), v1alpha1.Resource(v1alpha1.ResourceName))},
	}
}

// NewPoolInformer makes an informer on the WarmPools of a namespace, or of all. The caller runs it.
func (c *Client) NewPoolInformer(namespace string, resync time.Duration) cache.SharedIndexInformer {
	return newInformer(c.PoolsInNamespace(namespace), &v1alpha1.WarmPool{}, resync)
}

// follower lists and watches.
type follower[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

func newInformer[L runtime.Object](all follower[L], of runtime.Object, resync time.Duration) cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(
		&cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return all.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return all.Watch(ctx, options)
			},
		},
		of, resync, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
	)
}
