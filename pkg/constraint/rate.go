package constraint

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Select says which of several policies counts.
type Select string

// The selections, as in autoscaling/v2.
const (
	// SelectMax takes the policy that allows the largest change.
	SelectMax Select = "Max"
	// SelectMin takes the policy that allows the smallest change.
	SelectMin Select = "Min"
	// SelectDisabled allows no change in this direction.
	SelectDisabled Select = "Disabled"
)

// Policy bounds the change within a period: by a number of replicas, or by a percentage of the replicas at the
// period's beginning where Percent is set.
type Policy struct {
	Value   int32
	Percent bool
	Period  time.Duration
}

// Rules are the policies of one direction; none allow any change.
type Rules struct {
	Policies []Policy
	Select   Select
}

// Rate bounds how fast the number of replicas changes.
type Rate struct{ Up, Down Rules }

// Stage implements scaling.Constraint.
func (Rate) Stage() string { return "rate" }

// Apply implements scaling.Constraint.
func (c Rate) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	switch {
	case wanted > in.Current:
		limit := c.Up.limit(in, +1)
		if in.Current == 0 {
			limit = max(limit, 1) // a share of nothing is nothing: the first replica is never denied
		}
		if wanted > limit {
			return limited(limit, wanted, "up", true)
		}
	case wanted < in.Current:
		if limit := c.Down.limit(in, -1); wanted < limit {
			return limited(limit, wanted, "down", false)
		}
	}
	return unchanged(wanted)
}

func limited(limit, wanted int32, direction string, denied bool) scaling.Ruling {
	return scaling.Ruling{
		Replicas: limit, Reason: scaling.RateLimited, Limited: denied,
		Text: fmt.Sprintf("%d wanted, the policies for scaling %s allow %d now", wanted, direction, limit),
	}
}

// limit returns the number up (sign +1) or down (−1) to which the policies allow to go now.
func (r Rules) limit(in scaling.Input, sign float64) int32 {
	if r.Select == SelectDisabled {
		return in.Current
	}
	if len(r.Policies) == 0 {
		return int32(max(0, int64(sign)*math.MaxInt32))
	}
	best := math.NaN()
	for _, p := range r.Policies {
		l := p.limit(in, sign)
		larger := sign*(l-best) > 0
		if math.IsNaN(best) || larger == (r.Select != SelectMin) {
			best = l
		}
	}
	allowed := int32(math.Min(math.Max(best, 0), math.MaxInt32))
	if sign > 0 {
		return max(in.Current, allowed)
	}
	return min(in.Current, allowed)
}

// limit is the number that one policy allows: from the replicas at the period's beginning, which are the present ones
// less what has changed since, as in the HPA. A change exactly one period ago lies before it, so that a policy of one
// tick's length allows its value at every tick.
func (p Policy) limit(in scaling.Input, sign float64) float64 {
	start := float64(in.Current)
	for _, change := range in.State.Changes.Since(in.Now.Add(1 - p.Period)) {
		start -= change.Value
	}
	if !p.Percent {
		return start + sign*float64(p.Value)
	}
	target := start * (1 + sign*float64(p.Value)/100)
	if sign > 0 {
		return math.Ceil(target)
	}
	return math.Floor(target)
}
