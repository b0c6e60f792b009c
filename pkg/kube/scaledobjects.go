package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// scaledObjectResource is KEDA's ScaledObject.
var scaledObjectResource = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

// scaledObjects are the minimums of KEDA's ScaledObjects, empty while the cluster has none of that kind.
type scaledObjects struct {
	client    dynamic.Interface
	mapping   *mapping
	namespace string
	manager   string

	mu       sync.Mutex
	informer cache.SharedIndexInformer
}

// watch starts the informer where the kind exists and it is not running yet; it is called again and again, since KEDA
// may be installed later.
func (s *scaledObjects) watch(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.informer != nil {
		return nil
	}
	gvr, err := s.mapping.resource(schema.GroupKind{Group: scaledObjectResource.Group, Kind: kindScaledObject}, now)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for ScaledObjects: %w", err)
	}
	if gvr != scaledObjectResource {
		return fmt.Errorf("look for ScaledObjects: the cluster serves %s, known is %s", gvr, scaledObjectResource)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(s.client, gvr, s.namespace, 0, minimumIndexers(scaledObjectMinimum), nil).Informer()
	if err := informer.SetTransform(stripManagedFields); err != nil {
		return fmt.Errorf("set transform of ScaledObject informer: %w", err)
	}
	s.informer = informer
	go informer.RunWithContext(ctx)
	return nil
}

// hasSynced reports whether all ScaledObjects are known: none, while the kind does not exist.
func (s *scaledObjects) hasSynced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.informer == nil || s.informer.HasSynced()
}

// scaledObjectMinimum reads the minimum of a ScaledObject: absent means 0, an absent maximum 100, an absent kind
// Deployment (KEDA's documented defaults).
func scaledObjectMinimum(obj any) (minimum, bool) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return minimum{}, false
	}
	m := minimum{
		kind: kindScaledObject, namespace: u.GetNamespace(), name: u.GetName(), resourceVersion: u.GetResourceVersion(),
		value: nestedInt32(u, "spec", "minReplicaCount"), maximum: 100, annotations: u.GetAnnotations(),
	}
	if highest := nestedInt32(u, "spec", "maxReplicaCount"); highest != nil {
		m.maximum = *highest
	}
	m.target = newScaleTarget(m.namespace,
		nestedString(u, "apps/v1", "spec", "scaleTargetRef", "apiVersion"),
		nestedString(u, "Deployment", "spec", "scaleTargetRef", "kind"),
		nestedString(u, "", "spec", "scaleTargetRef", "name"))
	return m, true
}

// nestedInt32 returns a whole number, nil where it is absent or is none.
func nestedInt32(u *unstructured.Unstructured, fields ...string) *int32 {
	v, found, err := unstructured.NestedInt64(u.Object, fields...)
	if err != nil || !found {
		return nil
	}
	return new(int32(v))
}

// nestedString returns a string, or the default where it is absent, empty or is none.
func nestedString(u *unstructured.Unstructured, def string, fields ...string) string {
	v, _, err := unstructured.NestedString(u.Object, fields...)
	if err != nil || v == "" {
		return def
	}
	return v
}

func (s *scaledObjects) on(t scaleTarget) []minimum { return s.indexed(targetIndex, t.key()) }

func (s *scaledObjects) raised() []minimum { return s.indexed(raisedIndex, "true") }

func (s *scaledObjects) indexed(index, value string) []minimum {
	s.mu.Lock()
	informer := s.informer
	s.mu.Unlock()
	if informer == nil {
		return nil
	}
	return indexed(informer.GetIndexer(), index, value, scaledObjectMinimum)
}

func (s *scaledObjects) field() string { return "minReplicaCount" }

func (s *scaledObjects) patch(ctx context.Context, m minimum, patch []byte) (string, error) {
	got, err := s.client.Resource(scaledObjectResource).Namespace(m.namespace).Patch(
		ctx, m.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: s.manager})
	if err != nil {
		return "", err
	}
	return got.GetResourceVersion(), nil
}
