//go:build e2e

package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// TestARealAPIServer has one with the definitions and a target that nobody serves, beside an HPA: what is missing is named, and
// a user without rights learns which ones.
func TestARealAPIServer(t *testing.T) {
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
	for _, text := range [][]byte{crds.All(), []byte(manifests)} {
		if err := cluster.Apply(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Connect(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	report, err := Examine(t.Context(), c, Options{System: "preheat-system", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Finding{
		{Check: "api-server", Severity: OK, Seen: "answers in"},
		{Check: "clock", Severity: OK, Seen: "agree"},
		{Check: "crd", Object: "inferenceautoscalers", Severity: OK, Seen: "version of this program"},
		{Check: "crd", Object: "warmpools", Severity: OK, Seen: "version of this program"},
		{Check: "service", Severity: Problem, Seen: "does not exist", Remedy: "deploy/base"},
		{Check: "leader", Severity: Problem, Seen: "no replica has ever led"},
		{Check: "rights", Object: "you", Severity: OK},
		{Check: "rights", Object: "ServiceAccount", Severity: Problem, Seen: "may not", Remedy: "rbac.yaml"},
		{Check: "metrics-api", Object: "v1beta2.custom", Severity: Warning, Seen: "does not exist"},
		{Check: "certificate", Severity: Problem, Seen: "does not exist"},
		{Check: "target", Object: "ml/vllm", Severity: OK, Seen: "can be scaled"},
		{Check: "target", Object: "ml/lost", Severity: Problem, Seen: "Deployment ml/gone does not exist"},
		{Check: "rivals", Object: "ml/vllm", Severity: Problem, Seen: "HorizontalPodAutoscaler web", Remedy: "kubectl -n ml delete hpa web"},
		{Check: "gate", Object: "ml/vllm", Severity: Warning, Seen: "preheat.dev/serving"},
	} {
		if !found(report, want) {
			t.Errorf("not found: %+v", want)
		}
	}

	kubeconfig := cluster.Config()
	kubeconfig.Impersonate.UserName = "nobody-in-particular"
	if c, err = Connect(kubeconfig); err != nil {
		t.Fatal(err)
	}
	blind, err := Examine(t.Context(), c, Options{System: "preheat-system", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Finding{
		{Check: "crd", Severity: Unknown, Seen: "get customresourcedefinitions"},
		{Check: "service", Severity: Unknown, Seen: "get deployments.apps/preheat"},
		{Check: "rights", Object: "you", Severity: Unknown, Seen: "list inferenceautoscalers"},
		{Check: "certificate", Severity: Unknown, Seen: "get secrets"},
		{Check: "autoscalers", Severity: Unknown, Seen: "list inferenceautoscalers", Remedy: "auth can-i"},
	} {
		if !found(blind, want) {
			t.Errorf("without rights not found: %+v", want)
		}
	}
	for _, f := range append(report.Findings, blind.Findings...) {
		t.Logf("%-8s %-12s %s: %s", f.Severity, f.Check, f.Object, f.Seen)
	}
}

// found reports whether a report has such a finding; texts are parts.
func found(r Report, want Finding) bool {
	for _, f := range r.Findings {
		if f.Check == want.Check && f.Severity == want.Severity && strings.Contains(f.Object, want.Object) &&
			strings.Contains(f.Seen, want.Seen) && strings.Contains(f.Remedy, want.Remedy) {
			return true
		}
	}
	return false
}

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: ml}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: ml}
spec:
  replicas: 0
  selector: {matchLabels: {app: vllm}}
  template:
    metadata: {labels: {app: vllm}}
    spec: {containers: [{name: vllm, image: vllm.invalid/vllm:1}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: ml}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
---
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: vllm, namespace: ml}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}, mode: Own, maxReplicas: 8, slo: {ttft: 2s}}
---
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: lost, namespace: ml}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: gone}, maxReplicas: 8, slo: {ttft: 2s}}
`
