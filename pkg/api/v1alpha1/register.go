package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind of ours, and the prefix of our labels and annotations.
const GroupName = "preheat.dev"

const (
	// Kind is the kind of what scales one target.
	Kind = "InferenceAutoscaler"
	// ResourceName is the plural under which the API server serves Kind.
	ResourceName = "inferenceautoscalers"
	// PoolKind is the kind of what divides GPUs among several targets.
	PoolKind = "WarmPool"
	// PoolResourceName is the plural under which the API server serves PoolKind.
	PoolResourceName = "warmpools"
)

var (
	// GroupVersion is the group and version that this package holds.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}
	// SchemeBuilder collects the functions that teach a scheme the types of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme teaches a scheme the types of this package.
	AddToScheme = SchemeBuilder.AddToScheme
)

// Resource qualifies a resource name with the group, as lister and status errors want it.
func Resource(resource string) schema.GroupResource {
	return GroupVersion.WithResource(resource).GroupResource()
}

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &InferenceAutoscaler{}, &InferenceAutoscalerList{}, &WarmPool{}, &WarmPoolList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
