package scaling

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Tiers says which replicas may be kept that are loaded and do not serve.
type Tiers struct {
	// Standby are ready and out of the endpoints, Asleep in the engine's sleep mode.
	Standby, Asleep Tier
	// GPUs is the most that all replicas of the target may hold, zero without limit.
	GPUs int32
}

// Tier is one kind of them.
type Tier struct {
	// Max is the most of them, zero where there are to be none; Min the fewest, whatever they are worth.
	Max, Min int32
	// Price is what one costs, in serving replicas. GPUs is the share of its GPUs, 0 to 1, that nobody else can use meanwhile.
	Price, GPUs float64
	// Wake is how long one is taken to need until it serves before any was seen to.
	Wake time.Duration
}

// Wake times before any was seen.
const (
	// StandbyWake is that of a readiness gate and of the endpoints that follow it.
	StandbyWake = time.Second
	// OffloadWake is that of vLLM's sleep level 1 with a model of 30B: 2.9 s, of 0.3 s (0.6B) to 5.4 s (235B on four GPUs).
	// https://blog.vllm.ai/2025/10/26/sleep-mode.html
	OffloadWake = 3 * time.Second
	// DiscardWake is that of level 2, where weights are read again: 0.9 to 2.6 s of small models, and of large ones what
	// their files take from a local disk.
	DiscardWake = 10 * time.Second
)

// Prices of what a replica holds beside its GPUs, in serving replicas.
const (
	// OffloadPrice is that of the host memory that weights take: 61 to 75 GiB for a model of 32B at some 0.004 $ a GiB and
	// hour, by a GPU at some 5 $ an hour.
	OffloadPrice = 0.05
	// DiscardPrice is that of a process without weights.
	DiscardPrice = 0.01
)

// validate reports every fault of the tiers.
func (w Tiers) validate() error {
	var faults []error
	for _, t := range []struct {
		name string
		Tier
	}{{"standby", w.Standby}, {"asleep", w.Asleep}} {
		if t.Min < 0 || t.Min > t.Max || !(t.Price >= 0 && t.Price < math.MaxInt32) || !(t.GPUs >= 0 && t.GPUs <= 1) || t.Wake < 0 {
			faults = append(faults, fmt.Errorf(
				"warm tier %s: %d to %d, price %v, GPU share %v, wake time %v: none may be negative, the fewest above the most, nor the share above 1",
				t.name, t.Min, t.Max, t.Price, t.GPUs, t.Wake))
		}
	}
	if w.GPUs < 0 {
		faults = append(faults, fmt.Errorf("GPUs of all replicas %d: must not be negative", w.GPUs))
	}
	return errors.Join(faults...)
}

// allowed reports whether there may be any.
func (w Tiers) allowed() bool { return w.Standby.Max > 0 || w.Asleep.Max > 0 }

// Wakes is what has been learned of how long replicas of each tier take until they serve: plain data.
type Wakes struct{ Standby, Asleep Waking }

// Waking is that of one tier.
type Waking struct {
	// Took is a decayed mean, Samples how many went into it.
	Took    time.Duration
	Samples float64
}

// newestWake is the least that the newest waking weighs in the mean of them.
const newestWake = 0.2

// or is the mean, or what stands for it before there was one.
func (w Waking) or(prior time.Duration) time.Duration {
	if w.Samples == 0 {
		return prior
	}
	return w.Took
}

// learn takes a waking that took at least one time and at most another: replicas are seen tick by tick, which mostly only
// says that it was not longer. The prior counts as one.
func (w *Waking) learn(least, most, prior time.Duration) {
	mean := w.or(prior)
	took := max(least, min(mean, most))
	w.Samples++
	w.Took = mean + time.Duration(math.Max(1/(w.Samples+1), newestWake)*float64(took-mean))
}

// of is the tier that replicas of a phase are in, nil of another.
func (w *Wakes) of(p Phase) *Waking {
	switch p { //nolint:exhaustive // the others are no tiers
	case Standby:
		return &w.Standby
	case Asleep:
		return &w.Asleep
	}
	return nil
}

// tier is what is configured of a phase.
func (w Tiers) tier(p Phase) Tier {
	if p == Standby {
		return w.Standby
	}
	return w.Asleep
}

// Rest is what is remembered of a replica that was warm: plain data.
type Rest struct {
	// Tier is the phase in which it was seen last before it was woken, empty once it serves. At is when that was, Unready
	// when it was last seen not to serve since, zero where it was not.
	Tier        Phase
	At, Unready time.Time
	// Woken is when it is taken to have begun to serve again, zero where it never rested.
	Woken time.Time
}

// learnWake follows a replica through its rest, and learns from its waking how long that takes.
func (p *Planner) learnWake(st *State, r *Replica, now *ReplicaState, at time.Time) {
	rest := &now.Rest
	switch {
	case r.Phase == Standby || r.Phase == Asleep:
		*rest = Rest{Tier: r.Phase, At: at}
	case rest.Tier == "" || r.Phase == Draining:
	case r.Phase != Ready:
		rest.Unready = at
	default:
		least, most := max(0, rest.Unready.Sub(rest.At)), at.Sub(rest.At)
		if r.Woke > 0 {
			least, most = r.Woke, r.Woke
		}
		tier, learned := p.config.Warm.tier(rest.Tier), st.Wakes.of(rest.Tier)
		learned.learn(least, most, tier.Wake)
		*rest = Rest{Woken: rest.At.Add(min(learned.or(tier.Wake), at.Sub(rest.At)))}
	}
}

// wakeTime is how long a replica of a tier takes until it serves.
func (t *tick) wakeTime(p Phase) time.Duration {
	return t.state.Wakes.of(p).or(t.planner.config.Warm.tier(p).Wake)
}

// waking is how much longer a starting replica takes that was woken, false for one that was not, or whose waking takes as
// long as a load, so that it is no waking any more. What is late is expected to take as long again.
func (t *tick) waking(r *Replica) (time.Duration, bool) {
	rest := t.state.Replicas[r.ID].Rest
	took := t.obs.Time.Sub(rest.At)
	if rest.Tier == "" || took > t.decision.LeadTime.P50 {
		return 0, false
	}
	if left := t.wakeTime(rest.Tier) - took; left > 0 {
		return left, true
	}
	return took, true
}
