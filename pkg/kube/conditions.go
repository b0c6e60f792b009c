package kube

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// verdict is one condition without its bookkeeping.
type verdict struct {
	kind    string
	status  metav1.ConditionStatus
	reason  scaling.Reason
	message string
}

// decided returns the conditions after a decision and what came of it; fault is nil where it was carried out.
func decided(d scaling.Decision, fault *Fault) []verdict {
	return []verdict{readyAfter(d, fault), blindAfter(d), conflictAfter(fault), limitedAfter(d)}
}

// undecided returns the conditions of a target for which nothing can be decided.
func undecided(fault *Fault) []verdict {
	verdicts := []verdict{{v1alpha1.ConditionReady, metav1.ConditionFalse, fault.Reason, fault.Error()}}
	for _, kind := range []string{
		v1alpha1.ConditionBlind, v1alpha1.ConditionConflict, v1alpha1.ConditionLimited, v1alpha1.ConditionForecasting, v1alpha1.ConditionBudgetSpent,
	} {
		verdicts = append(verdicts, verdict{kind, metav1.ConditionUnknown, fault.Reason, "nothing is decided, see condition Ready"})
	}
	return verdicts
}

// idle are the reasons for which nothing is decided although nothing is amiss with the data.
var idle = map[scaling.Reason]bool{scaling.Paused: true, scaling.ScaledToZeroByOther: true, scaling.NoReadyReplica: true}

// readyAfter is True where the decision rests on fresh data and is carried out, as far as the mode says.
func readyAfter(d scaling.Decision, fault *Fault) verdict {
	switch {
	case fault != nil:
		return verdict{v1alpha1.ConditionReady, metav1.ConditionFalse, fault.Reason, fault.Error()}
	case d.Blind || idle[d.Reason]:
		return verdict{v1alpha1.ConditionReady, metav1.ConditionFalse, d.Reason, d.Message()}
	}
	return verdict{v1alpha1.ConditionReady, metav1.ConditionTrue, d.Reason, d.Message()}
}

// blindAfter names what was sought and not found, also where the rest is enough to decide.
func blindAfter(d scaling.Decision) verdict {
	missing := strings.Join(d.Unseen[:min(len(d.Unseen), 5)], "; ")
	if len(d.Unseen) > 5 {
		missing = fmt.Sprintf("%s; and %d more", missing, len(d.Unseen)-5)
	}
	switch {
	case d.Blind:
		return verdict{v1alpha1.ConditionBlind, metav1.ConditionTrue, d.Reason, "replicas are held; " + lastSeen(d) + "; not seen: " + missing}
	case d.Reason == scaling.NoReadyReplica:
		return verdict{v1alpha1.ConditionBlind, metav1.ConditionUnknown, d.Reason, "no replica is ready: nothing is known of demand"}
	case missing != "":
		return verdict{v1alpha1.ConditionBlind, metav1.ConditionFalse, scaling.PartialData, "not seen: " + missing}
	}
	return verdict{v1alpha1.ConditionBlind, metav1.ConditionFalse, FreshData, "every ready replica is seen"}
}

// lastSeen says when a ready replica was seen last.
func lastSeen(d scaling.Decision) string {
	if d.LastSeen.IsZero() {
		return "none was seen since Preheat started"
	}
	return "last seen " + d.LastSeen.UTC().Format(time.RFC3339)
}

// historyKept is the condition of the history of demand; reason is why it is not on disk, nil where no volume is wanted.
func historyKept(onDisk bool, reason error) verdict {
	kind := v1alpha1.ConditionHistoryKept
	const forgotten = "it is in memory for some hours, and a restart forgets it, with seasons that were not learned yet"
	switch {
	case onDisk:
		return verdict{kind, metav1.ConditionTrue, OnVolume, "it outlives a restart as the volume of --state-dir does"}
	case reason == nil:
		return verdict{kind, metav1.ConditionFalse, NoVolume, "the service has no --state-dir: " + forgotten}
	}
	return verdict{kind, metav1.ConditionFalse, VolumeFailed, fmt.Sprintf("the volume of --state-dir fails: %s; it is tried again, see that it has room and may be written to: %v", forgotten, reason)}
}

func conflictAfter(fault *Fault) verdict {
	if fault != nil && fault.Conflict() {
		return verdict{v1alpha1.ConditionConflict, metav1.ConditionTrue, fault.Reason, fault.Error()}
	}
	return verdict{v1alpha1.ConditionConflict, metav1.ConditionFalse, SoleWriter, "nobody else is known to scale the target"}
}

func limitedAfter(d scaling.Decision) verdict {
	if !d.Limited {
		return verdict{v1alpha1.ConditionLimited, metav1.ConditionFalse, WithinLimits, "the demand gets the replicas that it needs"}
	}
	return verdict{
		v1alpha1.ConditionLimited, metav1.ConditionTrue, d.Reason,
		fmt.Sprintf("the demand needs %d replicas, %d are allowed", d.Needed, d.Replicas),
	}
}

// drainingAs is the condition of replicas that finish what they have.
func drainingAs(text string) verdict {
	if text == "" {
		return verdict{v1alpha1.ConditionDraining, metav1.ConditionFalse, Drained, "no replica is drained"}
	}
	return verdict{v1alpha1.ConditionDraining, metav1.ConditionTrue, Draining, text}
}

// faultOf returns the fault in an error, nil where the target merely moved or nothing is wrong.
func faultOf(err error, otherwise scaling.Reason) *Fault {
	var fault *Fault
	switch {
	case err == nil || errors.Is(err, ErrMoved):
		return nil
	case errors.As(err, &fault):
		return fault
	}
	return &Fault{Reason: otherwise, Message: err.Error()}
}

// maxMessage bounds the text of a condition; the API server refuses more than 32,768 bytes.
const maxMessage = 1024

// apply sets the conditions of a status. A condition's transition time changes with its status only.
func apply(conditions []metav1.Condition, verdicts []verdict, generation int64, now time.Time) []metav1.Condition {
	for _, v := range verdicts {
		meta.SetStatusCondition(&conditions, metav1.Condition{
			Type: v.kind, Status: v.status, Reason: string(v.reason), Message: shorten(v.message, maxMessage),
			ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now),
		})
	}
	return conditions
}

// shorten cuts a text to at most n bytes, between characters.
func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len("…")], "") + "…"
}
