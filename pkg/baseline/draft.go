package baseline

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// prometheusStaleness is the age beyond which an instant query has no answer (--query.lookback-delta, default 5 m). It
// concerns the policies that ask Prometheus; every other one has the bound of its own path.
const prometheusStaleness = 5 * time.Minute

// gatewayUnseen is what a decision's Unseen calls the gateway.
const gatewayUnseen = "gateway"

// draft is a decision in the making.
type draft struct{ scaling.Decision }

// begin opens a decision with what the observation shows: a page counts up to the given age. What the policy misses is
// for needPages, needGateway and missGateway to say.
func begin(o *Observation, staleness time.Duration) *draft {
	d := &draft{scaling.Decision{
		Time: o.Time, Current: o.Desired, Replicas: o.Desired,
		Ready: o.Count(scaling.Ready), Starting: o.Count(scaling.Starting), Unschedulable: o.Count(scaling.Unschedulable),
	}}
	for i := range o.Replicas {
		d.see(&o.Replicas[i], o.Time, staleness)
	}
	return d
}

func (d *draft) see(r *scaling.Replica, now time.Time, staleness time.Duration) {
	reading := fresh(r, now, staleness)
	if r.Phase != scaling.Ready || reading == nil {
		return
	}
	waiting, _ := reading.Value(signals.RequestsWaiting)
	running, _ := reading.Value(signals.RequestsRunning)
	d.Waiting += waiting
	d.Running += running
}

// needPages names the ready replicas without a page of at most the given age; where that is all of them, the policy
// decides blindly. Without a ready replica there is nothing to see.
func (d *draft) needPages(o *Observation, staleness time.Duration) {
	ready, unseen := 0, 0
	for i := range o.Replicas {
		r := &o.Replicas[i]
		if r.Phase != scaling.Ready {
			continue
		}
		ready++
		if fresh(r, o.Time, staleness) == nil {
			unseen++
			d.Unseen = append(d.Unseen, r.Name)
		}
	}
	d.Blind = d.Blind || ready > 0 && unseen == ready
}

// needGateway tells whether the gateway was read within the given time; where it was not, the policy decides blindly.
func (d *draft) needGateway(g Gateway, staleness time.Duration) bool {
	if g.Time.IsZero() || d.Time.Sub(g.Time) > staleness {
		d.missGateway()
		return false
	}
	return true
}

// missGateway says that the policy decides without the gateway's figures and therefore blindly, whatever it then does.
func (d *draft) missGateway() {
	d.Blind = true
	d.Unseen = append(d.Unseen, gatewayUnseen)
}

// step records what a stage did. Replicas is negative where the stage proposes none.
func (d *draft) step(stage string, replicas int32, format string, args ...any) {
	d.Steps = append(d.Steps, scaling.Step{Stage: stage, Replicas: replicas, Text: fmt.Sprintf(format, args...)})
}

// hold ends the decision without a change, for want of data.
func (d *draft) hold(reason scaling.Reason, stage, format string, args ...any) scaling.Decision {
	d.Blind = d.Blind || reason == scaling.NoFreshData
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

// fresh returns a replica's reading, nil where there is none or it is older than the given age.
func fresh(r *scaling.Replica, now time.Time, staleness time.Duration) *signals.Reading {
	if r.Reading == nil || now.Sub(r.Reading.Time) > staleness {
		return nil
	}
	return r.Reading
}

// existing counts the replicas that a Deployment's status counts: all that are not being deleted.
func existing(o *Observation) int32 {
	return o.Count(scaling.Ready) + o.Count(scaling.Starting) + o.Count(scaling.Unschedulable)
}

// total sums a metric over ready replicas with readings of at most the given age; seen is how many know it.
func total(o *Observation, m signals.Metric, staleness time.Duration) (sum float64, seen int) {
	for i := range o.Replicas {
		if r := &o.Replicas[i]; r.Phase == scaling.Ready {
			if reading := fresh(r, o.Time, staleness); reading != nil {
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
