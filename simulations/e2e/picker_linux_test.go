//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/kubernetes"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/front"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// alone tells the test that it runs in a network of its own.
const alone = "PREHEAT_E2E_ALONE"

// The endpoint picker of the Gateway API inference extension, as its project releases it, holds requests for a pool without
// replicas and sends them on once an emulated one is ready. What Preheat reads from its metric page is what is held, and what
// was sent on; of a picker without flow control, or of another pool, it knows that it does not know.
func TestRealEndpointPickerIsRead(t *testing.T) {
	bin, err := testbed.PickerDir()
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	must(t, err)
	if os.Getenv(alone) == "" { // the picker listens on all addresses
		runAlone(t)
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	s := newPickerSuite(t, bin)
	s.start(t, "picker", "featureGates: [flowControl]\n")
	s.start(t, "plain", "")
	of, plain, other := s.read(t, "picker", "vllm"), s.read(t, "plain", "vllm"), s.read(t, "picker", "other")

	of.wantBlind(t, "tells with its first request")
	answers, end := s.ask(t, "picker", 7)
	of.await(t, 7, 7)
	if of.noticed() == 0 {
		t.Error("nobody was told that requests are held")
	}
	refused, _ := s.ask(t, "plain", 3)
	for range 3 {
		if got := answer(t, refused); got != "refused 503" {
			t.Errorf("without flow control, a pool without replicas: %s", got)
		}
	}

	s.deploy(t, "pool", 1)
	for range 7 {
		if got := answer(t, answers); !strings.HasPrefix(got, "sent 127.") {
			t.Errorf("once there is a replica: %s", got)
		}
	}
	of.await(t, 0, 7)
	of.awaitInFlight(t, 7)
	eventually(t, 20*time.Second, func(context.Context) string {
		answers, end := s.ask(t, "plain", 1)
		defer end()
		if got := answer(t, answers); !strings.HasPrefix(got, "sent 127.") {
			return "without flow control, once there is a replica: " + got
		}
		return ""
	})
	end()
	of.awaitInFlight(t, 0)

	plain.wantBlind(t, "flow control")
	other.wantBlind(t, `of \"other\"`)
}

// runAlone runs the test again in a network of its own, where nobody else can reach what it starts.
func runAlone(t *testing.T) {
	t.Helper()
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
	again.Env = append(os.Environ(), alone+"=true")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Getuid() != 0 {
		again.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	in, err := again.StdinPipe() // it ends with this process
	must(t, err)
	defer in.Close()
	out, err := again.CombinedOutput()
	t.Logf("%s", out)
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("this machine gives no network of its own, and the picker would listen on all of its addresses: %v", err)
	case err != nil:
		t.Errorf("in a network of its own: %v", err)
	}
}

// raiseLoopback makes 127.0.0.0/8 answer in a new network.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// pickerSuite is a control plane with an InferencePool "vllm" in namespace pool, and pickers for it by name.
type pickerSuite struct {
	*suite
	bin   string
	asked map[string]string // their gRPC addresses
	pages map[string]string // the URLs of their metric pages
}

func newPickerSuite(t *testing.T, bin string) *pickerSuite {
	t.Helper()
	must(t, raiseLoopback())
	c, err := testbed.Start(t.Context(), testbed.Options{ControllerQPS: 300, LogDir: os.Getenv("E2E_LOGS")})
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	s := &pickerSuite{suite: &suite{cluster: c}, bin: bin, asked: map[string]string{}, pages: map[string]string{}}
	s.kube, err = kubernetes.NewForConfig(c.Config())
	must(t, err)
	_, err = c.AddGPUNodes(t.Context(), 1, 8)
	must(t, err)
	s.startFleet(t)
	crds, err := filepath.Glob(filepath.Join(bin, "crds", "*.yaml"))
	must(t, err)
	for _, file := range crds {
		crd, err := os.ReadFile(file)
		must(t, err)
		must(t, c.Apply(t.Context(), crd))
	}
	s.deploy(t, "pool", 0)
	must(t, c.Apply(t.Context(), []byte(`
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: vllm, namespace: pool}
spec:
  selector: {matchLabels: {app: vllm}}
  targetPorts: [{number: 8000}]
  endpointPickerRef: {name: picker, port: {number: 9002}}
`)))
	return s
}

// start starts a picker and waits until its page is there.
func (s *pickerSuite) start(t *testing.T, name, config string) {
	t.Helper()
	asked, page, health := freePort(t), freePort(t), freePort(t)
	s.asked[name], s.pages[name] = fmt.Sprintf("127.0.0.1:%d", asked), fmt.Sprintf("http://127.0.0.1:%d/metrics", page)
	must(t, s.cluster.Launch(name, "/usr/bin/env", "KUBECONFIG="+s.cluster.Kubeconfig(), filepath.Join(s.bin, "epp"),
		"--pool-name=vllm", "--pool-namespace=pool",
		fmt.Sprintf("--grpc-port=%d", asked), fmt.Sprintf("--metrics-port=%d", page), fmt.Sprintf("--grpc-health-port=%d", health),
		"--metrics-endpoint-auth=false", "--secure-serving=false", "--tracing=false", "--enable-pprof=false",
		"--config-text=apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\n"+config))
	eventually(t, 20*time.Second, func(context.Context) string {
		for _, port := range []int{asked, page} {
			connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return fmt.Sprintf("%s: %v\n%s", name, err, s.cluster.LogTail(name))
			}
			connection.Close()
		}
		return ""
	})
}

// ask sends requests to a picker. Its answers come in lines; end gives the requests up.
func (s *pickerSuite) ask(t *testing.T, name string, requests int) (answers <-chan string, end func()) {
	t.Helper()
	command := exec.Command(filepath.Join(s.bin, "ask"), // ends with its standard input
		"--address="+s.asked[name], "--model="+s.model, fmt.Sprintf("--requests=%d", requests))
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	must(t, err)
	out, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	lines := make(chan string, requests)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	end = sync.OnceFunc(func() {
		in.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("ask %s: %v", name, err)
		}
	})
	t.Cleanup(end)
	return lines, end
}

// answer is the next answer of a picker.
func answer(t *testing.T, answers <-chan string) string {
	t.Helper()
	select {
	case line := <-answers:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("the picker does not answer")
	}
	return ""
}

// pickerReader reads one picker's page for one pool, as the service does.
type pickerReader struct {
	*front.GatewayReader
	url string

	mu   sync.Mutex
	told int          // guarded by mu
	log  bytes.Buffer // guarded by mu
}

func (s *pickerSuite) read(t *testing.T, name, pool string) *pickerReader {
	t.Helper()
	r := &pickerReader{url: s.pages[name]}
	g := front.Gateway{Kind: v1alpha1.GatewayEndpointPicker, Namespace: "pool", Service: name, Port: 9090, Pool: pool, PoolNamespace: "pool"}
	r.GatewayReader = front.NewGatewayReader(front.GatewayOptions{
		Targets:   func() []front.GatewayTarget { return []front.GatewayTarget{{Target: "pool/vllm", Gateway: g}} },
		Endpoints: func(front.Gateway) []front.Source { return []front.Source{{ID: name, URL: r.url}} },
		Held: func(string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told++
		},
		Log: slog.New(slog.NewTextHandler(r, nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// Write takes a line of the reader's log.
func (r *pickerReader) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(line)
}

func (r *pickerReader) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *pickerReader) noticed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

// await waits until as many requests are held, and have come in all.
func (r *pickerReader) await(t *testing.T, held, arrived float64) {
	t.Helper()
	eventually(t, 15*time.Second, func(context.Context) string {
		if got := r.Of("pool/vllm"); got.Time.IsZero() || got.Held != held || got.Arrived != arrived {
			return fmt.Sprintf("read %+v, want %g held and %g arrived; log: %s", got, held, arrived, r.logged())
		}
		return ""
	})
}

// awaitInFlight waits until as many requests have been sent on and not answered.
func (r *pickerReader) awaitInFlight(t *testing.T, want float64) {
	t.Helper()
	eventually(t, 15*time.Second, func(context.Context) string {
		got := r.Seen("pool/vllm")
		if !got.InFlightKnown || !got.WaitingKnown || got.InFlight != want || got.Waiting != 0 || got.Counted != scaling.CountedSent {
			return fmt.Sprintf("seen %+v, want %g in flight", got, want)
		}
		return ""
	})
}

// wantBlind checks that the page proves nothing, and that the log says why.
func (r *pickerReader) wantBlind(t *testing.T, why string) {
	t.Helper()
	eventually(t, 5*time.Second, func(context.Context) string {
		if log := r.logged(); !strings.Contains(log, why) {
			return fmt.Sprintf("the log does not say %s: %s", why, log)
		}
		return ""
	})
	if got := r.Of("pool/vllm"); !got.Time.IsZero() {
		t.Errorf("%s proves that %g requests are held", r.url, got.Held)
	}
}
