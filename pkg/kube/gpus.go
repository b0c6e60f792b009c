package kube

import (
	"math"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// gpuResources are the extended resources of which one is one whole GPU (or TPU chip). Others of the same vendors are
// parts of one, such as nvidia.com/mig-1g.10gb, or something else, such as gpu.intel.com/memory.max.
var gpuResources = map[corev1.ResourceName]bool{
	"nvidia.com/gpu": true, "amd.com/gpu": true, "gpu.intel.com/i915": true, "gpu.intel.com/xe": true, "google.com/tpu": true,
}

// groupSize is the annotation, on each pod of a LeaderWorkerSet, of how many pods one replica of it is. Only its leader is
// among the target's pods.
const groupSize = "leaderworkerset.sigs.k8s.io/size"

// gpusPerReplica returns how many GPUs one replica takes, by what the pods ask for that are there to stay: the most that
// any does, since during an update they differ; zero where none tells.
func gpusPerReplica(pods []*corev1.Pod) int32 {
	var most int64
	for _, pod := range pods {
		if phaseOf(pod) != scaling.Draining {
			most = max(most, gpusOf(pod)*groupSizeOf(pod))
		}
	}
	return int32(min(most, math.MaxInt32))
}

// gpusOf returns the GPUs that a pod's containers request, zero where it requests none: it may claim devices in ways that
// have no number.
func gpusOf(pod *corev1.Pod) int64 {
	var sum int64
	for _, c := range pod.Spec.Containers {
		for name, quantity := range c.Resources.Requests {
			if gpuResources[name] {
				sum += max(0, min(quantity.Value(), math.MaxInt32))
			}
		}
	}
	return min(sum, math.MaxInt32)
}

// groupSizeOf returns how many pods make a replica: one unless the pod says otherwise, zero where it makes no sense.
func groupSizeOf(pod *corev1.Pod) int64 {
	said, ok := pod.Annotations[groupSize]
	if !ok {
		said, ok = pod.Labels[groupSize]
	}
	if !ok {
		return 1
	}
	n, err := strconv.ParseInt(said, 10, 32)
	if err != nil {
		return 0
	}
	return max(0, n)
}
