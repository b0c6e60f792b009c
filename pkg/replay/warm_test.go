package replay_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// warmer is a plan that keeps replicas warm too.
type warmer struct {
	*plan
	warm  func(at time.Duration) scaling.Warm
	tiers scaling.Tiers
}

func (w warmer) Tiers() scaling.Tiers { return w.tiers }

func (w warmer) Decide(o baseline.Observation) scaling.Decision {
	d := w.plan.Decide(o)
	d.Warm = w.warm(o.Time.Sub(start))
	return d
}

// shared are tiers of which those that sleep leave all of their GPUs to others.
var shared = scaling.Tiers{
	Standby: scaling.Tier{Max: 4, Price: 1, GPUs: 1, Wake: time.Second},
	Asleep:  scaling.Tier{Max: 4, Price: 0.25, Wake: 3 * time.Second},
}

// inTurn asks for each of some numbers from its second on.
func inTurn(interval time.Duration, tiers scaling.Tiers, at map[int]scaling.Warm, serving map[int]int32) warmer {
	latest := func(now time.Duration) (best int) {
		best = -1
		for second := range at {
			if second > best && now >= time.Duration(second)*time.Second {
				best = second
			}
		}
		return best
	}
	return warmer{steps(serving, interval), func(now time.Duration) scaling.Warm { return at[latest(now)] }, tiers}
}

func TestAReplicaSleepsWakesAndIsPaidForByItsTier(t *testing.T) {
	p := inTurn(time.Second, shared, map[int]scaling.Warm{0: {}, 60: {Asleep: 1}, 160: {}}, map[int]int32{0: 2, 60: 1, 160: 2})
	wakes := []time.Duration{}
	p.saw = func(o baseline.Observation) {
		for _, r := range o.Replicas {
			if r.Woke > 0 && r.Phase == scaling.Ready && len(wakes) == 0 {
				wakes = append(wakes, o.Time.Sub(start), r.Woke)
			}
		}
	}
	c := replay.Config{Lead: replay.Lead{Load: fixed(2 * time.Minute)}}
	j, totals := run(t, c, replay.Target{Name: "chat", Profile: engine(), Load: load(1, 2, 480), Policy: p, Initial: 2, Max: 4})
	total := totals[0]
	if total.ColdStarts != 0 || j.outcomes()[replay.Completed] != 480 {
		t.Errorf("%d cold starts, %v", total.ColdStarts, j.outcomes())
	}
	if total.Asleep < 20*time.Second || total.Asleep > 26*time.Second {
		t.Errorf("100 s asleep at a quarter, less what it had to finish: %v", total.Asleep)
	}
	if slept := 4 * total.Asleep; total.Held+slept < 2*total.End-time.Millisecond || total.Held+slept > 2*total.End+time.Millisecond {
		t.Errorf("two replicas for %v: held for %v, asleep for %v", total.End, total.Held, slept)
	}
	if len(wakes) == 0 || wakes[1] != 3*time.Second || wakes[0] < 163*time.Second || wakes[0] > 166*time.Second {
		t.Errorf("woken at 160 s: ready at %v", wakes)
	}
}

func TestAScaleUpTakesBackWhatDrainsToRest(t *testing.T) {
	p := inTurn(time.Second, shared, map[int]scaling.Warm{0: {}, 30: {Standby: 1}, 32: {}}, map[int]int32{0: 2, 30: 1, 32: 2})
	c := replay.Config{Lead: replay.Lead{Load: fixed(2 * time.Minute)}}
	j, totals := run(t, c, replay.Target{Name: "chat", Profile: engine(), Load: load(1, 20, 1200), Policy: p, Initial: 2, Max: 4})
	if totals[0].ColdStarts != 0 || j.outcomes()[replay.Completed] != 1200 || totals[0].Held != 2*totals[0].End {
		t.Errorf("%d cold starts, %v; held %v of %v", totals[0].ColdStarts, j.outcomes(), totals[0].Held, totals[0].End)
	}
	drained := false
	for _, census := range j.censuses {
		drained = drained || census.Draining == 1
	}
	if last := lastCensus(j, "chat"); !drained || last.Ready != 2 {
		t.Errorf("it drained: %v; at the end %+v", drained, last)
	}
}

func TestASleeperThatIsWokenWaitsForTheGPUsThatItLent(t *testing.T) {
	sleeper := inTurn(time.Second, shared, map[int]scaling.Warm{0: {}, 20: {Asleep: 1}, 60: {}}, map[int]int32{0: 1, 20: 0, 60: 1})
	other := inPhase{steps(map[int]int32{0: 0, 30: 1, 90: 0}, time.Second)}
	c := replay.Config{GPUs: 1, Lead: replay.Lead{Load: fixed(10 * time.Second)}}
	j, _ := run(t, c,
		replay.Target{Name: "chat", Profile: engine(), Load: load(1, 2, 300), Policy: sleeper, Initial: 1, Max: 1},
		replay.Target{Name: "code", Profile: engine(), Load: load(2, 2, 160), Policy: other, Max: 1})
	at := map[string]time.Duration{}
	for _, census := range j.censuses {
		key := ""
		switch {
		case census.Target == "code" && census.Ready == 1:
			key = "the other serves"
		case census.Target == "chat" && census.Unschedulable == 1:
			key = "the sleeper waits"
		case census.Target == "chat" && census.Ready == 1 && census.At > time.Minute:
			key = "the sleeper serves"
		}
		if _, known := at[key]; !known && key != "" {
			at[key] = census.At.Truncate(time.Second)
		}
	}
	if at["the other serves"] < 40*time.Second || at["the sleeper waits"] != time.Minute || at["the sleeper serves"] < 93*time.Second || at["the sleeper serves"] > 2*time.Minute {
		t.Errorf("one GPU for two: %v", at)
	}
}

func TestSleepersThatAreLostAreOrderedAnew(t *testing.T) {
	p := inTurn(time.Second, shared, map[int]scaling.Warm{0: {}, 20: {Asleep: 1}, 100: {}}, map[int]int32{0: 2, 20: 1, 100: 2})
	c := replay.Config{Lead: replay.Lead{Load: fixed(20 * time.Second)}, Events: []replay.Event{{At: 60 * time.Second, Kind: replay.SleepersLost, Value: 3}}}
	j, totals := run(t, c, replay.Target{Name: "chat", Profile: engine(), Load: load(1, 2, 400), Policy: p, Initial: 2, Max: 4})
	if last := lastCensus(j, "chat"); totals[0].ColdStarts != 1 || last.Ready != 2 || j.outcomes()[replay.Completed] != 400 {
		t.Errorf("%d cold starts, %+v, %v", totals[0].ColdStarts, last, j.outcomes())
	}
}

// restless draws tiers and keeps any number warm.
func restless(seed uint64) warmer {
	r := rand.New(rand.NewPCG(seed, 8))
	tiers := scaling.Tiers{
		Standby: scaling.Tier{Max: 3, Price: 1, GPUs: 1, Wake: time.Second},
		Asleep:  scaling.Tier{Max: 3, Price: 0.5, GPUs: float64(r.IntN(3)) / 2, Wake: 5 * time.Second},
	}
	return warmer{wanderer(seed), func(time.Duration) scaling.Warm { return scaling.Warm{Standby: r.Int32N(4), Asleep: r.Int32N(4)} }, tiers}
}

func TestWhateverHappensToWarmReplicasTheBooksBalance(t *testing.T) {
	slept, stood := time.Duration(0), time.Duration(0)
	for seed := range uint64(60) {
		c, targets, requests := anything(seed)
		c.Wake = replay.Wake{Asleep: replay.Phase{Median: 4 * time.Second, Sigma: 0.5}}
		for i := range targets {
			targets[i].Policy = restless(seed*2 + uint64(i))
		}
		c.Events = append(c.Events, replay.Event{At: 7 * time.Minute, Kind: replay.SleepersLost, Value: 1}, replay.Event{At: 7 * time.Minute, Kind: replay.WakesSlow, Value: 9})
		j, totals := run(t, c, targets...)
		endEachOnce(t, seed, j, requests)
		for _, total := range totals {
			held, standby, asleep := integral(j, total.Target), time.Duration(0), time.Duration(0)
			var last replay.Census
			for _, x := range j.censuses {
				if x.Target == total.Target {
					standby += time.Duration(last.Standby) * (x.At - last.At)
					asleep += time.Duration(last.Asleep) * (x.At - last.At)
					last = x
				}
			}
			if held != total.Held || standby != total.Standby || (asleep/2-total.Asleep).Abs() > time.Microsecond {
				t.Errorf("seed %d: %s booked %+v, the census says %v, %v and %v", seed, total.Target, total, held, standby, asleep)
			}
			slept += asleep
			stood += standby
			if last.Standby > 3 || last.Asleep > 3 {
				t.Errorf("seed %d: %+v, three of each were asked for at the most", seed, last)
			}
		}
	}
	if slept < 15*time.Minute || stood < 10*time.Minute {
		t.Errorf("only %v asleep and %v on standby", slept, stood)
	}
}

func TestTheSameSeedWakesAlike(t *testing.T) {
	var first string
	for i := range 2 {
		c, targets, _ := anything(3)
		c.Wake = replay.Wake{Asleep: replay.Phase{Median: 4 * time.Second, Sigma: 0.5}}
		for k := range targets {
			targets[k].Policy = restless(uint64(k))
		}
		j, _ := run(t, c, targets...)
		if i == 0 {
			first = j.text.String()
		} else if j.text.String() != first || len(first) < 10_000 {
			t.Errorf("%d bytes, and others the second time", len(first))
		}
	}
}
