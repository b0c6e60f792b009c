package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

var engineLabel, engineValue, _ = strings.Cut(emulator.EngineSelector, "=")

// watch starts to note what happens to pods, Deployments and InferenceAutoscalers, and to route to ready pods.
func (d *demo) watch(ctx context.Context, b *background) error {
	factory := informers.NewSharedInformerFactory(d.kube, 0)
	pods, deployments := factory.Core().V1().Pods().Informer(), factory.Apps().V1().Deployments().Informer()
	autoscalers := d.autoscalers.NewInformer(metav1.NamespaceAll, 0)
	for informer, note := range map[cache.SharedInformer]func(*lane, any, bool){
		pods: notePod, deployments: noteDeployment, autoscalers: noteAutoscaler,
	} {
		if err := d.follow(informer, note); err != nil {
			return err
		}
	}
	b.start(func(ctx context.Context) error {
		factory.Start(ctx.Done())
		autoscalers.Run(ctx.Done())
		factory.Shutdown()
		return nil
	})
	for _, l := range d.lanes {
		b.start(func(ctx context.Context) error {
			where := loadgen.Pods{Namespace: l.policy.Name, Selector: emulator.EngineSelector, Port: enginePort}
			return loadgen.Follow(ctx, d.kube, where, l.router)
		})
	}
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced, deployments.HasSynced, autoscalers.HasSynced) {
		return fmt.Errorf("watch the cluster: %w", ctx.Err())
	}
	return nil
}

// follow passes each news of an object in a lane's namespace to note, with whether the object is gone.
func (d *demo) follow(informer cache.SharedInformer, note func(*lane, any, bool)) error {
	pass := func(object any, gone bool) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if o, ok := object.(metav1.Object); ok {
			for _, l := range d.lanes {
				if l.policy.Name == o.GetNamespace() {
					note(l, object, gone)
				}
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { pass(o, false) },
		UpdateFunc: func(_, o any) { pass(o, false) },
		DeleteFunc: func(o any) { pass(o, true) },
	})
	if err != nil {
		return fmt.Errorf("watch the cluster: %w", err)
	}
	return nil
}

func notePod(l *lane, object any, gone bool) {
	if pod, ok := object.(*corev1.Pod); ok && pod.Labels[engineLabel] == engineValue {
		l.books.Pod(string(pod.UID), phaseOf(pod, gone), time.Now())
	}
}

// phaseOf reads from a pod whether it holds GPUs and serves.
func phaseOf(pod *corev1.Pod, gone bool) ledger.Phase {
	switch {
	case gone:
		return ledger.Gone
	case pod.Spec.NodeName == "":
		return ledger.Pending
	case pod.DeletionTimestamp != nil:
		return ledger.Draining
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return ledger.Serving
		}
	}
	return ledger.Starting
}

func noteDeployment(l *lane, object any, gone bool) {
	if deployment, ok := object.(*appsv1.Deployment); ok && !gone && deployment.Spec.Replicas != nil {
		l.books.Asked(int(*deployment.Spec.Replicas), time.Now())
	}
}

func noteAutoscaler(l *lane, object any, gone bool) {
	if a, ok := object.(*v1alpha1.InferenceAutoscaler); ok && !gone {
		l.diary.decided(a.Status, time.Now())
	}
}
