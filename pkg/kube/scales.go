package kube

import (
	"context"
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/scale"
)

// scales reads and writes scale subresources.
type scales struct {
	client  scale.ScalesGetter
	mapping *mapping
	manager string
}

// scaleRead is one reading of a scale subresource, with what a later write needs.
type scaleRead struct {
	target   scaleTarget
	resource schema.GroupVersionResource
	scale    *autoscalingv1.Scale
	readAt   time.Time
}

// replicas is the number asked for when it was read.
func (r scaleRead) replicas() int32 { return r.scale.Spec.Replicas }

// read gets the scale subresource of a target. The read is a consistent one, so that a number which differs from the
// last one written was set by somebody else.
func (s *scales) read(ctx context.Context, t scaleTarget, now time.Time) (scaleRead, error) {
	gvr, err := s.mapping.resource(schema.GroupKind{Group: t.group, Kind: t.kind}, now)
	if err != nil {
		return scaleRead{}, kindFault(t, err)
	}
	got, err := s.client.Scales(t.namespace).Get(ctx, gvr.GroupResource(), t.name, metav1.GetOptions{})
	if err != nil {
		return scaleRead{}, readFault(t, gvr, err)
	}
	return scaleRead{target: t, resource: gvr, scale: got, readAt: now}, nil
}

// write sets the replicas, on condition that the target is still as it was read. It returns the error of the API
// server as it came.
func (s *scales) write(ctx context.Context, r scaleRead, replicas int32) error {
	update := r.scale.DeepCopy()
	update.Spec.Replicas = replicas
	_, err := s.client.Scales(r.target.namespace).Update(ctx, r.resource.GroupResource(), update, metav1.UpdateOptions{FieldManager: s.manager})
	return err
}

// kindFault explains why a kind could not be mapped to a resource.
func kindFault(t scaleTarget, err error) error {
	if !meta.IsNoMatchError(err) {
		return &Fault{Reason: ReadFailed, Message: fmt.Sprintf("cannot ask the API server about kind %s; it is tried again each tick, replicas stay", t.kind), Err: err}
	}
	return &Fault{
		Reason:  TargetNotScalable,
		Message: fmt.Sprintf("the API server knows no kind %s in group %q; check apiVersion and kind of scaleTargetRef, and that its CRD is installed", t.kind, t.group),
		Err:     err,
	}
}

// readFault explains why a scale subresource could not be read.
func readFault(t scaleTarget, gvr schema.GroupVersionResource, err error) error {
	switch {
	case isKindMissing(err):
		return &Fault{Reason: TargetNotScalable, Message: fmt.Sprintf("%s has no scale subresource; name a workload that has one, such as a Deployment", t), Err: err}
	case apierrors.IsNotFound(err):
		return &Fault{Reason: TargetNotFound, Message: fmt.Sprintf("%s does not exist; create it or check name and namespace of scaleTargetRef", t), Err: err}
	case apierrors.IsForbidden(err):
		return &Fault{Reason: ReadFailed, Message: fmt.Sprintf("not allowed to read the scale of %s; grant get on %s/scale to the service account", t, gvr.GroupResource()), Err: err}
	}
	return &Fault{Reason: ReadFailed, Message: fmt.Sprintf("cannot read the scale of %s; it is tried again each tick, replicas stay", t), Err: err}
}

// isKindMissing tells a path that the API server does not serve, answered with a bare 404, from an object that does not
// exist, answered with a Status.
func isKindMissing(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// podSelector returns the selector of the target's pods. One that selects everything is refused: it would count the
// pods of the whole namespace.
func (r scaleRead) podSelector() (labels.Selector, error) {
	selector, err := labels.Parse(r.scale.Status.Selector)
	if err != nil {
		return nil, &Fault{Reason: TargetNotScalable, Message: fmt.Sprintf("the scale subresource of %s has a selector that cannot be parsed", r.target), Err: err}
	}
	if selector.Empty() {
		return nil, &Fault{Reason: TargetNotScalable, Message: fmt.Sprintf("the scale subresource of %s names no pod selector (status.selector); its pods cannot be found", r.target)}
	}
	return selector, nil
}
