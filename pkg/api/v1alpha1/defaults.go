package v1alpha1

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const defaultAttainment Percent = "99%"

const (
	defaultEngine   = "auto"
	defaultTimeZone = "Etc/UTC"

	defaultNamespaceLabel = "namespace"
	defaultPodLabel       = "pod"

	defaultStalenessBound = 30 * time.Second
	defaultLeadTimePrior  = 5 * time.Minute
)

// SetDefaults fills what the API server fills on admission, for specs that never met one. It changes nothing that is
// set, and applying it twice is the same as once.
func (a *InferenceAutoscaler) SetDefaults() {
	s := &a.Spec
	setDefault(&s.Mode, ModeAdvise)
	setDefault(&s.SLO.Attainment, defaultAttainment)
	setDefault(&s.Forecast.TimeZone, defaultTimeZone)
	setDefault(&s.Metrics.Engine, defaultEngine)
	if s.MinReplicas == nil {
		s.MinReplicas = new(int32(1))
	}
	if s.Metrics.StalenessBound == nil {
		s.Metrics.StalenessBound = &metav1.Duration{Duration: defaultStalenessBound}
	}
	if p := s.Metrics.Prometheus; p != nil {
		setDefault(&p.Labels.Namespace, defaultNamespaceLabel)
		setDefault(&p.Labels.Pod, defaultPodLabel)
	}
	for i := range s.Schedules {
		setDefault(&s.Schedules[i].TimeZone, defaultTimeZone)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// PriorOrDefault is the lead time to assume before anything is measured. It is not a default of the schema, so that a
// spec that sets override does not seem to set prior as well.
func (l LeadTime) PriorOrDefault() time.Duration {
	if l.Prior == nil {
		return defaultLeadTimePrior
	}
	return l.Prior.Duration
}

// ScaleUpRules is ScaleUp with every absent field filled: each field has its own default, as in a HorizontalPodAutoscaler.
func (b Behavior) ScaleUpRules() ScalingRules {
	return b.ScaleUp.orDefault(ScalingRules{
		StabilizationWindowSeconds: new(int32(0)),
		Tolerance:                  resource.NewMilliQuantity(0, resource.DecimalSI),
		Policies: []ScalingPolicy{
			{Type: ScalingPolicyPods, Value: 10, PeriodSeconds: 15},
			{Type: ScalingPolicyPercent, Value: 400, PeriodSeconds: 15},
		},
	})
}

// ScaleDownRules is ScaleDown with every absent field filled.
func (b Behavior) ScaleDownRules() ScalingRules {
	return b.ScaleDown.orDefault(ScalingRules{
		StabilizationWindowSeconds: new(int32(0)),
		Tolerance:                  resource.NewMilliQuantity(0, resource.DecimalSI),
		Policies:                   []ScalingPolicy{{Type: ScalingPolicyPercent, Value: 100, PeriodSeconds: 15}},
	})
}

func (r ScalingRules) orDefault(def ScalingRules) ScalingRules {
	out := *r.DeepCopy()
	if out.StabilizationWindowSeconds == nil {
		out.StabilizationWindowSeconds = def.StabilizationWindowSeconds
	}
	if out.SelectPolicy == nil {
		out.SelectPolicy = new(SelectPolicyMax)
	}
	if len(out.Policies) == 0 {
		out.Policies = def.Policies
	}
	if out.Tolerance == nil {
		out.Tolerance = def.Tolerance
	}
	return out
}
