// Package crds holds the CustomResourceDefinitions that the API server is given, generated from pkg/api, so that Go code
// can validate and install exactly what is deployed. It must hold nothing else.
package crds

import _ "embed"

// InferenceAutoscaler is the CustomResourceDefinition of InferenceAutoscaler, as YAML.
//
//go:embed preheat.dev_inferenceautoscalers.yaml
var InferenceAutoscaler string
