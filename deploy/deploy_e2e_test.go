//go:build e2e

package deploy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// The manifests on a real control plane: applied twice as README.md says, their rights asked of the real authorizer. What the
// service does with them is tested where the service is.
func TestManifestsOnARealControlPlane(t *testing.T) {
	cluster, err := testbed.Start(t.Context(), testbed.Options{
		// Flags of a list add up: this one fills ClusterRole preheat-targets.
		ControllerManagerArgs: []string{"--controllers=clusterrole-aggregation-controller"},
	})
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	d := deployment{cluster}
	t.Run("the base is applied, and applied again without a change", d.appliesTwice)
	t.Run("the overlay comes on top", func(t *testing.T) { d.kubectl(t, "apply", "--server-side", "-k", "overlays/external-metrics") })
	t.Run("the samples are taken", func(t *testing.T) { d.kubectl(t, "apply", "-f", "samples") })
	t.Run("the pods pass admission", d.podsAreCreated)
	t.Run("the service may do what it must and no more", d.rights)
	t.Run("a kind of one's own is added by a label", d.aggregation)
}

type deployment struct{ cluster *testbed.Cluster }

// kubectl fails the test where the command fails.
func (d deployment) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.cluster.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (d deployment) appliesTwice(t *testing.T) {
	d.kubectl(t, "apply", "--server-side", "-k", "base")
	before := d.kubectl(t, "get", "-k", "base", "-o", `jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{"\n"}{end}`)
	d.kubectl(t, "apply", "--server-side", "-k", "base")
	after := d.kubectl(t, "get", "-k", "base", "-o", `jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{"\n"}{end}`)
	if before != after {
		t.Errorf("the second apply changed something:\n%s\n%s", before, after)
	}
}

// podsAreCreated shows that neither the Pod Security Standard nor the priority class stands in the way.
func (d deployment) podsAreCreated(t *testing.T) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		out := d.kubectl(t, "-n", namespace, "get", "pods", "-o", "name")
		if strings.Count(out, "pod/") >= 2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no two pods in 20s: %s\n%s", out, d.kubectl(t, "-n", namespace, "get", "events"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (d deployment) may(t *testing.T, args ...string) bool {
	t.Helper()
	// can-i exits with 1 for "no"; the answer is the last line.
	out, _ := d.cluster.Kubectl(t.Context(), append([]string{"auth", "can-i", "--as=system:serviceaccount:preheat-system:preheat"}, args...)...)
	lines := strings.Fields(out)
	switch {
	case len(lines) > 0 && lines[len(lines)-1] == "yes":
		return true
	case strings.Contains(out, "no"):
		return false
	}
	t.Fatalf("kubectl auth can-i %v: %q", args, out)
	return false
}

func (d deployment) rights(t *testing.T) {
	const ours = "--namespace=preheat-system"
	must := [][]string{
		{"watch", "inferenceautoscalers.preheat.dev", "-A"},
		{"update", "inferenceautoscalers.preheat.dev/any", "--subresource=status", "-n", "default"},
		{"watch", "pods", "-A"},
		{"list", "nodes"},
		{"watch", "nodes"},
		{"update", "deployments.apps", "--subresource=scale", "-n", "default"},
		{"update", "statefulsets.apps", "--subresource=scale", "-n", "default"},
		{"patch", "horizontalpodautoscalers.autoscaling", "-n", "default"},
		{"create", "events", "-n", "default"},
		{"create", "subjectaccessreviews.authorization.k8s.io"},
		{"create", "tokenreviews.authentication.k8s.io"},
		{"get", "configmaps/extension-apiserver-authentication", "-n", "kube-system"},
		{"patch", "apiservices.apiregistration.k8s.io/v1beta1.external.metrics.k8s.io"},
		{"update", "leases.coordination.k8s.io", ours},
		{"create", "secrets", ours},
		{"update", "secrets/preheat-serving-cert", ours},
	}
	mustNot := [][]string{
		{"update", "inferenceautoscalers.preheat.dev", "-n", "default"},
		{"delete", "pods", "-n", "default"},
		{"patch", "deployments.apps", "-n", "default"},
		{"get", "secrets/another", ours},
		{"list", "secrets", "-n", "default"},
		{"patch", "nodes"},
		{"patch", "apiservices.apiregistration.k8s.io/v1.apps"},
		{"create", "apiservices.apiregistration.k8s.io"},
		{"update", "leases.coordination.k8s.io", "-n", "kube-system"},
		{"get", "configmaps/kubeadm-config", "-n", "kube-system"},
	}
	for _, args := range must {
		if !d.may(t, args...) {
			t.Errorf("may not %v", args)
		}
	}
	for _, args := range mustNot {
		if d.may(t, args...) {
			t.Errorf("may %v", args)
		}
	}
}

func (d deployment) aggregation(t *testing.T) {
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(d.kubectl(t, "get", "clusterrole", "preheat-targets", "-o", "yaml"), "leaderworkersets/scale") {
		if time.Now().After(deadline) {
			t.Fatal("ClusterRole preheat-targets was not filled in 20s")
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.kubectl(t, "apply", "--server-side", "-k", "base") // must not conflict with what Kubernetes filled in
	if !strings.Contains(d.kubectl(t, "get", "clusterrole", "preheat-targets", "-o", "yaml"), "leaderworkersets/scale") {
		t.Error("applying the base again took the rights away")
	}
}
