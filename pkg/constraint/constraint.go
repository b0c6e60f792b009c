// Package constraint holds what stands between what demand needs and what is asked for: tolerance, stabilization,
// rate limits, bounds, schedules, missing GPUs and a budget of them, in the vocabulary of the HorizontalPodAutoscaler's
// behavior.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness.
package constraint

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// unchanged is the ruling of a constraint that has nothing to say.
func unchanged(wanted int32) scaling.Ruling { return scaling.Ruling{Replicas: wanted} }

// Tolerance keeps the present number while what is needed differs from it by less than a share of it.
type Tolerance struct {
	// Up and Down are shares of the present number, 0 to 1.
	Up, Down float64
}

// Stage implements scaling.Constraint.
func (Tolerance) Stage() string { return "tolerance" }

// Apply implements scaling.Constraint.
func (c Tolerance) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	share := c.Up
	if wanted < in.Current {
		share = c.Down
	}
	change := math.Abs(in.Needed/float64(in.Current) - 1)
	if wanted == in.Current || change > share {
		return unchanged(wanted)
	}
	return scaling.Ruling{
		Replicas: in.Current, Reason: scaling.WithinTolerance,
		Text: fmt.Sprintf("%.2f needed is within %.0f%% of %d", in.Needed, share*100, in.Current),
	}
}

// Stabilization acts only on what was wanted throughout a window: on the way up the least, on the way down the most
// that was wanted within it.
type Stabilization struct {
	// Up and Down are the windows; zero acts at once.
	Up, Down time.Duration
}

// Stage implements scaling.Constraint.
func (Stabilization) Stage() string { return "stabilization" }

// Apply implements scaling.Constraint.
func (c Stabilization) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	switch {
	case wanted > in.Current:
		least, _ := in.State.Proposals.Since(in.Now.Add(-c.Up)).Min()
		if allowed := max(int32(least), in.Current); allowed < wanted {
			return scaling.Ruling{
				Replicas: allowed, Reason: scaling.ScaleUpStabilized, Limited: true,
				Text: fmt.Sprintf("%d wanted, but no more than %d throughout the last %v", wanted, allowed, c.Up),
			}
		}
	case wanted < in.Current:
		most, _ := in.State.Proposals.Since(in.Now.Add(-c.Down)).Max()
		if allowed := min(int32(most), in.Current); allowed > wanted {
			return scaling.Ruling{
				Replicas: allowed, Reason: scaling.ScaleDownStabilized,
				Text: fmt.Sprintf("%d would do, but up to %d were wanted within the last %v", wanted, allowed, c.Down),
			}
		}
	}
	return unchanged(wanted)
}

// GPUs keeps from asking for more while replicas wait for GPUs that do not exist: more would not come sooner.
type GPUs struct{}

// Stage implements scaling.Constraint.
func (GPUs) Stage() string { return "gpus" }

// Apply implements scaling.Constraint.
func (GPUs) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	if in.Unschedulable == 0 || wanted <= in.Current {
		return unchanged(wanted)
	}
	return scaling.Ruling{
		Replicas: in.Current, Reason: scaling.GPUsUnavailable, Limited: true,
		Text: fmt.Sprintf("%d wanted, but %d replicas already wait for a node; no more are asked for", wanted, in.Unschedulable),
	}
}

// Bounds keeps within the user's minimum and maximum. It comes after all that is not a hard limit, so that it holds
// whatever came before.
type Bounds struct {
	Min, Max int32
	// Schedules raise the minimum and lower the maximum by the clock.
	Schedules []Schedule
}

// Stage implements scaling.Constraint.
func (Bounds) Stage() string { return "bounds" }

// Apply implements scaling.Constraint.
func (c Bounds) Apply(in scaling.Input, wanted int32) scaling.Ruling {
	low, lowBy, high, highBy := c.at(in.Now, in.Lead)
	switch {
	case wanted > high:
		return scaling.Ruling{Replicas: high, Reason: scaling.AtMaximum, Limited: true, Text: fmt.Sprintf("%d wanted, %s allows %d", wanted, highBy, high)}
	case wanted < low:
		return scaling.Ruling{Replicas: low, Reason: scaling.AtMinimum, Text: fmt.Sprintf("%d would do, %s asks for %d", wanted, lowBy, low)}
	}
	return unchanged(wanted)
}

// at returns the bounds in force at an instant and what sets them. The largest floor of the active schedules replaces
// the minimum, the smallest ceiling the maximum; where they contradict each other the ceiling wins. A floor holds from
// one lead time before its schedule begins, so that its replicas serve when it does.
func (c Bounds) at(now time.Time, lead time.Duration) (low int32, lowBy string, high int32, highBy string) {
	low, lowBy, high, highBy = c.Min, "minReplicas", c.Max, "maxReplicas"
	floor := int32(noBound)
	for _, s := range c.Schedules {
		active := s.Active(now)
		if s.Min != noBound && s.Min > floor && (active || s.Min > c.Min && s.begins(now, lead)) {
			floor = s.Min
			low, lowBy = s.Min, "schedule "+s.Name
		}
		if s.Max != noBound && s.Max < high && active {
			high, highBy = s.Max, "schedule "+s.Name
		}
	}
	return min(low, high), lowBy, high, highBy
}
