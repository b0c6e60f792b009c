package testbed

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ErrNoBox says that this machine cannot run a real node; the error that wraps it says why. Missing binaries are
// ErrNotBuilt instead.
var ErrNoBox = errors.New("no real node on this machine")

// The components of the real node, as [Cluster.KillComponent] and the log files use them.
const (
	BoxInit    = "box" // the first process: with it the node and its pods end
	Containerd = "containerd"
	Kubelet    = "kubelet"
	KubeProxy  = "kube-proxy"
	GPUPlugin  = "gpuplugin"
)

// The box's network. It is its own, so the addresses are fixed and several boxes may run side by side.
const (
	nodeIP           = "10.99.0.2"
	nodeNetBits      = "24"
	kwokPodCIDR      = "10.245.0.0/16"
	nodePodCIDR      = "10.244.0.0/24"
	allPodsCIDR      = "10.244.0.0/15"
	pauseImage       = "preheat.local/pause:1"
	containerdSocket = "/run/containerd/containerd.sock"
	defaultGPUs      = 8
)

//go:embed box
var boxFiles embed.FS

// BoxOptions are those of a cluster and of its real node.
type BoxOptions struct {
	Options
	// NodeBinDir holds the node's binaries. Empty: the directory that simulations/cluster/build.sh fills.
	NodeBinDir string
	// NodeName of the real node. Empty: real-0.
	NodeName string
	// GPUs that the real node offers, by a device plugin. 0: 8.
	GPUs int
	// KubeletArgs are appended to the kubelet's flags.
	KubeletArgs []string
}

// Box is a cluster with a real node, in namespaces of its own. From outside nothing of it can be reached but through its
// methods: Config works everywhere, Kubeconfig only for a [Cluster.Command].
type Box struct {
	*Cluster
	// NodeName is the real node's; it has the label NodeLabel=RealNode.
	NodeName string

	options    BoxOptions
	nodeBinDir string
	namespaces *namespaces
	outer      *nursery // starts the first process
	node       *nursery // starts the node's daemons, inside
	cgroup     cgroup
}

// StartBox brings up a cluster with a real node and returns when both are usable. The caller must Stop the box.
func StartBox(ctx context.Context, o BoxOptions) (*Box, error) {
	o = o.withDefaults()
	b, err := newBox(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("prepare box: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start box: %w", err), b.Stop())
	}
	return b, nil
}

func (o BoxOptions) withDefaults() BoxOptions {
	o.Options = o.Options.withDefaults()
	if o.NodeName == "" {
		o.NodeName = "real-0"
	}
	if o.GPUs == 0 {
		o.GPUs = defaultGPUs
	}
	return o
}

// CanRunBox returns nil where StartBox has a chance, and otherwise ErrNoBox or ErrNotBuilt with the reason.
func CanRunBox() error {
	if err := CanRun(); err != nil {
		return err
	}
	if _, err := binaryDir("", nodeSet, nodeBinaries); err != nil {
		return err
	}
	return machineCanRunBox()
}

func machineCanRunBox() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrNoBox)
	}
	for _, tool := range []string{"ip", "mount", "nft", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %w; run simulations/cluster/build.sh node", ErrNoBox, err)
		}
	}
	return nil
}

// newBox makes the namespaces and files of a box. On failure nothing is left.
func newBox(ctx context.Context, o BoxOptions) (*Box, error) {
	nodeBinDir, err := binaryDir(o.NodeBinDir, nodeSet, nodeBinaries)
	if err != nil {
		return nil, err
	}
	if err := machineCanRunBox(); err != nil {
		return nil, err
	}
	if err := sweepCgroups(cgroupRoot, processAlive); err != nil {
		o.Logger.Warn("groups of an earlier box remain", "err", err)
	}
	b := &Box{NodeName: o.NodeName, options: o, nodeBinDir: nodeBinDir}
	if b.outer, err = newNursery(func() error { return nil }); err != nil {
		return nil, err
	}
	b.Cluster = &Cluster{nursery: b.outer, plan: plan{
		node: true, options: o.Options, addresses: addresses{host: nodeIP, first: firstPort, podCIDR: kwokPodCIDR},
	}}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	return b, nil
}

// open starts the first process and readies everything to start further ones inside.
func (b *Box) open(ctx context.Context) error {
	b.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return b.namespaces.dial(ctx, network, address)
	}
	if err := b.prepare(); err != nil {
		return err
	}
	if err := b.visibleInside(b.RunDir, b.BinDir, b.nodeBinDir); err != nil {
		return err
	}
	pid, err := b.startInit(ctx)
	if err != nil {
		return err
	}
	if b.namespaces, err = openNamespaces(pid); err != nil {
		return err
	}
	b.cleanup = append(b.cleanup, func() error { b.namespaces.close(); return nil })
	b.enter = func(path string, args []string) (string, []string) {
		return "nsenter", append([]string{"--net=/proc/" + strconv.Itoa(pid) + "/ns/net", "--", path}, args...)
	}
	b.cgroup = boxCgroup(pid)
	b.cleanup = append(b.cleanup, b.cgroup.remove)
	if err := b.cgroup.create(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoBox, err)
	}
	return b.openNurseries()
}

// visibleInside refuses folders that the box covers with empty ones of its own.
func (b *Box) visibleInside(dirs ...string) error {
	for _, dir := range dirs {
		path, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		for _, covered := range []string{"/run/", "/var/lib/", "/var/log/"} {
			if strings.HasPrefix(path+"/", covered) {
				return fmt.Errorf("%w: %s is under %s, which a box has for itself; set RunDir or PREHEAT_CACHE", ErrNoBox, path, covered)
			}
		}
	}
	return nil
}

// startInit starts the first process and waits until it has set up its namespaces.
func (b *Box) startInit(ctx context.Context) (pid int, err error) {
	script := filepath.Join(b.RunDir, "init.sh")
	content, err := boxFiles.ReadFile("box/init.sh")
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(script, content, 0o700); err != nil {
		return 0, fmt.Errorf("write the first process: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe to the first process: %w", err)
	}
	defer out.Close()
	cmd := exec.Command("/bin/sh", script)
	cmd.Env = append(os.Environ(), "RUN="+b.RunDir, "NODE_IP="+nodeIP, "NODE_NET="+nodeNetBits, "KWOK_PODS="+kwokPodCIDR,
		"PAUSE="+filepath.Join(b.nodeBinDir, "pause"))
	cmd.Stdout = in
	ownNamespaces(cmd)
	err = b.launch(BoxInit, cmd)
	in.Close() // the process has its own copy
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoBox, err)
	}
	return cmd.Process.Pid, b.awaitInit(ctx, out)
}

// awaitInit reads what the first process says until it is ready.
func (b *Box) awaitInit(ctx context.Context, out *os.File) error {
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(b.options.StartTimeout); !ok || limit.Before(deadline) {
		deadline = limit
	}
	if err := out.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("wait for the first process: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		return fmt.Errorf("%w: the first process could not set up its namespaces (%w)\n%s", ErrNoBox, err, b.LogTail(BoxInit))
	}
	return nil
}

// openNurseries makes the threads that live inside: one in the network, for control plane and guests, one in all the
// namespaces, for the node.
func (b *Box) openNurseries() error {
	inside, err := newNursery(b.namespaces.enterNetwork)
	if err != nil {
		return err
	}
	b.nursery = inside // Stop closes it
	outer := b.outer
	b.cleanup = append(b.cleanup, func() error { outer.close(); return nil })
	if b.node, err = newNursery(b.namespaces.enterAll); err != nil {
		return err
	}
	b.node.bind = func(*exec.Cmd) {} // they end with the first process; the signal does not reach into the namespace
	b.cleanup = append(b.cleanup, func() error { b.node.close(); return nil })
	return nil
}

// start starts control plane and node, and waits until pods can run.
func (b *Box) start(ctx context.Context) error {
	started := time.Now()
	if err := b.writeNodeFiles(); err != nil {
		return err
	}
	if err := b.startDaemon(Containerd, "--config", filepath.Join(b.RunDir, "containerd.toml")); err != nil {
		return err
	}
	images := make(chan error, 1)
	go func() { images <- b.loadPause(ctx) }()
	err := b.startControlPlane(ctx)
	if err := errors.Join(err, <-images); err != nil {
		return err
	}
	if err := b.startNode(); err != nil {
		return err
	}
	if err := b.awaitUsable(ctx); err != nil {
		return err
	}
	b.log.Info("real node is up", "node", b.NodeName, "took", time.Since(started).Round(time.Millisecond))
	return nil
}

func (b *Box) startNode() error {
	return errors.Join(
		b.startDaemon(Kubelet, append([]string{
			"--config=" + filepath.Join(b.RunDir, "kubelet.yaml"),
			"--kubeconfig=" + b.plan.kubeconfig(Kubelet), "--hostname-override=" + b.NodeName, "--node-ip=" + nodeIP,
			"--node-labels=" + NodeLabel + "=" + RealNode,
		}, b.options.KubeletArgs...)...),
		b.startDaemon(GPUPlugin, "-n", strconv.Itoa(b.options.GPUs)),
		b.startDaemon(KubeProxy, "--config="+filepath.Join(b.RunDir, "kube-proxy.yaml")),
	)
}

// startDaemon starts one of the node's binaries inside all of the box's namespaces.
func (b *Box) startDaemon(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(b.nodeBinDir, name), args...)
	cmd.Env = append(os.Environ(), "PATH="+b.nodeBinDir+":"+os.Getenv("PATH"))
	return b.launchFrom(b.node, name, cmd)
}

// writeNodeFiles writes certificates, kubeconfigs and configuration of the node's daemons.
func (b *Box) writeNodeFiles() error {
	user := identity{commonName: "system:node:" + b.NodeName, organizations: []string{"system:nodes"}}
	server := user
	server.dnsNames, server.ips = []string{b.NodeName}, []net.IP{net.ParseIP(nodeIP)}
	cert, key, err := b.plan.pki.save("kubelet", b.plan.pki.cluster, server)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(b.plan.kubeconfig(Kubelet), b.plan.server(), b.plan.pki.cluster, user); err != nil {
		return err
	}
	proxy := identity{commonName: "system:kube-proxy"}
	if err := writeKubeconfig(b.plan.kubeconfig(KubeProxy), b.plan.server(), b.plan.pki.cluster, proxy); err != nil {
		return err
	}
	return b.renderNodeFiles(map[string]string{
		"RunDir": b.RunDir, "BinDir": b.nodeBinDir, "ContainerdSocket": containerdSocket, "PauseImage": pauseImage,
		"NodeName": b.NodeName, "NodeIP": nodeIP, "NodePodCIDR": nodePodCIDR, "AllPodsCIDR": allPodsCIDR,
		"ClusterCA": b.plan.pki.file("ca.crt"), "ServingCert": cert, "ServingKey": key, "Cgroup": b.cgroup.name,
		"ProxyKubeconfig": b.plan.kubeconfig(KubeProxy),
	})
}

func (b *Box) renderNodeFiles(values map[string]string) error {
	templates, err := template.New("box").Option("missingkey=error").ParseFS(boxFiles, "box/*.tmpl")
	if err != nil {
		return fmt.Errorf("parse the node's configuration: %w", err)
	}
	for name, target := range map[string]string{
		"containerd.toml.tmpl": "containerd.toml", "kubelet.yaml.tmpl": "kubelet.yaml",
		"kube-proxy.yaml.tmpl": "kube-proxy.yaml", "cni.conflist.tmpl": "cni/10-preheat.conflist",
	} {
		if err := render(templates.Lookup(name), filepath.Join(b.RunDir, target), values); err != nil {
			return fmt.Errorf("write %s: %w", target, err)
		}
	}
	return nil
}

func render(t *template.Template, path string, values map[string]string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(t.Execute(file, values), file.Close())
}

// loadPause loads the image of the pods' sandboxes as soon as containerd answers.
func (b *Box) loadPause(ctx context.Context) error {
	err := b.await(ctx, Containerd, func(ctx context.Context) error { return b.ctr(ctx, nil, "version") })
	if err != nil {
		return err
	}
	return b.LoadProgram(ctx, pauseImage, filepath.Join(b.nodeBinDir, "pause"))
}

// awaitUsable waits until the real node takes pods and offers its GPUs.
func (b *Box) awaitUsable(ctx context.Context) error {
	err := b.awaitNode(ctx, b.NodeName, Kubelet, func(node *corev1.Node) bool {
		gpus := node.Status.Allocatable[GPU]
		return ready(node) && len(node.Spec.Taints) == 0 && gpus.Value() == int64(b.options.GPUs)
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, b.LogTail(GPUPlugin))
	}
	return nil
}

// LoadImage loads an image archive (docker-archive or OCI) into the node, so that pods with imagePullPolicy Never or
// IfNotPresent can use it.
func (b *Box) LoadImage(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	defer file.Close()
	if err := b.ctr(ctx, file, "--namespace=k8s.io", "images", "import", "-"); err != nil {
		return fmt.Errorf("load image %s: %w", archive, err)
	}
	return nil
}

// LoadProgram packs a static binary as the image named reference, with /bin/NAME as its entrypoint and nothing else in
// it, and loads it into the node.
func (b *Box) LoadProgram(ctx context.Context, reference, binary string) error {
	dir, err := os.MkdirTemp(b.RunDir, "image-")
	if err != nil {
		return fmt.Errorf("pack image %s: %w", reference, err)
	}
	defer os.RemoveAll(dir)
	archive, inside := filepath.Join(dir, "image.tar"), "/bin/"+filepath.Base(binary)
	pack := exec.CommandContext(ctx, filepath.Join(b.nodeBinDir, "mkimg"), archive, reference, inside+"="+binary, "--", inside)
	if out, err := pack.CombinedOutput(); err != nil {
		return fmt.Errorf("pack image %s: %w: %s", reference, err, out)
	}
	return b.LoadImage(ctx, archive)
}

// ctr runs containerd's client inside the box, where its socket is.
func (b *Box) ctr(ctx context.Context, stdin io.Reader, args ...string) error {
	init, err := b.process(BoxInit)
	if err != nil {
		return err
	}
	enter := []string{
		"--target=" + strconv.Itoa(init.cmd.Process.Pid), "--net", "--mount", "--pid", "--",
		filepath.Join(b.nodeBinDir, "ctr"), "--address=" + containerdSocket,
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Dial connects from inside the box's network: to a pod, a ClusterIP or the API server. The address must be numeric.
func (b *Box) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return b.namespaces.dial(ctx, network, address)
}

// Listen listens inside the box's network, for instance on the address of a simulated pod (in PodCIDR), which the real
// pods and kube-proxy then reach. The address must be numeric.
func (b *Box) Listen(network, address string) (net.Listener, error) {
	return b.namespaces.listen(network, address)
}
