// Package validation tells whether an API server would admit an InferenceAutoscaler or a WarmPool, without an API server.
//
// It runs the schema, defaults and CEL rules of the very CustomResourceDefinition that is deployed, with the API
// server's own code and in its order, so that a spec read from a file in a replay and one applied to a cluster are judged
// alike. It must not hold rules of its own: a new rule is a marker in package v1alpha1.
package validation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	_ "time/tzdata" // the API server carries the time zones with it: without them a valid zone would be refused here

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	crvalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// kind is one of ours, with the rules of its deployed definition.
type kind struct {
	name string
	// rules compiles the embedded CustomResourceDefinition once: it costs tens of milliseconds and never changes.
	rules func() (*rules, error)
}

var (
	autoscalers = kind{v1alpha1.Kind, sync.OnceValues(func() (*rules, error) { return compile([]byte(crds.InferenceAutoscaler)) })}
	pools       = kind{v1alpha1.PoolKind, sync.OnceValues(func() (*rules, error) { return compile([]byte(crds.WarmPool)) })}
)

// Parse reads one InferenceAutoscaler from YAML or JSON as `kubectl apply` would: unknown and doubled fields are faults,
// defaults are filled, schema and CEL rules are checked. The error names every fault found.
func Parse(data []byte) (*v1alpha1.InferenceAutoscaler, error) {
	return parse[v1alpha1.InferenceAutoscaler](autoscalers, data)
}

// ParsePool reads one WarmPool in the same way.
func ParsePool(data []byte) (*v1alpha1.WarmPool, error) {
	return parse[v1alpha1.WarmPool](pools, data)
}

func parse[T any](k kind, data []byte) (*T, error) {
	object, err := decode(k, data)
	if err != nil {
		return nil, err
	}
	rules, err := k.rules()
	if err != nil {
		return nil, err
	}
	if object != nil && object["metadata"] == nil {
		object["metadata"] = map[string]any{} // as the API server's objects have it: rules refer to it
	}
	faults := append(checkIdentity(k, object), rules.unknownFields(k, object)...)
	faults = append(faults, rules.admit(object)...)
	if err := faults.ToAggregate(); err != nil {
		return nil, fmt.Errorf("validate %s: %w", k.name, err)
	}
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, out); err != nil {
		return nil, fmt.Errorf("decode %s: %w", k.name, err)
	}
	return out, nil
}

// decode keeps whole numbers as int64, as the API server does: a float64 would fail CEL rules on integers.
func decode(k kind, data []byte) (map[string]any, error) {
	raw, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", k.name, err)
	}
	object := map[string]any{}
	if err := utiljson.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("parse %s: %w", k.name, err)
	}
	return object, nil
}

// Validate tells every fault of an InferenceAutoscaler made in Go. Defaults are filled in a copy first, as on admission.
func Validate(a *v1alpha1.InferenceAutoscaler) error {
	rules, err := autoscalers.rules()
	if err != nil {
		return err
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a)
	if err != nil {
		return fmt.Errorf("encode InferenceAutoscaler %s/%s: %w", a.Namespace, a.Name, err)
	}
	setIdentity(object)
	faults := append(checkIdentity(autoscalers, object), rules.admit(object)...)
	if err := faults.ToAggregate(); err != nil {
		return fmt.Errorf("validate InferenceAutoscaler %s/%s: %w", a.Namespace, a.Name, err)
	}
	return nil
}

// setIdentity fills apiVersion and kind, which objects made in Go mostly lack.
func setIdentity(object map[string]any) {
	object["apiVersion"] = v1alpha1.GroupVersion.String()
	object["kind"] = v1alpha1.Kind
}

// checkIdentity checks what the API server knows from the address of a request rather than from the schema.
func checkIdentity(k kind, object map[string]any) field.ErrorList {
	var faults field.ErrorList
	if want := v1alpha1.GroupVersion.String(); object["apiVersion"] != want {
		faults = append(faults, field.NotSupported(field.NewPath("apiVersion"), fmt.Sprint(object["apiVersion"]), []string{want}))
	}
	if object["kind"] != k.name {
		faults = append(faults, field.NotSupported(field.NewPath("kind"), fmt.Sprint(object["kind"]), []string{k.name}))
	}
	return append(faults, checkName(k, object)...)
}

func checkName(k kind, object map[string]any) field.ErrorList {
	path := field.NewPath("metadata", "name")
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	if name == "" {
		return field.ErrorList{field.Required(path, "give the "+k.name+" a name")}
	}
	var faults field.ErrorList
	for _, message := range apivalidation.NameIsDNSSubdomain(name, false) {
		faults = append(faults, field.Invalid(path, name, message))
	}
	return faults
}

func (r *rules) unknownFields(k kind, object map[string]any) field.ErrorList {
	copied := runtime.DeepCopyJSON(object)
	options := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	var faults field.ErrorList
	for _, path := range pruning.PruneWithOptions(copied, r.structural, true, options) {
		faults = append(faults, field.Forbidden(field.NewPath(strings.TrimPrefix(path, ".")), "unknown field; see kubectl explain "+strings.ToLower(k.name)))
	}
	return faults
}

// admit fills the defaults into object and checks it, in the order of the API server: CEL rules are left out when the
// object's shape is so wrong that they could not be evaluated.
func (r *rules) admit(object map[string]any) field.ErrorList {
	defaulting.PruneNonNullableNullsWithoutDefaults(object, r.structural)
	defaulting.Default(object, r.structural)
	faults := crvalidation.ValidateCustomResource(nil, object, r.schema)
	faults = append(faults, listtype.ValidateListSetsAndMaps(nil, r.structural, object)...)
	if blocksCEL(faults) {
		return faults
	}
	celFaults, _ := r.cel.Validate(context.Background(), nil, r.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(faults, celFaults...)
}

// celBlockers are the faults of shape; the API server has the same list.
var celBlockers = []field.ErrorType{
	field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid,
}

func blocksCEL(faults field.ErrorList) bool {
	return slices.ContainsFunc(faults, func(fault *field.Error) bool { return slices.Contains(celBlockers, fault.Type) })
}
