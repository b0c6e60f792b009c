package kube

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// TestMatchingEqualsItsDumbTwin compares the indexed search with one that looks at every pod.
func TestMatchingEqualsItsDumbTwin(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, PodIndexers())
	var all []*corev1.Pod
	for i := range 200 {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: []string{"a", "b"}[rng.Intn(2)], Name: fmt.Sprintf("p%03d", i), UID: types.UID(fmt.Sprint(i)),
			Labels: map[string]string{"app": fmt.Sprint(rng.Intn(5)), "part": fmt.Sprint(rng.Intn(2)), "pod-template-hash": fmt.Sprint(rng.Intn(3))},
		}}
		all = append(all, p)
		if err := indexer.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for _, text := range []string{
		"app=1", "app=1,part=0", "app in (1,2)", "app in (3)", "app!=1", "part=0,app!=2", "pod-template-hash=1", "app=1,pod-template-hash=2",
		"app", "!app", "app=none", "app notin (1)", "app==2",
	} {
		selector, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, p := range all {
			if p.Namespace == "a" && selector.Matches(labels.Set(p.Labels)) {
				want = append(want, p.Name)
			}
		}
		var got []string
		for _, p := range (pods{indexer, new(written)}).matching("a", selector) {
			got = append(got, p.Name)
		}
		found += len(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("selector %q (-want +got):\n%s", text, diff)
		}
	}
	if found < 100 {
		t.Errorf("only %d pods were found in all: the comparison says nothing", found)
	}
}

func TestStripPodKeepsWhatIsRead(t *testing.T) {
	pod := readyPod("a")
	pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	pod.Annotations = map[string]string{"preheat.dev/metrics-port": "1", "prometheus.io/port": "2", "big": "thing", costAnnotation: "7"}
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/other"}, {ConditionType: v1alpha1.ServingGate}}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "B"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "v"}}
	pod.Status.Conditions = append(pod.Status.Conditions,
		corev1.PodCondition{Type: corev1.ContainersReady}, corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
		corev1.PodCondition{Type: v1alpha1.ServingGate}, corev1.PodCondition{Type: "example.com/other"})
	pod.Spec.NodeName = "n"
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{
		{Name: "done", Image: "i", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(t0), Message: "bye"}}},
		{Name: "failing", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "why"}}},
		{Name: "coming", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}},
	}
	got, err := StripPod(pod)
	if err != nil {
		t.Fatal(err)
	}
	want := readyPod("a")
	want.Spec.NodeName = "n"
	want.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: v1alpha1.ServingGate}}
	want.Status.Conditions = append(want.Status.Conditions, corev1.PodCondition{Type: corev1.ContainersReady},
		corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}, corev1.PodCondition{Type: v1alpha1.ServingGate})
	want.Status.InitContainerStatuses = []corev1.ContainerStatus{
		{Name: "done", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(t0)}}},
		{Name: "failing", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}},
		{Name: "coming"},
	}
	want.Annotations = map[string]string{"preheat.dev/metrics-port": "1", "prometheus.io/port": "2", costAnnotation: "7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stripped pod (-want +got):\n%s", diff)
	}
}

func TestStripPodLeavesTombstones(t *testing.T) {
	tombstone := cache.DeletedFinalStateUnknown{Key: "ml/a"}
	if got, err := StripPod(tombstone); err != nil || got != any(tombstone) {
		t.Errorf("StripPod() = %v, %v; want the tombstone as it was", got, err)
	}
}

func TestObservationHasLivePodsOnly(t *testing.T) {
	w := ownWorld(t)
	w.pod("b", nil)
	w.pod("a", nil)
	w.pod("failed", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	w.pod("done", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	w.pod("elsewhere", func(p *corev1.Pod) { p.Namespace = "other" })
	obs, err := w.Observer.Observe(t.Context(), vllm, t0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range obs.Replicas {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"a", "b"}) || obs.Desired != 3 || !obs.Time.Equal(t0) {
		t.Errorf("replicas %v, desired %d, time %v; want [a b], 3, %v", names, obs.Desired, obs.Time, t0)
	}
}
