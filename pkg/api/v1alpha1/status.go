package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Types of the conditions in status.conditions. Their reasons are those of package scaling.
const (
	// ConditionReady is True while decisions are made on fresh data and, in modes Floor and Own, are carried out.
	ConditionReady = "Ready"
	// ConditionBlind is True while there is no fresh data; the replicas are held. The message names what was sought.
	ConditionBlind = "Blind"
	// ConditionConflict is True while something else also scales the target; nothing is written. The message names it.
	ConditionConflict = "Conflict"
	// ConditionLimited is True while bounds, schedules or policies keep the replicas from what the demand needs.
	ConditionLimited = "Limited"
	// ConditionForecasting is True while the forecast takes part in decisions. It is False while the spec disables it, and
	// while it is withdrawn because it does not beat the last value; Unknown while there is none for want of data.
	ConditionForecasting = "Forecasting"
	// ConditionBudgetSpent is True while the error budget of the last hours is spent: more requests missed the objective than
	// spec.slo.attainment allows. It is False again once a tenth of the budget is left, and Unknown while no request is judged.
	ConditionBudgetSpent = "BudgetSpent"
	// ConditionDraining is True while replicas that are let go of finish what they have; the message names them and says for
	// how long. It is absent until there was a first one.
	ConditionDraining = "Draining"
	// ConditionHistoryKept is True while the history of demand is written to a volume, and False while a restart forgets it:
	// there is none, or it fails. It is absent until that is known.
	ConditionHistoryKept = "HistoryKept"
)

// InferenceAutoscalerStatus is what Preheat sees and decided. A part that is not known is absent, never zero.
type InferenceAutoscalerStatus struct {
	// observedGeneration is the metadata.generation of the spec that the last decision was made from.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Blind (no fresh data: replicas are held), Conflict (something else scales the target too:
	// nothing is written), Limited (a bound or policy keeps the replicas from what the demand needs), Forecasting (the
	// forecast takes part in decisions: reason ForecastNotSkilful where it does not beat the last value), BudgetSpent (more
	// requests of the last hours missed the objective than spec.slo.attainment allows), Draining (replicas that are let go
	// of finish what they have) and HistoryKept (the history of demand is on a volume: else a restart forgets it).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// selector is the label selector of the target's pods, as its scale subresource gives it.
	// +optional
	Selector string `json:"selector,omitempty"`

	// replicas counts the replicas of the target by what they can do.
	// +optional
	Replicas *ReplicaStatus `json:"replicas,omitempty"`

	// recommendedReplicas is how many replicas the last decision asks for.
	// +optional
	RecommendedReplicas *int32 `json:"recommendedReplicas,omitempty"`

	// leadTime is the time from ordering a replica until it serves, as the forecast uses it.
	// +optional
	LeadTime *LeadTimeStatus `json:"leadTime,omitempty"`

	// capacity is what one replica is taken to serve within the SLO.
	// +optional
	Capacity *CapacityStatus `json:"capacity,omitempty"`

	// demand is the work offered to the target now: what was served plus what the queue grew by.
	// +optional
	Demand *DemandStatus `json:"demand,omitempty"`

	// forecast is the demand expected one lead time from now.
	// +optional
	Forecast *ForecastStatus `json:"forecast,omitempty"`

	// errorBudget is how many requests met the objective of spec.slo over the last hours, and what a miss is worth.
	// +optional
	ErrorBudget *ErrorBudgetStatus `json:"errorBudget,omitempty"`

	// lastDecision is the last decision with every step that led to it.
	// +optional
	LastDecision *DecisionStatus `json:"lastDecision,omitempty"`

	// lastScaleTime is when Preheat last changed the replicas of the target, or the minimum of its autoscaler.
	// +optional
	LastScaleTime *metav1.Time `json:"lastScaleTime,omitempty"`
}

// ReplicaStatus counts replicas.
type ReplicaStatus struct {
	// desired is how many serving replicas the target's scale subresource asks for: those beyond it are on standby, asleep
	// or drained.
	// +required
	Desired int32 `json:"desired"`

	// current is how many replicas exist, whatever their state.
	// +required
	Current int32 `json:"current"`

	// ready is how many replicas serve.
	// +required
	Ready int32 `json:"ready"`

	// starting is how many replicas are on their way to serve: scheduled, pulling or loading.
	// +required
	Starting int32 `json:"starting"`

	// unschedulable is how many replicas wait for a node, mostly for want of a GPU. They count as no capacity.
	// +required
	Unschedulable int32 `json:"unschedulable"`

	// draining is how many replicas are out of their endpoints and finish what they have, or are being deleted. They count
	// as no capacity.
	// +optional
	Draining int32 `json:"draining,omitempty"`

	// standby is how many replicas are loaded and kept out of their endpoints.
	// +optional
	Standby int32 `json:"standby,omitempty"`

	// asleep is how many replicas have put their engine to sleep, or are about to.
	// +optional
	Asleep int32 `json:"asleep,omitempty"`
}

// EstimateSource says where a figure comes from.
type EstimateSource string

const (
	// SourcePrior is an assumption that holds until enough has been measured.
	SourcePrior EstimateSource = "Prior"
	// SourceOverride is a figure that the spec fixes.
	SourceOverride EstimateSource = "Override"
	// SourceMeasured is a figure learned from pod conditions.
	SourceMeasured EstimateSource = "Measured"
	// SourceDeclared is a capacity that the spec declares.
	SourceDeclared EstimateSource = "Declared"
	// SourceLearned is a capacity learned from what the replicas showed.
	SourceLearned EstimateSource = "Learned"
	// SourceNone says that there is no figure yet.
	SourceNone EstimateSource = "None"
)

// LeadTimeStatus is the lead time in use.
type LeadTimeStatus struct {
	// p50 is the median. Unit: a duration.
	// +required
	P50 metav1.Duration `json:"p50"`

	// p90 is the 90th percentile: the horizon of the forecast. Unit: a duration.
	// +required
	P90 metav1.Duration `json:"p90"`

	// samples is how many starts of replicas the figures rest on.
	// +required
	Samples int32 `json:"samples"`

	// source is Prior (spec or the 5 minutes assumed), Override (fixed by the spec) or Measured.
	// +kubebuilder:validation:Enum=Prior;Override;Measured
	// +required
	Source EstimateSource `json:"source"`

	// phases splits the lead time: schedule (until there is a node), start (until the container runs, image pull
	// included) and load (until it is ready, warm-up included). Absent while not measured.
	// +listType=map
	// +listMapKey=name
	// +optional
	Phases []LeadTimePhase `json:"phases,omitempty"`
}

// LeadTimePhase is one part of the lead time.
type LeadTimePhase struct {
	// name is the phase: schedule, start or load.
	// +required
	Name string `json:"name"`

	// p50 is the median. Unit: a duration.
	// +required
	P50 metav1.Duration `json:"p50"`

	// p90 is the 90th percentile. Unit: a duration.
	// +required
	P90 metav1.Duration `json:"p90"`
}

// CapacityStatus is what one replica is taken to serve within the SLO.
type CapacityStatus struct {
	// source is Declared (by the spec), Learned, or None when there is nothing to learn from yet.
	// +kubebuilder:validation:Enum=Declared;Learned;None
	// +required
	Source EstimateSource `json:"source"`

	// requestsPerSecond is the capacity of one replica. Unit: requests per second.
	// +optional
	RequestsPerSecond *resource.Quantity `json:"requestsPerSecond,omitempty"`

	// tokensPerSecond is the capacity of one replica. Unit: tokens per second, prompt and generation together.
	// +optional
	TokensPerSecond *resource.Quantity `json:"tokensPerSecond,omitempty"`

	// message says in words how the figure came about, or what is missing.
	// +optional
	Message string `json:"message,omitempty"`
}

// DemandStatus is the work offered to the target.
type DemandStatus struct {
	// requestsPerSecond is the offered rate of requests. Unit: requests per second, all replicas together.
	// +optional
	RequestsPerSecond *resource.Quantity `json:"requestsPerSecond,omitempty"`

	// tokensPerSecond is the offered rate of tokens. Unit: tokens per second, prompt and generation together.
	// +optional
	TokensPerSecond *resource.Quantity `json:"tokensPerSecond,omitempty"`

	// waitingRequests is the length of the engines' queues together. Unit: requests.
	// +optional
	WaitingRequests *int64 `json:"waitingRequests,omitempty"`

	// runningRequests is how many requests the engines work on together. Unit: requests.
	// +optional
	RunningRequests *int64 `json:"runningRequests,omitempty"`

	// time is the time of the newest sample in these figures.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// ForecastState says whether the forecast is used.
//
// +kubebuilder:validation:Enum=Active;Withdrawn;Disabled
type ForecastState string

const (
	// ForecastActive says that the forecast takes part in decisions.
	ForecastActive ForecastState = "Active"
	// ForecastWithdrawn says that the forecast is not used because it did not beat the last value, or has too little data.
	ForecastWithdrawn ForecastState = "Withdrawn"
	// ForecastDisabled says that the spec switches the forecast off.
	ForecastDisabled ForecastState = "Disabled"
)

// ForecastStatus is the demand expected one lead time from now.
type ForecastStatus struct {
	// state is Active (used), Withdrawn (not used because of its own error; see message) or Disabled (by the spec).
	// +required
	State ForecastState `json:"state"`

	// requestsPerSecond is the expected demand at the quantile. Unit: requests per second, all replicas together.
	// +optional
	RequestsPerSecond *resource.Quantity `json:"requestsPerSecond,omitempty"`

	// promptTokensPerSecond is at the quantile what the engines are expected to be given to read, the prompt tokens that
	// the prefix cache serves included. Absent where they do not count them. Unit: tokens per second, all replicas together.
	// +optional
	PromptTokensPerSecond *resource.Quantity `json:"promptTokensPerSecond,omitempty"`

	// generationTokensPerSecond is at the quantile what the engines are expected to generate. Absent where they do not
	// count it. Unit: tokens per second, all replicas together.
	// +optional
	GenerationTokensPerSecond *resource.Quantity `json:"generationTokensPerSecond,omitempty"`

	// tokensPerSecond is the sum of both, prompt and generation, where both are known. Unit: tokens per second, all
	// replicas together.
	// +optional
	TokensPerSecond *resource.Quantity `json:"tokensPerSecond,omitempty"`

	// quantile is the share of cases in which demand should stay below the forecast.
	// +optional
	Quantile Percent `json:"quantile,omitempty"`

	// quantiles are the demand expected at each quantile that a decision rests on, the lowest first: the median, the one
	// above and higher ones.
	// +listType=atomic
	// +optional
	Quantiles []ForecastQuantile `json:"quantiles,omitempty"`

	// horizon is how far ahead the forecast looks: the lead time. Unit: a duration.
	// +optional
	Horizon *metav1.Duration `json:"horizon,omitempty"`

	// model is the name of the forecaster in use.
	// +optional
	Model string `json:"model,omitempty"`

	// skillPercent is how much smaller the loss of the forecast was than that of repeating the last value, over the last
	// days. 100 is perfect, 0 no better, below 0 worse. Unit: percent.
	// +optional
	SkillPercent *int32 `json:"skillPercent,omitempty"`

	// skillOverHoursPercent is the same over the last hours. Unit: percent.
	// +optional
	SkillOverHoursPercent *int32 `json:"skillOverHoursPercent,omitempty"`

	// skillAgainstSeasonalPercent is the same, over days, against repeating the value of one season before, such as the
	// same time yesterday. Absent while no season is known. Unit: percent.
	// +optional
	SkillAgainstSeasonalPercent *int32 `json:"skillAgainstSeasonalPercent,omitempty"`

	// coverage is the share of forecasts that demand did not exceed when their time had come, over days: about the
	// quantile where the forecast is honest.
	// +optional
	Coverage Percent `json:"coverage,omitempty"`

	// biasPercent is by how much the median forecast was above (or below: negative) the demand that came, over days.
	// Unit: percent of the mean demand.
	// +optional
	BiasPercent *int32 `json:"biasPercent,omitempty"`

	// due is how many forecasts have come due since learning began: what skill, coverage and bias rest on.
	// +optional
	Due *int32 `json:"due,omitempty"`

	// weights are the forecasters that the forecast is mixed from now, the three largest shares first.
	// +listType=atomic
	// +optional
	Weights []ForecastWeight `json:"weights,omitempty"`

	// message says why the forecast is withdrawn, or what it rests on.
	// +optional
	Message string `json:"message,omitempty"`
}

// ForecastQuantile is a demand and how surely it is not exceeded.
type ForecastQuantile struct {
	// quantile is the share of cases in which demand should stay below. 50% is the median.
	// +required
	Quantile Percent `json:"quantile"`

	// requestsPerSecond is the demand. Unit: requests per second, all replicas together.
	// +required
	RequestsPerSecond resource.Quantity `json:"requestsPerSecond"`
}

// ForecastWeight is the share of one forecaster in the forecast.
type ForecastWeight struct {
	// name is the name of the forecaster, such as last-value.
	// +required
	Name string `json:"name"`

	// share is its part in the mixture, averaged over quantiles.
	// +required
	Share Percent `json:"share"`
}

// ErrorBudgetStatus is how the objective was met over the last hours: what happened an hour ago counts half.
type ErrorBudgetStatus struct {
	// attained is the share of requests within the objective. Absent where no request was judged.
	// +optional
	Attained Percent `json:"attained,omitempty"`

	// wanted is the share that is asked for: spec.slo.attainment.
	// +required
	Wanted Percent `json:"wanted"`

	// spentPercent is how much of the misses that the objective allows there were: from 100 on the budget is spent. Absent
	// where no request was judged. Unit: percent.
	// +optional
	SpentPercent *int32 `json:"spentPercent,omitempty"`

	// missPrice is what a missed request is worth to the planner, which follows the budget: more while much of it is spent.
	// Unit: the time for which a replica serves one request.
	// +optional
	MissPrice *resource.Quantity `json:"missPrice,omitempty"`
}

// DecisionStatus is one decision and how it came about.
type DecisionStatus struct {
	// time is when the decision was made.
	// +required
	Time metav1.Time `json:"time"`

	// replicas is how many replicas the decision asks for.
	// +required
	Replicas int32 `json:"replicas"`

	// reason is one word of a closed set, the same in conditions, events and metrics.
	// +required
	Reason string `json:"reason"`

	// steps is what each stage did, in order, each as "stage: text".
	// +listType=atomic
	// +optional
	Steps []string `json:"steps,omitempty"`

	// asked is what the stages that proposed a number asked for, in the order of steps. The last one decided.
	// +listType=atomic
	// +optional
	Asked []StageReplicas `json:"asked,omitempty"`
}

// StageReplicas is what one stage of a decision asked for.
type StageReplicas struct {
	// stage is the word before the colon in steps.
	// +required
	Stage string `json:"stage"`

	// replicas is how many replicas the stage asked for.
	// +required
	Replicas int32 `json:"replicas"`
}
