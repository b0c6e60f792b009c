// Package v1alpha1 is the API of Preheat: the kinds InferenceAutoscaler and WarmPool of group preheat.dev.
//
// It holds types, schema and CEL markers, and the same defaults in Go. It must not decide, reach a cluster, or import any
// other package of ours: the API is what people write, and only package assemble turns it into a planner. The rules that
// a spec must obey stand as markers beside the fields; the API server enforces them, and package validation runs the very
// same rules where there is no server.
//
// DESIGN.md in this folder argues the choices that are not plain from the types.
//
// +kubebuilder:object:generate=true
// +groupName=preheat.dev
package v1alpha1

//go:generate go tool -modfile=../../../.tools/go.mod controller-gen object paths=.
//go:generate go tool -modfile=../../../.tools/go.mod controller-gen crd:crdVersions=v1 paths=. output:crd:dir=../../../deploy/crds
