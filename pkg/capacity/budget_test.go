package capacity

import (
	"math"
	"strings"
	"testing"
	"time"
)

// spending has a budget take an hour's share of requests missed, in ticks of 15 s of 100 requests, foreseen as declared.
func spending(b *Budget, d time.Duration, missed, demand, foreseen float64) {
	for range int(d / tick) {
		b.spend(spent{judged: 100, missed: 100 * missed, seconds: tick.Seconds(), demand: demand, foreseen: foreseen}, goal)
	}
}

// aimed is the share of misses that is aimed at.
const aimed = aim * 0.01

func TestThePriceFollowsTheBudget(t *testing.T) {
	price := func(missed float64) float64 {
		var b Budget
		spending(&b, 4*time.Hour, missed, 1, 1)
		return b.Demand.Of()
	}
	near(t, "as much missed as is aimed at", price(aimed), usualPrice, 1e-6)
	near(t, "nothing missed", price(0), usualPrice*leastFactor, 0.2)
	near(t, "everything missed", price(1), usualPrice*mostFactor, 1e-6)
	last := 0.
	for _, missed := range []float64{0, 0.1 * aimed, 0.5 * aimed, aimed, 1.2 * aimed, 1.5 * aimed, 2 * aimed, 10 * aimed, 1} {
		got := price(missed)
		if got < last || got < usualPrice*leastFactor*(1-1e-9) || got > usualPrice*mostFactor*(1+1e-9) {
			t.Errorf("%.2f%% missed: %.3g, with fewer misses %.3g", 100*missed, got, last)
		}
		last = got
	}
}

func TestThePriceRisesAndFallsInTime(t *testing.T) {
	var b Budget
	if b.Demand.Of() != usualPrice {
		t.Errorf("the first price is %v", b.Demand.Of())
	}
	b.spend(spent{seconds: tick.Seconds()}, goal)
	near(t, "the price of a service of which nothing is known", b.Demand.Of(), usualPrice*atFirst*math.Exp(-cheaper*tick.Hours()), 1e-9)
	spending(&b, 2*time.Hour, aimed, 1, 1) // the misses of the first minutes were foreseen by nobody
	was, limit := b.Demand.Factor, dearer*tick.Hours()*(1+1e-9)
	for range 4 * 60 {
		last := b.Demand.Factor
		spending(&b, tick, 1, 1, 1)
		if b.Demand.Factor < last || b.Demand.Factor-last > limit {
			t.Fatalf("an hour of misses: from %.4f to %.4f within a tick", last, b.Demand.Factor)
		}
	}
	near(t, "an hour of misses", b.Demand.Factor, math.Log(mostFactor), 1e-9)
	if was > 0 {
		t.Errorf("it was dear before: %v", was)
	}
	for hours := 0; b.Demand.Factor > 0; hours++ {
		if hours > 24 {
			t.Fatal("a day later the hour is not forgiven")
		}
		last := b.Demand.Factor
		spending(&b, time.Hour, 0, 1, 1)
		if b.Demand.Factor > last {
			t.Errorf("%d hours later, without a miss, dearer: %.3f after %.3f", hours, b.Demand.Factor, last)
		}
	}
}

func TestMissesThatNoForecastSawRaiseNothing(t *testing.T) {
	for name, c := range map[string]struct{ demand, foreseen float64 }{
		"demand twice what was foreseen":  {2, 1},
		"no forecast, and more than ever": {2, 0},
	} {
		var b Budget
		spending(&b, 30*time.Minute, aimed, 1, 1)
		was := b.Demand.Of()
		for range 20 {
			b.spend(spent{judged: 100, missed: 50, seconds: tick.Seconds(), demand: c.demand, foreseen: c.foreseen, overloaded: true}, goal)
		}
		if got := b.Demand.Of(); got > was {
			t.Errorf("%s: the price went from %.4g to %.4g", name, was, got)
		}
		// Those of the next two minutes have the same cause.
		spending(&b, outlasts*time.Second-tick, 0.5, 1, 1)
		if got := b.Demand.Of(); got > was {
			t.Errorf("%s: in the aftermath it went to %.4g", name, got)
		}
		was = b.Demand.Of()
		spending(&b, time.Minute, 0.5, 1, 1)
		if got := b.Demand.Of(); got <= was {
			t.Errorf("%s: misses after that are foreseen ones: %.4g after %.4g", name, got, was)
		}
		if a := b.Account(goal); a.Attained > 0.95 {
			t.Errorf("%s: they are told all the same: %+v", name, a)
		}
	}
	var b Budget
	spending(&b, 30*time.Minute, aimed, 1, 1)
	was := b.Demand.Of()
	spending(&b, 5*time.Minute, 0.5, 0.99*unforeseen, 1)
	if b.Demand.Of() <= was {
		t.Errorf("a demand hardly above the forecast is no excuse: %v", b.Demand.Of())
	}
}

// A step of load that nobody saw is excused until the replicas for it have come, however many requests it brings.
func TestTheWholeOfAnUnforeseenStepIsExcused(t *testing.T) {
	step := func(b *Budget, minutes int, judged, demand, foreseen float64) {
		for range minutes * int(time.Minute/tick) {
			b.spend(spent{judged: judged, missed: judged, seconds: tick.Seconds(), demand: demand, foreseen: foreseen, overloaded: true}, goal)
		}
	}
	var calm Budget
	spending(&calm, 6*time.Hour, aimed, 1, 1)
	b := calm
	step(&b, 5, 400, 4, 1) // one lead time
	step(&b, 4, 400, 4, 4) // the forecast has seen it, the replicas are not there yet
	spending(&b, 5*time.Minute, aimed, 4, 4)
	if b.Demand.Of() > 1.01*calm.Demand.Of() {
		t.Errorf("nine minutes in which everything missed: the price went from %.4g to %.4g", calm.Demand.Of(), b.Demand.Of())
	}
	step(&b, 15, 400, 16, 4)
	if b.Demand.Of() <= 1.2*calm.Demand.Of() {
		t.Errorf("half an hour of them is a bad forecast: %.4g after %.4g", b.Demand.Of(), calm.Demand.Of())
	}
	b = calm
	step(&b, 5, 400, 4, 1)
	spending(&b, 2*time.Hour, aimed, 1, 1)
	was := b.Demand.Of()
	step(&b, 5, 390, 3.9, 1)
	if b.Demand.Of() <= 1.2*was {
		t.Errorf("what came once can come again: %.4g after %.4g", b.Demand.Of(), was)
	}
	b = calm
	step(&b, 5, 100, 1, 1)
	if b.Demand.Of() <= 1.5*calm.Demand.Of() {
		t.Errorf("an overload that was foreseen is paid for: %.4g after %.4g", b.Demand.Of(), calm.Demand.Of())
	}
}

func TestExcusesEnd(t *testing.T) {
	var calm Budget
	spending(&calm, 6*time.Hour, aimed, 1, 1)
	overload := func(b *Budget, span time.Duration, demand, foreseen float64) {
		for range int(span / tick) {
			b.spend(spent{judged: 100, missed: 100, seconds: tick.Seconds(), demand: demand, foreseen: foreseen, overloaded: true}, goal)
		}
	}
	b := calm
	for range 3 {
		overload(&b, 3*time.Minute, 4, 0)
		spending(&b, 2*time.Hour, aimed, 1, 0)
	}
	was := b.Avoidable
	if overload(&b, 3*time.Minute, 4, 0); b.Avoidable < was+1000 {
		t.Errorf("the same spike for the fourth time, which no forecast foresaw: %.0f avoidable misses after %.0f", b.Avoidable, was)
	}
	b = calm
	overload(&b, tick, 4, 1)
	overload(&b, 24*time.Hour, 4, 4)
	if b.Unforeseen > 0 || b.Avoidable < 0.99*b.Missed {
		t.Errorf("an overload of a day is excused at its end: %.0f of %.0f misses are not", b.Avoidable, b.Missed)
	}
	b = calm
	b.spend(spent{seconds: tick.Seconds(), demand: math.Inf(1), foreseen: 1}, goal)
	b.spend(spent{seconds: tick.Seconds(), demand: math.NaN(), foreseen: 1}, goal)
	if !(b.Most < 2) {
		t.Errorf("the most that was seen is %v", b.Most)
	}
}

// Where misses do not fall as they should at a higher price, it goes on rising, and comes back when they do.
func TestWhatIsNotEnoughBuildsUp(t *testing.T) {
	var b Budget
	spending(&b, time.Hour, 1.5*aimed, 1, 1)
	first := b.Headroom.Of()
	spending(&b, 5*time.Hour, 1.5*aimed, 1, 1)
	second := b.Headroom.Of()
	if second < 1.5*first || b.Headroom.Drift != mostDrift || b.Demand != b.Headroom {
		t.Errorf("half more than is aimed at for six hours: %.3g, then %.3g (%+v)", first, second, b)
	}
	spending(&b, 12*time.Hour, 0.5*aimed, 1, 1)
	if b.Headroom.Drift != 0 || b.Demand.Of() > usualPrice {
		t.Errorf("after twelve hours with half: %.3g, drift %.2f", b.Demand.Of(), b.Headroom.Drift)
	}
}

// Misses of demand that there were no replicas for raise the price of being without them, and buy no headroom.
func TestOverloadsBuyNoHeadroom(t *testing.T) {
	var b Budget
	spending(&b, 6*time.Hour, aimed, 1, 1)
	was := b
	for range 20 {
		b.spend(spent{judged: 100, missed: 50, seconds: tick.Seconds(), demand: 1, foreseen: 1, overloaded: true}, goal)
	}
	if b.Headroom.Of() > was.Headroom.Of() || b.Demand.Of() < 1.5*was.Demand.Of() {
		t.Errorf("five minutes of overload: headroom %.3g after %.3g, demand %.3g after %.3g", b.Headroom.Of(), was.Headroom.Of(), b.Demand.Of(), was.Demand.Of())
	}
}

func TestAccount(t *testing.T) {
	for name, c := range map[string]struct {
		missed float64
		says   string
	}{
		"within":   {0.005, "99.50% of requests within the objectives over the last hours, 99% wanted: 50% of the error budget is used"},
		"spent":    {0.03, "97.00% of requests within the objectives over the last hours, 99% wanted: the error budget is spent (3.0 times)"},
		"unmarred": {0, "100.00% of requests within the objectives over the last hours, 99% wanted: 0% of the error budget is used"},
	} {
		var b Budget
		spending(&b, time.Hour, c.missed, 1, 1)
		a := b.Account(goal)
		if !strings.HasPrefix(a.String(), c.says) || !a.Known || math.Abs(a.Spent-100*c.missed) > 1e-6 {
			t.Errorf("%s: %s (%+v)", name, a, a)
		}
		if !strings.Contains(a.String(), "a miss counts as the replica time of") {
			t.Errorf("%s: no price in %q", name, a)
		}
	}
	b := Budget{Requests: 1000, Missed: 50, Avoidable: 5}
	if says := "(5.0 times), 90% of it by more demand than was ever seen or foreseen, which raises no price; a miss"; !strings.Contains(b.Account(goal).String(), says) {
		t.Errorf("%q is not in %q", says, b.Account(goal))
	}
	if a := new(Budget).Account(goal); a.Known || a.Price != usualPrice || !strings.HasPrefix(a.String(), "no request was judged yet; a miss counts as the replica time of ") {
		t.Errorf("at first: %s (%+v)", a, a)
	}
}
