package testbed

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

//go:embed stages.yaml
var defaultStages []byte

// dialer opens a connection the way the cluster's components would.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Cluster is a running control plane. Its methods may be called from several goroutines.
type Cluster struct {
	// BinDir holds the control plane's binaries, kubectl among them.
	BinDir string
	// RunDir holds certificates, kubeconfigs and data.
	RunDir string
	// LogDir holds one file NAME.log a component.
	LogDir string
	// PodCIDR is the range of the pods that kwok plays: in 127.0.0.0/8 for a cluster on loopback, where every address is
	// local and so a program on this machine can listen on a pod's IP.
	PodCIDR string

	plan    plan
	config  *rest.Config
	dial    dialer
	enter   func(path string, args []string) (string, []string) // command line that runs path beside the components
	nursery *nursery
	log     *slog.Logger
	cleanup []func() error // by Stop, last first

	mu        sync.Mutex
	processes map[string]*process
	nodes     int // GPU nodes made so far
	stopped   bool
}

// Start brings up a cluster on loopback and returns when it is usable: every component answers and pods can be created.
// A component that fails is named in the error with the end of its log. The caller must Stop the cluster.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := newLoopback(o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("prepare cluster: %w", err)
	}
	if err := c.startControlPlane(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster: %w", err), c.Stop())
	}
	return c, nil
}

// newLoopback reserves what a cluster on loopback needs. On failure it has released everything.
func newLoopback(o Options) (*Cluster, error) {
	s, err := reserveSlot()
	if err != nil {
		return nil, err
	}
	n, err := newNursery(func() error { return nil })
	if err != nil {
		return nil, errors.Join(err, s.release())
	}
	c := &Cluster{
		plan: plan{addresses: s.addresses, options: o}, nursery: n,
		dial:    (&net.Dialer{}).DialContext,
		enter:   func(path string, args []string) (string, []string) { return path, args },
		cleanup: []func() error{s.release},
	}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// prepare finds the binaries and writes every file that the components read. c.plan's addresses and options are set.
func (c *Cluster) prepare() error {
	o := c.plan.options
	c.log, c.processes, c.PodCIDR = o.Logger, map[string]*process{}, c.plan.podCIDR
	if err := o.validate(); err != nil {
		return err
	}
	var err error
	if c.BinDir, err = binaryDir(o.BinDir, controlPlaneSet, controlPlaneBinaries); err != nil {
		return err
	}
	if err := c.makeFolders(); err != nil {
		return err
	}
	if err := c.writeStages(); err != nil {
		return err
	}
	hosts := []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(c.plan.host), net.IPv4(10, 96, 0, 1)}
	if c.plan.pki, err = newPKI(filepath.Join(c.RunDir, "pki"), hosts, time.Now); err != nil {
		return err
	}
	return c.writeKubeconfigs()
}

func (c *Cluster) makeFolders() error {
	c.RunDir, c.LogDir = c.plan.options.RunDir, c.plan.options.LogDir
	if c.RunDir == "" {
		dir, err := os.MkdirTemp("", "preheat-testbed-")
		if err != nil {
			return fmt.Errorf("make run directory: %w", err)
		}
		c.RunDir = dir
		c.cleanup = append(c.cleanup, func() error { return removeAll(dir) })
	}
	if c.LogDir == "" {
		c.LogDir = filepath.Join(c.RunDir, "log")
	}
	c.plan.runDir = c.RunDir
	return errors.Join(os.MkdirAll(c.RunDir, 0o700), os.MkdirAll(c.LogDir, 0o755))
}

func (c *Cluster) writeStages() error {
	c.plan.stages = c.plan.options.StagesFile
	if c.plan.stages != "" {
		return nil
	}
	c.plan.stages = filepath.Join(c.RunDir, "stages.yaml")
	if err := os.WriteFile(c.plan.stages, defaultStages, 0o644); err != nil {
		return fmt.Errorf("write kwok stages: %w", err)
	}
	return nil
}

// writeKubeconfigs writes those of the components and the administrator's, and builds the client configuration.
func (c *Cluster) writeKubeconfigs() error {
	users := map[string]identity{
		"admin":           {commonName: "admin", organizations: []string{"system:masters"}},
		ControllerManager: {commonName: "system:kube-controller-manager"},
		Scheduler:         {commonName: "system:kube-scheduler"},
		Kwok:              {commonName: "kwok", organizations: []string{"system:masters"}},
	}
	for name, id := range users {
		if err := writeKubeconfig(c.plan.kubeconfig(name), c.plan.server(), c.plan.pki.cluster, id); err != nil {
			return err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("load the administrator's kubeconfig: %w", err)
	}
	config.Dial = c.dial
	config.QPS = -1 // the harness must not be what a measurement waits for
	c.config = config
	return nil
}

// startControlPlane starts the components in the order in which they need each other and waits for all of them.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.plan.options.StartTimeout)
	defer cancel()
	started := time.Now()
	if err := c.startComponent(Etcd, c.plan.etcdArgs()); err != nil {
		return err
	}
	if err := c.await(ctx, Etcd, c.answers(c.plan.url("http", etcdClientPort)+"/health")); err != nil {
		return err
	}
	if err := c.startComponent(APIServer, c.plan.apiServerArgs()); err != nil {
		return err
	}
	if err := c.await(ctx, APIServer, c.apiServerReady); err != nil {
		return err
	}
	if err := c.startClients(ctx); err != nil {
		return err
	}
	c.log.Info("cluster is up", "server", c.plan.server(), "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// startClients starts what talks to the API server.
func (c *Cluster) startClients(ctx context.Context) error {
	if err := errors.Join(
		c.startComponent(ControllerManager, c.plan.controllerManagerArgs()),
		c.startComponent(Scheduler, c.plan.schedulerArgs()),
		c.startComponent(Kwok, c.plan.kwokArgs()),
	); err != nil {
		return err
	}
	if err := c.await(ctx, Scheduler, c.answers(c.plan.url("https", schedulerPort)+"/healthz")); err != nil {
		return err
	}
	if err := c.await(ctx, Kwok, c.answers(c.plan.url("http", kwokPort)+"/healthz")); err != nil {
		return err
	}
	return c.await(ctx, ControllerManager, c.defaultServiceAccount)
}

// startComponent starts a binary of BinDir under its own name.
func (c *Cluster) startComponent(name string, args []string) error {
	return c.Launch(name, filepath.Join(c.BinDir, name), args...)
}

// Launch starts a further process beside the components: in a box, inside its network. Its output goes to NAME.log in
// LogDir; it is killed by Stop, by [Cluster.KillComponent], or with this program. A name in use is an error until its
// process has ended.
func (c *Cluster) Launch(name, path string, args ...string) error {
	return c.launch(name, exec.Command(path, args...))
}

func (c *Cluster) launch(name string, cmd *exec.Cmd) error { return c.launchFrom(c.nursery, name, cmd) }

// launchFrom starts cmd under name from a nursery, in whose namespaces it then is.
func (c *Cluster) launchFrom(n *nursery, name string, cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return fmt.Errorf("launch %s: the cluster is stopped", name)
	}
	if p, ok := c.processes[name]; ok && !p.ended() {
		return fmt.Errorf("launch %s: it runs already", name)
	}
	c.log.Debug("launch", "component", name, "command", cmd.Args)
	p, err := n.launch(name, filepath.Join(c.LogDir, name+".log"), cmd)
	if err != nil {
		return err
	}
	c.processes[name] = p
	return nil
}

func (c *Cluster) process(name string) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.processes[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("no component %q was started", name)
}

func (c *Cluster) await(ctx context.Context, name string, ready func(context.Context) error) error {
	p, err := c.process(name)
	if err != nil {
		return err
	}
	return p.await(ctx, ready)
}

// KillComponent ends a component or a launched process with SIGKILL and waits until it is gone.
func (c *Cluster) KillComponent(name string) error {
	p, err := c.process(name)
	if err != nil {
		return err
	}
	return p.kill()
}

// Signal sends a signal to a component or a launched process and does not wait.
func (c *Cluster) Signal(name string, sig os.Signal) error {
	p, err := c.process(name)
	if err != nil {
		return err
	}
	return p.signal(sig)
}

// RestartComponent starts a component or a launched process again, with the same arguments, after it has ended. A box's
// first process cannot be: its namespaces ended with it.
func (c *Cluster) RestartComponent(name string) error {
	p, err := c.process(name)
	if err != nil {
		return err
	}
	if name == BoxInit {
		return fmt.Errorf("restart %s: a box lives once", name)
	}
	again := exec.Command(p.cmd.Path, p.cmd.Args[1:]...)
	again.Env = p.cmd.Env
	return c.launchFrom(p.nursery, name, again)
}

// Exited returns a channel that is closed when the component or launched process has ended, and nil for an unknown name.
func (c *Cluster) Exited(name string) <-chan struct{} {
	p, err := c.process(name)
	if err != nil {
		return nil
	}
	return p.done
}

// LogTail quotes the end of a component's log, for messages.
func (c *Cluster) LogTail(name string) string { return tail(filepath.Join(c.LogDir, name+".log")) }

// Command returns a command that runs beside the components (in a box, inside its network) with KUBECONFIG set to the
// administrator's. It is the caller's to run.
func (c *Cluster) Command(ctx context.Context, path string, args ...string) *exec.Cmd {
	path, args = c.enter(path, args)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	return cmd
}

// Kubectl runs the cluster's own kubectl as administrator and returns what it printed.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := c.Command(ctx, filepath.Join(c.BinDir, "kubectl"), args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// Kubeconfig is the path of the administrator's kubeconfig. A box's is of use only inside its network.
func (c *Cluster) Kubeconfig() string { return c.plan.kubeconfig("admin") }

// Config returns the administrator's client configuration, without a limit of requests. It works outside a box too.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// CACert returns the certificate, as PEM, of the authority that signs servers and users.
func (c *Cluster) CACert() []byte { return c.plan.pki.cluster.pem() }

// ClientKubeconfig writes a kubeconfig for a user of some groups and returns its path. What the user may do is a matter
// of RBAC; a member of system:masters may do everything.
func (c *Cluster) ClientKubeconfig(user string, groups ...string) (string, error) {
	path := c.plan.kubeconfig("client-" + fileName(user))
	return path, writeKubeconfig(path, c.plan.server(), c.plan.pki.cluster, identity{commonName: user, organizations: groups})
}

// ServingCert issues a server's certificate and returns the paths of certificate and key. The first name is also the
// certificate's common name and the files' name.
func (c *Cluster) ServingCert(dnsNames []string, ips []net.IP) (certFile, keyFile string, err error) {
	var name string
	switch {
	case len(dnsNames) > 0:
		name = dnsNames[0]
	case len(ips) > 0:
		name = ips[0].String()
	default:
		return "", "", errors.New("issue serving certificate: it needs a name or an address")
	}
	return c.plan.pki.save("serving-"+fileName(name), c.plan.pki.cluster,
		identity{commonName: name, dnsNames: dnsNames, ips: ips})
}

// Stop ends every process at once and removes the run directory if it was a temporary one. Calling it again does nothing.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return nil
	}
	c.stopped = true
	processes := c.processes
	c.mu.Unlock()

	errs := killAll(processes)
	c.nursery.close()
	for _, cleanup := range slices.Backward(c.cleanup) {
		errs = append(errs, cleanup())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop cluster: %w", err)
	}
	return nil
}

// killAll kills the processes side by side: each takes a moment to give its memory back.
func killAll(processes map[string]*process) []error {
	errs := make(chan error, len(processes))
	for _, p := range processes {
		go func() { errs <- p.kill() }()
	}
	var all []error
	for range processes {
		all = append(all, <-errs)
	}
	return all
}

// answers returns a check that succeeds once a GET of url does.
func (c *Cluster) answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		transport, err := rest.TransportFor(&rest.Config{Dial: c.dial, TLSClientConfig: rest.TLSClientConfig{CAData: c.CACert()}})
		if err != nil {
			return err
		}
		response, err := (&http.Client{Transport: transport, Timeout: time.Second}).Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, tailBytes))
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
		}
		return err
	}
}

func (c *Cluster) apiServerReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	return client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// defaultServiceAccount succeeds once the controller manager has made it: pods cannot be created earlier.
func (c *Cluster) defaultServiceAccount(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	return err
}
