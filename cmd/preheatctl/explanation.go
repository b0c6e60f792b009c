package main

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ages "k8s.io/apimachinery/pkg/util/duration"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// explanation is why a target has the replicas that it has. What is not known is absent.
type explanation struct {
	Namespace string        `json:"namespace,omitempty"`
	Name      string        `json:"name"`
	Mode      v1alpha1.Mode `json:"mode,omitempty"`
	// Target is the workload, as "Deployment vllm".
	Target string `json:"target,omitempty"`
	// Troubles are what a person should know before the rest, the worst first.
	Troubles []trouble `json:"troubles,omitempty"`
	// Wanted is the number of replicas that the last decision asks for, Reason its word and Meaning that in a sentence.
	Wanted  *int32 `json:"wantedReplicas,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Meaning string `json:"meaning,omitempty"`
	// Undone says that the decision is not carried out, because something stands in its way.
	Undone bool `json:"notCarriedOut,omitempty"`
	// Decided is when, Scaled when the replicas were last changed, both in words.
	Decided string `json:"decided,omitempty"`
	Scaled  string `json:"scaled,omitempty"`

	Replicas    *v1alpha1.ReplicaStatus     `json:"replicas,omitempty"`
	Demand      *v1alpha1.DemandStatus      `json:"demand,omitempty"`
	Forecast    *v1alpha1.ForecastStatus    `json:"forecast,omitempty"`
	Capacity    *v1alpha1.CapacityStatus    `json:"capacity,omitempty"`
	LeadTime    *v1alpha1.LeadTimeStatus    `json:"leadTime,omitempty"`
	ErrorBudget *v1alpha1.ErrorBudgetStatus `json:"errorBudget,omitempty"`
	// Forecasting is what the condition of that name says.
	Forecasting string `json:"forecasting,omitempty"`

	// Steps are those of the decision, in order.
	Steps []explainedStep `json:"steps,omitempty"`
}

// explainedStep is one step of a decision.
type explainedStep struct {
	Stage string `json:"stage"`
	Text  string `json:"text"`
	// Replicas is what the step asked for, absent where it proposed no number or the status does not tell.
	Replicas *int32 `json:"replicas,omitempty"`
	// Decided marks the step whose number stands.
	Decided bool `json:"decided,omitempty"`
}

// explain explains an object as a cluster has it now.
func explain(a *v1alpha1.InferenceAutoscaler, now time.Time) explanation {
	e := describe(a, func(t time.Time) string { return lasted(now.Sub(t)) + " ago" })
	e.Troubles = append(unattended(a, now), troubles(a, func(t time.Time) string { return "for " + lasted(now.Sub(t)) })...)
	return e
}

// explainSaved explains an object as it was when it was saved, of which nothing says when that was.
func explainSaved(a *v1alpha1.InferenceAutoscaler) explanation {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	e := describe(a, func(t time.Time) string { return "at " + stamp(t) })
	e.Troubles = troubles(a, func(t time.Time) string { return "since " + stamp(t) })
	return e
}

// describe is what a status says; at puts an instant in words.
func describe(a *v1alpha1.InferenceAutoscaler, at func(time.Time) string) explanation {
	s := a.Status
	e := explanation{
		Namespace: a.Namespace, Name: a.Name, Mode: a.Spec.Mode,
		Target:   strings.TrimSpace(a.Spec.ScaleTargetRef.Kind + " " + a.Spec.ScaleTargetRef.Name),
		Replicas: s.Replicas, Demand: s.Demand, Forecast: s.Forecast, Capacity: s.Capacity, LeadTime: s.LeadTime, ErrorBudget: s.ErrorBudget,
	}
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionForecasting); c != nil {
		e.Forecasting = c.Message
	}
	if s.LastScaleTime != nil {
		e.Scaled = at(s.LastScaleTime.Time)
	}
	if d := s.LastDecision; d != nil {
		e.Wanted, e.Reason, e.Meaning, e.Decided = new(d.Replicas), d.Reason, report.Meaning(scaling.Reason(d.Reason)), at(d.Time.Time)
		e.Steps = explainSteps(d.Steps, d.Asked)
		ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
		e.Undone = ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason != d.Reason && !undecided(s.Conditions)
	}
	return e
}

// explainSteps puts what stages asked for beside their words. Asked has some of the stages, in the order of steps; it is
// empty in a status of before there was such a field.
func explainSteps(steps []string, asked []v1alpha1.StageReplicas) []explainedStep {
	out := make([]explainedStep, 0, len(steps))
	last := -1
	for _, step := range steps {
		stage, text, _ := strings.Cut(step, ": ")
		x := explainedStep{Stage: stage, Text: text}
		if len(asked) > 0 && asked[0].Stage == stage {
			x.Replicas, asked, last = new(asked[0].Replicas), asked[1:], len(out)
		}
		out = append(out, x)
	}
	if last >= 0 {
		out[last].Decided = true
	}
	return out
}

// step is the text of a stage, empty where the decision has none.
func (e *explanation) step(stage string) string {
	for _, s := range e.Steps {
		if s.Stage == stage {
			return s.Text
		}
	}
	return ""
}

// lasted is a time as kubectl tells ages; one in the future, by another clock, is none.
func lasted(d time.Duration) string { return ages.HumanDuration(max(0, d)) }
