package main

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// trouble is something that stands in the way, or that a person should know before the rest.
type trouble struct {
	// Name is the condition in words, Reason its reason.
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
	// Since is for how long or since when, in words; empty where nobody knows.
	Since string `json:"since,omitempty"`
	// Message says what is wrong, Remedy what to do where the message does not.
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

const (
	// staleAfter is the age at which a last decision is too old: a status is written every half minute.
	staleAfter = 3 * time.Minute
	// atWork is what to look at where nobody decides.
	atWork = "see that Preheat runs and one of its pods leads: kubectl get pods,leases -n preheat-system, and its log"
	// sight is what to look at where replicas are not seen.
	sight = "see that each pod named serves its metric page (spec.metrics: engine, port, path), and that Preheat may reach it " +
		"(NetworkPolicy, mesh)"
)

// unattended says that nobody decides.
func unattended(a *v1alpha1.InferenceAutoscaler, now time.Time) []trouble {
	switch d := a.Status.LastDecision; {
	case d == nil && len(a.Status.Conditions) == 0:
		return []trouble{{Name: "Not seen", Message: "Preheat has said nothing about it yet; a decision comes within a minute", Remedy: "where it does not, " + atWork}}
	case d == nil || undecided(a.Status.Conditions):
		return nil // condition Ready says why
	case now.Sub(d.Time.Time) > staleAfter:
		return []trouble{{
			Name: "Stale", Message: fmt.Sprintf("the last decision is %s old, and one is due every few seconds: nobody decides, what follows is of then",
				lasted(now.Sub(d.Time.Time))), Remedy: atWork,
		}}
	}
	return nil
}

// undecided says that nothing can be decided at all: nothing is known of what limits the replicas, while otherwise it is.
func undecided(conditions []metav1.Condition) bool {
	return meta.IsStatusConditionPresentAndEqual(conditions, v1alpha1.ConditionLimited, metav1.ConditionUnknown)
}

// troubles are what the conditions say is amiss, the worst first; since puts the instant that it began in words.
func troubles(a *v1alpha1.InferenceAutoscaler, since func(time.Time) string) []trouble {
	var out []trouble
	add := func(kind string, status metav1.ConditionStatus, told func(reason string) (name, remedy string)) bool {
		c := meta.FindStatusCondition(a.Status.Conditions, kind)
		if c == nil || c.Status != status {
			return false
		}
		if name, remedy := told(c.Reason); name != "" {
			out = append(out, trouble{Name: name, Reason: c.Reason, Since: since(c.LastTransitionTime.Time), Message: c.Message, Remedy: remedy})
		}
		return true
	}
	conflict := add(v1alpha1.ConditionConflict, metav1.ConditionTrue, func(string) (string, string) { return "Conflict", "" })
	blind := add(v1alpha1.ConditionBlind, metav1.ConditionTrue, func(string) (string, string) {
		return "Blind", sight + "; until then the replicas stay"
	})
	if !conflict && !blind {
		add(v1alpha1.ConditionReady, metav1.ConditionFalse, func(reason string) (string, string) { return unready(a, reason) })
	}
	add(v1alpha1.ConditionLimited, metav1.ConditionTrue, func(reason string) (string, string) { return "Limited", unlimit(a, reason) })
	add(v1alpha1.ConditionBudgetSpent, metav1.ConditionTrue, func(string) (string, string) {
		return "Budget spent", "nothing if it was out of the ordinary: misses have become dearer, so more replicas are kept; where it stays, " +
			"see what limits them, or ask for less in spec.slo"
	})
	add(v1alpha1.ConditionBlind, metav1.ConditionFalse, partlyBlind)
	add(v1alpha1.ConditionHistoryKept, metav1.ConditionFalse, func(reason string) (name, remedy string) {
		if reason != string(kube.VolumeFailed) {
			return "", "" // a choice
		}
		return "History in memory", "see the log of the service, and the volume of its --state-dir"
	})
	if g := a.Status.ObservedGeneration; g > 0 && g < a.Generation {
		out = append(out, trouble{Name: "Changed", Message: "the spec was changed since; what follows is by the one before"})
	}
	return out
}

// unready names why nothing is decided or carried out, and what to do; faults say so in their messages.
func unready(a *v1alpha1.InferenceAutoscaler, reason string) (name, remedy string) {
	switch scaling.Reason(reason) {
	case scaling.Paused:
		return "Paused", "set spec.paused to false to go on"
	case scaling.ScaledToZeroByOther:
		return "Paused", "scale the target to one replica or more to go on"
	case scaling.NoReadyReplica:
		return "No replica ready", "see why: " + pods(a)
	default:
		return "Not ready", ""
	}
}

// partlyBlind names replicas that are not seen, while enough are.
func partlyBlind(reason string) (name, remedy string) {
	if reason != string(scaling.PartialData) {
		return "", ""
	}
	return "Partly blind", sight + "; until then nothing is scaled down"
}

// unlimit is what to do where demand does not get the replicas that it needs.
func unlimit(a *v1alpha1.InferenceAutoscaler, reason string) string {
	switch scaling.Reason(reason) {
	case scaling.AtMaximum:
		return "raise spec.maxReplicas, or that of the schedule in force"
	case scaling.AtGPUBudget:
		return "raise spec.maxGPUs"
	case scaling.RateLimited, scaling.ScaleUpStabilized:
		return "nothing, it goes on by itself; spec.behavior.scaleUp sets the pace"
	case scaling.GPUsUnavailable:
		return "free GPUs or add nodes; what waits for them: " + pods(a)
	default:
		return ""
	}
}

// pods is the command that shows the target's pods.
func pods(a *v1alpha1.InferenceAutoscaler) string {
	command := "kubectl get pods"
	if a.Namespace != "" {
		command += " -n " + a.Namespace
	}
	if a.Status.Selector != "" {
		command += " -l " + quoted(a.Status.Selector)
	}
	return command
}
