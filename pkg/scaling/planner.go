package scaling

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// Planner decides for one target. It holds no state of its own and may be used from several goroutines.
type Planner struct{ config Config }

// NewPlanner returns a planner, or every fault of its configuration.
func NewPlanner(c Config) (*Planner, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("planner: %w", err)
	}
	return &Planner{config: c}, nil
}

// Config returns the planner's configuration.
func (p *Planner) Config() Config { return p.config }

// Plan decides. It reads no clock but obs.Time; prev is taken over and must not be used again.
//
// No data is not zero demand: while nothing fresh is known the present replicas are held. A forecast only ever raises
// what present demand needs.
func (p *Planner) Plan(prev State, obs Observation) (State, Decision) {
	st := prev
	t := &tick{planner: p, state: &st, obs: &obs, decision: Decision{
		Time: obs.Time, Current: obs.Desired, Replicas: obs.Desired, Needed: obs.Desired,
		Ready: obs.Count(Ready), Starting: obs.Count(Starting), Unschedulable: obs.Count(Unschedulable),
	}}
	t.resume()
	t.recordChange()
	t.hear()
	t.sight = p.look(&st, &obs)
	t.front()
	t.offered()
	t.decide()
	t.warm()
	st.Zeroed = t.decision.Replicas == 0 && (t.planner.config.Zero || st.Zeroed)
	return st, t.decision
}

// tick is one run of the planner: the verbs of decide share it.
type tick struct {
	planner  *Planner
	state    *State
	obs      *Observation
	sight    sight
	decision Decision
	// staffing is how replicas are counted, nil where nothing is planned.
	staffing *capacity.Staffing
	// held is set where doubt holds the present replicas.
	held bool
}

// decide goes through the stages in order; each may end the tick with a hold.
func (t *tick) decide() {
	t.learn()
	switch {
	case t.planner.config.Paused:
		t.hold(Paused, "spec.paused is set: %d replicas are held", t.obs.Desired)
	case t.obs.Desired == 0 && !t.planner.config.Zero && t.state.Zeroed:
		t.leaveZero()
	case t.obs.Desired == 0 && !t.planner.config.Zero:
		t.hold(ScaledToZeroByOther, "zero replicas were asked for by somebody else, which means paused; ask for one to resume")
	case t.sight.ready == 0 && t.fronted():
		t.plan()
	case t.obs.Desired == 0:
		t.wake()
	case t.sight.ready == 0:
		t.unready()
	case t.sight.seen == 0 && len(t.sight.unseen) == 0:
		t.hold(WarmingUp, "no ready replica has been scraped yet: %d replicas are held", t.obs.Desired)
	case t.sight.seen == 0:
		t.blind()
	case t.sight.measured == 0:
		t.hold(WarmingUp, "rates need two readings of a replica: %d replicas are held", t.obs.Desired)
	default:
		t.plan()
	}
}

// unready decides while no replica is ready. Those that were overloaded until they were ready no more may still tell.
func (t *tick) unready() {
	if t.sight.measured > 0 {
		t.plan()
		return
	}
	t.hold(NoReadyReplica, "no replica is ready yet, so nothing is known of demand: %d replicas are held", t.obs.Desired)
}

// step appends a step to the explanation.
func (t *tick) step(stage string, replicas int32, format string, args ...any) {
	t.decision.Steps = append(t.decision.Steps, Step{Stage: stage, Replicas: replicas, Text: fmt.Sprintf(format, args...)})
}

// hold ends the tick with the present replicas. Where it is doubt that holds and not somebody's will, the user's bounds
// still apply.
func (t *tick) hold(r Reason, format string, args ...any) {
	t.decision.Reason = r
	t.step("hold", t.obs.Desired, format, args...)
	t.propose(t.obs.Desired)
	t.want(t.obs.Desired)
	t.state.Watched = time.Time{} // what was held was not needed
	t.state.Since = time.Time{}   // nobody has watched: a full window is to be seen again
	t.state.Silence = Silence{}
	if r != Paused && r != ScaledToZeroByOther {
		t.held = true
		t.constrain(float64(t.obs.Desired), t.obs.Desired)
	}
}

func (t *tick) blind() {
	t.decision.Blind = true
	t.hold(NoFreshData, "none of %d ready replicas is seen (%s): %d replicas are held", t.sight.ready, first(t.sight.unseen, 3), t.obs.Desired)
}

// first joins the first n texts and counts the rest.
func first(texts []string, n int) string {
	s := ""
	for i, x := range texts {
		if i == n {
			return fmt.Sprintf("%s; and %d more", s, len(texts)-n)
		}
		if i > 0 {
			s += "; "
		}
		s += x
	}
	return s
}

// resume begins a new window where the time since the last tick is not covered by what was seen: after a long gap, and
// where the clock was set back, which also voids all that bears later times.
func (t *tick) resume() {
	last, ok := t.state.Proposals.Last()
	gap := t.obs.Time.Sub(last.Time)
	switch c := t.planner.config; {
	case !ok:
	case gap > max(c.Window, 2*c.Staleness, 2*c.Forecast.Step): // nothing of the window was seen, and it was not one tick
		t.state.Since, t.state.Silence = time.Time{}, Silence{}
	case gap < -c.Staleness:
		t.state.Since, t.state.Seen, t.state.Replicas = time.Time{}, time.Time{}, nil
		for _, f := range t.state.forecasters() {
			f.Resampler = timeseries.Resampler{}
		}
		t.state.Arrivals, t.state.Wanted, t.state.Proposals, t.state.Changes = nil, nil, nil, nil
		t.state.Promises, t.state.Order = nil, Order{}
		t.state.Silence, t.state.Front, t.state.Unheard, t.state.Offer = Silence{}, Front{}, time.Time{}, Offer{}
	}
}

// recordChange remembers a change of the desired replicas, whoever made it, for rate limits. It bears the time of the
// last tick, at which it was decided, as in the HPA: a policy of one tick's length would otherwise count it twice.
func (t *tick) recordChange() {
	last, ok := t.state.Proposals.Last()
	if was := t.state.Desired; ok && was != t.obs.Desired {
		change := timeseries.Sample{Time: last.Time, Value: float64(t.obs.Desired - was)}
		t.state.Changes = t.state.Changes.Append(change, longestPeriod)
	}
	t.state.Desired = t.obs.Desired
}

// propose remembers what was wanted before the constraints, for stabilization. Every tick proposes: one that holds does
// so for the present number.
func (t *tick) propose(wanted int32) {
	proposal := timeseries.Sample{Time: t.obs.Time, Value: float64(wanted)}
	t.state.Proposals = t.state.Proposals.Append(proposal, longestPeriod)
}

// longestPeriod is the longest that a scaling policy's period or a stabilization window may be (as in the HPA's
// behavior, autoscaling/v2).
const longestPeriod = time.Hour

// withoutCapacity is what can be done while nobody knows what a replica sustains: never fewer, and more only where
// requests wait, in proportion to how much more there is than runs, up to twice the ready replicas: what was ordered
// is awaited before more is, since the queue grows while it starts.
func (t *tick) withoutCapacity() {
	needed := float64(t.obs.Desired)
	if running, waiting := t.sight.running, t.sight.waiting; running > 0 && waiting > running {
		ready := float64(t.decision.Ready)
		needed = math.Max(needed, math.Min(ready*(1+waiting/running), 2*ready))
		t.step("queue", ceil(needed), "%.0f requests wait and %.0f run: %.2f replicas, no more than twice the ready ones", waiting, running, needed)
	}
	t.conclude(needed, needed)
	t.state.Watched = time.Time{} // nobody knows what was needed
	if t.decision.Replicas == t.obs.Desired {
		t.decision.Reason = CapacityUnknown
		t.step("hold", t.obs.Desired, "nobody knows yet what a replica sustains: %d replicas are held", t.obs.Desired)
	}
}

// conclude takes what is needed through the constraints.
func (t *tick) conclude(needed, reactive float64) {
	d := &t.decision
	wanted := ceil(needed)
	d.Needed = wanted
	present := ceil(reactive)
	if t.silent() {
		present = 0
	}
	motive := t.motive(wanted, present)
	d.Reason = motive
	if t.unneeded(wanted) {
		d.Needed, d.Reason, wanted, needed = 0, Idle, 0, 0
	}
	kept := t.asOrdered(t.worthKeeping(wanted))
	wanted = t.seen(kept)
	t.propose(wanted)
	t.constrain(math.Max(needed, float64(kept)), t.watched(t.renewed(wanted)))
	t.order(motive)
}

// constrain takes a number of replicas through the constraints and makes it the decision.
func (t *tick) constrain(needed float64, wanted int32) {
	d := &t.decision
	in := Input{
		Now: t.obs.Time, Current: t.obs.Desired, Unschedulable: d.Unschedulable, GPUsPerReplica: t.obs.GPUsPerReplica,
		Lead: d.LeadTime.P90, Needed: needed, Held: t.held, State: t.state,
	}
	for _, c := range t.planner.config.Constraints {
		r := c.Apply(in, wanted)
		if r.Reason == "" {
			if r.Text != "" {
				t.step(c.Stage(), -1, "%s", r.Text)
			}
			continue
		}
		wanted, d.Reason = r.Replicas, r.Reason
		d.Limited = d.Limited || r.Limited
		t.step(c.Stage(), wanted, "%s", r.Text)
	}
	d.Replicas = t.shared(wanted)
	if d.Replicas > 0 && d.Unschedulable > 0 && d.Ready+d.Starting == 0 {
		d.Limited, d.Reason = true, GPUsUnavailable
		t.step("gpus", d.Replicas, "none of the %d replicas that there are has found a node", d.Unschedulable)
	}
}

// motive names why the number wanted differs from the present one.
func (t *tick) motive(wanted, reactive int32) Reason {
	switch current := t.obs.Desired; {
	case wanted > current && reactive > current:
		return ReactiveDemand
	case wanted > current:
		return ForecastDemand
	case wanted < current:
		return DemandFell
	case reactive < current:
		return ForecastVeto
	}
	return DemandMet
}

// seen forbids scaling down where something is not seen that may hold requests.
func (t *tick) seen(wanted int32) int32 {
	s := &t.sight
	if wanted >= t.obs.Desired {
		return wanted
	}
	why := ""
	switch {
	case len(s.unseen) > 0:
		why = fmt.Sprintf("%d of %d ready replicas are not seen (%s)", len(s.unseen), s.ready, first(s.unseen, 3))
	case len(s.lost) > 0:
		why = fmt.Sprintf("%d replicas that have served are not ready and not seen (%s)", len(s.lost), first(s.lost, 3))
	case s.ready == 0 && !t.fronted():
		why = "no replica is ready"
	case t.state.Offer.Lost:
		why = "the gateway, which had seen more requests than the replicas' pages tell of, is not read any more"
	default:
		return wanted
	}
	t.decision.Reason = PartialData
	t.step("doubt", t.obs.Desired, "%s: nothing is scaled down", why)
	return t.obs.Desired
}

// renewed forbids scaling down on what was known at the last tick already. It comes after the proposal: a tick between
// two scrapes delays a scale-down until the next one, where a proposal to stay would do so for a whole window.
func (t *tick) renewed(wanted int32) int32 {
	if wanted >= t.obs.Desired || t.sight.news > 0 {
		return wanted
	}
	t.decision.Reason = PartialData
	t.step("doubt", t.obs.Desired, "nothing new was read since the last tick: nothing is scaled down")
	return t.obs.Desired
}

// watched forbids scaling down before a full window has been seen since the start.
func (t *tick) watched(wanted int32) int32 {
	seen := t.obs.Time.Sub(t.state.Since)
	if wanted >= t.obs.Desired || seen >= t.planner.config.Window {
		return wanted
	}
	t.decision.Reason = WarmingUp
	t.step("doubt", t.obs.Desired, "observed for %v of the %v that a scale-down asks for", seen.Round(time.Second), t.planner.config.Window)
	return t.obs.Desired
}

// ceil rounds up to whole replicas, at least one: zero is a decision of its own. The small slack keeps 3.0000001 from
// costing a fourth replica.
func ceil(n float64) int32 {
	const slack = 1e-6
	return int32(math.Max(1, math.Min(math.Ceil(n-slack), math.MaxInt32)))
}
