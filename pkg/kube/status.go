package kube

import (
	"math"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// statusAfter returns the status of an InferenceAutoscaler after a decision; base is its status before.
func statusAfter(a *v1alpha1.InferenceAutoscaler, base v1alpha1.InferenceAutoscalerStatus, seen view, d scaling.Decision, fault *Fault) v1alpha1.InferenceAutoscalerStatus {
	s := *base.DeepCopy()
	s.ObservedGeneration = a.Generation
	s.Conditions = apply(s.Conditions, append(decided(d, fault), forecasting(d.Forecast, a.Spec.Forecast)), a.Generation, d.Time)
	if seen.selector != nil {
		s.Selector = seen.read.scale.Status.Selector
	}
	s.Replicas = &v1alpha1.ReplicaStatus{
		Desired: d.Current, Current: seen.existing, Ready: d.Ready, Starting: d.Starting, Unschedulable: d.Unschedulable,
		Draining: seen.phases[scaling.Draining], Standby: seen.phases[scaling.Standby], Asleep: seen.phases[scaling.Asleep],
	}
	s.RecommendedReplicas = new(d.Replicas)
	s.LeadTime = leadTimeStatus(d.LeadTime)
	s.Capacity = capacityStatus(d.Capacity)
	s.Demand = demandStatus(d)
	s.Forecast = forecastStatus(d.Forecast, a.Spec.Forecast)
	tokenStatus(s.Forecast, d.Tokens)
	s.ErrorBudget = budgetStatus(d.Budget)
	s.LastDecision = decisionStatus(d)
	return s
}

// faultStatus returns the status of an InferenceAutoscaler for which nothing could be decided. What was known before
// stays, with its times.
func faultStatus(a *v1alpha1.InferenceAutoscaler, base v1alpha1.InferenceAutoscalerStatus, fault *Fault, now time.Time) v1alpha1.InferenceAutoscalerStatus {
	s := *base.DeepCopy()
	s.ObservedGeneration = a.Generation
	s.Conditions = apply(s.Conditions, undecided(fault), a.Generation, now)
	return s
}

func leadTimeStatus(e leadtime.Estimate) *v1alpha1.LeadTimeStatus {
	if e.Source == "" {
		return nil
	}
	s := &v1alpha1.LeadTimeStatus{
		P50: readable(e.P50), P90: readable(e.P90), Samples: int32(e.Samples), Source: v1alpha1.EstimateSource(e.Source),
	}
	if e.Samples > 0 {
		for _, p := range []struct {
			name string
			leadtime.Phase
		}{{"schedule", e.Scheduling}, {"start", e.Startup}, {"load", e.Loading}} {
			s.Phases = append(s.Phases, v1alpha1.LeadTimePhase{Name: p.name, P50: readable(p.P50), P90: readable(p.P90)})
		}
	}
	return s
}

// readable rounds a duration to what a person reads: seconds, or tenths of them below a minute.
func readable(d time.Duration) metav1.Duration {
	if d < time.Minute {
		return metav1.Duration{Duration: d.Round(100 * time.Millisecond)}
	}
	return metav1.Duration{Duration: d.Round(time.Second)}
}

func capacityStatus(e capacity.Estimate) *v1alpha1.CapacityStatus {
	if !e.Known() {
		return &v1alpha1.CapacityStatus{Source: v1alpha1.SourceNone, Message: e.Text}
	}
	return &v1alpha1.CapacityStatus{
		Source: v1alpha1.EstimateSource(e.Source), RequestsPerSecond: quantity(e.PerReplica), Message: e.Text,
	}
}

func demandStatus(d scaling.Decision) *v1alpha1.DemandStatus {
	if !d.DemandKnown {
		return nil
	}
	return &v1alpha1.DemandStatus{
		RequestsPerSecond: quantity(d.Demand), Time: &metav1.Time{Time: d.Time},
		WaitingRequests: new(int64(d.Waiting)), RunningRequests: new(int64(d.Running)),
	}
}

// maxSteps and maxStep bound what one decision may take of a status.
const (
	maxSteps = 32
	maxStep  = 512
)

func decisionStatus(d scaling.Decision) *v1alpha1.DecisionStatus {
	s := &v1alpha1.DecisionStatus{Time: metav1.NewTime(d.Time), Replicas: d.Replicas, Reason: string(d.Reason)}
	for _, step := range d.Steps[:min(len(d.Steps), maxSteps)] {
		s.Steps = append(s.Steps, shorten(step.String(), maxStep))
		if step.Replicas >= 0 {
			s.Asked = append(s.Asked, v1alpha1.StageReplicas{Stage: step.Stage, Replicas: step.Replicas})
		}
	}
	return s
}

// quantity returns a number with three decimals, nil where it is not finite or too large to write.
func quantity(v float64) *resource.Quantity {
	if math.IsNaN(v) || math.Abs(v) > 1e15 {
		return nil
	}
	return resource.NewMilliQuantity(int64(math.Round(1000*v)), resource.DecimalSI)
}

// glance is what a person cares for in a status; two that are equal in it differ in figures and texts only.
type glance struct {
	generation                                                             int64
	ready, blind, conflict, limited, forecasting, budgetSpent, historyKept word
	replicas                                                               v1alpha1.ReplicaStatus
	recommended, scaledAt                                                  int64
	reason                                                                 string
}

// word is a condition in short.
type word struct {
	status metav1.ConditionStatus
	reason string
}

// glanceAt returns what a person sees first.
func glanceAt(s v1alpha1.InferenceAutoscalerStatus) glance {
	g := glance{generation: s.ObservedGeneration, recommended: -1}
	for _, c := range s.Conditions {
		switch w := (word{c.Status, c.Reason}); c.Type {
		case v1alpha1.ConditionReady:
			g.ready = w
		case v1alpha1.ConditionBlind:
			g.blind = w
		case v1alpha1.ConditionConflict:
			g.conflict = w
		case v1alpha1.ConditionLimited:
			g.limited = w
		case v1alpha1.ConditionForecasting:
			g.forecasting = w
		case v1alpha1.ConditionBudgetSpent:
			g.budgetSpent = w
		case v1alpha1.ConditionHistoryKept:
			g.historyKept = w
		}
	}
	if s.Replicas != nil {
		g.replicas = *s.Replicas
	}
	if s.RecommendedReplicas != nil {
		g.recommended = int64(*s.RecommendedReplicas)
	}
	if s.LastScaleTime != nil {
		g.scaledAt = s.LastScaleTime.Unix()
	}
	if s.LastDecision != nil {
		g.reason = s.LastDecision.Reason
	}
	return g
}
