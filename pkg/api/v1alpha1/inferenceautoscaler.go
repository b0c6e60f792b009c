package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InferenceAutoscaler scales one inference workload on what its engines report, one model load ahead of the demand.
//
// `kubectl get ia` says in one line what it is doing and why; `kubectl get ia -o wide` adds demand, forecast and the
// reason in words; `preheatctl explain NAME` tells in one screen why; `kubectl get ia NAME -o yaml` shows every step of the
// last decision in status.lastDecision.steps.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=inferenceautoscalers,singular=inferenceautoscaler,shortName=ia,scope=Namespaced,categories=autoscaling
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`,description="Advise, Floor or Own"
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.scaleTargetRef.name`,description="The workload being scaled"
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.status.replicas.current`,description="Replicas that exist"
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.replicas.ready`,description="Replicas that serve"
// +kubebuilder:printcolumn:name="Want",type=integer,JSONPath=`.status.recommendedReplicas`,description="Replicas that the last decision asks for"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why: of the last decision, or of what stands in its way"
// +kubebuilder:printcolumn:name="Blind",type=string,JSONPath=`.status.conditions[?(@.type=="Blind")].status`,description="True when there is no fresh data and replicas are held"
// +kubebuilder:printcolumn:name="Conflict",type=string,JSONPath=`.status.conditions[?(@.type=="Conflict")].status`,description="True when something else also scales the target"
// +kubebuilder:printcolumn:name="Lead",type=string,JSONPath=`.status.leadTime.p90`,description="Time from ordering a replica until it serves, 90th percentile"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Max",type=integer,priority=1,JSONPath=`.spec.maxReplicas`,description="Most replicas allowed"
// +kubebuilder:printcolumn:name="Demand",type=string,priority=1,JSONPath=`.status.demand.requestsPerSecond`,description="Offered requests per second now"
// +kubebuilder:printcolumn:name="Forecast",type=string,priority=1,JSONPath=`.status.forecast.requestsPerSecond`,description="Offered requests per second one lead time from now"
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="The state in words"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must have at most 63 characters, because it is also used as a label value; choose a shorter name"
type InferenceAutoscaler struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which workload to scale, within which bounds, and how.
	// +required
	Spec InferenceAutoscalerSpec `json:"spec"`

	// status says what Preheat sees, what it decided last, and why. It is written by Preheat only.
	// +optional
	Status InferenceAutoscalerStatus `json:"status,omitzero"`
}

// InferenceAutoscalerList is a list of InferenceAutoscaler.
//
// +kubebuilder:object:root=true
type InferenceAutoscalerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []InferenceAutoscaler `json:"items"`
}
