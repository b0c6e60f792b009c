package kube

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// crowd is a world of 1,000 targets with 4 pods each, all in one namespace.
func crowd(b *testing.B) (*world, []controlloop.TargetID) {
	b.Helper()
	w := newWorld(b)
	var ids []controlloop.TargetID
	for i := range 1000 {
		name := fmt.Sprintf("app-%04d", i)
		w.deployment(name, 4)
		a := w.autoscaler(name, func(a *v1alpha1.InferenceAutoscaler) { a.Spec.ScaleTargetRef.Name = name })
		ids = append(ids, idOf(a))
		for j := range 4 {
			p := readyPod(fmt.Sprintf("%s-%d", name, j))
			p.UID = types.UID(p.Name)
			p.Labels = map[string]string{"app": name, "app.kubernetes.io/part-of": "llm", "pod-template-hash": "abc"}
			if err := w.PodInformer.GetIndexer().Add(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	return w, ids
}

// BenchmarkTickOfThousandTargets is what the adapters cost in one tick in which nothing needs to be written, the time
// of the API server's answers left out.
func BenchmarkTickOfThousandTargets(b *testing.B) {
	w, ids := crowd(b)
	for _, mode := range []string{"leader", "follower"} {
		b.Run(mode, func(b *testing.B) {
			w.leader.lead(mode == "leader")
			b.ReportAllocs()
			for i := range b.N {
				now := t0.Add(time.Duration(i) * time.Second)
				for _, id := range ids {
					obs, err := w.Observer.Observe(context.Background(), id, now)
					if err != nil || obs.Count(scaling.Ready) != 4 {
						b.Fatalf("%d ready, %v; want 4", obs.Count(scaling.Ready), err)
					}
					d := scaling.Decision{Time: now, Current: 4, Replicas: 4, Reason: scaling.DemandMet}
					w.Recorder.Record(context.Background(), id, d, w.Actuator.Actuate(context.Background(), id, d))
				}
			}
		})
	}
}

// BenchmarkEndpointsOfFourThousandPods is one round of the scraper asking where to scrape.
func BenchmarkEndpointsOfFourThousandPods(b *testing.B) {
	w, ids := crowd(b)
	for _, id := range ids {
		if _, err := w.Observer.Observe(context.Background(), id, t0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if got := len(w.Endpoints.Endpoints()); got != 4000 {
			b.Fatalf("%d endpoints, want 4000", got)
		}
	}
}

// BenchmarkStripPod shows what the transform saves of a pod as the API server sends it.
func BenchmarkStripPod(b *testing.B) {
	pod := readyPod("a")
	pod.Spec.Containers[0].Env = make([]corev1.EnvVar, 30)
	b.ReportAllocs()
	for range b.N {
		if _, err := StripPod(pod); err != nil {
			b.Fatal(err)
		}
	}
}
