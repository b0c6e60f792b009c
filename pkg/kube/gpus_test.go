package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// requesting is a pod each of whose containers requests something.
func requesting(containers ...map[string]string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers = nil
		for _, requests := range containers {
			list := corev1.ResourceList{}
			for name, quantity := range requests {
				list[corev1.ResourceName(name)] = resource.MustParse(quantity)
			}
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Resources: corev1.ResourceRequirements{Requests: list}})
		}
	}
}

func group(size string, change func(*corev1.Pod)) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		change(p)
		p.Annotations = map[string]string{groupSize: size, "other": "thing"}
	}
}

func TestGPUsPerReplica(t *testing.T) {
	two := requesting(map[string]string{"nvidia.com/gpu": "2", "cpu": "8", "memory": "64Gi"})
	four := requesting(map[string]string{"nvidia.com/gpu": "4"})
	for name, tt := range map[string]struct {
		pods []func(*corev1.Pod)
		want int32
	}{
		"nobody knows without pods":              {nil, 0},
		"nobody knows of pods that request none": {[]func(*corev1.Pod){requesting(map[string]string{"cpu": "8"}), nil}, 0},
		"what the pods request":                  {[]func(*corev1.Pod){two, two}, 2},
		"all containers of a pod together":       {[]func(*corev1.Pod){requesting(map[string]string{"nvidia.com/gpu": "2"}, map[string]string{"cpu": "1"}, map[string]string{"nvidia.com/gpu": "1"})}, 3},
		"AMD":                                    {[]func(*corev1.Pod){requesting(map[string]string{"amd.com/gpu": "8"})}, 8},
		"Intel":                                  {[]func(*corev1.Pod){requesting(map[string]string{"gpu.intel.com/i915": "1"}, map[string]string{"gpu.intel.com/xe": "1"})}, 2},
		"TPU chips":                              {[]func(*corev1.Pod){requesting(map[string]string{"google.com/tpu": "4"})}, 4},
		"parts of GPUs and what is none have no number": {[]func(*corev1.Pod){requesting(map[string]string{"nvidia.com/mig-1g.10gb": "2", "gpu.intel.com/memory.max": "64Gi", "gpu.intel.com/xe_monitoring": "1"})}, 0},
		"a group":                                     {[]func(*corev1.Pod){group("4", two)}, 8},
		"a group by its label":                        {[]func(*corev1.Pod){func(p *corev1.Pod) { two(p); p.Labels[groupSize] = "3" }}, 6},
		"a group of a size that makes no sense":       {[]func(*corev1.Pod){group("many", two)}, 0},
		"a group of fewer than none":                  {[]func(*corev1.Pod){group("-2", two)}, 0},
		"a group too large to write down":             {[]func(*corev1.Pod){group("2147483647", four)}, 1<<31 - 1},
		"more than can be written down":               {[]func(*corev1.Pod){requesting(map[string]string{"nvidia.com/gpu": "9E"}, map[string]string{"nvidia.com/gpu": "9E"})}, 1<<31 - 1},
		"the most where pods differ, as in an update": {[]func(*corev1.Pod){two, four, two}, 4},
		"those that wait for a node count":            {[]func(*corev1.Pod){func(p *corev1.Pod) { four(p); unscheduled(p, corev1.PodReasonUnschedulable) }}, 4},
		"those that go do not":                        {[]func(*corev1.Pod){two, func(p *corev1.Pod) { four(p); p.DeletionTimestamp = &metav1.Time{Time: t0} }}, 2},
		"those that have ended do not":                {[]func(*corev1.Pod){two, func(p *corev1.Pod) { four(p); p.Status.Phase = corev1.PodFailed }}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := ownWorld(t)
			for i, change := range tt.pods {
				w.pod(string(rune('a'+i)), func(p *corev1.Pod) {
					if change != nil {
						change(p)
					}
					stripped, err := StripPod(p)
					if err != nil {
						t.Fatal(err)
					}
					*p = *stripped.(*corev1.Pod)
				})
			}
			obs, err := w.Observer.Observe(t.Context(), vllm, t0)
			if err != nil {
				t.Fatal(err)
			}
			if obs.GPUsPerReplica != tt.want {
				t.Errorf("%d GPUs a replica, want %d", obs.GPUsPerReplica, tt.want)
			}
		})
	}
}

func TestTheStatusTellsThatTheGPUBudgetLimits(t *testing.T) {
	w := ownWorld(t)
	d := scaling.Decision{Time: t0, Current: 3, Replicas: 4, Needed: 9, Limited: true, Reason: scaling.AtGPUBudget}
	w.Recorder.Record(t.Context(), vllm, d, nil)
	w.writeStatuses()
	a, err := w.autoscalers.Get(t.Context(), "ml", "vllm")
	if err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionLimited)
	if c == nil || c.Status != metav1.ConditionTrue || c.Reason != "AtGPUBudget" || c.Message != "the demand needs 9 replicas, 4 are allowed" {
		t.Errorf("condition %+v", c)
	}
}
