package scaling_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestDemandIsMet(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(3, 10)
	if l.last.Blind || !l.last.DemandKnown || math.Abs(l.last.Demand-10) > 0.01 {
		t.Fatalf("10 requests/s arrive: %s", explain(l.last))
	}
	l.ticks(240, 10) // 2 busy, 3 with headroom, and less and less room for what is not known yet
	l.want(3, scaling.DemandFell)
	l.scale(3)
	l.ticks(4, 10)
	l.want(3, scaling.DemandMet)
	l.ticks(2, 30) // 6 busy, and 450 wait for the third that is there
	if d := l.last; d.Reason != scaling.ReactiveDemand || d.Replicas < 7 || d.Replicas > 16 {
		t.Fatal(explain(d))
	}
}

func TestNoDataIsNotZeroDemand(t *testing.T) {
	broken := func(change func(*line)) func(*line) {
		return func(l *line) { l.ticks(30, 33); change(l) }
	}
	each := func(change func(*pod)) func(*line) {
		return func(l *line) {
			for _, p := range l.pods {
				change(p)
			}
		}
	}
	cases := map[string]struct {
		do     func(*line)
		ticks  int
		reason scaling.Reason
		blind  bool
		text   string
	}{
		"nothing has ever been read": {func(l *line) {
			each(func(p *pod) { p.frozen = true })(l)
		}, 40, scaling.NoFreshData, true, "pod-1: no reading of inference_requests_waiting"},
		"pages grow stale": {broken(each(func(p *pod) { p.frozen = true })), 40, scaling.NoFreshData, true, "newest reading of inference_requests_waiting"},
		"pages turn into garbage": {broken(each(func(p *pod) {
			p.without = []signals.Metric{signals.RequestsWaiting, signals.RequestsRunning, signals.RequestsFinished}
		})), 40, scaling.NoFreshData, true, "inference_requests_waiting is not on its page"},
		"one series is gone": {broken(each(func(p *pod) {
			p.without = []signals.Metric{signals.RequestsFinished}
		})), 40, scaling.NoFreshData, true, "inference_requests_total is not on its page"},
		"one replica of many is unseen": {broken(func(l *line) { l.pods[1].frozen = true }), 40, scaling.PartialData, false, "pod-2: newest reading of"},
		"no replica is ready":           {broken(each(func(p *pod) { p.Phase = scaling.Starting; p.Created = t0.Add(24 * time.Hour) })), 40, scaling.NoReadyReplica, false, "no replica is ready"},
		"only one reading of each":      {func(*line) {}, 1, scaling.WarmingUp, false, "two readings"},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLine(t, config(), 8)
			x.do(l)
			l.desired = 8
			for i := range x.ticks {
				d := l.tick(0.1)
				if d.Replicas < 8 {
					t.Fatalf("scaled down after %d ticks: %s", i, explain(d))
				}
			}
			if l.last.Reason != x.reason || l.last.Blind != x.blind || !strings.Contains(explain(l.last), x.text) {
				t.Fatalf("want %s, blind %v, %q; got %s", x.reason, x.blind, x.text, explain(l.last))
			}
			if x.blind && (len(l.last.Unseen) != 8 || !strings.Contains(l.last.Message(), x.text)) {
				t.Errorf("message %q and unseen %q must say what was sought", l.last.Message(), l.last.Unseen)
			}
		})
	}
}

func TestAReplicaThatIsReadyInTheFutureIsNotNewForEver(t *testing.T) {
	l := newLine(t, config(), 8)
	for _, p := range l.pods[2:] {
		p.ReadyAt, p.frozen = t0.Add(24*time.Hour), true // the clock of its node is wrong, and its page is not found
	}
	for range 60 {
		if d := l.tick(2); d.Replicas < 8 {
			t.Fatalf("scaled down while 6 of 8 replicas have never been read: %s", explain(d))
		}
	}
	if d := l.last; d.Reason != scaling.PartialData || len(d.Unseen) != 6 {
		t.Fatalf("6 of 8 replicas are not seen: %s", explain(d))
	}
}

func TestATickBetweenTwoScrapesDelaysAScaleDownAndDoesNotForbidIt(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(30, 15)
	for i := range 100 {
		between := i%10 == 9
		for _, p := range l.pods {
			p.frozen = between
		}
		d := l.tick(2)
		switch {
		case between && d.Replicas < 4:
			t.Fatalf("scaled down on nothing new: %s", explain(d))
		case d.Replicas < 4:
			return
		}
	}
	t.Fatalf("4 replicas for 2 requests/s after 100 ticks, since one tick in ten saw nothing new: %s", explain(l.last))
}

func TestWhatAnUnreadyReplicaHoldsIsDemandToo(t *testing.T) {
	l := newLine(t, config(), 8)
	l.ticks(30, 33)
	lost := l.pods[2:]
	for _, p := range lost {
		p.Phase, p.Created = scaling.Starting, t0.Add(24*time.Hour) // overloaded: its probe times out, its page does not
	}
	for range 40 {
		for _, p := range lost {
			p.serve(4*tick.Seconds(), 5*tick.Seconds())
			p.Reading = p.page(l.now.Add(tick))
		}
		if d := l.tick(9); d.Replicas < 8 {
			t.Fatalf("24 requests/s go to replicas that are not ready: %s", explain(d))
		}
	}
	if d := l.last; math.Abs(d.Demand-33) > 1 {
		t.Errorf("33 requests/s arrive, 24 of them at replicas that are not ready; demand is said to be %.1f\n%s", d.Demand, explain(d))
	}
}

func TestPartOfTheReplicasStandsForTheWhole(t *testing.T) {
	l := newLine(t, config(), 8)
	l.ticks(30, 30)
	l.pods[0].frozen, l.pods[1].frozen = true, true
	l.ticks(8, 30)
	if d := l.last; math.Abs(d.Demand-30) > 0.5 {
		t.Fatalf("30 requests/s over 8 replicas, 2 of them unseen: demand is said to be %.1f", d.Demand)
	}
}

func TestAfterARestartTheReplicasThatAreNotYetMeasuredStandForTheirShare(t *testing.T) {
	l := newLine(t, config(), 8)
	l.tick(30)
	for _, p := range l.pods[2:] {
		p.frozen = true // their next scrape comes later in the interval
	}
	l.tick(30)
	if d := l.last; math.Abs(d.Demand-30) > 0.5 {
		t.Fatalf("two of eight replicas have been read twice, and demand is said to be %.1f of 30\n%s", d.Demand, explain(d))
	}
}

func TestNothingIsScaledDownWithinAWindowOf(t *testing.T) {
	const window = 5 * time.Minute
	cases := map[string]func(*line){
		"a start":      func(*line) {},
		"a lost state": func(l *line) { l.ticks(60, 40); l.state = scaling.State{} },
		"the end of blindness": func(l *line) {
			l.ticks(60, 40)
			for _, p := range l.pods {
				p.frozen = true
			}
			l.ticks(60, 40)
			for _, p := range l.pods {
				p.frozen = false
			}
		},
		"the end of a pause": func(l *line) {
			l.ticks(60, 40)
			running, paused := l.planner, config()
			paused.Paused = true
			l.planner, _ = scaling.NewPlanner(paused)
			l.ticks(60, 40)
			l.planner = running
		},
		"a gap as long as the window": func(l *line) { l.ticks(60, 40); l.now = l.now.Add(window) },
		"a gap between two ticks":     func(l *line) { l.ticks(60, 40); l.now = l.now.Add(20 * time.Minute) },
	}
	for name, before := range cases {
		t.Run(name, func(t *testing.T) {
			c := config()
			c.Forecast.Disabled = true // it may keep replicas for longer; that is another test's
			l := newLine(t, c, 10)
			before(l)
			began, fell := l.now, time.Duration(0)
			for l.now.Sub(began) < 3*window && fell == 0 {
				if d := l.tick(2); d.Replicas < 10 {
					fell = l.now.Sub(began)
				}
			}
			if fell < window || fell > window+2*tick+time.Minute {
				t.Fatalf("scaled down %v after it, a full window is %v\n%s", fell, window, explain(l.last))
			}
		})
	}
}

func TestSomebodysWillIsKept(t *testing.T) {
	t.Run("paused: nothing moves, everything is learned", func(t *testing.T) {
		c := config()
		c.Paused = true
		l := newLine(t, c, 25) // more than the maximum
		l.ticks(40, 200)
		l.want(25, scaling.Paused)
		if !l.last.DemandKnown || !l.last.Forecast.Known() || math.Abs(l.last.Demand-200) > 1 {
			t.Errorf("what is seen is still learned from: %+v", l.last)
		}
	})
	t.Run("zero replicas asked for by somebody else", func(t *testing.T) {
		l := newLine(t, config(), 4)
		l.ticks(10, 10)
		l.pods, l.desired = nil, 0
		l.ticks(40, 0)
		l.want(0, scaling.ScaledToZeroByOther)
		l.scale(1)
		l.ticks(1, 0)
		l.want(1, scaling.NoReadyReplica)
	})
	t.Run("a hold still keeps the bounds", func(t *testing.T) {
		c := config()
		c.Constraints = constraints(6)
		l := newLine(t, c, 8)
		l.tick(10)
		l.want(6, scaling.AtMaximum)
	})
}

func TestMissingGPUsAreNotAskedForTwice(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(4, 15)
	l.add(scaling.Unschedulable, l.now)
	l.desired = 5
	l.ticks(4, 60)
	l.want(5, scaling.GPUsUnavailable)
	if d := l.last; !d.Limited || d.Needed < 12 || d.Unschedulable != 1 {
		t.Fatalf("limited %v, needed %d: %s", d.Limited, d.Needed, explain(d))
	}
}

func TestTheMaximumLimits(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(6, 300)
	l.want(20, scaling.AtMaximum)
	if !l.last.Limited || l.last.Needed < 60 {
		t.Fatalf("limited %v, needed %d", l.last.Limited, l.last.Needed)
	}
}

func TestARestartedEngineIsNotASilentOne(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(20, 16)
	for _, p := range l.pods { // all at once: counters begin anew, what was in flight is lost
		p.finished, p.waiting, p.running, p.tokens = 0, 0, 0, 0
	}
	l.tick(16)
	if d := l.last; math.Abs(d.Demand-16) > 1 {
		t.Fatalf("16 requests/s arrive, and after a restart of the engines demand is said to be %.1f", d.Demand)
	}
}

func TestAQueueLostInARestartIsNoDrop(t *testing.T) {
	l := newLine(t, config(), 2)
	l.ticks(20, 18) // more than two serve: a queue grows
	for _, p := range l.pods {
		p.finished, p.waiting, p.running, p.tokens = 0, 0, 0, 0
	}
	l.tick(18)
	if d := l.last; d.Demand < 16 {
		t.Fatalf("18 requests/s arrive, and after a restart of the engines demand is said to be %.1f\n%s", d.Demand, explain(d))
	}
}

func TestAReplicaReplacedKeepsDemandKnown(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(30, 16)
	l.pods = l.pods[1:]
	fresh := l.add(scaling.Ready, l.now.Add(-l.ready)) // ready just now
	for i := range 4 {
		d := l.tick(16)
		if math.Abs(d.Demand-16) > 2.1 || d.Blind || d.Replicas < 4 {
			t.Fatalf("tick %d after %s came: %s", i, fresh.Name, explain(d))
		}
	}
	if got := len(l.state.Replicas); got != 4 {
		t.Errorf("%d replicas are remembered, 4 exist", got)
	}
}

func TestAConstantOverloadIsOrderedOnce(t *testing.T) {
	cases := map[string]struct {
		change func(*scaling.Config)
		most   int32 // replicas that the load may cost at most
	}{
		"capacity declared":              {func(*scaling.Config) {}, 18},                               // after a jump the forecast allows for another
		"capacity declared, no forecast": {func(c *scaling.Config) { c.Forecast.Disabled = true }, 16}, // the backlog of a lead time is drained within one
		"capacity unknown": {func(c *scaling.Config) {
			c.Capacity.RequestsPerSecond = 0
			c.Constraints = constraints(64)
		}, 32},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			c := config()
			x.change(&c)
			l := newLine(t, c, 4)
			l.ticks(240, 15) // the price of a new service is gone
			l.follow = true
			orders, began := 0, l.now
			for l.now.Sub(began) < 110*time.Second { // one lead time, less a tick
				before := l.desired
				if l.tick(40); l.desired > before {
					orders++
				}
			}
			first := l.desired
			if orders == 0 || orders > 3 {
				t.Errorf("%d orders within one lead time", orders)
			}
			l.ticks(12, 40)
			if l.desired > x.most {
				t.Errorf("40 requests/s need 10 replicas and at most %d are fair: %d after one lead time, %d after five minutes\n%s", x.most, first, l.desired, explain(l.last))
			}
		})
	}
}

func TestStartingReplicasCountWhenTheyWillBeReady(t *testing.T) {
	order := func(starting int) int32 {
		l := newLine(t, config(), 4)
		l.ticks(8, 15)
		for range starting {
			l.add(scaling.Starting, l.now.Add(-time.Minute))
		}
		l.desired = int32(4 + starting)
		for _, p := range l.pods[:4] {
			p.waiting = 300
		}
		l.ready = time.Hour
		l.tick(20)
		return l.last.Needed
	}
	none, some, many := order(0), order(3), order(8)
	if !(none > some && some > many) {
		t.Fatalf("1200 requests wait; needed with 0, 3 and 8 replicas starting: %d, %d, %d", none, some, many)
	}
}

func TestUnknownCapacityNeverScalesDownAndGrowsOnlyWithAQueue(t *testing.T) {
	c := config()
	c.Capacity.RequestsPerSecond = 0
	l := newLine(t, c, 4)
	l.ticks(60, 1)
	l.want(4, scaling.CapacityUnknown)
	for _, p := range l.pods {
		p.waiting = 1000
	}
	l.tick(1)
	if d := l.last; d.Replicas <= 4 || d.Replicas > 8 || d.Reason != scaling.ReactiveDemand {
		t.Fatal(explain(d))
	}
	if text := l.last.Message(); !strings.Contains(text, "wait") {
		t.Errorf("the message does not say why: %q", text)
	}
}

func TestTheForecastVetoesAScaleDown(t *testing.T) {
	c := config()
	c.Constraints = []scaling.Constraint{constraint.Bounds{Min: 1, Max: 20}}
	l := newLine(t, c, 8)
	veto := false
	for i := range 400 { // a wave of twenty minutes
		l.follow = i > 200
		d := l.tick(20 + 14*math.Sin(2*math.Pi*float64(i)/80))
		if i > 200 && d.Reason == scaling.ForecastVeto {
			veto = true
			if d.Replicas < d.Current {
				t.Fatalf("a veto that lets go: %s", explain(d))
			}
		}
	}
	if !veto {
		t.Error("a rising wave never kept replicas that the trough does not need")
	}
}

func TestStageThatDecidedIsTheMessage(t *testing.T) {
	l := newLine(t, config(), 4)
	l.ticks(240, 15)
	l.scale(6)
	l.tick(15)
	if m := l.last.Message(); !strings.Contains(m, "6 -> 5 replicas (4 ready, 2 starting): forecast: ") {
		t.Errorf("got %q", m)
	}
	if (scaling.Step{Stage: "rate", Text: "4 allowed"}).String() != "rate: 4 allowed" {
		t.Error("a step reads stage: text")
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	_, err := scaling.NewPlanner(scaling.Config{})
	if err == nil {
		t.Fatal("an empty configuration is none")
	}
	for _, field := range []string{"staleness", "forecast step", "quantile", "attainment"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not named in: %v", field, err)
		}
	}
	c := scaling.Default()
	c.Window, c.LeadTime.Prior, c.Capacity.TokensPerSecond = -1, -1, math.NaN()
	_, err = scaling.NewPlanner(c)
	for _, field := range []string{"window", "lead time", "capacity"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not named in: %v", field, err)
		}
	}
	if _, err := scaling.NewPlanner(scaling.Default()); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
}

// SGLang's counter of requests comes into being with the first request that ends.
func TestAnIdleEngineWithoutACounterOfRequestsIsSeen(t *testing.T) {
	idle := func(at time.Time) *signals.Reading {
		r := &signals.Reading{Time: at}
		r.Set(signals.RequestsWaiting, 0)
		r.Set(signals.RequestsRunning, 0)
		return r
	}
	busy := func(at time.Time, running float64) *signals.Reading {
		r := idle(at)
		r.Set(signals.RequestsRunning, running)
		return r
	}
	p, err := scaling.NewPlanner(scaling.Default())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var st scaling.State
	plan := func(r *signals.Reading) scaling.Decision {
		obs := scaling.Observation{Time: r.Time, Desired: 1, Replicas: []scaling.Replica{{
			ID: "a", Name: "a", Phase: scaling.Ready, Created: at.Add(-time.Hour), ReadyAt: at.Add(-time.Hour), Reading: r,
		}}}
		var d scaling.Decision
		st, d = p.Plan(st, obs)
		return d
	}
	plan(idle(at))
	if d := plan(idle(at.Add(15 * time.Second))); d.Blind || len(d.Unseen) > 0 || !d.DemandKnown || d.Demand != 0 {
		t.Errorf("idle without the counter: %+v", d)
	}
	if d := plan(busy(at.Add(30*time.Second), 3)); !d.Blind || !strings.Contains(d.Unseen[0], "inference_requests_total") {
		t.Errorf("busy without the counter: blind %v, unseen %q", d.Blind, d.Unseen)
	}
}

// A router that sends to the least busy pours nearly all that comes into a replica that joins.
func TestAReplicaThatJoinsDoesNotCountTwiceWhatItTakesOver(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	replica := func(name string, now, ready time.Time, finished, running float64) scaling.Replica {
		r := &signals.Reading{Time: now}
		r.Set(signals.RequestsWaiting, 0)
		r.Set(signals.RequestsRunning, running)
		r.Set(signals.RequestsFinished, finished)
		r.Set(signals.GenerationTokens, 200*finished)
		return scaling.Replica{ID: name, Name: name, Phase: scaling.Ready, Created: ready.Add(-time.Minute), ReadyAt: ready, Reading: r}
	}
	p, err := scaling.NewPlanner(scaling.Default())
	if err != nil {
		t.Fatal(err)
	}
	old, later := at.Add(-time.Hour), at.Add(15*time.Second)
	st, _ := p.Plan(scaling.State{}, scaling.Observation{Time: at, Desired: 3, Replicas: []scaling.Replica{
		replica("a", at, old, 1000, 20), replica("b", at, old, 1000, 20),
	}})
	// 150 requests in 15 s: 65 to each of the old ones, 20 in two seconds to the new one.
	_, d := p.Plan(st, scaling.Observation{Time: later, Desired: 3, Replicas: []scaling.Replica{
		replica("a", later, old, 1065, 20), replica("b", later, old, 1065, 20), replica("c", later, later.Add(-2*time.Second), 0, 20),
	}})
	if d.Demand < 9.9 || d.Demand > 10.1 {
		t.Errorf("demand %.2f requests/s, want 10", d.Demand)
	}
}

func TestAfterALongPauseReplicasThatWereAllReplacedTellOfTheirOwnTime(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	replica := func(name string, now, ready time.Time, finished float64) scaling.Replica {
		r := &signals.Reading{Time: now}
		r.Set(signals.RequestsWaiting, 0)
		r.Set(signals.RequestsRunning, 10)
		r.Set(signals.RequestsFinished, finished)
		return scaling.Replica{ID: name, Name: name, Phase: scaling.Ready, Created: ready.Add(-time.Minute), ReadyAt: ready, Reading: r}
	}
	p, err := scaling.NewPlanner(scaling.Default())
	if err != nil {
		t.Fatal(err)
	}
	st, _ := p.Plan(scaling.State{}, scaling.Observation{Time: at, Desired: 1, Replicas: []scaling.Replica{replica("a", at, at.Add(-time.Hour), 1000)}})
	later := at.Add(4 * time.Minute)
	_, d := p.Plan(st, scaling.Observation{Time: later, Desired: 2, Replicas: []scaling.Replica{
		replica("b", later, later.Add(-30*time.Second), 140), replica("c", later, later.Add(-30*time.Second), 140),
	}})
	if !d.DemandKnown || d.Demand < 9.9 || d.Demand > 10.1 {
		t.Errorf("demand %.2f requests/s, want 10", d.Demand)
	}
}

// One engine counts requests when they come, the other when they end: what is decided is the same.
func TestRequestsCountedWhenTheyComeAreDemandAsTheyAre(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	replica := func(arrivals bool, name string, now, ready time.Time, ended, waiting, running float64) scaling.Replica {
		r := &signals.Reading{Time: now}
		r.Set(signals.RequestsWaiting, waiting)
		r.Set(signals.RequestsRunning, running)
		r.Set(signals.RequestsFinished, ended)
		r.Set(signals.GenerationTokens, 200*ended)
		if arrivals {
			r.SetArrivals()
			r.Set(signals.RequestsFinished, ended+waiting+running)
		}
		return scaling.Replica{ID: name, Name: name, Phase: scaling.Ready, Created: ready.Add(-time.Minute), ReadyAt: ready, Reading: r}
	}
	line := func(arrivals bool) (decided []string) {
		p, err := scaling.NewPlanner(scaling.Default())
		if err != nil {
			t.Fatal(err)
		}
		var st scaling.State
		old := at.Add(-time.Hour)
		for i, pages := range [][2][3]float64{ // ended, waiting and running of a, and of b where it is there
			{{1000, 0, 20}},
			{{1100, 10, 32}},
			{{1180, 40, 32}, {0, 3, 30}},
			{{1260, 12, 32}, {70, 0, 32}},
			{{30, 0, 12}, {170, 0, 30}}, // a began anew
			{{42, 0, 0}, {200, 0, 0}},
		} {
			now := at.Add(time.Duration(i) * 15 * time.Second)
			seen := []scaling.Replica{replica(arrivals, "a", now, old, pages[0][0], pages[0][1], pages[0][2])}
			if i > 1 {
				seen = append(seen, replica(arrivals, "b", now, at.Add(20*time.Second), pages[1][0], pages[1][1], pages[1][2]))
			}
			var d scaling.Decision
			st, d = p.Plan(st, scaling.Observation{Time: now, Desired: 2, Replicas: seen})
			decided = append(decided, fmt.Sprintf("%v %.3f %s", d.DemandKnown, d.Demand, explain(d)))
		}
		return decided
	}
	ended := line(false)
	if diff := cmp.Diff(ended, line(true)); diff != "" {
		t.Errorf("(-counted when they end +when they come):\n%s", diff)
	}
	if !strings.HasPrefix(ended[1], "true 8.133 ") {
		t.Errorf("122 requests came in 15 s: %s", ended[1])
	}
}
