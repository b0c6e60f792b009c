package baseline

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// lookback is the age beyond which a series is gone: what Prometheus answers an instant query with
// (--query.lookback-delta, default 5 m).
const lookback = 5 * time.Minute

// draft is a decision in the making.
type draft struct{ scaling.Decision }

// begin opens a decision with what the observation shows.
func begin(o *Observation) *draft {
	d := &draft{scaling.Decision{
		Time: o.Time, Current: o.Desired, Replicas: o.Desired,
		Ready: o.Count(scaling.Ready), Starting: o.Count(scaling.Starting), Unschedulable: o.Count(scaling.Unschedulable),
	}}
	for i := range o.Replicas {
		d.see(&o.Replicas[i], o.Time)
	}
	return d
}

func (d *draft) see(r *scaling.Replica, now time.Time) {
	if r.Phase != scaling.Ready {
		return
	}
	reading := fresh(r, now)
	if reading == nil {
		d.Unseen = append(d.Unseen, r.Name)
		return
	}
	waiting, _ := reading.Value(signals.RequestsWaiting)
	running, _ := reading.Value(signals.RequestsRunning)
	d.Waiting += waiting
	d.Running += running
}

// step records what a stage did. Replicas is negative where the stage proposes none.
func (d *draft) step(stage string, replicas int32, format string, args ...any) {
	d.Steps = append(d.Steps, scaling.Step{Stage: stage, Replicas: replicas, Text: fmt.Sprintf(format, args...)})
}

// hold ends the decision without a change, for want of data.
func (d *draft) hold(reason scaling.Reason, stage, format string, args ...any) scaling.Decision {
	d.Blind = reason == scaling.NoFreshData
	d.step(stage, d.Current, format, args...)
	return d.end(d.Current, reason)
}

// end closes the decision.
func (d *draft) end(replicas int32, reason scaling.Reason) scaling.Decision {
	d.Replicas, d.Reason = replicas, reason
	d.Needed = max(d.Needed, replicas)
	return d.Decision
}

// bound ends the decision within the bounds. The reason is the given one, or the bound where that changes the number.
func (d *draft) bound(wanted, low, high int32, reason scaling.Reason) scaling.Decision {
	switch {
	case wanted > high:
		d.step("bounds", high, "%d wanted, at most %d allowed", wanted, high)
		d.Limited, d.Needed = true, wanted
		return d.end(high, scaling.AtMaximum)
	case wanted < low:
		d.step("bounds", low, "%d would do, at least %d asked for", wanted, low)
		return d.end(low, scaling.AtMinimum)
	}
	return d.end(wanted, reason)
}

// count is a number of replicas in words.
func count(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// direction is the reason of a change that nothing held back.
func direction(current, wanted int32) scaling.Reason {
	switch {
	case wanted > current:
		return scaling.ReactiveDemand
	case wanted < current:
		return scaling.DemandFell
	}
	return scaling.DemandMet
}

// fresh returns a replica's reading, nil where there is none or it is too old to be answered with.
func fresh(r *scaling.Replica, now time.Time) *signals.Reading {
	if r.Reading == nil || now.Sub(r.Reading.Time) > lookback {
		return nil
	}
	return r.Reading
}

// existing counts the replicas that a Deployment's status counts: all that are not being deleted.
func existing(o *Observation) int32 {
	return o.Count(scaling.Ready) + o.Count(scaling.Starting) + o.Count(scaling.Unschedulable)
}

// total sums a metric over ready replicas with fresh readings; seen is how many know it.
func total(o *Observation, m signals.Metric) (sum float64, seen int) {
	for i := range o.Replicas {
		if r := &o.Replicas[i]; r.Phase == scaling.Ready {
			if reading := fresh(r, o.Time); reading != nil {
				if x, ok := reading.Value(m); ok {
					sum += x
					seen++
				}
			}
		}
	}
	return sum, seen
}

// ceil rounds up to a number of replicas. A billionth is forgiven, so that 0.1+0.2 over 0.1 is 3.
func ceil(x float64) int32 { return whole(math.Ceil(x - 1e-9)) }

// whole turns a whole float into a number of replicas; NaN and what is negative are none.
func whole(x float64) int32 {
	switch {
	case !(x > 0):
		return 0
	case x >= math.MaxInt32:
		return math.MaxInt32
	}
	return int32(x)
}
