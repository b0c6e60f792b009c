package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WarmPool divides GPUs, and the host memory of replicas that sleep, among several InferenceAutoscalers of its namespace: each
// gets as many replicas as are worth more to it than to the others. What a member decides beyond its share is cut to it, with
// reason AtGPUBudget and a step "pool" that says who is in its place.
//
// `kubectl get warmpools` says how many GPUs are held; `kubectl get wp NAME -o yaml` says what each member has, may have, and
// why it gets no more.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=warmpools,singular=warmpool,shortName=wp,scope=Namespaced,categories=autoscaling
// +kubebuilder:printcolumn:name="GPUs",type=integer,JSONPath=`.spec.gpus`,description="GPUs that the members share"
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.gpusHeld`,description="GPUs that their replicas hold or have been asked for"
// +kubebuilder:printcolumn:name="Members",type=string,JSONPath=`.status.members[*].name`,description="The members that take part"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="True while all members take part"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="The state in words"
type WarmPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is shared, and by whom.
	// +required
	Spec WarmPoolSpec `json:"spec"`

	// status says who has what, and why. It is written by Preheat only.
	// +optional
	Status WarmPoolStatus `json:"status,omitzero"`
}

// WarmPoolList is a list of WarmPool.
//
// +kubebuilder:object:root=true
type WarmPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []WarmPool `json:"items"`
}

// WarmPoolSpec says what is shared, and by whom.
//
// +kubebuilder:validation:XValidation:rule="!has(self.hostMemory) || self.members.all(m, has(m.hostMemoryPerReplica))",fieldPath=".members",message="every member needs hostMemoryPerReplica where the pool has hostMemory: nobody measures what a replica keeps there while it sleeps"
type WarmPoolSpec struct {
	// gpus is the most GPUs that the replicas of all members may hold together, those that serve, load, stand by or end;
	// those that sleep as far as their spec.warm.asleep.gpuPercent says. A replica is ordered once the GPUs for it are free.
	// Unit: GPUs. Example: 16
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +required
	GPUs int32 `json:"gpus"`

	// hostMemory is the most memory of nodes that replicas of all members may keep together while they sleep. Absent: no
	// limit. Example: 640Gi
	// +optional
	HostMemory Bytes `json:"hostMemory,omitempty"`

	// members are the InferenceAutoscalers that share, in mode Own. What one in another mode holds counts, and is not
	// bounded. Nobody can be in two pools: the older pool has it.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +required
	Members []WarmPoolMember `json:"members"`
}

// WarmPoolMember is one InferenceAutoscaler that shares.
type WarmPoolMember struct {
	// name is that of the InferenceAutoscaler. Example: chat
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// priority goes before worth: all that a member can use comes before anything of one of a lower priority, its
	// spec.minReplicas aside. Default: 0.
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// gpusPerReplica is how many GPUs one replica holds while it is awake. Absent: what its pods request, remembered
	// while there are none; 1 until there was a first one. Unit: GPUs. Example: 4
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	GPUsPerReplica *int32 `json:"gpusPerReplica,omitempty"`

	// hostMemoryPerReplica is how much memory of its node one replica takes while it sleeps: about the size of its weights
	// at level Offload. Example: 140Gi
	// +optional
	HostMemoryPerReplica Bytes `json:"hostMemoryPerReplica,omitempty"`
}

// ConditionOverBudget of a WarmPool is True while its members hold more GPUs than it has: more than was there before it was
// made, or what members in other modes than Own have taken. Nothing more is ordered then.
const ConditionOverBudget = "OverBudget"

// WarmPoolStatus is who has what. A part that is not known is absent, never zero.
type WarmPoolStatus struct {
	// observedGeneration is the metadata.generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready (all members take part: else the message names those that do not, and why) and OverBudget (the
	// members hold more than there is).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// gpusHeld is how many GPUs the members' replicas hold or have been asked for. Unit: GPUs.
	// +optional
	GPUsHeld *int32 `json:"gpusHeld,omitempty"`

	// members are those that take part, by name.
	// +listType=map
	// +listMapKey=name
	// +optional
	Members []WarmPoolMemberStatus `json:"members,omitempty"`
}

// WarmPoolMemberStatus is what one member has and may have.
type WarmPoolMemberStatus struct {
	// name is that of the InferenceAutoscaler.
	// +required
	Name string `json:"name"`

	// gpusPerReplica is how many GPUs one replica is taken to hold. Unit: GPUs.
	// +required
	GPUsPerReplica int32 `json:"gpusPerReplica"`

	// awake is how many replicas hold their GPUs or have been asked for, those that end among them.
	// +required
	Awake int32 `json:"awake"`

	// asleep is how many replicas sleep.
	// +required
	Asleep int32 `json:"asleep"`

	// mayServe is how many replicas it may have serve. Absent: nobody bounds it, since it is not in mode Own.
	// +optional
	MayServe *int32 `json:"mayServe,omitempty"`

	// mayStandBy is how many replicas it may have on standby.
	// +optional
	MayStandBy *int32 `json:"mayStandBy,omitempty"`

	// maySleep is how many replicas it may have asleep.
	// +optional
	MaySleep *int32 `json:"maySleep,omitempty"`

	// why says what it does not get and who is in its place, or that it has all that is worth its price.
	// +optional
	Why string `json:"why,omitempty"`
}
