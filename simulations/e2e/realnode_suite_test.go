//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

const (
	serviceNamespace = "preheat-system"
	engines          = "engines" // the namespace of the engines and their InferenceAutoscaler
	serviceImage     = "preheat.local/preheat"
	engineImage      = "preheat.local/emulator:e2e"
	imageTag         = "e2e"
)

// realNode is a cluster with a real node on which the service runs as deploy/ says, beside real engine pods.
type realNode struct {
	*suite
	box   *testbed.Box
	audit string // log of what the service asked of the API server
}

// newRealNode starts the cluster, its kubelet with further flags, and loads the images. It skips where the machine has no room for a node.
func newRealNode(t *testing.T, kubelet ...string) *realNode {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(dir, "audit-policy.yaml")
	must(t, os.WriteFile(policy, []byte(auditPolicy), 0o600))
	n := &realNode{audit: filepath.Join(dir, "audit.log")}
	box, err := testbed.StartBox(t.Context(), testbed.BoxOptions{Options: testbed.Options{
		HPASync: 2 * time.Second, HPADownscaleStabilization: 10 * time.Second, ControllerQPS: 300, LogDir: os.Getenv("E2E_LOGS"),
		APIServerArgs: []string{"--audit-policy-file=" + policy, "--audit-log-path=" + n.audit},
		// The quota of deploy/components needs its controller; the flag adds to the testbed's list.
		ControllerManagerArgs: []string{"--controllers=resourcequota-controller"},
	}, KubeletArgs: kubelet})
	if errors.Is(err, testbed.ErrNoBox) || errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, box.Stop()) })
	config := box.Config()
	config.QPS, config.Burst = 200, 400
	n.box, n.suite = box, &suite{cluster: box.Cluster}
	n.connect(t, config)
	n.loadImages(t)
	return n
}

func (n *realNode) connect(t *testing.T, config *rest.Config) {
	t.Helper()
	var err error
	n.kube, err = kubernetes.NewForConfig(config)
	must(t, err)
	n.preheat, err = client.New(config)
	must(t, err)
	p, err := replica.ProfileNamed(profile)
	must(t, err)
	n.model = p.Model
}

// loadImages packs the built service and the emulator as images of a single static file each.
func (n *realNode) loadImages(t *testing.T) {
	t.Helper()
	must(t, n.box.LoadProgram(t.Context(), serviceImage+":"+imageTag, filepath.Join(root(t), "bin", "preheat")))
	emulator := filepath.Join(t.TempDir(), "emulator")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", emulator, "./simulations/emulator/cmd/emulator")
	build.Dir, build.Env = root(t), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the emulator: %v: %s", err, out)
	}
	must(t, n.box.LoadProgram(t.Context(), engineImage, emulator))
}

// root is the repository's.
func root(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", ".."))
	must(t, err)
	path, err = filepath.EvalSymlinks(path)
	must(t, err)
	return path
}

// kubectl runs a command and fails the test where it fails.
func (n *realNode) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := n.box.Kubectl(t.Context(), args...)
	must(t, err)
	return out
}

// apply applies a folder of deploy/ from a kustomization of one's own, in which nothing but the image is replaced.
func (n *realNode) apply(t *testing.T, folder string) {
	t.Helper()
	n.applyWith(t, folder, "")
}

// applyWith is apply with components and patches of a kustomization beside.
func (n *realNode) applyWith(t *testing.T, folder, patches string, components ...string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	deploy, err := filepath.Rel(dir, filepath.Join(root(t), "deploy"))
	must(t, err)
	var listed strings.Builder
	for _, c := range append(components, "critical-pods-quota") {
		fmt.Fprintf(&listed, "- %s/components/%s\n", deploy, c)
	}
	must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%[1]s/%[2]s]
components:
%[5]simages: [{name: preheat, newName: %[3]s, newTag: %[4]s}]
%[6]s`, deploy, folder, serviceImage, imageTag, listed.String(), patches), 0o600))
	n.kubectl(t, "apply", "--server-side", "-k", dir)
}

// awaitRollout waits until every replica of the service is of the newest template and available.
func (n *realNode) awaitRollout(t *testing.T) {
	t.Helper()
	out, err := n.box.Kubectl(t.Context(), "-n", serviceNamespace, "rollout", "status", "deployment/preheat", "--timeout=120s")
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, n.serviceState(t))
	}
}

// serviceState is what one looks at when the service does not come up.
func (n *realNode) serviceState(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, args := range [][]string{
		{"get", "pods", "-o", "wide"}, {"get", "events"}, {"get", "apiservices"}, {"logs", "-l", "app.kubernetes.io/name=preheat", "--tail=30"},
	} {
		out, err := n.box.Kubectl(context.WithoutCancel(t.Context()), append([]string{"-n", serviceNamespace}, args...)...)
		fmt.Fprintf(&all, "%s%v\n", out, err)
	}
	return all.String()
}

// servicePods are the service's pods that are not being deleted.
func (n *realNode) servicePods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := n.kube.CoreV1().Pods(serviceNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=preheat"})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
}

// holder names the pod that holds the service's lease, empty where none does.
func (n *realNode) holder(ctx context.Context) string {
	lease, err := n.kube.CoordinationV1().Leases(serviceNamespace).Get(ctx, "preheat", metav1.GetOptions{})
	if err != nil {
		return ""
	}
	name, _ := holderOf(*lease)
	return name
}

// awaitHolder waits until a living pod other than the one named holds the lease, and returns its name.
func (n *realNode) awaitHolder(t *testing.T, within time.Duration, other string) string {
	t.Helper()
	holder := ""
	eventually(t, within, func(ctx context.Context) string {
		holder = n.holder(ctx)
		pods, err := n.servicePods(ctx)
		if err != nil {
			return err.Error()
		}
		if holder == other || !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Name == holder }) {
			return fmt.Sprintf("the lease is held by %q, which is %q or not alive", holder, other)
		}
		return ""
	})
	return holder
}

func (n *realNode) deployment(ctx context.Context, namespace, name string) (*appsv1.Deployment, error) {
	return n.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
}

// auditPolicy logs what the service asks of the API server, by its ServiceAccount, and nothing else.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  users: ["system:serviceaccount:preheat-system:preheat"]
  resources: [{group: apps, resources: [deployments/scale]}]
- {level: Metadata, users: ["system:serviceaccount:preheat-system:preheat"]}
- {level: None}
`

// asked is one request of the service, as the API server logged it.
type asked struct {
	Verb      string `json:"verb"`
	URI       string `json:"requestURI"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject struct {
		Spec struct {
			Replicas int `json:"replicas"`
		} `json:"spec"`
	} `json:"requestObject"`
	StageTimestamp time.Time `json:"stageTimestamp"`
}

// right is the verb and the resource, as a rule of RBAC names them.
func (a asked) right() string {
	resource := a.ObjectRef.Resource
	if a.ObjectRef.Subresource != "" {
		resource += "/" + a.ObjectRef.Subresource
	}
	return strings.TrimSuffix(fmt.Sprintf("%s %s.%s", a.Verb, resource, a.ObjectRef.APIGroup), ".")
}

// requests reads the audit log.
func (n *realNode) requests(t *testing.T) []asked {
	t.Helper()
	data, err := os.ReadFile(n.audit)
	must(t, err)
	var all []asked
	for line := range strings.Lines(string(data)) {
		if !strings.HasSuffix(line, "\n") {
			break // is being written
		}
		var a asked
		must(t, json.Unmarshal([]byte(line), &a))
		all = append(all, a)
	}
	return all
}
