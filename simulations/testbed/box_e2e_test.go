//go:build e2e && linux

package testbed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

const podServerImage = "preheat.local/podserver:1"

// startBox starts a box for a test and stops it afterwards. It skips the test where there can be none.
func startBox(t *testing.T, o testbed.BoxOptions) *testbed.Box {
	t.Helper()
	begin := time.Now()
	b, err := testbed.StartBox(t.Context(), o)
	if errors.Is(err, testbed.ErrNoBox) || errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("start took %v", time.Since(begin))
	t.Cleanup(func() {
		begin := time.Now()
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		t.Logf("stop took %v", time.Since(begin))
	})
	return b
}

func loadPodServer(t *testing.T, b *testbed.Box) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "podserver")
	build := exec.Command("go", "build", "-o", binary, "./testdata/podserver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build podserver: %v: %s", err, out)
	}
	if err := b.LoadProgram(t.Context(), podServerImage, binary); err != nil {
		t.Fatal(err)
	}
}

// realDeployment is a manifest of pods for the real node with a Service before them.
func realDeployment(name string, replicas int, load time.Duration, podSpec string) []byte {
	return fmt.Appendf(nil, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      nodeSelector: {simulations.preheat.dev/node: real}
      terminationGracePeriodSeconds: 5
      %[4]s
      containers:
      - name: server
        image: preheat.local/podserver:1
        imagePullPolicy: Never
        args: ["-load=%[3]v"]
        ports: [{name: http, containerPort: 8000}]
        resources: {limits: {nvidia.com/gpu: 1}}
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {selector: {app: %[1]s}, ports: [{port: 80, targetPort: http}]}
`, name, replicas, load, podSpec)
}

// get fetches a URL from inside the box.
func get(t *testing.T, b *testbed.Box, url string) (string, error) {
	t.Helper()
	transport := &http.Transport{DialContext: b.Dial, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: 3 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}

// execComplaint runs a command in a pod, for which the API server needs the kubelet, and says what was wrong, if anything.
func execComplaint(t *testing.T, b *testbed.Box, pod string) string {
	t.Helper()
	out, err := b.Kubectl(t.Context(), "exec", pod, "--", "/bin/podserver", "-h")
	if strings.Contains(out, "-load") {
		return ""
	}
	return fmt.Sprintf("exec printed %q (%v), want the program's flags", out, err)
}

func clusterIP(t *testing.T, b *testbed.Box, service string) string {
	t.Helper()
	s, err := clientOf(t, b.Cluster).CoreV1().Services("default").Get(t.Context(), service, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Spec.ClusterIP
}

func awaitReady(t *testing.T, b *testbed.Box, app string, want int) {
	t.Helper()
	client := clientOf(t, b.Cluster)
	eventually(t, 40*time.Second, func(context.Context) string {
		if n := countReady(podsOf(t, client, app)); n != want {
			return fmt.Sprintf("%d pods of %s Ready, want %d\n%s", n, app, want, b.LogTail(testbed.Kubelet))
		}
		return ""
	})
}

func TestBoxRunsRealPods(t *testing.T) {
	b := startBox(t, testbed.BoxOptions{Options: testbed.Options{ControllerQPS: 300}})
	loadPodServer(t, b)

	t.Run("pods run, get GPUs of their own and answer behind a ClusterIP", func(t *testing.T) {
		apply(t, b.Cluster, realDeployment("web", 3, 0, ""))
		awaitReady(t, b, "web", 3)
		var names, gpus []string
		for _, pod := range podsOf(t, clientOf(t, b.Cluster), "web") {
			names = append(names, pod.Name)
			gpu, err := get(t, b, "http://"+net.JoinHostPort(pod.Status.PodIP, "8000")+"/gpu")
			if err != nil {
				t.Fatal(err)
			}
			gpus = append(gpus, gpu)
		}
		slices.Sort(gpus)
		if len(slices.Compact(gpus)) != 3 || !strings.HasPrefix(gpus[0], "GPU-simulated-") {
			t.Errorf("the pods got GPUs %v, want three different ones", gpus)
		}
		ip := clusterIP(t, b, "web")
		answers := map[string]bool{}
		eventually(t, 20*time.Second, func(context.Context) string {
			name, err := get(t, b, "http://"+ip)
			if err != nil {
				return err.Error()
			}
			answers[name] = true
			if len(answers) < 3 {
				return fmt.Sprintf("only %v answered", answers)
			}
			return ""
		})
		for name := range answers {
			if !slices.Contains(names, name) {
				t.Errorf("%q answered, which is none of the pods %v", name, names)
			}
		}
	})

	t.Run("a pod reaches its neighbours through the ClusterIP", func(t *testing.T) {
		pod := podsOf(t, clientOf(t, b.Cluster), "web")[0]
		target := url.QueryEscape("http://" + clusterIP(t, b, "web"))
		neighbour := false
		for range 12 {
			name, err := get(t, b, "http://"+net.JoinHostPort(pod.Status.PodIP, "8000")+"/fetch?url="+target)
			if err != nil {
				t.Fatal(err)
			}
			neighbour = neighbour || name != pod.Name
		}
		if !neighbour {
			t.Error("twelve requests all went to the pod itself")
		}
	})

	t.Run("a readiness probe and a readiness gate both have their say", func(t *testing.T) {
		apply(t, b.Cluster, realDeployment("gated", 1, 2*time.Second, "readinessGates: [{conditionType: example.com/admitted}]"))
		client := clientOf(t, b.Cluster)
		eventually(t, 30*time.Second, func(context.Context) string {
			pods := podsOf(t, client, "gated")
			if len(pods) != 1 {
				return fmt.Sprintf("%d pods", len(pods))
			}
			if c := condition(pods[0], corev1.ContainersReady); c == nil || c.Status != corev1.ConditionTrue {
				return "the container is not ready"
			}
			return ""
		})
		pod := podsOf(t, client, "gated")[0]
		if isReady(pod) {
			t.Fatal("the pod is Ready before its gate opened")
		}
		running := pod.Status.ContainerStatuses[0].State.Running.StartedAt
		if probed := condition(pod, corev1.ContainersReady).LastTransitionTime.Sub(running.Time); probed < time.Second {
			t.Errorf("the probe succeeded %v after the start, before the load of 2 s was over", probed)
		}
		patch := `{"status":{"conditions":[{"type":"example.com/admitted","status":"True"}]}}`
		if _, err := b.Kubectl(t.Context(), "patch", "pod", pod.Name, "--subresource=status", "--type=strategic", "-p", patch); err != nil {
			t.Fatal(err)
		}
		awaitReady(t, b, "gated", 1)
	})

	t.Run("exec reaches the kubelet", func(t *testing.T) {
		if complaint := execComplaint(t, b, podsOf(t, clientOf(t, b.Cluster), "web")[0].Name); complaint != "" {
			t.Error(complaint)
		}
	})

	t.Run("simulated pods stand beside the real ones and a program outside can speak for them", func(t *testing.T) {
		if _, err := b.AddGPUNodes(t.Context(), 1, 8); err != nil {
			t.Fatal(err)
		}
		apply(t, b.Cluster, []byte(`
apiVersion: v1
kind: Pod
metadata: {name: simulated, labels: {app: simulated}}
spec:
  nodeSelector: {simulations.preheat.dev/node: kwok}
  tolerations: [{key: simulations.preheat.dev/node, operator: Exists}]
  containers: [{name: server, image: registry.invalid/server:1, ports: [{name: http, containerPort: 8000}]}]
---
apiVersion: v1
kind: Service
metadata: {name: simulated}
spec: {selector: {app: simulated}, ports: [{port: 80, targetPort: http}]}
`))
		awaitReady(t, b, "simulated", 1)
		ip := podsOf(t, clientOf(t, b.Cluster), "simulated")[0].Status.PodIP
		listener, err := b.Listen("tcp", net.JoinHostPort(ip, "8000"))
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "emulated") })}
		go server.Serve(listener)
		defer server.Close()
		address := clusterIP(t, b, "simulated")
		eventually(t, 20*time.Second, func(context.Context) string {
			if body, err := get(t, b, "http://"+address); body != "emulated" {
				return fmt.Sprintf("the ClusterIP answered %q (%v)", body, err)
			}
			return ""
		})
	})

	t.Run("a command runs inside the network", func(t *testing.T) {
		out, err := b.Command(t.Context(), "ip", "-brief", "address", "show", "node0").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "10.99.0.2/24") {
			t.Errorf("ip printed %q (%v), want the node's address", out, err)
		}
	})

	t.Run("a killed kubelet comes back and the pods live on", func(t *testing.T) {
		before := podsOf(t, clientOf(t, b.Cluster), "web")[0]
		if err := b.KillComponent(testbed.Kubelet); err != nil {
			t.Fatal(err)
		}
		if execComplaint(t, b, before.Name) == "" {
			t.Fatal("the kubelet still answers")
		}
		if name, err := get(t, b, "http://"+net.JoinHostPort(before.Status.PodIP, "8000")); name != before.Name {
			t.Errorf("without a kubelet the pod answered %q (%v)", name, err)
		}
		if err := b.RestartComponent(testbed.Kubelet); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, func(context.Context) string { return execComplaint(t, b, before.Name) })
		awaitReady(t, b, "web", 3)
	})
}

func TestBoxesStandSideBySideAndLeaveNothing(t *testing.T) {
	if err := testbed.CanRunBox(); err != nil {
		t.Skip(err)
	}
	before := machineState(t)
	b, other := startBox(t, testbed.BoxOptions{}), startBox(t, testbed.BoxOptions{NodeName: "real-b", GPUs: 2})
	loadPodServer(t, b)
	apply(t, b.Cluster, realDeployment("web", 2, 0, ""))
	awaitReady(t, b, "web", 2)
	if pods := podsOf(t, clientOf(t, other.Cluster), "web"); len(pods) > 0 {
		t.Errorf("the other box has the pods too: %v", pods)
	}
	if diff := cmp.Diff(before, machineState(t)); diff != "" {
		t.Errorf("boxes at work show outside (-before +during):\n%s", diff)
	}
	namespace, group := pidNamespace(t, b), cgroupName(t, b)
	// init, containerd, kubelet, kube-proxy, gpuplugin; for each of two pods a shim, a pause and a server
	if n := len(processesOf(t, namespace, group)); n < 11 {
		t.Fatalf("%d processes belong to the box, want at least 11", n)
	}
	if n := len(cgroupsNamed(t, group)); n == 0 {
		t.Fatal("a box at work has no cgroup")
	}
	for range 2 { // the second call has nothing to do
		if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	left := map[string][]string{
		"processes inside":  processesOf(t, namespace, group),
		"processes outside": processesMentioning(t, b.RunDir),
		"cgroups":           cgroupsNamed(t, group),
		"files":             glob(t, b.RunDir+"*"),
	}
	for kind, found := range left {
		if len(found) > 0 {
			t.Errorf("%s are left: %v", kind, found)
		}
	}
	if _, err := clientOf(t, other.Cluster).Discovery().ServerVersion(); err != nil {
		t.Errorf("the other box suffered: %v", err)
	}
	if err := other.Stop(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, machineState(t)); diff != "" {
		t.Errorf("the boxes changed the machine (-before +after):\n%s", diff)
	}
}

// machineState is everything of the machine outside that a box could change. Other boxes at work do not show in it.
func machineState(t *testing.T) map[string][]string {
	t.Helper()
	return map[string][]string{
		"mounts": lines(t, "cat", "/proc/self/mounts"),
		"links":  lines(t, "ip", "-o", "link"),
		"routes": lines(t, "ip", "route", "show", "table", "all"),
		"rules":  lines(t, "nft", "list", "ruleset"),
		"sysctls": lines(t, "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/panic",
			"/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic_on_oops"),
		"files": slices.Concat(glob(t, "/var/lib/kubelet*"), glob(t, "/var/lib/cni*"), glob(t, "/var/log/pods*"),
			glob(t, "/run/containerd*"), glob(t, "/opt/containerd*"), glob(t, "/run/netns/*")),
	}
}

// pidNamespace names the box's PID namespace.
func pidNamespace(t *testing.T, b *testbed.Box) string {
	t.Helper()
	for _, dir := range glob(t, "/proc/[0-9]*") {
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil || !strings.Contains(string(line), b.RunDir+"/kubelet.yaml") {
			continue
		}
		if namespace, err := os.Readlink(dir + "/ns/pid"); err == nil {
			return namespace
		}
	}
	t.Fatal("the box has no kubelet")
	return ""
}

// processesOf lists the processes of the box: the daemons are in its PID namespace, the pods' in cgroups below its own.
func processesOf(t *testing.T, namespace, group string) []string {
	t.Helper()
	var found []string
	for _, dir := range glob(t, "/proc/[0-9]*") {
		in, err := os.Readlink(dir + "/ns/pid")
		groups, groupErr := os.ReadFile(dir + "/cgroup")
		if err == nil && in == namespace || groupErr == nil && strings.Contains(string(groups), "/"+group+"/") {
			found = append(found, dir)
		}
	}
	return found
}

// cgroupName reads from the kubelet's configuration where the box's pods are.
func cgroupName(t *testing.T, b *testbed.Box) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(b.RunDir, "kubelet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(config), "cgroupRoot: /")
	name, _, found := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("the kubelet's configuration names no cgroup")
	}
	return name
}

func cgroupsNamed(t *testing.T, name string) []string {
	t.Helper()
	return slices.Concat(glob(t, "/sys/fs/cgroup/"+name), glob(t, "/sys/fs/cgroup/*/"+name))
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	matches, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return matches
}

func lines(t *testing.T, command string, args ...string) []string {
	t.Helper()
	out, err := exec.Command(command, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
