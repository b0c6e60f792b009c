package loadgen

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Pods names the replicas of a service.
type Pods struct {
	Namespace string
	Selector  string // of labels
	Port      int
}

// Follow keeps the router's endpoints equal to the Pods that are ready and not
// being deleted, until ctx ends.
func Follow(ctx context.Context, client kubernetes.Interface, pods Pods, router *Router) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(pods.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = pods.Selector }))
	informer := factory.Core().V1().Pods().Informer()
	refresh := func() { router.SetEndpoints(addresses(informer.GetStore().List(), pods.Port)) }
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { refresh() },
		UpdateFunc: func(any, any) { refresh() },
		DeleteFunc: func(any) { refresh() },
	})
	if err != nil {
		return fmt.Errorf("follow pods %q in %q: %w", pods.Selector, pods.Namespace, err)
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

func addresses(objects []any, port int) []string {
	var out []string
	for _, o := range objects {
		if pod, ok := o.(*corev1.Pod); ok && available(pod) {
			out = append(out, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)))
		}
	}
	slices.Sort(out)
	return out
}

func available(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || pod.Status.PodIP == "" {
		return false
	}
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
