package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
)

// Behavior limits how fast the replicas may change, per direction.
type Behavior struct {
	// scaleUp limits the growth. Default: no stabilization; the higher of 10 pods and 400 percent in 15 seconds.
	// +optional
	ScaleUp ScalingRules `json:"scaleUp,omitzero"`

	// scaleDown limits the shrinking. Default: no more than the planner's own patience, which keeps a replica for as long
	// as it would cost to load it again; all replicas above the minimum may then go at once.
	// +optional
	ScaleDown ScalingRules `json:"scaleDown,omitzero"`
}

// ScalingRules limits the change of replicas in one direction. Each absent field has the default of its direction.
type ScalingRules struct {
	// stabilizationWindowSeconds is how long past recommendations count: scaling up takes the lowest of the window,
	// scaling down the highest. Unit: seconds, from 0 to 3600. Default: 0.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 3600",message="stabilizationWindowSeconds must be from 0 to 3600 (one hour); write for example 300"
	// +optional
	StabilizationWindowSeconds *int32 `json:"stabilizationWindowSeconds,omitempty"`

	// selectPolicy says which of the policies counts: Max the one that allows the largest change, Min the one that
	// allows the smallest, Disabled no change in this direction at all. Default: Max.
	// +optional
	SelectPolicy *SelectPolicy `json:"selectPolicy,omitempty"`

	// policies are the limits of change, from 1 to 8. Default for scaleUp: 10 Pods and 400 Percent, each in 15 seconds;
	// for scaleDown: 100 Percent in 15 seconds. Example: [{type: Pods, value: 1, periodSeconds: 60}]
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Policies []ScalingPolicy `json:"policies,omitempty"`

	// tolerance is the relative difference between what the demand needs and the capacity at hand below which the
	// replicas stay as they are. Unit: a ratio from 0 to below 1. Default: 0, since what the demand needs has its headroom
	// and its noise in it already. Example: "0.05"
	// +kubebuilder:validation:XValidation:rule="string(self).matches('^[0-9]{1,9}([.][0-9]{1,6})?[num]?$') && quantity(string(self)).isLessThan(quantity('1'))",message="tolerance must be a ratio from 0 to below 1, not a percentage; write for example \"0.05\" for 5 percent"
	// +optional
	Tolerance *resource.Quantity `json:"tolerance,omitempty"`
}

// SelectPolicy says which of several scaling policies counts.
//
// +kubebuilder:validation:Enum=Max;Min;Disabled
type SelectPolicy string

const (
	// SelectPolicyMax takes the policy that allows the largest change.
	SelectPolicyMax SelectPolicy = "Max"
	// SelectPolicyMin takes the policy that allows the smallest change.
	SelectPolicyMin SelectPolicy = "Min"
	// SelectPolicyDisabled forbids change in the direction.
	SelectPolicyDisabled SelectPolicy = "Disabled"
)

// ScalingPolicy allows a change of so much in so long.
type ScalingPolicy struct {
	// type is the unit of value: Pods for a number of replicas, Percent for a share of the current replicas.
	// +required
	Type ScalingPolicyType `json:"type"`

	// value is the change allowed in one period, at least 1. Unit: see type.
	// +kubebuilder:validation:XValidation:rule="self >= 1",message="value must be at least 1; to forbid change in a direction write selectPolicy: Disabled"
	// +required
	Value int32 `json:"value"`

	// periodSeconds is the length of the period. Unit: seconds, from 1 to 1800.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1800",message="periodSeconds must be from 1 to 1800 (30 minutes); write for example 60"
	// +required
	PeriodSeconds int32 `json:"periodSeconds"`
}

// ScalingPolicyType is the unit of a scaling policy.
//
// +kubebuilder:validation:Enum=Pods;Percent
type ScalingPolicyType string

const (
	// ScalingPolicyPods limits the change to a number of replicas.
	ScalingPolicyPods ScalingPolicyType = "Pods"
	// ScalingPolicyPercent limits the change to a share of the current replicas.
	ScalingPolicyPercent ScalingPolicyType = "Percent"
)
