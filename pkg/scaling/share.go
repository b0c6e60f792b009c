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
	if t.unsure() {
		allowed = max(allowed, t.obs.Desired)
	}
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
	if t.atWork() {
		kept = 1
	}
	if t.unsure() || t.atWork() && t.obs.Time.Sub(t.state.Since) < t.planner.config.Window {
		kept = max(kept, t.obs.Desired) // too little was seen to judge
	}
	for k := range worth {
		switch worth[k] = leastWorth; {
		case int32(k) < kept:
			worth[k] = mostWorth
		case t.staffing == nil && t.atWork() && int32(k) < t.obs.Desired: // nobody knows what a replica sustains
			worth[k] = mostWorth / 2
		}
	}
	if t.staffing == nil {
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
func (t *tick) unsure() bool { return t.held || len(t.sight.unseen)+len(t.sight.lost) > 0 }

// atWork reports whether there are requests that would have no replica without the first one. Whose they are does not matter:
// one that serves lets another target's wait, rather than that both take turns in loading.
func (t *tick) atWork() bool {
	return t.obs.Front.Held > 0 || t.decision.Running+t.decision.Waiting > 0
}

// claim says what the warm replicas that are wanted are worth, and returns those that the share allows. Of who is not seen, or
// in part only, it lets go of none.
func (t *tick) claim(v value, w Warm) Warm {
	share := t.obs.Share
	if share == nil {
		return w
	}
	var kept Warm
	if t.staffing == nil || t.unsure() {
		kept = t.standing().less(max(0, t.decision.Replicas-t.decision.Current))
	}
	t.decision.Worth.Standby = t.warmWorth(v, Standby, 0, w.Standby, kept.Standby)
	t.decision.Worth.Asleep = t.warmWorth(v, Asleep, w.Standby, w.Asleep, kept.Asleep)
	allowed := Warm{
		min(w.Standby, max(kept.Standby, min(share.Standby, share.Awake-t.decision.Replicas))),
		min(w.Asleep, max(kept.Asleep, share.Asleep)),
	}
	if allowed != w {
		t.step("pool", -1, "%d on standby and %d asleep wanted, %d and %d are this target's share: %s",
			w.Standby, w.Asleep, allowed.Standby, allowed.Asleep, share.Why)
	}
	return allowed
}

// warmWorth is what each of the replicas of a tier saves beyond its price, from the first of all warm ones on; of those that
// are kept nobody knows that.
func (t *tick) warmWorth(v value, p Phase, first, n, kept int32) []float64 {
	late := v.late
	if p == Standby {
		late = v.standby
	}
	worth := make([]float64, n)
	for i := range worth {
		k := int(first) + i
		switch worth[i] = leastWorth; {
		case int32(i) < kept:
			worth[i] = mostWorth
		case k+1 < len(v.of):
			worth[i] = math.Max(leastWorth, (1-late)*(v.of[k+1]-v.of[k])-t.planner.config.Warm.tier(p).Price)
		}
	}
	return worth
}
