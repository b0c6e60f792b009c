package scaling

import (
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

// Reason is why a Decision is what it is. The set is closed, and the same words stand in conditions, events, metrics
// and reports.
type Reason string

// The reasons of decisions.
const (
	// DemandMet: the replicas asked for are the ones needed.
	DemandMet Reason = "DemandMet"
	// ReactiveDemand: present demand or its backlog needs more replicas.
	ReactiveDemand Reason = "ReactiveDemand"
	// ForecastDemand: demand one lead time ahead needs more replicas than present demand does.
	ForecastDemand Reason = "ForecastDemand"
	// DemandFell: fewer replicas are enough, now and one lead time ahead.
	DemandFell Reason = "DemandFell"
	// ScaleDownStabilized: fewer would be enough at this instant, but were not throughout the stabilization window.
	ScaleDownStabilized Reason = "ScaleDownStabilized"
	// ScaleUpStabilized: more are needed at this instant, but were not throughout the scale-up window.
	ScaleUpStabilized Reason = "ScaleUpStabilized"
	// ForecastVeto: present demand needs fewer, the forecast one lead time ahead does not.
	ForecastVeto Reason = "ForecastVeto"
	// WorthKeeping: fewer would do at this instant; to load the others again would cost more than to keep them for a while.
	WorthKeeping Reason = "WorthKeeping"
	// Idle: there is no demand, none is expected, and a replica is not worth keeping for what comes later.
	Idle Reason = "Idle"
	// WithinTolerance: the change would be smaller than the tolerance.
	WithinTolerance Reason = "WithinTolerance"
	// RateLimited: a scaling policy bounds the change.
	RateLimited Reason = "RateLimited"
	// AtMaximum and AtMinimum: a bound of the spec or of a schedule holds.
	AtMaximum Reason = "AtMaximum"
	AtMinimum Reason = "AtMinimum"
	// AtGPUBudget: more replicas would hold more GPUs than the spec allows.
	AtGPUBudget Reason = "AtGPUBudget"
	// GPUsUnavailable: replicas wait for GPUs, more of them would not come sooner.
	GPUsUnavailable Reason = "GPUsUnavailable"
	// NoReadyReplica: no replica is ready, so that nothing is known of demand; the present replicas are held.
	NoReadyReplica Reason = "NoReadyReplica"
	// NoFreshData: blind; the present replicas are held.
	NoFreshData Reason = "NoFreshData"
	// PartialData: some ready replicas are not seen; nothing is scaled down.
	PartialData Reason = "PartialData"
	// CapacityUnknown: nobody declared what a replica sustains and too little was seen to learn it.
	CapacityUnknown Reason = "CapacityUnknown"
	// WarmingUp: observed for less than a full window since the start; nothing is scaled down.
	WarmingUp Reason = "WarmingUp"
	// Paused: the spec says so.
	Paused Reason = "Paused"
	// ScaledToZeroByOther: somebody else asked for zero replicas, which means paused.
	ScaledToZeroByOther Reason = "ScaledToZeroByOther"
)

// Step is what one stage did to the number of replicas, for people to read.
type Step struct {
	// Stage is the stage's name: "observe", "demand", "forecast", "capacity", "reactive", …
	Stage string
	// Replicas is the number that the stage left; negative where the stage proposes none.
	Replicas int32
	// Text says what it saw and did, in a sentence with its numbers.
	Text string
}

// String returns the step in the form "stage: text".
func (s Step) String() string { return s.Stage + ": " + s.Text }

// Warm counts replicas that are loaded and do not serve, by tier.
type Warm struct {
	// Standby is ready and out of the endpoints, Asleep in the engine's sleep mode.
	Standby, Asleep int32
}

// Decision is the outcome of one tick for one target.
type Decision struct {
	// Time is the Observation's.
	Time time.Time
	// Current is the number of replicas asked for before, Replicas the number wanted from now on.
	Current, Replicas int32
	// Warm are the replicas wanted beside them that are loaded and do not serve.
	Warm Warm
	// Worth is what replicas are worth to a target that shares GPUs with others.
	Worth Worth
	// Ready, Starting and Unschedulable are what was observed.
	Ready, Starting, Unschedulable int32
	// Reason is the one word that explains Replicas.
	Reason Reason
	// Steps are what each stage did, in order.
	Steps []Step
	// Unseen names what was sought and not found, one entry for each replica; Blind where that keeps the planner from
	// deciding anything.
	Unseen []string
	Blind  bool
	// Causes are why, one for each entry of Unseen. LastSeen is the time of the newest reading of a ready replica that told
	// what demand is made of, zero where there was none since the start.
	Causes   []Cause
	LastSeen time.Time
	// Limited is set where a bound, a rate or missing GPUs keep Replicas from what demand needs; Needed is that.
	Limited bool
	Needed  int32
	// Demand is the offered load in requests per second, DemandKnown false where nothing was seen.
	Demand      float64
	DemandKnown bool
	// Waiting and Running are the requests in the replicas that are seen.
	Waiting, Running float64
	// Tokens are the rates of tokens and their forecasts; no decision rests on them yet.
	Tokens Tokens
	// Forecast, LeadTime and Capacity are what the decision rests on.
	Forecast forecast.Forecast
	LeadTime leadtime.Estimate
	Capacity capacity.Estimate
	// BreakEven is what letting go of the last replica was weighed by, where it was.
	BreakEven BreakEven
	// Budget is what is left of the error budget, and what a miss is worth.
	Budget capacity.Account
}

// BreakEven is what it was weighed by whether the last replica goes: the zero value where that was no question.
type BreakEven struct {
	// Quiet is for how long nothing had come, Expected for how much longer nothing is expected to; Load is how long a replica
	// takes to serve again, Wait what those who wait for it are worth, in replica time.
	Quiet, Expected, Load, Wait time.Duration
	// Late is how many requests would have waited too long if there had been no replica after so long a silence, each time,
	// and Spare how many the objective leaves for that; both zero where there is no objective for it.
	Late, Spare float64
	// Pays says that the replica goes.
	Pays bool
}

// Weighed reports whether there was a question.
func (b *BreakEven) Weighed() bool { return b.Quiet > 0 }

// Message returns the decision in one sentence, for conditions and events.
func (d *Decision) Message() string {
	return fmt.Sprintf("%d -> %d replicas (%d ready, %d starting): %s", d.Current, d.Replicas, d.Ready, d.Starting, d.explanation())
}

// explanation is the text of the last step that moved or kept the number, the one that decided.
func (d *Decision) explanation() string {
	for _, s := range slices.Backward(d.Steps) {
		if s.Replicas >= 0 {
			return s.String()
		}
	}
	return string(d.Reason)
}
