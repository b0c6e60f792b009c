package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/api/validation"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// staged is a demo as it is when its manifests are made.
func staged(t *testing.T) *demo {
	t.Helper()
	o := Default()
	profile, err := replica.ProfileNamed(o.Profile)
	if err != nil {
		t.Fatal(err)
	}
	return &demo{options: o, times: o.compressed(), profile: profile}
}

func rendered(t *testing.T, file string, p policy) []byte {
	t.Helper()
	out, err := staged(t).render(file, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAutoscalersAreValid(t *testing.T) {
	for _, p := range policies() {
		t.Run(p.Name, func(t *testing.T) {
			a, err := validation.Parse(rendered(t, "autoscaler.yaml.tmpl", p))
			if err != nil {
				t.Fatal(err)
			}
			mode := v1alpha1.ModeAdvise
			if p.Name == "preheat" {
				mode = v1alpha1.ModeOwn
			}
			if a.Spec.Mode != mode || a.Namespace != p.Name || *a.Spec.MinReplicas != 1 || a.Spec.MaxReplicas != 12 {
				t.Errorf("got mode %s, namespace %s and %d to %d replicas, want %s, %s and 1 to 12",
					a.Spec.Mode, a.Namespace, *a.Spec.MinReplicas, a.Spec.MaxReplicas, mode, p.Name)
			}
		})
	}
}

func TestPreheatIsToldNothingButTheSLOAndItsTimes(t *testing.T) {
	a, err := validation.Parse(rendered(t, "autoscaler.yaml.tmpl", policyNamed("preheat")))
	if err != nil {
		t.Fatal(err)
	}
	if a.Spec.Capacity != (v1alpha1.Capacity{}) || a.Spec.LeadTime.Override != nil {
		t.Errorf("capacity %v and lead time %v are declared, must be learned", a.Spec.Capacity, a.Spec.LeadTime)
	}
	if got := a.Spec.SLO; got.TTFT.Duration != slo.TTFT || got.TPOT.Duration != slo.TPOT {
		t.Errorf("got SLO %v and %v, judged by %v", got.TTFT, got.TPOT, slo)
	}
	if prior := a.Spec.LeadTime.PriorOrDefault(); prior != 30*time.Second {
		t.Errorf("got a prior of %v, want the default of 5 minutes, compressed", prior)
	}
}

// TestEveryPolicyMayMoveAsFast compares the behavior of the HPAs with Preheat's.
func TestEveryPolicyMayMoveAsFast(t *testing.T) {
	preheat, err := validation.Parse(rendered(t, "autoscaler.yaml.tmpl", policyNamed("preheat")))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range policies() {
		if p.Metric == "" {
			continue
		}
		var hpa autoscalingv2.HorizontalPodAutoscaler
		if err := yaml.UnmarshalStrict(rendered(t, "hpa.yaml.tmpl", p), &hpa); err != nil {
			t.Fatal(err)
		}
		metric := hpa.Spec.Metrics[0].Pods
		if metric.Metric.Name != p.Metric || metric.Target.AverageValue.Value() != int64(p.Target) {
			t.Errorf("%s scales on %s at %v, want %s at %d", p.Name, metric.Metric.Name, metric.Target.AverageValue, p.Metric, p.Target)
		}
		ours := map[string]v1alpha1.ScalingRules{"up": preheat.Spec.Behavior.ScaleUpRules(), "down": preheat.Spec.Behavior.ScaleDownRules()}
		theirs := map[string]*autoscalingv2.HPAScalingRules{"up": hpa.Spec.Behavior.ScaleUp, "down": hpa.Spec.Behavior.ScaleDown}
		for direction, own := range ours {
			other := theirs[direction]
			if *own.StabilizationWindowSeconds != *other.StabilizationWindowSeconds {
				t.Errorf("%s: stabilization %s of %d s, Preheat's is %d s", p.Name, direction, *other.StabilizationWindowSeconds, *own.StabilizationWindowSeconds)
			}
			if diff := cmp.Diff(limits(own.Policies), hpaLimits(other.Policies), cmp.AllowUnexported(limit{})); diff != "" {
				t.Errorf("%s: policies %s differ from Preheat's: %s", p.Name, direction, diff)
			}
		}
	}
}

type limit struct {
	kind          string
	value, period int32
}

func limits(policies []v1alpha1.ScalingPolicy) []limit {
	var out []limit
	for _, p := range policies {
		out = append(out, limit{string(p.Type), p.Value, p.PeriodSeconds})
	}
	return out
}

func hpaLimits(policies []autoscalingv2.HPAScalingPolicy) []limit {
	var out []limit
	for _, p := range policies {
		out = append(out, limit{string(p.Type), p.Value, p.PeriodSeconds})
	}
	return out
}

func TestDeploymentsAreEqual(t *testing.T) {
	var first string
	for _, p := range policies() {
		_, text, found := strings.Cut(string(rendered(t, "deployment.yaml.tmpl", p)), "---\n")
		if !found {
			t.Fatal("the namespace and the Deployment are not two documents")
		}
		var d appsv1.Deployment
		if err := yaml.UnmarshalStrict([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		gpus := d.Spec.Template.Spec.Containers[0].Resources.Limits[corev1.ResourceName("nvidia.com/gpu")]
		if *d.Spec.Replicas != 6 || gpus.Value() != 4 || d.Namespace != p.Name {
			t.Errorf("got %d replicas of %s GPUs in %s, want 6 of 4 in %s", *d.Spec.Replicas, gpus.String(), d.Namespace, p.Name)
		}
		if text = strings.Replace(text, "namespace: "+p.Name, "namespace: POLICY", 1); first == "" {
			first = text
		}
		if diff := cmp.Diff(first, text); diff != "" {
			t.Errorf("%s has another Deployment: %s", p.Name, diff)
		}
	}
}
