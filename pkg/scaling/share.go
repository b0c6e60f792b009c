package scaling

import "math"

// Share is what a target may have of the GPUs and the host memory that it shares with others.
type Share struct {
	// Awake is the most replicas that may serve or be on standby together; Standby and Asleep are the most of these kinds.
	Awake, Standby, Asleep int32
	// Why says what is denied and for whom.
	Why string
}

// Worth is what the first, the second, … replica of each kind is worth beyond its price, in serving replicas: those that are
// asked for, whether there is a share for them or not. It is known where Observation.Share is set.
type Worth struct{ Serving, Standby, Asleep []float64 }

// leastWorth is that of a replica that is kept for another reason than what it is expected to save; mostWorth that of one
// of which nobody knows whether it can be spared.
const leastWorth, mostWorth = 0.01, 1e6

// shared is how many of the replicas that are wanted the share allows. Where doubt holds the present ones, or one of them is not
// seen, it lets go of none.
func (t *tick) shared(wanted int32) int32 {
	share := t.obs.Share
	if share == nil {
		return wanted
	}
	t.decision.Worth.Serving = t.servingWorth(wanted)
	if wanted <= share.Awake || t.unsure() && wanted <= t.obs.Desired {
		return wanted
	}
	allowed, kept := share.Awake, ""
	if allowed < 1 && t.obs.Desired > 0 && !t.fronted() {
		allowed, kept = 1, "; one is kept, since nothing would hold requests without it"
	}
	t.decision.Reason, t.decision.Limited = AtGPUBudget, t.decision.Limited || t.decision.Needed > allowed
	t.step("pool", allowed, "%d wanted, %d are this target's share of the GPUs%s: %s", wanted, share.Awake, kept, share.Why)
	return allowed
}

// servingWorth is what each of the replicas that are wanted saves of misses, beyond its price.
func (t *tick) servingWorth(wanted int32) []float64 {
	worth := make([]float64, wanted)
	kept := int32(0) // that nobody knows to be of less worth
	switch {
	case t.unsure():
		kept = wanted
	case t.atWork() && t.obs.Time.Sub(t.state.Since) < t.planner.config.Window: // seen for too short a time to judge
		kept = max(1, t.obs.Desired)
	case t.atWork():
		kept = 1
	}
	for k := range worth {
		if worth[k] = leastWorth; int32(k) < kept {
			worth[k] = mostWorth
		}
	}
	if t.unsure() || t.staffing == nil || !t.decision.Capacity.Known() {
		return worth
	}
	loads := certain(t.decision.Demand / t.decision.Capacity.PerReplica)
	if t.believed() {
		loads = t.ahead()
	}
	missed := t.staffing.Missed(loads, 0)
	for k := range worth {
		with := t.staffing.Missed(loads, float64(k+1))
		worth[k] = math.Max(worth[k], t.staffing.Price*(missed-with)-1)
		missed = with
	}
	return worth
}

// unsure reports whether not all replicas that serve are seen: what they do, and are worth, is not known.
func (t *tick) unsure() bool { return t.held || len(t.sight.unseen) > 0 }

// atWork reports whether there are requests that would have no replica without the first one. Whose they are does not matter:
// one that serves lets another target's wait, rather than that both take turns in loading.
func (t *tick) atWork() bool {
	return t.obs.Front.Held > 0 || t.decision.Running+t.decision.Waiting > 0
}

// claim says what the warm replicas that are wanted are worth, and returns those that the share allows.
func (t *tick) claim(v value, w Warm) Warm {
	share, c := t.obs.Share, t.planner.config.Warm
	if share == nil {
		return w
	}
	worth := func(n int32, p Phase, first int32) (all []float64) {
		late := v.late
		if p == Standby {
			late = v.standby
		}
		for k := first; k < first+n; k++ {
			all = append(all, math.Max(leastWorth, (1-late)*(v.of[k+1]-v.of[k])-c.tier(p).Price))
		}
		return all
	}
	t.decision.Worth.Standby = worth(w.Standby, Standby, 0)
	t.decision.Worth.Asleep = worth(w.Asleep, Asleep, w.Standby)
	allowed := Warm{min(w.Standby, max(0, min(share.Standby, share.Awake-t.decision.Replicas))), min(w.Asleep, share.Asleep)}
	if allowed != w {
		t.step("pool", -1, "%d on standby and %d asleep wanted, %d and %d are this target's share: %s",
			w.Standby, w.Asleep, allowed.Standby, allowed.Asleep, share.Why)
	}
	return allowed
}
