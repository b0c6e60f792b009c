package emulator

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

// emulatedPod is scheduled and has an address, as kwok leaves it.
func emulatedPod(name, ip, load string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "demo", Name: name, UID: types.UID(name + "-uid"),
			Labels:      map[string]string{prefix + "engine": "vllm"},
			Annotations: map[string]string{ReadinessAnnotation: "emulator", LoadTimeAnnotation: load, LoadJitterAnnotation: "0"},
		},
		Spec: corev1.PodSpec{NodeName: "gpu-0", Containers: []corev1.Container{{Name: "engine", Image: "vllm"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
				{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady"},
			},
		},
	}
}

// freePort is a port that nobody uses on the tests' addresses.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.64.254.1:0")
	if err != nil {
		t.Skipf("this machine has no address 127.64.254.1: %v", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// startFleet runs a fleet until the test ends.
func startFleet(t *testing.T, client *fake.Clientset) (*Fleet, int) {
	t.Helper()
	port := freePort(t)
	fleet, err := NewFleet(FleetOptions{
		Client: client, Namespace: "demo", Engine: Options{Profile: swift()}, Port: port, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fleet.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left := fleet.Names(); len(left) != 0 {
			t.Errorf("still served after the end: %v", left)
		}
	})
	return fleet, port
}

func address(ip string, port int) string { return "http://" + net.JoinHostPort(ip, strconv.Itoa(port)) }

func isReady(t *testing.T, client *fake.Clientset, name string) bool {
	t.Helper()
	pod, err := client.CoreV1().Pods("demo").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return podReady(pod)
}

func TestFleetLoadsAPodAndReportsItReady(t *testing.T) {
	client := fake.NewClientset(emulatedPod("a", "127.64.254.1", "300ms"))
	fleet, port := startFleet(t, client)
	url := address("127.64.254.1", port)
	eventually(t, "the port is open", func() bool {
		response, err := http.Get(url + "/health")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusServiceUnavailable
	})
	if isReady(t, client, "a") {
		t.Error("ready before it has loaded")
	}
	eventually(t, "the pod is ready", func() bool { return isReady(t, client, "a") })
	if status, _ := get(t, url+"/health"); status != http.StatusOK {
		t.Errorf("health of a ready pod: %d", status)
	}
	pod, err := client.CoreV1().Pods("demo").Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conditions := map[corev1.PodConditionType]corev1.ConditionStatus{}
	for _, c := range pod.Status.Conditions {
		conditions[c.Type] = c.Status
	}
	want := map[corev1.PodConditionType]corev1.ConditionStatus{"PodScheduled": "True", "Ready": "True", "ContainersReady": "True"}
	if diff := cmp.Diff(want, conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if s := pod.Status.ContainerStatuses; len(s) != 1 || !s[0].Ready || s[0].State.Running == nil || s[0].Name != "engine" {
		t.Errorf("container statuses: %+v", s)
	}
	if diff := cmp.Diff([]string{"demo/a"}, fleet.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestFleetServesOnlyEmulatedPodsThatCanRun(t *testing.T) {
	real := emulatedPod("real", "127.64.254.2", "0s")
	delete(real.Annotations, ReadinessAnnotation)
	unscheduled := emulatedPod("unscheduled", "", "0s")
	unscheduled.Spec.NodeName = ""
	broken := emulatedPod("broken", "127.64.254.3", "soon")
	client := fake.NewClientset(real, unscheduled, broken, emulatedPod("good", "127.64.254.4", "0s"))
	fleet, _ := startFleet(t, client)
	eventually(t, "the good pod is ready", func() bool { return isReady(t, client, "good") })
	if diff := cmp.Diff([]string{"demo/good"}, fleet.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	unscheduled.Spec.NodeName, unscheduled.Status.PodIP = "gpu-1", "127.64.254.5"
	if _, err := client.CoreV1().Pods("demo").Update(t.Context(), unscheduled, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is served once it has an address", func() bool { return isReady(t, client, "unscheduled") })
}

func TestDeletedPodFinishesItsStreams(t *testing.T) {
	client := fake.NewClientset(emulatedPod("a", "127.64.254.1", "0s"))
	fleet, port := startFleet(t, client)
	eventually(t, "the pod is ready", func() bool { return isReady(t, client, "a") })
	url := address("127.64.254.1", port)
	response := begin(t, t.Context(), url, 150) // 0.3 s
	if err := client.CoreV1().Pods("demo").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port is closed", func() bool {
		connection, err := net.Dial("tcp", net.JoinHostPort("127.64.254.1", strconv.Itoa(port)))
		if err != nil {
			return true
		}
		_ = connection.Close()
		return false
	})
	if text, err := io.ReadAll(response.Body); err != nil || len(text) == 0 {
		t.Errorf("the running stream was cut: %v", err)
	}
	eventually(t, "the pod is let go", func() bool { return len(fleet.Names()) == 0 })
}

func TestPodTakesOverAnAddressStillInUse(t *testing.T) {
	client := fake.NewClientset(emulatedPod("old", "127.64.254.1", "0s"))
	fleet, _ := startFleet(t, client)
	eventually(t, "the old pod is ready", func() bool { return isReady(t, client, "old") })
	if _, err := client.CoreV1().Pods("demo").Create(t.Context(), emulatedPod("new", "127.64.254.1", "0s"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Pods("demo").Delete(t.Context(), "old", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new pod is ready", func() bool { return isReady(t, client, "new") })
	eventually(t, "the old pod is let go", func() bool { return cmp.Equal(fleet.Names(), []string{"demo/new"}) })
}

func TestAReadyPodIsNotLoadedAgain(t *testing.T) {
	pod := emulatedPod("a", "127.64.254.1", "1h")
	makeReady(pod, metav1.Now())
	_, port := startFleet(t, fake.NewClientset(pod))
	eventually(t, "the pod serves at once", func() bool {
		response, err := http.Get(address("127.64.254.1", port) + "/health")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
}

func TestLoadTimesAreLognormalAndRepeatable(t *testing.T) {
	fleet, err := NewFleet(FleetOptions{Client: fake.NewClientset(), Engine: Options{Profile: swift()}, Log: slog.New(slog.DiscardHandler), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	var logs []float64
	for i := range 400 {
		pod := emulatedPod("p"+strconv.Itoa(i), "127.64.254.1", "30s")
		pod.Annotations[LoadJitterAnnotation] = "0.25"
		first, err := fleet.loadTime(pod)
		if err != nil {
			t.Fatal(err)
		}
		again, err := fleet.loadTime(pod)
		if err != nil || again != first {
			t.Fatalf("the same pod loads %v, then %v (%v)", first, again, err)
		}
		logs = append(logs, math.Log(first.Seconds()/30))
	}
	var sum, squares float64
	for _, v := range logs {
		sum, squares = sum+v, squares+v*v
	}
	mean := sum / 400
	sigma := math.Sqrt(squares/400 - mean*mean)
	if math.Abs(mean) > 0.05 || math.Abs(sigma-0.25) > 0.04 {
		t.Errorf("log of load/median: mean %.3f, sigma %.3f, want 0 and 0.25", mean, sigma)
	}
	for annotation, bad := range map[string]string{LoadTimeAnnotation: "-3s", LoadJitterAnnotation: "NaN"} {
		pod := emulatedPod("bad", "127.64.254.1", "1s")
		pod.Annotations[annotation] = bad
		if _, err := fleet.loadTime(pod); err == nil {
			t.Errorf("%s=%s: no error", annotation, bad)
		}
	}
}

func TestProfileAnnotation(t *testing.T) {
	fleet, err := NewFleet(FleetOptions{Client: fake.NewClientset(), Engine: Options{Profile: swift()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	pod := emulatedPod("a", "127.64.254.1", "1s")
	pod.Annotations[ProfileAnnotation] = "llama-3.1-8b-h100"
	options, load, err := fleet.plan(pod)
	if err != nil || options.Profile.Name != "llama-3.1-8b-h100" || options.ModelName != options.Profile.Model || load != time.Second {
		t.Errorf("plan = %+v, %v, %v", options, load, err)
	}
	pod.Annotations[ProfileAnnotation] = "abacus"
	if _, _, err := fleet.plan(pod); err == nil {
		t.Error("an unknown profile must be an error")
	}
}

func TestAdmin(t *testing.T) {
	client := fake.NewClientset(emulatedPod("a", "127.64.254.1", "0s"))
	fleet, port := startFleet(t, client)
	eventually(t, "the pod is ready", func() bool { return isReady(t, client, "a") })
	admin := httptest.NewServer(fleet.Admin())
	defer admin.Close()
	if status, text := post(t, admin.URL+"/pods/demo/a/fault/error", "", nil); status != http.StatusOK {
		t.Fatalf("%d: %s", status, text)
	}
	if status, _ := get(t, address("127.64.254.1", port)+"/metrics"); status != http.StatusInternalServerError {
		t.Errorf("metrics with an injected error: %d", status)
	}
	_, text := get(t, admin.URL+"/pods")
	var got map[string]Status
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Status{"demo/a": {Phase: "serving", Sleep: "awake", Fault: ErrorFault}}, got); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	for path, want := range map[string]int{
		"/pods/demo/a/restart": 200, "/pods/demo/b/restart": 404, "/pods/demo/a/fault/sulk": 400, "/pods/demo/a/fault/none": 200,
	} {
		if status, text := post(t, admin.URL+path, "", nil); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, text, want)
		}
	}
}
