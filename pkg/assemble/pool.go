package assemble

import (
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Terms are those on which a target is a member of a pool.
type Terms struct {
	// Name tells it from the other members; Priority goes before worth.
	Name     string
	Priority int32
	// GPUs is how many one replica holds while it is awake, AsleepGPUs how many it keeps from others while it sleeps, Memory
	// how many bytes of host memory it takes then. Min is how many replicas serve in any case.
	GPUs, AsleepGPUs int32
	Memory           int64
	Min              int32
}

// Member is what a target's last observation and the decision on it make of it in a pool. What was ordered counts as held at
// once, what is let go of until it has ended.
func Member(t Terms, o *scaling.Observation, d scaling.Decision) pool.Member {
	standby := o.Count(scaling.Standby)
	holding := o.Count(scaling.Starting) + o.Count(scaling.Ready) + standby + o.Count(scaling.Draining)
	return pool.Member{
		Name: t.Name, Priority: t.Priority, GPUs: t.GPUs, AsleepGPUs: t.AsleepGPUs, Memory: t.Memory, Min: t.Min,
		Busy:    max(holding, o.Desired+standby, d.Replicas+d.Warm.Standby),
		Serving: pool.Wish{Has: o.Desired, Worth: d.Worth.Serving},
		Standby: pool.Wish{Has: standby, Worth: d.Worth.Standby},
		Asleep:  pool.Wish{Has: o.Count(scaling.Asleep), Worth: d.Worth.Asleep},
	}
}

// Share is a member's share for its planner; one that has never decided may have all, so that it says what it wishes for.
func Share(l *pool.Ledger, name string) scaling.Share {
	s, ok := l.Of(name)
	if !ok {
		const all = math.MaxInt32
		return scaling.Share{Awake: all, Standby: all, Asleep: all}
	}
	return scaling.Share{Awake: s.Awake, Standby: s.Standby + s.Spare, Asleep: s.Asleep + s.SpareAsleep, Why: s.Why}
}
