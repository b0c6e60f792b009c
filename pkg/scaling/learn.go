package scaling

import (
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

const (
	// recentWindow is what load is averaged over where misses are laid at its door: the time in which most requests come
	// and go.
	recentWindow = 45 * time.Second
	// arrivalsKept is the past of demand that is kept at every tick.
	arrivalsKept = 10 * time.Minute
	// shortestTick stands in for the length of the first tick.
	shortestTick = 15 * time.Second
)

// learn takes the tick's demand into all that is learned, and states what the decision rests on.
func (t *tick) learn() {
	c, d := t.planner.config, &t.decision
	d.Unseen, d.Causes = slices.Concat(t.sight.unseen, t.sight.lost), t.sight.causes
	if t.state.Offer.Lost {
		d.Unseen, d.Causes = append(d.Unseen, "the gateway: not read any more"), append(d.Causes, GatewayUnread)
	}
	if t.sight.newest.After(t.state.Seen) {
		t.state.Seen = t.sight.newest
	}
	d.LastSeen = t.state.Seen
	d.Waiting, d.Running = t.sight.waiting, t.sight.running
	d.LeadTime = t.state.LeadTime.Estimate(c.LeadTime)
	d.Budget = t.state.Capacity.Budget.Account(c.Capacity)
	if t.sight.measured == 0 {
		d.Capacity = t.state.Capacity.Estimate(c.Capacity)
		for _, f := range t.state.forecasters() {
			f.Skip(t.obs.Time)
		}
		return
	}
	if t.state.Since.IsZero() {
		t.state.Since = t.obs.Time
	}
	d.Demand, d.DemandKnown = t.demand(), true
	if source := t.sight.source(); source != "" {
		t.step("signals", -1, "%s", source)
	}
	t.listen()
	t.learnCapacity()
	d.Forecast = t.state.Forecast.Advance(t.obs.Time, d.Demand, t.horizon(), c.Forecast)
	t.promise()
	t.learnTokens()
}

// learnCapacity lays what missed its objectives since the last tick at the door of the load, and of the forecast.
func (t *tick) learnCapacity() {
	c, now := t.planner.config.Capacity, t.obs.Time
	t.state.Capacity.Close(capacity.Tick{
		Seconds: t.elapsed().Seconds(), Rate: t.decision.Demand, Recent: t.recent(), Replicas: t.experienced(),
		Foreseen: t.state.foreseen(now),
	}, c)
	t.decision.Capacity = t.state.Capacity.Estimate(c)
	t.decision.Budget = t.state.Capacity.Budget.Account(c)
}

// experienced are the ready replicas that have met the load of late, all but those that were woken since: what came before
// was not theirs, and what misses of it is no sign of how much they sustain together.
func (t *tick) experienced() int32 {
	n := t.decision.Ready
	for _, r := range t.state.Replicas {
		if woken := r.Rest.Woken; !woken.IsZero() && t.obs.Time.Sub(woken) < recentWindow {
			n--
		}
	}
	return max(n, min(1, t.decision.Ready))
}

// recent is the load that the requests ending now have met, in requests per second.
func (t *tick) recent() float64 { return t.over(recentWindow) }

// over is the mean of demand over a window, or what the last two ticks agree on where that is more: a load that has just
// been switched on is not half of one.
func (t *tick) over(window time.Duration) float64 {
	mean, _ := t.state.Arrivals.Since(t.obs.Time.Add(-window)).Mean()
	both, _ := t.state.Arrivals[max(0, len(t.state.Arrivals)-2):].Min()
	return math.Max(mean, both)
}

// elapsed is the time since the last tick, of the first one a usual tick's length.
func (t *tick) elapsed() time.Duration {
	last, ok := t.state.Proposals.Last()
	if !ok || !t.obs.Time.After(last.Time) {
		return shortestTick
	}
	return t.obs.Time.Sub(last.Time)
}

// horizon is how far ahead a decision takes effect: what a replica ordered now will take in nine cases of ten, and a tick
// until it is ordered and another until it is seen to serve. A spike of the clock is met by those that are not late.
func (t *tick) horizon() time.Duration {
	return t.decision.LeadTime.P90 + 2*t.planner.config.Forecast.Step
}

// demand is the offered load of the whole target, by the replicas' pages or by a gateway.
func (t *tick) demand() float64 {
	all := t.sight.told()
	if t.sight.settled {
		all = t.sight.offered
	}
	t.state.Arrivals = t.state.Arrivals.Append(timeseries.Sample{Time: t.obs.Time, Value: all}, arrivalsKept)
	return all
}

// Promise is what was forecast for an instant.
type Promise struct {
	// Due is the instant, Point and Most the median and the highest quantile that were forecast, in requests per second.
	Due         time.Time
	Point, Most float64
}

const (
	// promiseStep is the least time between two promises that are remembered: they outlive a lead time.
	promiseStep = 10 * time.Second
	// doubtful is by which factor forecasts may be too high throughout before no replica is ordered on them any more, a
	// safeguard for a forecaster that is broken: its own errors are in its quantiles. trustHalfLife is how many promises
	// that takes, about: bursts are missed by large factors too, in either direction. Forecasts that are too low do not
	// matter beside present demand.
	doubtful      = 3.
	trustHalfLife = 60.
)

// promise remembers what is forecast for one lead time from now, and compares what was forecast for now with what came.
func (t *tick) promise() {
	f, now := t.decision.Forecast, t.obs.Time
	t.keepPromises(now)
	if !f.Known() || len(f.Values) == 0 {
		return
	}
	due := now.Add(t.decision.LeadTime.P50)
	if n := len(t.state.Promises); n > 0 && due.Sub(t.state.Promises[n-1].Due) < promiseStep {
		return
	}
	t.state.Promises = append(t.state.Promises, Promise{Due: due, Point: f.Point, Most: f.Values[len(f.Values)-1]})
}

// keepPromises lets go of the promises that are due, all but the newest of them.
func (t *tick) keepPromises(now time.Time) {
	kept := 0
	for kept+1 < len(t.state.Promises) && !t.state.Promises[kept+1].Due.After(now) {
		kept++
		t.trust(t.state.Promises[kept].Point)
	}
	t.state.Promises = append(t.state.Promises[:0:0], t.state.Promises[kept:]...)
}

// trust takes in a forecast that has come due, and what came.
func (t *tick) trust(point float64) {
	k := math.Exp2(-1 / trustHalfLife)
	t.state.Promised = k*t.state.Promised + (1-k)*point
	t.state.Came = k*t.state.Came + (1-k)*t.recent()
}

// foreseen is the highest quantile that was forecast for an instant, zero where there was no forecast.
func (s *State) foreseen(now time.Time) float64 {
	if len(s.Promises) == 0 || s.Promises[0].Due.After(now) {
		return 0
	}
	return s.Promises[0].Most
}

// believed reports whether replicas are ordered on what is forecast: not where it has been too high throughout, by more
// than a replica.
func (t *tick) believed() bool {
	f, st := t.decision.Forecast, t.state
	return f.Known() && !t.planner.config.Forecast.Disabled && st.Promised <= doubtful*st.Came+t.decision.Capacity.PerReplica
}
