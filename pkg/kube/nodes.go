package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

// nodes knows since when each node has existed, from metadata alone.
type nodes struct {
	informer cache.SharedIndexInformer
	// failed is set once nodes could not be read, most often since it is not allowed: nothing waits for them then. Until they
	// are read it is unknown of each pod whether its node was made for it.
	failed atomic.Bool
}

func newNodes(client metadata.Interface, log *slog.Logger) (*nodes, error) {
	n := &nodes{informer: metadatainformer.NewFilteredMetadataInformer(
		client, corev1.SchemeGroupVersion.WithResource("nodes"), metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()}
	if err := n.informer.SetTransform(stripNode); err != nil {
		return nil, fmt.Errorf("set transform of node informer: %w", err)
	}
	var told sync.Once
	err := n.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		n.failed.Store(true)
		if !apierrors.IsForbidden(err) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
			return
		}
		told.Do(func() {
			log.Info("not allowed to read nodes: of no replica it is known whether a node was made for it; grant list and watch on nodes to the service account", "error", err)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("set error handler of node informer: %w", err)
	}
	return n, nil
}

// stripNode leaves of a node its name and since when it has existed.
func stripNode(obj any) (any, error) {
	node, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return obj, nil
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, CreationTimestamp: node.CreationTimestamp,
	}}, nil
}

// hasSynced reports whether all that can be known of nodes is.
func (n *nodes) hasSynced() bool { return n.failed.Load() || n.informer.HasSynced() }

// of returns whether a pod's node was there before the pod. A node that is younger than its pod's place on it is another
// one, which has had the name since.
func (n *nodes) of(pod *corev1.Pod) leadtime.Node {
	bound, isBound := conditionTrueSince(pod, corev1.PodScheduled)
	obj, ok, err := n.informer.GetIndexer().GetByKey(pod.Spec.NodeName)
	node, isNode := obj.(*metav1.PartialObjectMetadata)
	if err != nil || !ok || !isNode || !isBound {
		return leadtime.NodeUnknown
	}
	switch made := node.CreationTimestamp.Time; {
	case made.IsZero() || made.After(bound):
		return leadtime.NodeUnknown
	case made.After(pod.CreationTimestamp.Time):
		return leadtime.NodeMade
	}
	return leadtime.NodePresent
}
