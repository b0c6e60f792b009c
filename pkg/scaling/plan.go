package scaling

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

const (
	// noiseDoubt is by how many standard errors of present demand a scale-down has to be right.
	noiseDoubt = 2
	// noiseWindow is over how many seconds present demand is known.
	noiseWindow = 60.
	// queuePerReplica is the target of the HorizontalPodAutoscaler on queue length that most guides show: what it would
	// have done is told for comparison.
	queuePerReplica = 5
)

// plan is the decision proper: what demand needs now and one lead time ahead, and what is allowed of it.
func (t *tick) plan() {
	d := &t.decision
	t.step("observe", -1, "%d ready (%d seen), %d starting, %d unschedulable; %.0f running, %.0f waiting",
		d.Ready, t.sight.seen, d.Starting, d.Unschedulable, t.sight.running, t.sight.waiting)
	now := t.level()
	d.Demand = now
	t.step("demand", -1, "%.2f requests/s offered over %v", now, t.levelWindow().Round(time.Second))
	t.step("lead time", -1, "%s", d.LeadTime)
	t.step("capacity", -1, "%s", d.Capacity.Text)
	t.compare()
	if !d.Capacity.Known() {
		t.withoutCapacity()
		return
	}
	staffing := t.state.Capacity.Staffing(t.planner.config.Capacity)
	t.staffing = &staffing
	t.step("budget", -1, "%s", d.Budget)
	backlog := t.backlogAhead(now)
	busy := (now + backlog/t.drain()) / d.Capacity.PerReplica
	reactive := t.awake(staffing, now, t.reactive(staffing, busy, backlog))
	needed := math.Max(reactive, t.predictive(staffing, reactive))
	if needed < float64(t.obs.Desired) {
		needed = t.beyondNoise(staffing, needed, now, busy)
	}
	t.conclude(needed, reactive)
}

// compare tells what others would do with the same replicas.
func (t *tick) compare() {
	usual := ceil(t.sight.waiting / queuePerReplica)
	t.step("counterfactual", -1, "an HPA on queue length, %d waiting a replica, would ask for %d", queuePerReplica, usual)
}

// level is present demand in requests per second.
func (t *tick) level() float64 { return t.over(t.levelWindow()) }

// levelWindow is the span over which present demand is averaged: long enough to tell it from the noise of single
// arrivals, short against the lead time.
func (t *tick) levelWindow() time.Duration {
	return min(max(t.decision.LeadTime.P50/2, shortestTick), time.Minute)
}

// reactive is what present demand and its backlog need, which keep so many replicas busy.
func (t *tick) reactive(s capacity.Staffing, busy, backlog float64) float64 {
	plan := s.Plan(certain(busy))
	text := fmt.Sprintf("%.2f replicas busy", busy)
	if backlog > 0 {
		text += fmt.Sprintf(", %.0f requests of backlog to drain in %.0f s among them", backlog, t.drain())
	}
	t.step("reactive", ceil(plan.Replicas), "%s: %.0f with headroom, %s", text, plan.Replicas, expected(plan, s))
	return plan.Replicas
}

// certain is a load that is known.
func certain(busy float64) []capacity.Demand { return []capacity.Demand{{Busy: busy, Probability: 1}} }

// expected says what a plan is expected to miss and why it is no larger.
func expected(p capacity.Plan, s capacity.Staffing) string {
	return fmt.Sprintf("%.2g%% of requests expected to miss (arrivals %.1f times as uneven as random ones)", 100*p.Misses, s.Dispersion)
}

// drain is the time in seconds in which a backlog is to be worked off.
func (t *tick) drain() float64 {
	return math.Max(t.decision.LeadTime.P50.Seconds(), shortestTick.Seconds())
}

// backlogAhead is the number of requests that will be too many when the replicas ordered now can help: what waits or
// runs beyond what batches can bear, what arrives until then, and what ready and starting replicas serve of it, each
// from the time when it is ready.
func (t *tick) backlogAhead(now float64) float64 {
	return t.backlogWithin(now, t.decision.LeadTime.P50.Seconds())
}

// backlogWithin is the same for replicas that can help within so many seconds.
func (t *tick) backlogWithin(now, horizon float64) float64 {
	mu := t.decision.Capacity.PerReplica
	served := float64(t.decision.Ready) * mu * horizon
	for i := range t.obs.Replicas {
		if r := &t.obs.Replicas[i]; r.Phase == Starting {
			served += mu * math.Max(0, horizon-t.remaining(r).Seconds())
		}
	}
	excess := t.sight.waiting
	if bearable := t.decision.Capacity.Concurrency * float64(t.sight.seen); bearable > 0 {
		excess += math.Max(0, t.sight.running-bearable)
	}
	if excess == 0 {
		return 0 // nothing is too much: whatever the model says, the replicas keep up
	}
	return math.Max(0, excess+now*horizon-served)
}

// remaining is how much longer a replica is expected to start, given how far it has come: one that is late is not one
// that is there.
func (t *tick) remaining(r *Replica) time.Duration {
	if left, ok := t.waking(r); ok {
		return left
	}
	progress := leadtime.ProgressOf(r.Created, r.Scheduled, r.Started, t.obs.Time)
	progress.Circumstance = r.Circumstance.Or(progress.Circumstance)
	if !r.ReadyAt.IsZero() { // it was ready before, and loads anew since nobody knows when
		progress = leadtime.Progress{Stage: leadtime.Loading}
	}
	return t.state.LeadTime.Remaining(t.planner.config.LeadTime, progress, 0.5)
}

// predictive is what demand one lead time ahead needs; zero without a forecast.
func (t *tick) predictive(s capacity.Staffing, reactive float64) float64 {
	f := t.decision.Forecast
	switch {
	case t.planner.config.Forecast.Disabled:
		t.step("forecast", -1, "disabled by the spec")
		return 0
	case !f.Known():
		t.step("forecast", -1, "none yet")
		return 0
	case !t.believed():
		t.step("forecast", -1, "%.2f requests/s expected in %v, and not believed: of late %.2f were on average, and %.2f came",
			f.Point, f.Horizon.Round(time.Second), t.state.Promised, t.state.Came)
		return 0
	}
	reserve := t.spared()
	plan := s.PlanWith(t.ahead(), reserve)
	floor := t.floor(s)
	n := math.Max(plan.Replicas, floor)
	text := expected(plan, s)
	if reserve.Replicas > 0 {
		text += fmt.Sprintf(", beside %.0f warm ones", reserve.Replicas)
	}
	if floor > plan.Replicas {
		text = fmt.Sprintf("spec.forecast.quantile asks for %.0f", floor)
	}
	decides := int32(-1) // where it asks for no more than present demand does
	if n >= reactive {
		decides = ceil(n)
	}
	t.step("forecast", decides, "%.2f requests/s expected in %v, %.0f%% quantile %.2f: %.0f replicas, %s; %s",
		f.Point, f.Horizon.Round(time.Second), f.Quantile*100, f.Upper, n, text, basis(f))
	return n
}

// floor is what the quantile needs that the user asks for, zero where nothing was asked for.
func (t *tick) floor(s capacity.Staffing) float64 {
	if !t.planner.config.QuantileAsked {
		return 0
	}
	return s.Plan(certain(t.decision.Forecast.Upper / t.decision.Capacity.PerReplica)).Replicas
}

// ahead is the distribution of the load one lead time from now: the forecast's quantiles, with what lies between two of
// them at their mean, and all below the median at the median.
func (t *tick) ahead() []capacity.Demand {
	f, mu := t.decision.Forecast, t.decision.Capacity.PerReplica
	loads := make([]capacity.Demand, 0, len(f.Values)+1)
	below, value := 0., f.Values[0]
	for i, q := range f.Quantiles {
		loads = append(loads, capacity.Demand{Busy: (value + f.Values[i]) / 2 / mu, Probability: q - below})
		below, value = q, f.Values[i]
	}
	return append(loads, capacity.Demand{Busy: value / mu, Probability: 1 - below})
}

// beyondNoise is what is needed where fewer replicas are than there are: only as few as would do if present demand were
// larger by its own noise. Without it a steady random load between two numbers of replicas would have them change for ever.
// What is forecast has its noise in its quantiles.
func (t *tick) beyondNoise(s capacity.Staffing, needed, now, busy float64) float64 {
	factor := 1 + noiseDoubt*math.Sqrt(s.Dispersion/math.Max(1, now*noiseWindow))
	n := math.Min(float64(t.obs.Desired), s.Plan(certain(factor*busy)).Replicas)
	if ceil(n) <= ceil(needed) {
		return needed
	}
	t.step("noise", ceil(n), "%.0f would do, if demand were not %.0f%% more than it seems: %.0f", needed, 100*(factor-1), n)
	return n
}
