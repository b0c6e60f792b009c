package scaling

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

const (
	// shortestKeep is the least time that a replica takes to come back, as far as keeping it is concerned.
	shortestKeep = time.Minute
	// returnsHalfLife is how fast it is forgotten when replicas were needed again.
	returnsHalfLife = 6 * time.Hour
	// returnSteps are as many parts as a lead time is divided in.
	returnSteps = 8
	// returnPrior is how many replicas are taken to have come back in each part before anything was seen: while nobody
	// knows, each is kept for one lead time.
	returnPrior = 0.5
)

// Returns remembers of replicas that were not needed any more how long it was until they were needed again: plain data.
type Returns struct {
	// After are decayed numbers of replicas by the eighth of a lead time in which they were needed again; Never is that of
	// the ones that were not within one lead time.
	After [returnSteps]float64
	Never float64
}

// learn takes the number of replicas that is needed now. Wanted are the numbers that were needed before.
func (r *Returns) learn(wanted timeseries.Series, now timeseries.Sample, lead time.Duration) {
	last, ok := wanted.Last()
	elapsed := now.Time.Sub(last.Time)
	if !ok || elapsed <= 0 || elapsed > lead {
		return
	}
	k := math.Exp2(-float64(elapsed) / float64(returnsHalfLife))
	for i := range r.After {
		r.After[i] *= k
	}
	r.Never *= k
	before, _ := wanted.Since(last.Time.Add(-lead)).Max()
	recent := wanted.Since(now.Time.Add(-lead))
	most, _ := recent.Max()
	r.Never += math.Max(0, before-math.Max(most, now.Value))
	for i, reached := len(recent)-1, last.Value; i >= 0 && reached < now.Value; i-- {
		if level := math.Min(recent[i].Value, now.Value); level > reached {
			part := int(returnSteps * now.Time.Sub(recent[i].Time) / (lead + 1))
			r.After[part] += level - reached
			reached = level
		}
	}
}

// worth is for what part of a lead time it is worth keeping a replica that is not needed: what keeping costs, and where it
// was let go and is needed again, another loading, are the least on average (ski rental with what has been learned of
// returns; with nothing learned it is one lead time, which never costs more than twice what knowing would). Loading is what a
// loading costs, in the cost of keeping one for a lead time.
func (r *Returns) worth(loading float64) float64 {
	best, cheapest := 1., math.Inf(1)
	for keep := returnSteps; keep >= 0; keep-- {
		cost, kept := 0., float64(keep)/returnSteps
		for i, n := range r.After {
			if n += returnPrior; i < keep {
				cost += n * (float64(i) + 0.5) / returnSteps
			} else {
				cost += n * (kept + loading)
			}
		}
		if cost += r.Never * kept; cost < cheapest {
			cheapest, best = cost, kept
		}
	}
	return best
}

// Order is what was ordered last.
type Order struct {
	// Replicas is how many there were to be, Until for how long that stands.
	Replicas int32
	Until    time.Time
}

// worthKeeping is the number of replicas that is worth keeping where fewer would do: the most that were needed within as
// much of the last lead time as it has paid to keep them for. To load a replica again costs as much as to keep it for as
// long as it loads.
func (t *tick) worthKeeping(wanted int32) int32 {
	lead := min(max(t.decision.LeadTime.P50, shortestKeep), longestPeriod-shortestKeep)
	if t.state.Watched.IsZero() {
		t.state.Watched = t.obs.Time
	}
	t.state.Returns.learn(t.state.Wanted.Since(t.state.Watched), timeseries.Sample{Time: t.obs.Time, Value: float64(wanted)}, lead)
	t.learnRests(wanted)
	t.want(wanted)
	if wanted >= t.obs.Desired {
		return wanted
	}
	back := min(lead, max(t.comeback(), shortestKeep))
	keep := time.Duration(t.state.Returns.worth(1) * float64(back))
	most, _ := t.state.Wanted.Since(t.obs.Time.Add(-keep)).Max()
	kept := min(max(wanted, int32(most)), t.obs.Desired)
	if kept > wanted {
		t.decision.Reason = WorthKeeping
		t.step("break-even", kept, "%d would do, %d were needed within the last %v: by how soon replicas were needed again it has paid to keep them for so long, where loading one takes %v",
			wanted, kept, keep.Round(time.Second), back.Round(time.Second))
	}
	return kept
}

// asOrdered keeps what was ordered. On a forecast that stands until what it was for has had time to show: the replicas are
// ready a while before, when demand says nothing of it yet, and the newest forecast is of a later time. Other orders stand
// for half of a loading: to let go of what has hardly begun to load, and to order it again, is for nothing.
func (t *tick) asOrdered(kept int32) int32 {
	o := t.state.Order
	n := min(o.Replicas, t.obs.Desired)
	if t.obs.Time.After(o.Until) || n <= kept {
		return kept
	}
	t.decision.Reason = WorthKeeping
	t.step("order", n, "%d would do now; %d were ordered not long ago, and that stands for another %v",
		kept, n, o.Until.Sub(t.obs.Time).Round(time.Second))
	return n
}

// order remembers what is ordered, for the reason that the demand gave. An order that stands is not cut short by the next.
func (t *tick) order(motive Reason) {
	d, f := &t.decision, t.decision.Forecast
	if d.Replicas <= d.Current {
		return
	}
	until := t.obs.Time.Add(d.LeadTime.P50 / 2)
	if motive == ForecastDemand {
		until = f.At.Add(f.Horizon + t.levelWindow())
	}
	if until.Before(t.state.Order.Until) {
		until = t.state.Order.Until
	}
	t.state.Order = Order{d.Replicas, until}
}

// want remembers what was needed, so that it is kept for a while.
func (t *tick) want(replicas int32) {
	t.state.Wanted = t.state.Wanted.Append(sampleOf(t.obs.Time, replicas), longestPeriod)
}

// sampleOf is a number of replicas at an instant.
func sampleOf(at time.Time, replicas int32) timeseries.Sample {
	return timeseries.Sample{Time: at, Value: float64(replicas)}
}
