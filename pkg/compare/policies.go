package compare

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
)

// Names lists the policies that can be compared: Preheat and its ablations, the other systems' and the oracle.
func Names() []string {
	var names []string
	for _, d := range Descriptions() {
		names = append(names, d.Name)
	}
	return names
}

// policy makes a fresh one for a run.
func (c *comparison) policy(r *run) (baseline.Policy, error) {
	for _, p := range own() {
		if p.Name == r.Policy {
			return p.make(c.autoscaler(c.knowledge), r.setting)
		}
	}
	if v := c.variant(r.Policy); v != nil {
		return v.make(c.autoscaler(c.knowledge), r.setting)
	}
	return baseline.New(r.Policy, c.setup(c.knowledge, r.setting))
}

// autoscaler is the spec that Preheat's policies follow, with the bounds and the objective that hold for all.
func (e *Experiment) autoscaler(k knowledge) *v1alpha1.InferenceAutoscaler {
	ia := e.Autoscaler.DeepCopy()
	ia.Spec.MinReplicas, ia.Spec.MaxReplicas = new(e.Min), e.maxReplicas(k)
	ia.Spec.SLO = v1alpha1.SLO{
		TTFT: &metav1.Duration{Duration: e.SLO.TTFT}, TPOT: &metav1.Duration{Duration: e.SLO.TPOT},
		Attainment: percent(e.SLO.Attainment),
	}
	return ia
}

// percent writes a ratio as the API does, with at most three decimals.
func percent(ratio float64) v1alpha1.Percent {
	return v1alpha1.Percent(fmt.Sprintf("%.5g%%", ratio*100))
}
