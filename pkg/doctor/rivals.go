package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

var (
	scaledObjectResource = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
	vpaResource          = schema.GroupVersionResource{Group: "autoscaling.k8s.io", Version: "v1", Resource: "verticalpodautoscalers"}
)

// rivals are those who may scale the same as an InferenceAutoscaler, each kind read once.
type rivals struct {
	of            []*target
	namespace     string
	hpas          func(ctx context.Context) ([]autoscalingv2.HorizontalPodAutoscaler, error)
	scaledObjects func(ctx context.Context) ([]unstructured.Unstructured, error)
	vpas          func(ctx context.Context) ([]unstructured.Unstructured, error)
}

func (e *examination) newRivals(all []*target) *rivals {
	return &rivals{
		of: all, namespace: e.Namespace,
		hpas: once(func(ctx context.Context) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
			got, err := e.Kube.AutoscalingV2().HorizontalPodAutoscalers(e.Namespace).List(ctx, listAll)
			if err != nil {
				return nil, err
			}
			return got.Items, nil
		}),
		scaledObjects: once(func(ctx context.Context) ([]unstructured.Unstructured, error) {
			return e.optional(ctx, scaledObjectResource)
		}),
		vpas: once(func(ctx context.Context) ([]unstructured.Unstructured, error) { return e.optional(ctx, vpaResource) }),
	}
}

// once reads at the first call, for all.
func once[T any](read func(ctx context.Context) (T, error)) func(ctx context.Context) (T, error) {
	var first sync.Once
	var got T
	var err error
	return func(ctx context.Context) (T, error) {
		first.Do(func() { got, err = read(ctx) })
		return got, err
	}
}

// optional lists what a cluster need not know; then there is none.
func (e *examination) optional(ctx context.Context, gvr schema.GroupVersionResource) ([]unstructured.Unstructured, error) {
	got, err := e.Dynamic.Resource(gvr).Namespace(e.Namespace).List(ctx, listAll)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return got.Items, nil
}

// same reports whether a reference in a namespace is to the target.
func (t *target) same(namespace, apiVersion, kind, name string) bool {
	ref := t.Spec.ScaleTargetRef
	return namespace == t.Namespace && kind == ref.Kind && name == ref.Name && groupOf(apiVersion) == groupOf(ref.APIVersion)
}

// groupOf is the group of an apiVersion.
func groupOf(apiVersion string) string {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return apiVersion
	}
	return gv.Group
}

// writes reports whether a mode changes anything outside of the InferenceAutoscaler.
func writes(m v1alpha1.Mode) bool { return m == v1alpha1.ModeOwn || m == v1alpha1.ModeFloor }

// check says who else scales the target.
func (r *rivals) check(ctx context.Context, w *ward, t *target) {
	r.others(w, t)
	horizontal, complete := r.horizontal(ctx, w, t)
	switch {
	case t.Spec.Mode == v1alpha1.ModeOwn && len(horizontal) > 0:
		w.problem(deleteAll(horizontal)+", or set spec.mode to Floor or Advise", "in mode Own, and %s scales %s too", names(horizontal), t.ref())
	case len(horizontal) > 1:
		w.problem("keep one: "+deleteAll(horizontal[1:]), "%s scale %s at once", names(horizontal), t.ref())
	case t.Spec.Mode == v1alpha1.ModeFloor && len(horizontal) == 0 && complete:
		w.problem("create a HorizontalPodAutoscaler of "+t.ref()+" (deploy/samples/floor.yaml), or set spec.mode to Own", "in mode Floor, and no autoscaler is there whose minimum could be raised")
	}
	verticalKnown := r.vertical(ctx, w, t)
	if len(w.found) > 0 {
		return
	}
	if complete && verticalKnown && len(horizontal) == 1 {
		w.ok("%s scales it, as mode %s expects", names(horizontal), t.Spec.Mode)
	} else if complete && verticalKnown {
		w.ok("nobody else scales it")
	}
}

// others says which other InferenceAutoscalers have the same target.
func (r *rivals) others(w *ward, t *target) {
	for _, o := range r.of {
		ref := o.Spec.ScaleTargetRef
		if o == t || !t.same(o.Namespace, ref.APIVersion, ref.Kind, ref.Name) || !writes(o.Spec.Mode) || !writes(t.Spec.Mode) {
			continue
		}
		w.problem(fmt.Sprintf("kubectl -n %s delete ia %s, or set spec.mode of one of them to Advise", o.Namespace, o.Name), "InferenceAutoscaler %s (mode %s) has the same target", o.Name, o.Spec.Mode)
	}
}

// rival is an autoscaler of another kind, and what kubectl calls it.
type rival struct{ kind, word, namespace, name string }

// horizontal are the HorizontalPodAutoscalers and ScaledObjects on a target; one that a ScaledObject made is the latter.
// complete is false where some could not be read.
func (r *rivals) horizontal(ctx context.Context, w *ward, t *target) (found []rival, complete bool) {
	complete = true
	objects, err := r.scaledObjects(ctx)
	if err != nil {
		w.unread(right{"list", "scaledobjects.keda.sh", r.namespace}, err)
		complete = false
	}
	for i := range objects {
		u := &objects[i]
		if t.same(u.GetNamespace(), nested(u, "apps/v1", "spec", "scaleTargetRef", "apiVersion"), nested(u, "Deployment", "spec", "scaleTargetRef", "kind"),
			nested(u, "", "spec", "scaleTargetRef", "name")) {
			found = append(found, rival{"ScaledObject", "scaledobject", u.GetNamespace(), u.GetName()})
		}
	}
	hpas, err := r.hpas(ctx)
	if err != nil {
		w.unread(right{"list", "horizontalpodautoscalers.autoscaling", r.namespace}, err)
		return found, false
	}
	keda := len(found) > 0
	for i := range hpas {
		h := &hpas[i]
		if !t.same(h.Namespace, h.Spec.ScaleTargetRef.APIVersion, h.Spec.ScaleTargetRef.Kind, h.Spec.ScaleTargetRef.Name) {
			continue
		}
		switch owner := metav1.GetControllerOf(h); {
		case owner == nil || owner.Kind != "ScaledObject":
			found = append(found, rival{"HorizontalPodAutoscaler", "hpa", h.Namespace, h.Name})
		case !keda:
			found = append(found, rival{"ScaledObject", "scaledobject", h.Namespace, owner.Name})
		}
	}
	return found, complete
}

// vertical says whether a VerticalPodAutoscaler ends pods of the target, and whether that could be seen.
func (r *rivals) vertical(ctx context.Context, w *ward, t *target) (known bool) {
	vpas, err := r.vpas(ctx)
	if err != nil {
		w.unread(right{"list", "verticalpodautoscalers.autoscaling.k8s.io", r.namespace}, err)
		return false
	}
	for i := range vpas {
		u := &vpas[i]
		if !t.same(u.GetNamespace(), nested(u, "apps/v1", "spec", "targetRef", "apiVersion"), nested(u, "", "spec", "targetRef", "kind"), nested(u, "", "spec", "targetRef", "name")) {
			continue
		}
		mode := nested(u, "Auto", "spec", "updatePolicy", "updateMode")
		if mode == "Off" || mode == "Initial" {
			continue
		}
		w.warn(fmt.Sprintf(`kubectl -n %s patch vpa %s --type merge -p '{"spec":{"updatePolicy":{"updateMode":"Off"}}}'`, u.GetNamespace(), u.GetName()),
			"VerticalPodAutoscaler %s (updateMode %s) ends pods to resize them: each costs a load of the model", u.GetName(), mode)
	}
	return true
}

// nested is a string of an object, or the default where it is absent.
func nested(u *unstructured.Unstructured, def string, fields ...string) string {
	v, _, err := unstructured.NestedString(u.Object, fields...)
	if err != nil || v == "" {
		return def
	}
	return v
}

func names(all []rival) string {
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = fmt.Sprintf("%s %s", r.kind, r.name)
	}
	return strings.Join(texts, " and ")
}

func deleteAll(all []rival) string {
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = fmt.Sprintf("kubectl -n %s delete %s %s", r.namespace, r.word, r.name)
	}
	return strings.Join(texts, " && ")
}
