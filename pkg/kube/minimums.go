package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// The annotations that mode Floor leaves on an autoscaler whose minimum it has raised.
const (
	// AnnotationOriginalMinimum is the minimum before it was raised, "unset" where the field was absent. The minimum
	// never goes below it, and returns to it in the end.
	AnnotationOriginalMinimum = "preheat.dev/original-min-replicas"
	// AnnotationFloor is the minimum that Preheat set. Where the field differs from it, somebody else has changed it.
	AnnotationFloor = "preheat.dev/floor-replicas"
)

// unsetMinimum stands for an absent field in AnnotationOriginalMinimum.
const unsetMinimum = "unset"

// minimum is an autoscaler's lower bound as it is in the cluster: that of a HorizontalPodAutoscaler or of a
// ScaledObject.
type minimum struct {
	kind            string
	namespace, name string
	resourceVersion string
	target          scaleTarget
	// value is the field, nil where it is absent; implied is what an absent field means.
	value   *int32
	implied int32
	// maximum is the autoscaler's own upper bound.
	maximum     int32
	annotations map[string]string
	// derived is the name of the ScaledObject that made this HorizontalPodAutoscaler and keeps it as it is, empty
	// where there is none.
	derived string
}

// String returns kind namespace/name.
func (m minimum) String() string { return fmt.Sprintf("%s %s/%s", m.kind, m.namespace, m.name) }

// effective is the lower bound in force.
func (m minimum) effective() int32 {
	if m.value == nil {
		return m.implied
	}
	return *m.value
}

// floor is what Preheat set, false where it has not raised this minimum.
func (m minimum) floor() (int32, bool) {
	n, err := strconv.ParseInt(m.annotations[AnnotationFloor], 10, 32)
	return int32(n), err == nil
}

// original is the field as it is without Preheat: what the annotation remembers while the floor is in place, else the
// field itself, for then somebody else has set it.
func (m minimum) original() *int32 {
	floor, raised := m.floor()
	remembered, ok := m.annotations[AnnotationOriginalMinimum]
	if !raised || !ok || floor != m.effective() {
		return m.value
	}
	if n, err := strconv.ParseInt(remembered, 10, 32); err == nil {
		return new(int32(n))
	}
	return nil
}

// originalEffective is the lower bound that would be in force without Preheat.
func (m minimum) originalEffective() int32 {
	without := m
	without.value = m.original()
	return without.effective()
}

// minimums finds and changes the minimums of one kind of autoscaler.
type minimums interface {
	// on returns those of the autoscalers that scale a target, by name.
	on(t scaleTarget) []minimum
	// raised returns those that carry an annotation of mode Floor.
	raised() []minimum
	// patch applies a merge patch, and returns the resource version that it made.
	patch(ctx context.Context, m minimum, patch []byte) (resourceVersion string, err error)
	// field is the name of the field under spec.
	field() string
}

// raisePatch is the merge patch that sets a minimum and remembers the original, on condition that nobody wrote since.
func raisePatch(m minimum, field string, floor int32) ([]byte, error) {
	original := unsetMinimum
	if was := m.original(); was != nil {
		original = strconv.Itoa(int(*was))
	}
	return minimumPatch(m, field, &floor, map[string]*string{
		AnnotationOriginalMinimum: &original,
		AnnotationFloor:           new(strconv.Itoa(int(floor))),
	})
}

// restorePatch is the merge patch that undoes all of it.
func restorePatch(m minimum, field string) ([]byte, error) {
	return minimumPatch(m, field, m.original(), map[string]*string{AnnotationOriginalMinimum: nil, AnnotationFloor: nil})
}

// minimumPatch is a merge patch: a nil value or annotation is removed.
func minimumPatch(m minimum, field string, value *int32, annotations map[string]*string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": m.resourceVersion, "annotations": annotations},
		"spec":     map[string]*int32{field: value},
	})
}

// targetIndex is the index of autoscalers by what they scale, raisedIndex that of those with an annotation of ours.
const (
	targetIndex = "target"
	raisedIndex = "raised"
)

// minimumIndexers returns the two indexes for objects of which read tells the minimum.
func minimumIndexers(read func(obj any) (minimum, bool)) cache.Indexers {
	return cache.Indexers{
		targetIndex: func(obj any) ([]string, error) {
			m, ok := read(obj)
			if !ok {
				return nil, nil
			}
			return []string{m.target.key()}, nil
		},
		raisedIndex: func(obj any) ([]string, error) {
			m, ok := read(obj)
			if _, raised := m.annotations[AnnotationFloor]; !ok || !raised || m.derived != "" {
				return nil, nil
			}
			return []string{"true"}, nil
		},
	}
}

// stripManagedFields is an informer's transform that saves the memory of managed fields.
func stripManagedFields(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}
