// Package crds holds the CustomResourceDefinitions that the API server is given, generated from pkg/api, so that Go code
// can validate and install exactly what is deployed. It must hold nothing else.
package crds

import _ "embed"

// InferenceAutoscaler is the CustomResourceDefinition of InferenceAutoscaler, as YAML.
//
//go:embed preheat.dev_inferenceautoscalers.yaml
var InferenceAutoscaler string

// WarmPool is the CustomResourceDefinition of WarmPool, as YAML.
//
//go:embed preheat.dev_warmpools.yaml
var WarmPool string

// All is every definition, as one YAML stream.
func All() []byte { return []byte(InferenceAutoscaler + "\n---\n" + WarmPool) }
