package metricsapi

import (
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// now is when all questions are asked.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a cluster as the informers and scrapes have left it in memory.
type world struct {
	pods, autoscalers, services, deployments, statefulSets cache.Indexer

	store     *store.Store
	decisions *controlloop.Decisions
}

func newWorld() *world {
	indexer := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	return &world{
		pods: indexer(), autoscalers: indexer(), services: indexer(), deployments: indexer(), statefulSets: indexer(),
		store: store.New(store.Options{}), decisions: &controlloop.Decisions{},
	}
}

func (w *world) provider(t testing.TB) *Provider {
	t.Helper()
	p, err := NewProvider(Options{
		Caches: Caches{
			Pods: w.pods, Autoscalers: w.autoscalers, Services: corelisters.NewServiceLister(w.services),
			Deployments: appslisters.NewDeploymentLister(w.deployments), StatefulSets: appslisters.NewStatefulSetLister(w.statefulSets),
		},
		Samples: w.store, Scrapes: w.store, Decisions: w.decisions, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func add(indexer cache.Indexer, objects ...any) {
	for _, o := range objects {
		if err := indexer.Add(o); err != nil {
			panic(err)
		}
	}
}

func named(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Labels: labels}
}

// pod adds a pod; ready says whether it serves.
func (w *world) pod(name string, labels map[string]string, ready corev1.ConditionStatus) store.PodID {
	p := &corev1.Pod{ObjectMeta: named(name, labels)}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	add(w.pods, p)
	return podID(p)
}

// readySince says when a pod has become ready; until then it has been for ever.
func (w *world) readySince(pod string, at time.Time) {
	item, _, err := w.pods.GetByKey("default/" + pod)
	if err != nil {
		panic(err)
	}
	item.(*corev1.Pod).Status.Conditions[0].LastTransitionTime = metav1.NewTime(at)
}

func (w *world) deployment(name string, labels map[string]string) {
	selector := map[string]string{"app": name}
	add(w.deployments, &appsv1.Deployment{ObjectMeta: named(name, labels), Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: selector},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: merged(selector, labels)}},
	}})
}

func (w *world) autoscaler(name, kind string, labels map[string]string) {
	add(w.autoscalers, &v1alpha1.InferenceAutoscaler{ObjectMeta: named(name, labels), Spec: v1alpha1.InferenceAutoscalerSpec{
		ScaleTargetRef: v1alpha1.ScaleTargetRef{APIVersion: "apps/v1", Kind: kind, Name: name},
	}})
}

// scraped puts two readings of a pod into the store, 30 s and 2 s old: waiting requests, requests finished at 2 per
// second, and latencies.
func (w *world) scraped(id store.PodID, waiting float64) {
	for _, at := range []time.Duration{30 * time.Second, 2 * time.Second} {
		r := &signals.Reading{Time: now.Add(-at)}
		r.Set(signals.RequestsWaiting, waiting)
		r.Set(signals.RequestsRunning, 10)
		r.Set(signals.KVCacheUtilization, 0.5)
		finished := 2 * (100 - at.Seconds())
		r.Set(signals.RequestsFinished, finished)
		r.SetHistogram(signals.TTFT, &signals.Histogram{Bounds: []float64{0.1, 0.2}, Counts: []float64{0, finished, finished}, Sum: finished * 0.15})
		w.store.Put(id, r)
	}
}

// llama is the cluster of most tests: Deployment llama with two ready pods, one of them with 3 and one with 4.5
// waiting requests, and one pod that is starting; a StatefulSet qwen whose pod went stale; two InferenceAutoscalers.
func llama() *world {
	w := newWorld()
	w.deployment("llama", map[string]string{"model": "llama"})
	app := map[string]string{"app": "llama", "model": "llama"}
	w.scraped(w.pod("llama-a", app, corev1.ConditionTrue), 3)
	w.scraped(w.pod("llama-b", app, corev1.ConditionTrue), 4.5)
	w.scraped(w.pod("llama-c", app, corev1.ConditionFalse), 100)
	add(w.services,
		&corev1.Service{ObjectMeta: named("llama", nil), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "llama"}}},
		&corev1.Service{ObjectMeta: named("manual", nil)})
	w.autoscaler("llama", "Deployment", map[string]string{"team": "chat"})
	w.decisions.Put(controlloop.TargetID{Namespace: "default", Name: "llama"}, scaling.Decision{
		Time: now.Add(-5 * time.Second), Current: 2, Replicas: 4, Ready: 2, Reason: scaling.ForecastDemand,
		Demand: 7.25, DemandKnown: true,
		Forecast: forecast.Forecast{Horizon: 5 * time.Minute, Point: 9, Upper: 12.5, Quantile: 0.9},
		LeadTime: leadtime.Estimate{P50: 2 * time.Minute, P90: 3 * time.Minute, Source: leadtime.Measured},
	})
	w.qwen()
	return w
}

func (w *world) qwen() {
	add(w.statefulSets, &appsv1.StatefulSet{ObjectMeta: named("qwen", nil), Spec: appsv1.StatefulSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "qwen"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "qwen", "model": "qwen"}}},
	}})
	id := w.pod("qwen-0", map[string]string{"app": "qwen", "model": "qwen"}, corev1.ConditionTrue)
	stale := &signals.Reading{Time: now.Add(-42 * time.Second)}
	stale.Set(signals.RequestsWaiting, 1)
	w.store.Put(id, stale)
	w.store.Fail(id, now.Add(-2*time.Second), errors.New("connect: connection refused"))
	w.autoscaler("qwen", "StatefulSet", nil)
	w.decisions.Put(controlloop.TargetID{Namespace: "default", Name: "qwen"}, scaling.Decision{
		Time: now.Add(-5 * time.Second), Current: 1, Replicas: 1, Reason: scaling.NoFreshData, Blind: true,
		Unseen: []string{"qwen-0: inference_requests_waiting"},
	})
}

// many adds n ready pods that all match one selector, the first scraped of them scraped with waiting 1, the last of them
// ready for as long as newest says.
func (w *world) many(n, scraped int, newest ...time.Duration) {
	w.deployment("many", nil)
	for i := range n {
		name := fmt.Sprintf("many-%d", i)
		id := w.pod(name, map[string]string{"app": "many"}, corev1.ConditionTrue)
		if young := i - (n - len(newest)); young >= 0 {
			w.readySince(name, now.Add(-newest[young]))
		}
		if i < scraped {
			w.scraped(id, 1)
		}
	}
}
