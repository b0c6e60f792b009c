package doctor

import (
	"maps"
	"slices"
)

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// toMap is an object of JSON, nil where it is none.
func toMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
