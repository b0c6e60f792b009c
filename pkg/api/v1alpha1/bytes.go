package v1alpha1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Bytes is an amount of memory as a whole number with a unit, such as 640Gi.
//
// +kubebuilder:validation:MaxLength=18
// +kubebuilder:validation:XValidation:rule="self.matches('^[1-9][0-9]{0,11}(Mi|Gi|Ti|M|G|T)$')",message="write an amount of memory as a whole number with a unit from Mi, Gi, Ti, M, G and T, for example 640Gi"
type Bytes string

// Value is the number of bytes.
func (b Bytes) Value() (int64, error) {
	q, err := resource.ParseQuantity(string(b))
	if err != nil {
		return 0, fmt.Errorf("%q is no amount of memory: %w; write for example 640Gi", string(b), err)
	}
	return q.Value(), nil
}
