package constraint

import (
	"fmt"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// GPUBudget keeps what all replicas hold together within a number of GPUs. It is a hard limit of the cost and comes
// after Bounds: where the minimum asks for more than it pays for, the budget holds. One replica stays in any case: none
// would mean paused, and nothing would ever start again. While nobody knows what a replica holds it does not act,
// and while doubt holds the present replicas it lets go of none.
type GPUBudget struct {
	// GPUs is the most that the replicas may hold, at least 1.
	GPUs int32
}

// Stage implements scaling.Constraint.
func (GPUBudget) Stage() string { return "gpu budget" }

// Apply implements scaling.Constraint.
func (c GPUBudget) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	budget := fmt.Sprintf("budget of %d GPUs", c.GPUs)
	if c.GPUs == 1 {
		budget = "budget of 1 GPU"
	}
	each := in.GPUsPerReplica
	if each <= 0 {
		return scaling.Ruling{Replicas: wanted, Text: budget + " does not act: no pod tells how many GPUs a replica takes"}
	}
	most, kept := c.GPUs/each, ""
	if most < 1 {
		most, kept = 1, ", kept although it is more: none would mean paused"
	}
	if wanted <= most {
		return unchanged(wanted)
	}
	if in.Held && wanted <= in.Current { // what a replica takes may have changed as nobody watched: a rollout, a label
		return scaling.Ruling{Replicas: wanted, Text: fmt.Sprintf("%s, %d a replica: %d at most, once demand is seen again", budget, each, most)}
	}
	return scaling.Ruling{
		Replicas: most, Reason: scaling.AtGPUBudget, Limited: in.Needed > float64(most),
		Text: fmt.Sprintf("%d wanted; %s, %d a replica: %d at most%s", wanted, budget, each, most, kept),
	}
}
