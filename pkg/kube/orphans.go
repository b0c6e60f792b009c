package kube

import (
	"context"
	"errors"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// orphans lets pods serve again that are kept from it and that no InferenceAutoscaler selects any more: it was deleted, or
// scales something else now. As long as one has not been observed yet, its pods cannot be told from these.
func (a *Actuator) orphans(ctx context.Context) error {
	for _, entry := range a.targets.list() {
		if _, seen := a.views.of(idOf(entry.autoscaler)); entry.err == nil && !seen {
			return nil
		}
	}
	left := map[string][]*member{}
	for _, obj := range a.own.crew.pods.indexer.List() {
		pod, ok := obj.(*corev1.Pod)
		if ok && laneOf(pod) != laneServing && !finished(pod) && !a.views.claimed(pod.UID) {
			left[pod.Namespace] = append(left[pod.Namespace], a.own.crew.orphan(pod))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	var errs []error
	for namespace, members := range left {
		nobody := &v1alpha1.InferenceAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}
		seen := view{time: a.own.crew.now(), read: scaleRead{scale: &autoscalingv1.Scale{}}, members: members}
		errs = append(errs, a.own.crew.handBack(ctx, nobody, seen, heldLanes...))
	}
	return errors.Join(errs...)
}

// orphan is a pod of no target.
func (c *crew) orphan(pod *corev1.Pod) *member {
	pod = c.writer.written.newest(pod)
	return &member{pod: pod, birth: c.births.see(pod), engine: servingContainer(pod, nil)}
}
