package main

import (
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
)

// decisionOf reads the last decision, which must be there, from a status.
func decisionOf(s v1alpha1.InferenceAutoscalerStatus) report.Decision {
	d := report.Decision{
		From: int(s.LastDecision.Replicas), To: int(s.LastDecision.Replicas),
		Reason: s.LastDecision.Reason, Text: explanation(s), Steps: s.LastDecision.Steps,
	}
	if s.Replicas != nil {
		d.From = int(s.Replicas.Desired)
	}
	return d
}

// explanation is the sentence of the condition Ready without the numbers before it, which the log shows anyway.
func explanation(s v1alpha1.InferenceAutoscalerStatus) string {
	for _, c := range s.Conditions {
		if c.Type != v1alpha1.ConditionReady {
			continue
		}
		if _, after, found := strings.Cut(c.Message, "): "); found {
			return after
		}
		return c.Message
	}
	return ""
}
