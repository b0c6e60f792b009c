package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// kindHPA and kindScaledObject name the autoscalers of others in messages.
const (
	kindHPA          = "HorizontalPodAutoscaler"
	kindScaledObject = "ScaledObject"
)

// hpas are the minimums of HorizontalPodAutoscalers.
type hpas struct {
	client   kubernetes.Interface
	informer cache.SharedIndexInformer
	manager  string
}

func newHPAs(client kubernetes.Interface, namespace, manager string) (*hpas, error) {
	all := client.AutoscalingV2().HorizontalPodAutoscalers(namespace)
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return all.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return all.Watch(ctx, o)
		},
	}, client), &autoscalingv2.HorizontalPodAutoscaler{}, 0, minimumIndexers(hpaMinimum))
	if err := informer.SetTransform(stripManagedFields); err != nil {
		return nil, fmt.Errorf("set transform of HorizontalPodAutoscaler informer: %w", err)
	}
	return &hpas{client: client, informer: informer, manager: manager}, nil
}

// hpaMinimum reads the minimum of a HorizontalPodAutoscaler; absent means 1.
func hpaMinimum(obj any) (minimum, bool) {
	h, ok := obj.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return minimum{}, false
	}
	m := minimum{
		kind: kindHPA, namespace: h.Namespace, name: h.Name, resourceVersion: h.ResourceVersion,
		target: newScaleTarget(h.Namespace, h.Spec.ScaleTargetRef.APIVersion, h.Spec.ScaleTargetRef.Kind, h.Spec.ScaleTargetRef.Name),
		value:  h.Spec.MinReplicas, implied: 1, maximum: h.Spec.MaxReplicas, annotations: h.Annotations,
	}
	if owner := metav1.GetControllerOf(h); owner != nil && owner.Kind == kindScaledObject {
		m.derived = owner.Name
	}
	return m, true
}

func (h *hpas) on(t scaleTarget) []minimum {
	return indexed(h.informer.GetIndexer(), targetIndex, t.key(), hpaMinimum)
}

func (h *hpas) raised() []minimum {
	return indexed(h.informer.GetIndexer(), raisedIndex, "true", hpaMinimum)
}

func (h *hpas) field() string { return "minReplicas" }

func (h *hpas) patch(ctx context.Context, m minimum, patch []byte) (string, error) {
	got, err := h.client.AutoscalingV2().HorizontalPodAutoscalers(m.namespace).Patch(
		ctx, m.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: h.manager})
	if err != nil {
		return "", err
	}
	return got.ResourceVersion, nil
}

// indexed returns the minimums of the objects under an index value, by name.
func indexed(indexer cache.Indexer, index, value string, read func(any) (minimum, bool)) []minimum {
	objs, err := indexer.ByIndex(index, value)
	if err != nil {
		return nil
	}
	var found []minimum
	for _, obj := range objs {
		if m, ok := read(obj); ok {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b minimum) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	return found
}
