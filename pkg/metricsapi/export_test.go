package metricsapi

import "testing"

// LlamaProvider answers for the cluster of most tests.
func LlamaProvider(t testing.TB) *Provider { return llama().provider(t) }
