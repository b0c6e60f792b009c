package compare

import (
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Variant is Preheat's planner with something changed that no spec can ask for: a part switched off, or a constant that is
// another.
type Variant struct {
	Name string
	// Change is applied to what the spec configures.
	Change func(*scaling.Config)
}

// Policy is the name under which a variant is compared: "preheat/NAME".
func (v Variant) Policy() string { return report.Preheat + "/" + v.Name }

// variant is the one of a policy's name, nil where there is none.
func (e *Experiment) variant(policy string) *ownPolicy {
	for _, v := range e.Variants {
		if v.Policy() == policy {
			return &ownPolicy{Description: Description{Name: policy}, ablate: v.Change}
		}
	}
	return nil
}
