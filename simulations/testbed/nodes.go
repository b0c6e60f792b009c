package testbed

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Labels and annotations by which manifests talk to the testbed. Annotations go on pods; durations are as Go writes them.
const (
	// NodeLabel tells simulated nodes (KwokNode) from a box's real one (RealNode).
	NodeLabel = "simulations.preheat.dev/node"
	KwokNode  = "kwok"
	RealNode  = "real"

	// ReadyAfter is the earliest, ReadyBefore the latest time from a simulated pod's start to its readiness.
	ReadyAfter  = "simulations.preheat.dev/ready-after"
	ReadyBefore = "simulations.preheat.dev/ready-before"
	// Readiness set to ReadinessByEmulator leaves a simulated pod unready until someone patches its status.
	Readiness           = "simulations.preheat.dev/readiness"
	ReadinessByEmulator = "emulator"
	// DrainFor is the time from a simulated pod's deletion until it is gone.
	DrainFor = "simulations.preheat.dev/drain-for"

	// GPU is the resource that nodes offer and pods ask for.
	GPU corev1.ResourceName = "nvidia.com/gpu"
)

const nodeReadyTimeout = 30 * time.Second

// AddGPUNodes adds n simulated nodes of gpusPerNode GPUs each, waits until they are Ready and returns their names
// (gpu-0, gpu-1, ...; further calls count on). The scheduler holds to the GPUs as it would on real nodes.
// In a box the nodes carry the taint NodeLabel=KwokNode:NoSchedule, so that pods meant for the real node stay off them.
func (c *Cluster) AddGPUNodes(ctx context.Context, n, gpusPerNode int) ([]string, error) {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return nil, fmt.Errorf("add GPU nodes: %w", err)
	}
	var names []string
	for range n {
		name := c.nextNode()
		if _, err := client.CoreV1().Nodes().Create(ctx, c.gpuNode(name, gpusPerNode), metav1.CreateOptions{}); err != nil {
			return names, fmt.Errorf("add GPU node %s: %w", name, err)
		}
		names = append(names, name)
	}
	for _, name := range names {
		if err := c.awaitNode(ctx, name, Kwok, ready); err != nil {
			return names, fmt.Errorf("add GPU node: %w", err)
		}
	}
	return names, nil
}

// RemoveNode deletes a node at once, as a reclaimed spot instance goes. Its pods are lost.
func (c *Cluster) RemoveNode(ctx context.Context, name string) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("remove node %s: %w", name, err)
	}
	if err := client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("remove node %s: %w", name, err)
	}
	return nil
}

func (c *Cluster) nextNode() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := "gpu-" + strconv.Itoa(c.nodes)
	c.nodes++
	return name
}

func (c *Cluster) gpuNode(name string, gpus int) *corev1.Node {
	resources := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("128"), corev1.ResourceMemory: resource.MustParse("1Ti"),
		corev1.ResourcePods: resource.MustParse("250"), GPU: *resource.NewQuantity(int64(gpus), resource.DecimalSI),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			NodeLabel: KwokNode, corev1.LabelHostname: name, corev1.LabelOSStable: "linux",
		}},
		Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources},
	}
	if c.plan.node {
		node.Spec.Taints = []corev1.Taint{{Key: NodeLabel, Value: KwokNode, Effect: corev1.TaintEffectNoSchedule}}
	}
	return node
}

// awaitNode waits until a node satisfies the condition, as long as the component that speaks for the node lives.
func (c *Cluster) awaitNode(ctx context.Context, name, component string, satisfied func(*corev1.Node) bool) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("wait for node %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, nodeReadyTimeout)
	defer cancel()
	return c.await(ctx, component, func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil && !satisfied(node) {
			err = fmt.Errorf("node %s is not usable: taints %v, conditions %v", name, node.Spec.Taints, node.Status.Conditions)
		}
		return err
	})
}

// ready says whether a node is Ready and has lost the taint of one that is not.
func ready(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
