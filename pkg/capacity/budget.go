package capacity

import (
	"fmt"
	"math"
)

const (
	// budgetHalfLife is how fast, in seconds, misses are forgiven; budgetPrior is how many seconds of requests at the aim
	// are taken to have gone before.
	budgetHalfLife, budgetPrior = 2 * 3600., 3600.
	// aim is the part of the allowed misses that is aimed at: what is left is for what nobody foresees.
	aim = 0.6
	// usualPrice is that of a miss while the budget is spent as it is aimed at: so many times the replica time of a
	// request. At the edge of the objectives misses grow twenty-fold for each ln(20)/s = 10 % of load or so, which makes a
	// hundredth of missing requests worth the next replica at a price of about ten.
	usualPrice = 7.
	// exponent is how steeply the price goes with the budget spent; leastFactor and mostFactor bound it.
	exponent                = 1.5
	leastFactor, mostFactor = 0.43, 11.
	// drift is how fast, in e-folds an hour for each e-fold that more or less is spent than is aimed at, the price goes on
	// changing where it was not enough to change it: misses may grow more slowly with load than is believed. mostDrift
	// bounds it, in e-folds.
	drift, mostDrift = 1., 1.5
	// dearer is how many e-folds an hour the price may rise by: what has gone wrong is not undone by haste, and the miss
	// rate of ten minutes says little of the next hours.
	dearer = 4.
	// atFirst is the factor of the price of a service of which nothing is known yet, whose first climb nobody has seen, and
	// cheaper how many e-folds an hour the price may fall by.
	atFirst, cheaper = 12., 4.
	// unforeseen is how far above the highest quantile that was forecast demand has to be for its misses to be nobody's
	// choice: no price would have bought them. They are told and do not raise it. outlasts is for how long, in seconds.
	unforeseen, outlasts = 1.3, 120.
	// excusable is the share of all requests that can be excused so: a forecast that is exceeded more often is a bad one,
	// and its misses are to be paid for.
	excusable = 0.1
)

// Budget is the error budget of the objective, and what follows from it: the price of a miss.
type Budget struct {
	// Requests and Seconds are decayed sums of the requests judged and of time. Missed are those that missed an objective,
	// Avoidable those of them that a forecast would have allowed to avoid; Excused are the requests judged while it would not.
	Requests, Seconds, Missed, Avoidable, Excused float64
	// Factor is the logarithm of the price over the usual one, Drift what of it has built up over time.
	Factor, Drift float64
	// Unforeseen is for how many seconds misses are still nobody's choice.
	Unforeseen float64
}

// spend takes a tick of so many seconds. Demand and foreseen are the demand of the tick and the highest quantile that was
// forecast for it one lead time before, zero where there was no forecast, both in the same unit.
func (b *Budget) spend(judged, missed, seconds, demand, foreseen float64, c Config) {
	if b.Unforeseen = math.Max(0, b.Unforeseen-seconds); foreseen <= 0 || demand > unforeseen*foreseen {
		b.Unforeseen = outlasts
	}
	if b.Seconds == 0 {
		b.Factor = math.Log(atFirst)
	}
	k := math.Exp2(-seconds / budgetHalfLife)
	scale(k, &b.Requests, &b.Seconds, &b.Missed, &b.Avoidable, &b.Excused)
	b.Requests += judged
	b.Seconds += seconds
	b.Missed += missed
	if b.Requests <= 0 { // of an engine that tells no latencies, say
		b.Factor = math.Max(0, b.Factor-cheaper*seconds/3600)
		return
	}
	prior := b.Requests / b.Seconds * budgetPrior
	if b.Unforeseen > 0 && b.Excused+judged <= excusable*(b.Requests+prior) {
		b.Excused += judged
	} else {
		b.Avoidable += missed
	}
	spent := (b.Avoidable/(aim*(1-c.Attainment)) + prior) / (b.Requests + prior)
	b.Drift = math.Min(math.Max(b.Drift+drift*math.Log(spent)*seconds/3600, 0), mostDrift)
	goal := math.Min(math.Max(exponent*math.Log(spent)+b.Drift, math.Log(leastFactor)), math.Log(mostFactor))
	b.Factor = math.Min(math.Max(goal, b.Factor-cheaper*seconds/3600), b.Factor+dearer*seconds/3600)
}

// Price is what a miss is worth, in replica time of a request.
func (b *Budget) Price() float64 { return usualPrice * math.Exp(b.Factor) }

// Account is what there is to tell of a Budget.
type Account struct {
	// Attained is the share of requests within the objectives over the last hours, Wanted the share that is asked for;
	// Known is false where no request was judged.
	Attained, Wanted float64
	Known            bool
	// Spent is the share of the allowed misses that was used: above 1 the objective is missed.
	Spent float64
	// Price is what a miss is worth, in replica time of a request.
	Price float64
}

// Account tells how the budget stands.
func (b *Budget) Account(c Config) Account {
	a := Account{Wanted: c.Attainment, Price: b.Price()}
	if b.Requests >= 1 {
		a.Known, a.Attained = true, 1-b.Missed/b.Requests
		a.Spent = b.Missed / b.Requests / (1 - c.Attainment)
	}
	return a
}

// String says how the budget stands.
func (a Account) String() string {
	if !a.Known {
		return fmt.Sprintf("no request was judged yet; a miss counts as the replica time of %.2g requests", a.Price)
	}
	state := fmt.Sprintf("%.0f%% of the error budget is used", 100*a.Spent)
	if a.Spent >= 1 {
		state = fmt.Sprintf("the error budget is spent (%.1f times)", a.Spent)
	}
	return fmt.Sprintf("%.2f%% of requests within the objectives over the last hours, %.4g%% wanted: %s; a miss counts as the replica time of %.2g requests",
		100*a.Attained, 100*a.Wanted, state, a.Price)
}
