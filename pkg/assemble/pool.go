package assemble

import (
	"fmt"
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
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
	// Passive is set where somebody else says how many replicas there are: what it has counts, and nobody takes it away.
	Passive bool
}

// PoolBudget is what a WarmPool divides.
func PoolBudget(spec *v1alpha1.WarmPoolSpec) (pool.Budget, error) {
	b := pool.Budget{GPUs: spec.GPUs, Memory: -1, Asleep: -1}
	if spec.HostMemory == "" {
		return b, nil
	}
	var err error
	b.Memory, err = spec.HostMemory.Value()
	return b, at("spec.hostMemory", err)
}

// PoolTerms are those of an InferenceAutoscaler that has its defaults, in a pool; gpus is how many GPUs its replicas were
// seen to hold, zero where none was seen.
func PoolTerms(m v1alpha1.WarmPoolMember, ia *v1alpha1.InferenceAutoscaler, gpus int32) (Terms, error) {
	t := Terms{
		Name: m.Name, Priority: m.Priority, GPUs: max(1, gpus), Min: *ia.Spec.MinReplicas,
		Passive: ia.Spec.Mode != v1alpha1.ModeOwn || ia.Spec.Paused,
	}
	if m.GPUsPerReplica != nil {
		t.GPUs = *m.GPUsPerReplica
	}
	if ia.Spec.Activator == nil && !ia.Spec.Gateway.Holds() {
		t.Min = max(1, t.Min)
	}
	if w := ia.Spec.Warm; w != nil && w.Asleep != nil {
		kept := int64(100)
		if w.Asleep.GPUPercent != nil {
			kept = int64(*w.Asleep.GPUPercent)
		}
		t.AsleepGPUs = int32((int64(t.GPUs)*kept + 99) / 100)
	}
	if m.HostMemoryPerReplica == "" {
		return t, nil
	}
	var err error
	t.Memory, err = m.HostMemoryPerReplica.Value()
	return t, at(fmt.Sprintf("spec.members[%s].hostMemoryPerReplica", m.Name), err)
}

// Holding is what a target's replicas take of a pool.
type Holding struct {
	// Desired is how many are asked for to serve; Awake is how many hold their GPUs, those that load, stand by or end among
	// them; Standby is how many of these stand by, Ending how many end for good, and Asleep how many others sleep.
	Desired, Awake, Standby, Ending, Asleep int32
}

// Busy is how many replicas hold their GPUs or have been asked for: those that end stand beside those that are asked for.
func (h Holding) Busy() int32 { return max(h.Awake, h.Desired+h.Standby+h.Ending) }

// Held is what an observation shows.
func Held(o *scaling.Observation) Holding {
	h := Holding{Desired: o.Desired, Standby: o.Count(scaling.Standby), Asleep: o.Count(scaling.Asleep)}
	h.Awake = o.Count(scaling.Starting) + o.Count(scaling.Ready) + h.Standby + o.Count(scaling.Draining)
	for i := range o.Replicas {
		if o.Replicas[i].Ending && o.Replicas[i].Phase == scaling.Draining {
			h.Ending++
		}
	}
	return h
}

// HeldBefore is what was seen last before this process began; nothing where nothing was.
func HeldBefore(r *v1alpha1.ReplicaStatus) Holding {
	if r == nil {
		return Holding{}
	}
	return Holding{Desired: r.Desired, Standby: r.Standby, Asleep: r.Asleep, Awake: max(0, r.Current-r.Unschedulable-r.Asleep)}
}

// Member is what a target's last decision makes of it in a pool. What was ordered counts as had and held at once, so that the
// next division does not take it back; what is let go of counts as held until it has ended.
func Member(t Terms, h Holding, d scaling.Decision) pool.Member {
	m := pool.Member{
		Name: t.Name, Priority: t.Priority, GPUs: t.GPUs, AsleepGPUs: t.AsleepGPUs, Memory: t.Memory, Min: t.Min,
		Busy: max(h.Busy(), d.Replicas+d.Warm.Standby+h.Ending), Ending: h.Ending,
		Serving: pool.Wish{Has: max(h.Desired, d.Replicas), Worth: d.Worth.Serving},
		Standby: pool.Wish{Has: h.Standby, Worth: d.Worth.Standby},
		Asleep:  pool.Wish{Has: h.Asleep, Worth: d.Worth.Asleep},
	}
	if t.Passive {
		return unbounded(m, h)
	}
	return m
}

// Undecided is a member that has not decided since this process began: it keeps what it has.
func Undecided(t Terms, h Holding) pool.Member {
	return unbounded(Member(t, h, scaling.Decision{}), h)
}

// unbounded is a member of which nothing is taken and that wishes for nothing else.
func unbounded(m pool.Member, h Holding) pool.Member {
	m.Min, m.Busy, m.Serving = max(m.Min, h.Desired), h.Busy(), pool.Wish{Has: h.Desired}
	m.Standby.Worth, m.Asleep.Worth = kept(h.Standby), kept(h.Asleep)
	return m
}

// kept is the worth of replicas that nobody takes away.
func kept(n int32) []float64 {
	worth := make([]float64, n)
	for i := range worth {
		worth[i] = math.MaxFloat32
	}
	return worth
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
