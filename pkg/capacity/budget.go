package capacity

import (
	"fmt"
	"math"
)

const (
	// budgetHalfLife is how fast, in seconds, misses are forgiven; budgetPrior is how many seconds of requests at the aim
	// are taken to have gone before.
	budgetHalfLife, budgetPrior = 3600., 3600.
	// aim is the part of the allowed misses that is aimed at: what is left is for what nobody foresees.
	aim = 0.6
	// usualPrice is that of a miss while the budget is spent as it is aimed at: so many times the replica time of a
	// request. At the edge of the objectives misses grow twenty-fold for each ln(20)/s = 10 % of load or so, which makes a
	// hundredth of missing requests worth the next replica at a price of some seven to ten.
	usualPrice = 7.
	// exponent is how steeply the price goes with the budget spent; leastFactor and mostFactor bound what it goes to.
	exponent                = 2.
	leastFactor, mostFactor = 0.43, 40.
	// drift is how fast, in e-folds an hour for each e-fold that more is spent than is aimed at, a price goes on rising where
	// it was not enough to change it, and back where less is: misses may grow more slowly with load than is believed, or
	// come back whenever the budget has recovered. mostDrift bounds it, in e-folds.
	drift, mostDrift = 2., 1.5
	// dearer and cheaper are how many e-folds an hour a price may rise and fall by: the misses of a minute say little of the
	// next hours. atFirst is its factor for a service of which nothing is known yet, and falls to what the budget says within half
	// an hour: its first minutes are those that no forecaster has seen.
	dearer, cheaper = 12., 12.
	atFirst         = 300.
	// unforeseen is how far above the highest quantile that was forecast demand has to be, and unseen how far above the most
	// ever seen, for its misses to be nobody's choice: no price would have bought them. They are told and do not raise it.
	// They are for as long as more arrives than is sustained, however late the replicas come, and outlasts seconds longer.
	// What came once can come again, a little higher by chance: remembered is the half-life, in seconds, of the most seen.
	unforeseen, unseen, outlasts, remembered = 1.3, 1.05, 120., 30 * 86400.
	// excusable is for how many seconds of the last hours misses can be excused so: a forecast that is exceeded for longer is
	// a bad one, and its misses are to be paid for. It is time, not requests: of those a step of load brings the more the
	// higher it is.
	excusable = 1100.
)

// Price is what a miss is worth, in replica time of a request.
type Price struct {
	// Factor is its logarithm over the usual one, Drift what of it has built up over time.
	Factor, Drift float64
}

// Of is the price itself.
func (p Price) Of() float64 { return usualPrice * math.Exp(p.Factor) }

// follow goes on for so many seconds where a share of the misses that are aimed at is spent.
func (p *Price) follow(spent, seconds float64) {
	p.Drift = math.Min(math.Max(p.Drift+drift*math.Log(spent)*seconds/3600, 0), mostDrift)
	goal := math.Min(math.Max(exponent*math.Log(spent)+p.Drift, math.Log(leastFactor)), math.Log(mostFactor))
	p.Factor = math.Min(math.Max(goal, p.Factor-cheaper*seconds/3600), p.Factor+dearer*seconds/3600)
}

// Budget is the error budget of the objective, and what follows from it: the price of a miss. Misses have two causes with
// two remedies: demand for which there were no replicas, and too little headroom over a demand that was met.
type Budget struct {
	// Requests and Seconds are decayed sums of the requests judged and of time. Missed are those that missed an objective,
	// Avoidable those of them that a forecast would have allowed to avoid, Borne those of these that missed while no
	// more arrived than is sustained; ExcusedSeconds are the time in which no forecast would have.
	Requests, Seconds, Missed, Avoidable, Borne, ExcusedSeconds float64
	// Waited is the same of requests that missed since no replica was there; an engine judges them too, by what came after.
	// They raise no price: more replicas would have helped none of them, and whether the last one goes is decided elsewhere.
	Waited float64
	// Demand is the price by all avoidable misses, Headroom the one by those that more headroom would have avoided.
	Demand, Headroom Price
	// Most is the highest demand seen, fading; Unforeseen for how many seconds misses are still nobody's choice.
	Most, Unforeseen float64
}

// spent is what a Budget takes in of a tick.
type spent struct {
	// judged, of which missed, are requests; seconds is the tick's length.
	judged, missed, seconds float64
	// demand and foreseen are the demand of the tick and the highest quantile that was forecast for it one lead time
	// before, zero where there was no forecast, both in the same unit.
	demand, foreseen float64
	// overloaded says that more arrives than is sustained, or did and is still being worked off.
	overloaded bool
}

// spend takes a tick.
func (b *Budget) spend(x spent, c Config) {
	b.Unforeseen = math.Max(0, b.Unforeseen-x.seconds)
	begins := x.demand > math.Max(unforeseen*x.foreseen, unseen*b.Most)
	if begins || b.Unforeseen > 0 && x.overloaded {
		b.Unforeseen = outlasts
	}
	if b.Most *= math.Exp2(-x.seconds / remembered); x.demand > b.Most && !math.IsInf(x.demand, 1) {
		b.Most = x.demand
	}
	if b.Seconds == 0 {
		b.Demand.Factor, b.Headroom.Factor = math.Log(atFirst), math.Log(atFirst)
	}
	k := math.Exp2(-x.seconds / budgetHalfLife)
	scale(k, &b.Requests, &b.Seconds, &b.Missed, &b.Avoidable, &b.Borne, &b.ExcusedSeconds, &b.Waited)
	b.Requests += x.judged
	b.Seconds += x.seconds
	b.Missed += x.missed
	if b.Requests <= 0 { // of an engine that tells no latencies, say
		b.Demand.Factor = math.Max(0, b.Demand.Factor-cheaper*x.seconds/3600)
		b.Headroom.Factor = b.Demand.Factor
		return
	}
	prior := b.Requests / b.Seconds * budgetPrior
	if b.Unforeseen > 0 && b.ExcusedSeconds+x.seconds <= excusable {
		b.ExcusedSeconds += x.seconds
	} else {
		b.Unforeseen = 0
		b.Avoidable += x.missed
		if !x.overloaded {
			b.Borne += x.missed
		}
	}
	share := func(missed float64) float64 {
		return (missed/(aim*(1-c.Attainment)) + prior) / (b.Requests + prior)
	}
	b.Headroom.follow(share(b.Borne), x.seconds)
	b.Demand.follow(share(b.Avoidable), x.seconds)
	b.Demand.Factor = math.Max(b.Demand.Factor, b.Headroom.Factor)
}

// Account is what there is to tell of a Budget.
type Account struct {
	// Attained is the share of requests within the objectives over the last hours, Wanted the share that is asked for;
	// Known is false where no request was judged.
	Attained, Wanted float64
	Known            bool
	// Spent is the share of the allowed misses that was used: above 1 the objective is missed.
	Spent float64
	// Excused is the share of the misses that raise no price: of more demand than was ever seen or foreseen.
	Excused float64
	// Price is what a miss is worth, in replica time of a request.
	Price float64
}

// Account tells how the budget stands.
func (b *Budget) Account(c Config) Account {
	a := Account{Wanted: c.Attainment, Price: b.Demand.Of()}
	missed := b.Missed + b.Waited
	if requests := math.Max(b.Requests, missed); requests >= 1 {
		a.Known, a.Attained = true, 1-missed/requests
		a.Spent = missed / requests / (1 - c.Attainment)
		if b.Missed > 0 {
			a.Excused = 1 - b.Avoidable/b.Missed
		}
	}
	return a
}

// String says how the budget stands.
func (a Account) String() string {
	if !a.Known {
		return fmt.Sprintf("no request was judged yet; a miss counts as the replica time of %s requests", a.price())
	}
	state := fmt.Sprintf("%.0f%% of the error budget is used", 100*a.Spent)
	if a.Spent >= 1 {
		state = fmt.Sprintf("the error budget is spent (%.1f times)", a.Spent)
	}
	if a.Excused >= 0.01 {
		state += fmt.Sprintf(", %.0f%% of it by more demand than was ever seen or foreseen, which raises no price", 100*a.Excused)
	}
	return fmt.Sprintf("%.2f%% of requests within the objectives over the last hours, %.4g%% wanted: %s; a miss counts as the replica time of %s requests",
		100*a.Attained, 100*a.Wanted, state, a.price())
}

// price is the price with two digits.
func (a Account) price() string {
	if a.Price < 10 {
		return fmt.Sprintf("%.2g", a.Price)
	}
	return fmt.Sprintf("%.0f", a.Price)
}
