//go:build e2e

package testbed_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// startCluster starts a cluster for a test and stops it afterwards. It skips the test where nothing is built.
func startCluster(t *testing.T, o testbed.Options) *testbed.Cluster {
	t.Helper()
	begin := time.Now()
	c, err := testbed.Start(t.Context(), o)
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("start took %v", time.Since(begin))
	t.Cleanup(func() {
		begin := time.Now()
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		t.Logf("stop took %v", time.Since(begin))
	})
	return c
}

func clientOf(t *testing.T, c *testbed.Cluster) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually polls until check says nothing more, and fails with what it said last.
func eventually(t *testing.T, within time.Duration, check func(context.Context) string) {
	t.Helper()
	complaint := ""
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if complaint = check(t.Context()); complaint == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", within, complaint)
}

// deployment is a manifest of an inference Deployment of one GPU a pod.
func deployment(name string, replicas int, annotations string) []byte {
	return fmt.Appendf(nil, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}, annotations: {%[3]s}}
    spec:
      containers:
      - name: server
        image: registry.invalid/server:1
        ports: [{name: http, containerPort: 8000}]
        resources: {requests: {cpu: "1"}, limits: {nvidia.com/gpu: 1}}
`, name, replicas, annotations)
}

func podsOf(t *testing.T, client kubernetes.Interface, app string) []corev1.Pod {
	t.Helper()
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// condition returns a pod's condition, or nil.
func condition(pod corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i, c := range pod.Status.Conditions {
		if c.Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

func isReady(pod corev1.Pod) bool {
	c := condition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func countReady(pods []corev1.Pod) int {
	n := 0
	for _, pod := range pods {
		if isReady(pod) {
			n++
		}
	}
	return n
}

func TestClusterRunsGPUPods(t *testing.T) {
	c := startCluster(t, testbed.Options{ControllerQPS: 300})
	client := clientOf(t, c)
	if _, err := c.AddGPUNodes(t.Context(), 2, 4); err != nil {
		t.Fatal(err)
	}

	t.Run("as many become Ready as there are GPUs, the others stay Pending", func(t *testing.T) {
		apply(t, c, deployment("plain", 10, ""))
		eventually(t, 30*time.Second, func(context.Context) string {
			if n := countReady(podsOf(t, client, "plain")); n != 8 {
				return fmt.Sprintf("%d pods Ready, want 8", n)
			}
			return ""
		})
		pending := 0
		for _, pod := range podsOf(t, client, "plain") {
			if pod.Status.Phase == corev1.PodPending {
				pending++
				if s := condition(pod, corev1.PodScheduled); s == nil || s.Reason != corev1.PodReasonUnschedulable {
					t.Errorf("pending pod %s has PodScheduled %+v, want reason Unschedulable", pod.Name, s)
				}
				continue
			}
			checkRunningPod(t, c, pod)
		}
		if pending != 2 {
			t.Errorf("%d pods are Pending, want 2", pending)
		}
		scaleTo(t, c, "plain", 0)
		eventually(t, 30*time.Second, func(context.Context) string {
			if n := len(podsOf(t, client, "plain")); n != 0 {
				return fmt.Sprintf("%d pods left, want none", n)
			}
			return ""
		})
	})

	t.Run("readiness comes when the annotation says", func(t *testing.T) {
		apply(t, c, deployment("slow", 2, testbed.ReadyAfter+`: "3s", `+testbed.ReadyBefore+`: "5s"`))
		eventually(t, 30*time.Second, func(context.Context) string {
			if n := countReady(podsOf(t, client, "slow")); n != 2 {
				return fmt.Sprintf("%d pods Ready, want 2", n)
			}
			return ""
		})
		for _, pod := range podsOf(t, client, "slow") {
			loading := condition(pod, corev1.PodReady).LastTransitionTime.Sub(pod.Status.StartTime.Time)
			if loading < 2*time.Second || loading > 10*time.Second { // whole seconds in the API; a busy machine is late
				t.Errorf("pod %s was Ready %v after its start, want between 3 s and 5 s", pod.Name, loading)
			}
		}
		scaleTo(t, c, "slow", 0)
	})

	t.Run("an emulator decides on readiness where asked for", func(t *testing.T) {
		apply(t, c, deployment("emulated", 1, testbed.Readiness+": "+testbed.ReadinessByEmulator))
		eventually(t, 30*time.Second, func(context.Context) string {
			pods := podsOf(t, client, "emulated")
			if len(pods) != 1 || pods[0].Status.PodIP == "" {
				return "no pod with an address"
			}
			return ""
		})
		time.Sleep(2500 * time.Millisecond) // twice the time after which kwok makes other pods ready
		pod := podsOf(t, client, "emulated")[0]
		if isReady(pod) {
			t.Fatal("the pod is Ready though nobody said so")
		}
		patch := `{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"}]}}`
		_, err := c.Kubectl(t.Context(), "patch", "pod", pod.Name, "--subresource=status", "--type=strategic", "-p", patch)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func(ctx context.Context) string {
			d, err := client.AppsV1().Deployments("default").Get(ctx, "emulated", metav1.GetOptions{})
			if err != nil || d.Status.ReadyReplicas != 1 {
				return fmt.Sprintf("%d ready replicas (%v), want 1", d.Status.ReadyReplicas, err)
			}
			return ""
		})
	})

	t.Run("a deleted pod drains as long as the annotation says", func(t *testing.T) {
		apply(t, c, deployment("draining", 1, testbed.DrainFor+`: "3s"`))
		eventually(t, 30*time.Second, func(context.Context) string {
			if countReady(podsOf(t, client, "draining")) != 1 {
				return "the pod is not Ready"
			}
			return ""
		})
		scaleTo(t, c, "draining", 0)
		begin := time.Now()
		eventually(t, 30*time.Second, func(context.Context) string {
			if len(podsOf(t, client, "draining")) != 0 {
				return "the pod is still there"
			}
			return ""
		})
		if gone := time.Since(begin); gone < 2*time.Second {
			t.Errorf("the pod was gone after %v, want about 3 s", gone)
		}
	})

	t.Run("a component can be killed and restarted", func(t *testing.T) {
		if err := c.KillComponent(testbed.ControllerManager); err != nil {
			t.Fatal(err)
		}
		apply(t, c, deployment("orphan", 1, ""))
		time.Sleep(time.Second)
		if n := len(podsOf(t, client, "orphan")); n != 0 {
			t.Fatalf("%d pods though the controller manager is dead", n)
		}
		if err := c.RestartComponent(testbed.ControllerManager); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, func(context.Context) string {
			if n := len(podsOf(t, client, "orphan")); n != 1 {
				return fmt.Sprintf("%d pods, want 1", n)
			}
			return ""
		})
	})
}

// checkRunningPod checks what a controller reads of a pod: its address, its times and the usual conditions.
func checkRunningPod(t *testing.T, c *testbed.Cluster, pod corev1.Pod) {
	t.Helper()
	if prefix := strings.TrimSuffix(c.PodCIDR, "0.0/16"); !strings.HasPrefix(pod.Status.PodIP, prefix) {
		t.Errorf("pod %s has address %q, want one in %s", pod.Name, pod.Status.PodIP, c.PodCIDR)
	}
	if pod.Status.StartTime == nil {
		t.Errorf("pod %s has no start time", pod.Name)
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		if got := condition(pod, kind); got == nil || got.Status != corev1.ConditionTrue || got.LastTransitionTime.IsZero() {
			t.Errorf("pod %s has condition %s %+v, want True with a time", pod.Name, kind, got)
		}
	}
}

func apply(t *testing.T, c *testbed.Cluster, manifests []byte) {
	t.Helper()
	if err := c.Apply(t.Context(), manifests); err != nil {
		t.Fatal(err)
	}
}

func scaleTo(t *testing.T, c *testbed.Cluster, deployment string, replicas int) {
	t.Helper()
	if _, err := c.Kubectl(t.Context(), "scale", "deployment", deployment, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
		t.Fatal(err)
	}
}

func TestClustersStandSideBySideAndStopWithoutATrace(t *testing.T) {
	c, other := startCluster(t, testbed.Options{}), startCluster(t, testbed.Options{})
	if c.PodCIDR == other.PodCIDR {
		t.Errorf("both clusters give pods addresses in %s", c.PodCIDR)
	}
	apply(t, c, []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: mine}}"))
	if _, err := clientOf(t, other).CoreV1().ConfigMaps("default").Get(t.Context(), "mine", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the other cluster has the object too: %v", err)
	}

	if n := len(processesMentioning(t, c.RunDir)); n < 5 {
		t.Fatalf("%d processes mention the run directory, want the five components", n)
	}
	for range 2 { // the second call has nothing to do
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if left := processesMentioning(t, c.RunDir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if _, err := os.Stat(c.RunDir); !os.IsNotExist(err) {
		t.Errorf("the run directory is left (%v)", err)
	}
	if err := c.Launch("late", "/bin/true"); err == nil {
		t.Error("a stopped cluster starts processes")
	}
	if _, err := clientOf(t, other).Discovery().ServerVersion(); err != nil {
		t.Errorf("the other cluster suffered: %v", err)
	}
}

// processesMentioning lists the command lines that contain text.
func processesMentioning(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestAFailingComponentIsNamedWithTheEndOfItsLog(t *testing.T) {
	c, err := testbed.Start(t.Context(), testbed.Options{APIServerArgs: []string{"--no-such-flag"}})
	if err == nil {
		defer c.Stop()
		t.Fatal("the cluster started with a flag that does not exist")
	}
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	for _, want := range []string{"kube-apiserver ended while starting", "exit status 1", "unknown flag: --no-such-flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}
