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
	// GPUs is how many one replica holds while it is awake, Memory how many bytes of host memory while it sleeps. Min is
	// how many replicas serve in any case.
	GPUs   int32
	Memory int64
	Min    int32
}

// Member is what a target's last decision makes of it in a pool.
func Member(t Terms, d scaling.Decision) pool.Member {
	return pool.Member{
		Name: t.Name, Priority: t.Priority, GPUs: t.GPUs, Memory: t.Memory, Min: t.Min,
		Serving: pool.Wish{Has: d.Current, Worth: d.Worth.Serving},
		Standby: pool.Wish{Has: d.Warm.Standby, Worth: d.Worth.Standby},
		Asleep:  pool.Wish{Has: d.Warm.Asleep, Worth: d.Worth.Asleep},
	}
}

// Share is a member's share for its planner; one that has never decided may have all, so that it says what it wishes for.
func Share(l *pool.Ledger, name string) scaling.Share {
	s, ok := l.Of(name)
	if !ok {
		const all = math.MaxInt32
		return scaling.Share{Serving: all, Standby: all, Asleep: all}
	}
	return scaling.Share{
		Serving: s.Serving + s.Spare, Standby: s.Standby + s.Spare, Asleep: s.Asleep + s.SpareAsleep, Why: s.Why,
	}
}
