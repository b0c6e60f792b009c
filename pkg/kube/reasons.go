package kube

import (
	"errors"
	"fmt"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// The reasons that only the cluster can give; they stand beside those of pkg/scaling in conditions and events.
const (
	// InvalidSpec: no planner can be built from the spec; nothing is scaled.
	InvalidSpec scaling.Reason = "InvalidSpec"
	// TargetNotFound: the object that scaleTargetRef names does not exist.
	TargetNotFound scaling.Reason = "TargetNotFound"
	// TargetNotScalable: the kind does not exist, has no scale subresource, or its selector says nothing.
	TargetNotScalable scaling.Reason = "TargetNotScalable"
	// ReadFailed and WriteFailed: the API server refused or could not be reached.
	ReadFailed  scaling.Reason = "ReadFailed"
	WriteFailed scaling.Reason = "WriteFailed"
	// RivalAutoscaler: a HorizontalPodAutoscaler, ScaledObject or older InferenceAutoscaler scales the same target.
	RivalAutoscaler scaling.Reason = "RivalAutoscaler"
	// ForeignWrite: somebody else changed the number that Preheat had set.
	ForeignWrite scaling.Reason = "ForeignWrite"
	// SharedPods: pods of the target are also selected by another scale target.
	SharedPods scaling.Reason = "SharedPods"
	// NoAutoscaler: mode Floor finds no autoscaler whose minimum it could raise.
	NoAutoscaler scaling.Reason = "NoAutoscaler"
	// WarmUnavailable: spec.warm asks for replicas that this target cannot have; they are not kept.
	WarmUnavailable scaling.Reason = "WarmUnavailable"
	// WakeFailed: the engine of a replica that slept does not serve any more; its pod is replaced.
	WakeFailed scaling.Reason = "WakeFailed"
	// Draining, Drained and DrainTimedOut: replicas are out of their endpoints and finish what they have; they had nothing
	// any more when they were let go of; they had something still.
	Draining      scaling.Reason = "Draining"
	Drained       scaling.Reason = "Drained"
	DrainTimedOut scaling.Reason = "DrainTimedOut"
	// Returned, OnStandby, GoesToSleep and Waking: replicas serve again, or are kept warm.
	Returned    scaling.Reason = "Returned"
	OnStandby   scaling.Reason = "OnStandby"
	GoesToSleep scaling.Reason = "GoesToSleep"
	Waking      scaling.Reason = "Waking"
	// SoleWriter, FreshData and WithinLimits are the reasons of Conflict, Blind and Limited while they are False.
	SoleWriter   scaling.Reason = "SoleWriter"
	FreshData    scaling.Reason = "FreshData"
	WithinLimits scaling.Reason = "WithinLimits"
	// ForecastSkilful, ForecastNotSkilful, ForecastLearning and ForecastDisabled are the reasons of Forecasting: the
	// forecast beats the last value and is used; it does not, and is withdrawn until it does; too few forecasts have come
	// due to tell, used or not; the spec switches it off.
	ForecastSkilful    scaling.Reason = "ForecastSkilful"
	ForecastNotSkilful scaling.Reason = "ForecastNotSkilful"
	ForecastLearning   scaling.Reason = "ForecastLearning"
	ForecastDisabled   scaling.Reason = "ForecastDisabled"
	// BudgetSpent, BudgetLeft and NothingJudged are the reasons of condition BudgetSpent while it is True, False and Unknown.
	BudgetSpent   scaling.Reason = "BudgetSpent"
	BudgetLeft    scaling.Reason = "BudgetLeft"
	NothingJudged scaling.Reason = "NothingJudged"
	// OnVolume, NoVolume and VolumeFailed are the reasons of HistoryKept: it is; nobody gave the service a volume; that cannot
	// be written to.
	OnVolume     scaling.Reason = "OnVolume"
	NoVolume     scaling.Reason = "NoVolume"
	VolumeFailed scaling.Reason = "VolumeFailed"
)

// ErrMoved says that the target changed between its observation and the write, so that nothing was written; the next
// tick sees the change. It is no fault.
var ErrMoved = errors.New("the target changed since it was observed; left to the next tick")

// Fault is an error that a person can act on. Its Message names the object, what is wrong and what to do.
type Fault struct {
	// Reason is the word for conditions and events.
	Reason scaling.Reason
	// Message is a sentence for people.
	Message string
	// Err is the cause, nil where there is none beside the message.
	Err error
}

// Error returns the message with its cause.
func (f *Fault) Error() string {
	if f.Err == nil {
		return f.Message
	}
	return fmt.Sprintf("%s: %v", f.Message, f.Err)
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Conflict reports whether the fault is that somebody else scales the target too.
func (f *Fault) Conflict() bool {
	return f.Reason == RivalAutoscaler || f.Reason == ForeignWrite || f.Reason == SharedPods
}

// ReasonOf returns the reason of the Fault in an error's chain, empty where there is none.
func ReasonOf(err error) scaling.Reason {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Reason
	}
	return ""
}
