package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// labelIndex is the index of pods by namespace and each of their labels: a selector then looks at the few pods that
// have one of its labels and not at all of a namespace (1,000 targets in one namespace would else compare 1,000 times
// all pods, each tick).
const labelIndex = "label"

// unindexed are labels that tell no workload from another, or every pod from every other.
var unindexed = map[string]bool{
	"pod-template-hash":                  true,
	"controller-revision-hash":           true,
	"apps.kubernetes.io/pod-index":       true,
	"statefulset.kubernetes.io/pod-name": true,
}

// NewPodInformer returns an informer of pods, stripped by StripPod and indexed as PodIndexers says. It can be shared.
func NewPodInformer(client kubernetes.Interface, namespace string) (cache.SharedIndexInformer, error) {
	pods := client.CoreV1().Pods(namespace)
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return pods.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return pods.Watch(ctx, o)
		},
	}, client), &corev1.Pod{}, 0, PodIndexers())
	if err := informer.SetTransform(StripPod); err != nil {
		return nil, fmt.Errorf("set transform of pod informer: %w", err)
	}
	return informer, nil
}

// PodIndexers returns the indexes that the adapters need: by namespace and by label.
func PodIndexers() cache.Indexers {
	return cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc, labelIndex: indexByLabel}
}

// indexByLabel returns one value for each label that tells workloads apart.
func indexByLabel(obj any) ([]string, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("index pod by label: got %T", obj)
	}
	values := make([]string, 0, len(pod.Labels))
	for k, v := range pod.Labels {
		if !unindexed[k] {
			values = append(values, labelValue(pod.Namespace, k, v))
		}
	}
	return values, nil
}

// labelValue is the index value of one label in one namespace.
func labelValue(namespace, key, value string) string { return namespace + "/" + key + "=" + value }

// StripPod is an informer's transform that leaves of a pod what the adapters read, to save memory: metadata without
// managed fields and foreign annotations, node, ports, GPUs, our readiness gate, phase, conditions, addresses and when
// containers started.
func StripPod(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	return stripPod(pod), nil
}

func stripPod(pod *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, Annotations: stripAnnotations(pod.Annotations), OwnerReferences: pod.OwnerReferences,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Spec: corev1.PodSpec{NodeName: pod.Spec.NodeName, Containers: stripContainers(pod.Spec.Containers), InitContainers: stripContainers(staying(pod.Spec.InitContainers)), ReadinessGates: stripGates(pod.Spec.ReadinessGates)},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, PodIP: pod.Status.PodIP,
			Conditions:            stripConditions(pod.Status.Conditions),
			InitContainerStatuses: stripStatuses(pod.Status.InitContainerStatuses),
			ContainerStatuses:     stripStatuses(pod.Status.ContainerStatuses),
		},
	}
}

// stripGates keeps the readiness gate that is ours.
func stripGates(all []corev1.PodReadinessGate) []corev1.PodReadinessGate {
	for _, g := range all {
		if g.ConditionType == v1alpha1.ServingGate {
			return []corev1.PodReadinessGate{g}
		}
	}
	return nil
}

// stripAnnotations keeps the annotations that say where metrics are, how many pods a replica is, what it is meant for and what
// its deletion costs.
func stripAnnotations(all map[string]string) map[string]string {
	var kept map[string]string
	for k, v := range all {
		if strings.HasPrefix(k, "preheat.dev/") || strings.HasPrefix(k, "prometheus.io/") || k == groupSize || k == costAnnotation {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[k] = v
		}
	}
	return kept
}

// staying are the init containers that stay beside the others, as sidecars.
func staying(all []corev1.Container) []corev1.Container {
	return slices.DeleteFunc(slices.Clone(all), func(c corev1.Container) bool {
		return c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways
	})
}

func stripContainers(all []corev1.Container) []corev1.Container {
	if len(all) == 0 {
		return nil
	}
	kept := make([]corev1.Container, len(all))
	for i, c := range all {
		kept[i] = corev1.Container{Name: c.Name, Ports: c.Ports, Resources: corev1.ResourceRequirements{Requests: stripRequests(c.Resources.Requests)}}
	}
	return kept
}

// stripRequests keeps the requests of GPUs.
func stripRequests(all corev1.ResourceList) corev1.ResourceList {
	var kept corev1.ResourceList
	for name, quantity := range all {
		if gpuResources[name] {
			if kept == nil {
				kept = corev1.ResourceList{}
			}
			kept[name] = quantity
		}
	}
	return kept
}

// keptConditions are those that are read.
var keptConditions = map[corev1.PodConditionType]bool{
	corev1.PodScheduled: true, corev1.PodReadyToStartContainers: true, corev1.ContainersReady: true, corev1.PodReady: true, v1alpha1.ServingGate: true,
}

func stripConditions(all []corev1.PodCondition) []corev1.PodCondition {
	var kept []corev1.PodCondition
	for _, c := range all {
		if keptConditions[c.Type] {
			kept = append(kept, corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, LastTransitionTime: c.LastTransitionTime})
		}
	}
	return kept
}

func stripStatuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(all) == 0 {
		return nil
	}
	kept := make([]corev1.ContainerStatus, len(all))
	for i, s := range all {
		kept[i] = corev1.ContainerStatus{Name: s.Name, RestartCount: s.RestartCount, State: stripState(s.State)}
	}
	return kept
}

// stripState keeps when a container was started, and that an image could not be pulled.
func stripState(s corev1.ContainerState) corev1.ContainerState {
	kept := corev1.ContainerState{Running: s.Running}
	if s.Terminated != nil {
		kept.Terminated = &corev1.ContainerStateTerminated{StartedAt: s.Terminated.StartedAt}
	}
	if s.Waiting != nil && pullFailures[s.Waiting.Reason] {
		kept.Waiting = &corev1.ContainerStateWaiting{Reason: s.Waiting.Reason}
	}
	return kept
}

// pods answers from the pod informer's memory, and what this process has written since.
type pods struct {
	indexer cache.Indexer
	written *written
}

// matching returns the pods of a namespace that a selector selects, by name.
func (p pods) matching(namespace string, selector labels.Selector) []*corev1.Pod {
	var found []*corev1.Pod
	for _, obj := range p.candidates(namespace, selector) {
		if pod, ok := obj.(*corev1.Pod); ok && selector.Matches(labels.Set(pod.Labels)) {
			found = append(found, p.written.newest(pod))
		}
	}
	slices.SortFunc(found, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

// byName returns a pod, false where there is none of the name.
func (p pods) byName(namespace, name string) (*corev1.Pod, bool) {
	obj, ok, err := p.indexer.GetByKey(namespace + "/" + name)
	pod, isPod := obj.(*corev1.Pod)
	if err != nil || !ok || !isPod {
		return nil, false
	}
	return p.written.newest(pod), true
}

// candidates returns a set of pods that contains all that a selector can match, the smallest that an index gives.
func (p pods) candidates(namespace string, selector labels.Selector) []any {
	var fewest []any
	indexed := false
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		value, single := r.Values().PopAny()
		if !single || r.Values().Len() != 1 || !isEquality(r.Operator()) || unindexed[r.Key()] {
			continue
		}
		objs, err := p.indexer.ByIndex(labelIndex, labelValue(namespace, r.Key(), value))
		if err == nil && (!indexed || len(objs) < len(fewest)) {
			fewest, indexed = objs, true
		}
	}
	if indexed {
		return fewest
	}
	objs, err := p.indexer.ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return nil
	}
	return objs
}

func isEquality(op selection.Operator) bool {
	return op == selection.Equals || op == selection.DoubleEquals || op == selection.In
}
