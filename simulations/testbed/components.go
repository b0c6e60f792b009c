package testbed

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The names of the control plane's components, as [Cluster.KillComponent] and the log files use them.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kwok              = "kwok"
)

// serviceCIDR is the range of ClusterIPs. On loopback nothing serves them; in the box kube-proxy does.
const serviceCIDR = "10.96.0.0/16"

// controllers run in the controller manager: those that workloads and their scaling need. The full set takes 4 s longer
// to make the first ServiceAccount.
var controllers = []string{
	"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "job-controller",
	"horizontal-pod-autoscaler-controller", "disruption-controller", "serviceaccount-controller",
	"endpointslice-controller", "endpoints-controller", "garbage-collector-controller", "pod-garbage-collector-controller",
	"namespace-controller", "node-lifecycle-controller", "taint-eviction-controller",
	"clusterrole-aggregation-controller", "root-ca-certificate-publisher-controller",
}

// plan is everything the components' command lines are made of.
type plan struct {
	addresses
	pki     *pki
	runDir  string
	stages  string // kwok's configuration file
	options Options
	node    bool // a real node takes part: the API server is reached at its address and kwok keeps to its own nodes
}

func (p plan) etcdArgs() []string {
	client, peer := p.url("http", etcdClientPort), p.url("http", etcdPeerPort)
	return []string{
		"--data-dir", filepath.Join(p.runDir, "etcd"),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		"--unsafe-no-fsync", // the data is thrown away with the cluster
		"--log-level", "warn",
	}
}

func (p plan) apiServerArgs() []string {
	args := []string{
		"--etcd-servers=" + p.url("http", etcdClientPort),
		"--secure-port=" + strconv.Itoa(p.port(apiServerPort)), "--advertise-address=" + p.host,
		"--service-cluster-ip-range=" + serviceCIDR, "--authorization-mode=Node,RBAC",
		"--cert-dir=" + filepath.Join(p.runDir, "apiserver"),
		"--client-ca-file=" + p.pki.file("ca.crt"),
		"--tls-cert-file=" + p.pki.file("server.crt"), "--tls-private-key-file=" + p.pki.file("server.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.pki.file("sa.pub"), "--service-account-signing-key-file=" + p.pki.file("sa.key"),
		"--requestheader-client-ca-file=" + p.pki.file("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p.pki.file("front-proxy-client.crt"),
		"--proxy-client-key-file=" + p.pki.file("front-proxy-client.key"),
	}
	args = append(args, p.apiServerReach()...)
	args = append(args, p.options.featureGateFlag()...)
	return append(args, p.options.APIServerArgs...)
}

// apiServerReach says who reaches the API server and how it reaches the kubelet.
func (p plan) apiServerReach() []string {
	if !p.node {
		// Endpoints on loopback are refused by validation, so the API server must not publish its own.
		return []string{"--bind-address=127.0.0.1", "--endpoint-reconciler-type=none"}
	}
	return []string{
		"--bind-address=0.0.0.0", "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-client-certificate=" + p.pki.file("kubelet-client.crt"),
		"--kubelet-client-key=" + p.pki.file("kubelet-client.key"),
		"--kubelet-certificate-authority=" + p.pki.file("ca.crt"),
	}
}

func (p plan) controllerManagerArgs() []string {
	args := append(p.daemonArgs(ControllerManager, controllerManagerPort),
		"--controllers="+strings.Join(controllers, ","),
		"--service-account-private-key-file="+p.pki.file("sa.key"), "--root-ca-file="+p.pki.file("ca.crt"),
		// The controllers' rights sit on their own ServiceAccounts; and so what we grant to the HPA's is put to the test.
		"--use-service-account-credentials=true",
		// On a busy machine kwok renews its nodes' leases late, and kwok never makes a pod ready again that a lost node
		// made unready. A test about lost nodes sets its own.
		"--node-monitor-grace-period=5m")
	args = append(args, durationFlag("horizontal-pod-autoscaler-sync-period", p.options.HPASync)...)
	args = append(args, durationFlag("horizontal-pod-autoscaler-downscale-stabilization", p.options.HPADownscaleStabilization)...)
	args = append(args, p.options.qpsFlags()...)
	args = append(args, p.options.featureGateFlag()...)
	return append(args, p.options.ControllerManagerArgs...)
}

func (p plan) schedulerArgs() []string {
	return append(p.daemonArgs(Scheduler, schedulerPort), p.options.qpsFlags()...)
}

// daemonArgs are common to controller manager and scheduler.
func (p plan) daemonArgs(name string, port int) []string {
	config := p.kubeconfig(name)
	return []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(p.port(port)), "--leader-elect=false",
		"--tls-cert-file=" + p.pki.file("server.crt"), "--tls-private-key-file=" + p.pki.file("server.key"),
	}
}

func (p plan) kwokArgs() []string {
	port := strconv.Itoa(p.port(kwokPort))
	args := []string{
		"--kubeconfig=" + p.kubeconfig(Kwok), "--config=" + p.stages, "--cidr=" + p.podCIDR,
		"--server-address=127.0.0.1:" + port, "--node-port=" + port, "--node-ip=" + p.host,
		"--node-lease-duration-seconds=40", // without it kwok renews no leases, and its nodes are lost after 50 s
	}
	if p.node {
		return append(args, "--manage-all-nodes=false", "--manage-nodes-with-label-selector="+NodeLabel+"="+KwokNode)
	}
	return append(args, "--manage-all-nodes")
}

func (p plan) kubeconfig(name string) string { return filepath.Join(p.runDir, name+".kubeconfig") }

func durationFlag(name string, d time.Duration) []string {
	if d == 0 {
		return nil
	}
	return []string{fmt.Sprintf("--%s=%v", name, d)}
}
