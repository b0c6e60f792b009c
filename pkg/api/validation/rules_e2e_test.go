//go:build e2e

package validation

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// The same specs as in the tests without a server, judged by a real one: the verdicts and the messages must be the same.
func TestARealAPIServerJudgesAlike(t *testing.T) {
	cluster, err := testbed.Start(t.Context(), testbed.Options{})
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
	if err := cluster.Apply(t.Context(), crds.All()); err != nil {
		t.Fatal(err)
	}
	dynamicClient, err := dynamic.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	// Apply waits for new kinds: the first object of the kind tells that it is served.
	if err := cluster.Apply(t.Context(), manifest(bounded)); err != nil {
		t.Fatal(err)
	}
	server := dryRun{dynamicClient.Resource(v1alpha1.GroupVersion.WithResource(v1alpha1.ResourceName)).Namespace("default")}

	t.Run("good specs are admitted with the same defaults", server.admitsGoodSpecs)
	t.Run("bad specs are refused with the same messages", server.refusesBadSpecs)
	t.Run("a full status is taken", func(t *testing.T) { takesFullStatus(t, cluster) })
	t.Run("people see what it is doing and why", func(t *testing.T) { showsColumns(t, cluster) })
	t.Run("every field of the spec is explained", func(t *testing.T) { explains(t, cluster) })
	t.Run("pools are judged alike", func(t *testing.T) {
		judgesPoolsAlike(t, dynamicClient.Resource(v1alpha1.GroupVersion.WithResource(v1alpha1.PoolResourceName)).Namespace("default"))
	})
}

type dryRun struct{ dynamic.ResourceInterface }

func (d dryRun) create(ctx context.Context, spec string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(manifest(spec), &object.Object); err != nil {
		return nil, err
	}
	object.SetName("dry-run")
	return d.Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
}

func (d dryRun) admitsGoodSpecs(t *testing.T) {
	for name, spec := range goodSpecs {
		admitted, err := d.create(t.Context(), spec)
		if err != nil {
			t.Errorf("%s: refused: %v", name, err)
			continue
		}
		want, err := Parse(manifest(spec))
		if err != nil {
			t.Fatal(err)
		}
		data, err := admitted.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		got := &v1alpha1.InferenceAutoscaler{}
		if err := yaml.UnmarshalStrict(data, got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want.Spec, got.Spec, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-offline +server):\n%s", name, diff)
		}
	}
}

func (d dryRun) refusesBadSpecs(t *testing.T) {
	for name, bad := range badSpecs {
		_, err := d.create(t.Context(), bad.spec)
		if err == nil {
			t.Errorf("%s: admitted", name)
			continue
		}
		if !strings.Contains(err.Error(), bad.says) || !strings.Contains(err.Error(), strings.TrimPrefix(bad.field, "spec.")) {
			t.Errorf("%s: the server says %v\nwant %s and %q", name, err, bad.field, bad.says)
		}
	}
}

func judgesPoolsAlike(t *testing.T, server dynamic.ResourceInterface) {
	create := func(spec string) error {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(poolManifest(spec), &object.Object); err != nil {
			return err
		}
		_, err := server.Create(t.Context(), object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		return err
	}
	for name, spec := range goodPools {
		if err := create(spec); err != nil {
			t.Errorf("%s: refused: %v", name, err)
		}
	}
	for name, bad := range badPools {
		says := strings.TrimPrefix(bad.says, "see kubectl explain warmpool")
		if err := create(bad.spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: the server says %v, want %q", name, err, says)
		}
	}
}

func takesFullStatus(t *testing.T, cluster *testbed.Cluster) {
	c, err := client.New(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	autoscalers := c.InNamespace("default")
	object, err := autoscalers.Get(t.Context(), "chat", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	object.Status = fullStatus()
	got, err := autoscalers.UpdateStatus(t.Context(), object, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object.Status, got.Status, cmpopts.EquateEmpty(), cmp.Comparer(sameTime)); diff != "" {
		t.Errorf("status (-sent +kept):\n%s", diff)
	}
}

func showsColumns(t *testing.T, cluster *testbed.Cluster) {
	out, err := cluster.Kubectl(t.Context(), "get", "ia", "chat", "-o", "wide")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", out)
	for _, word := range []string{"MODE", "TARGET", "REPLICAS", "READY", "WANT", "REASON", "BLIND", "LEAD", "Advise", "vllm", "Forecast", "4m0s", "fresh data"} {
		if !strings.Contains(out, word) {
			t.Errorf("kubectl get ia -o wide lacks %q:\n%s", word, out)
		}
	}
}

func explains(t *testing.T, cluster *testbed.Cluster) {
	for field, says := range map[string]string{
		"spec": "scaleTargetRef", "spec.mode": "Floor", "spec.slo.ttft": "Example: 2s",
		"spec.behavior.scaleDown.tolerance": "Default: 0", "status.lastDecision.steps": "in order",
	} {
		out, err := cluster.Kubectl(t.Context(), "explain", "inferenceautoscaler."+field)
		if err != nil || !strings.Contains(out, says) {
			t.Errorf("kubectl explain %s: %v, want it to say %q:\n%s", field, err, says, out)
		}
	}
}
