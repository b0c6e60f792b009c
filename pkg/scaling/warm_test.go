package scaling_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// sleepers allows four replicas that sleep on GPUs which others may use meanwhile.
func sleepers() scaling.Tiers {
	return scaling.Tiers{Asleep: scaling.Tier{Max: 4, Price: scaling.OffloadPrice, Wake: scaling.OffloadWake}}
}

// warmLine is a target with tiers whose replicas follow the decisions.
func warmLine(t *testing.T, w scaling.Tiers, replicas int) *line {
	t.Helper()
	c := config()
	c.Warm = w
	return newLine(t, c, replicas)
}

// step lets a tick pass and carries its decision out as a cluster would: who is wanted is woken before one is loaded, who
// is not is put to rest before one is ended. Woken replicas serve at the next tick.
func (l *line) step(rate float64) scaling.Decision {
	d := l.tick(rate)
	l.move(int(d.Replicas)-l.in(scaling.Ready)-l.in(scaling.Starting), d)
	l.trim(scaling.Standby, int(d.Warm.Standby))
	l.trim(scaling.Asleep, int(d.Warm.Asleep))
	l.desired = d.Replicas
	return d
}

func (l *line) in(phase scaling.Phase) (n int) {
	for _, p := range l.pods {
		if p.Phase == phase {
			n++
		}
	}
	return n
}

// move changes how many serve.
func (l *line) move(by int, d scaling.Decision) {
	for ; by > 0; by-- {
		if !l.turn(scaling.Standby, scaling.Ready) && !l.turn(scaling.Asleep, scaling.Ready) {
			l.add(scaling.Starting, l.now)
		}
	}
	for ; by < 0; by++ {
		to := scaling.Draining
		switch {
		case l.in(scaling.Asleep) < int(d.Warm.Asleep):
			to = scaling.Asleep
		case l.in(scaling.Standby) < int(d.Warm.Standby):
			to = scaling.Standby
		}
		l.turn(scaling.Ready, to)
	}
	l.trim(scaling.Draining, 0)
}

// turn brings one replica from a phase to another, false where there is none.
func (l *line) turn(from, to scaling.Phase) bool {
	p := l.first(from)
	if p != nil {
		p.Phase = to
	}
	return p != nil
}

// trim ends the replicas of a phase beyond a number.
func (l *line) trim(phase scaling.Phase, most int) {
	kept := l.pods[:0]
	for _, p := range l.pods {
		if p.Phase == phase {
			if most--; most < 0 {
				continue
			}
		}
		kept = append(kept, p)
	}
	l.pods = kept
}

func (l *line) steps(n int, rate float64) scaling.Decision {
	for range n {
		l.step(rate)
	}
	return l.last
}

func TestReplicasThatAreLetGoOfSleepAndComeBackAtOnce(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	d := l.steps(80, 4)
	if d.Warm.Asleep < 2 || d.Replicas > 2 || d.Warm.Standby != 0 {
		t.Fatalf("a quarter of an hour after demand fell: %+v %s", d.Warm, explain(d))
	}
	if !strings.Contains(explain(d), "asleep: ") {
		t.Errorf("no step tells of those that sleep: %s", explain(d))
	}
	slept := l.in(scaling.Asleep)
	l.step(20)
	l.step(20)
	if l.in(scaling.Ready) < 4 || l.in(scaling.Asleep) >= slept {
		t.Errorf("half a minute after demand rose %d serve and %d sleep: %s", l.in(scaling.Ready), l.in(scaling.Asleep), explain(l.last))
	}
	if l.in(scaling.Starting) > 0 && l.in(scaling.Asleep) > 0 {
		t.Errorf("%d are loaded while %d sleep", l.in(scaling.Starting), l.in(scaling.Asleep))
	}
}

func TestTheFewestAreKeptWhateverTheyAreWorth(t *testing.T) {
	w := sleepers()
	w.Standby = scaling.Tier{Max: 2, Min: 1, Price: 1, GPUs: 1, Wake: time.Second}
	w.Asleep = scaling.Tier{}
	l := warmLine(t, w, 2)
	for range 60 {
		d := l.step(4)
		if d.Warm.Standby < 1 {
			t.Fatalf("one is to be on standby: %+v %s", d.Warm, explain(d))
		}
	}
	if text := explain(l.last); !strings.Contains(text, "1 are always kept") {
		t.Errorf("it does not say why: %s", text)
	}
}

func TestWhatCostsAsMuchAsServingIsNotKeptWarmForLong(t *testing.T) {
	w := sleepers()
	w.Asleep.Price, w.Asleep.GPUs = 1.05, 1
	l := warmLine(t, w, 6)
	l.steps(60, 20)
	d := l.steps(120, 4)
	if d.Warm.All() != 0 {
		t.Errorf("half an hour after demand fell: %+v %s", d.Warm, explain(d))
	}
	if text := explain(d); !strings.Contains(text, "another would cost 1.1 and save 0") {
		t.Errorf("it does not say why there are none: %s", text)
	}
}

func TestWarmReplicasAreKeptWhileNothingIsSeen(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(*line)
		ticks int
	}{
		"no page is read":    {freeze, 480},
		"it is paused":       {func(l *line) { l.configure(func(c *scaling.Config) { c.Paused = true }) }, 480},
		"one is not seen":    {func(l *line) { l.first(scaling.Ready).frozen = true }, 480},
		"no replica is left": {func(l *line) { l.trim(scaling.Ready, 0) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := warmLine(t, sleepers(), 6)
			l.steps(60, 20)
			l.steps(60, 4)
			before := l.in(scaling.Asleep)
			if before == 0 {
				t.Fatalf("none sleeps: %s", explain(l.last))
			}
			x.spoil(l)
			for range x.ticks {
				if d := l.step(4); int(d.Warm.Asleep)+int(d.Replicas) < before {
					t.Fatalf("%d slept: %+v %s", before, d.Warm, explain(d))
				}
			}
		})
	}
}

// first is the oldest replica of a phase.
func (l *line) first(phase scaling.Phase) *pod {
	for _, p := range l.pods {
		if p.Phase == phase {
			return p
		}
	}
	return nil
}

func freeze(l *line) {
	for _, p := range l.pods {
		p.frozen = true
	}
}

// configure changes the planner under the same state.
func (l *line) configure(change func(*scaling.Config)) {
	c := l.planner.Config()
	change(&c)
	p, err := scaling.NewPlanner(c)
	if err != nil {
		l.t.Fatal(err)
	}
	l.planner = p
}

func TestTiersStayWithinTheirBoundsAndTheGPUs(t *testing.T) {
	warm := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		w := scaling.Tiers{
			Standby: scaling.Tier{Max: rng.Int32N(3), Price: 1, GPUs: 1, Wake: time.Second},
			Asleep:  scaling.Tier{Max: rng.Int32N(5), Price: rng.Float64(), GPUs: rng.Float64(), Wake: scaling.OffloadWake},
			GPUs:    2 * (1 + rng.Int32N(20)),
		}
		l := warmLine(t, w, 1+rng.IntN(4))
		l.gpus = 2
		l.configure(func(c *scaling.Config) { c.Constraints = append(c.Constraints, constraint.GPUBudget{GPUs: w.GPUs}) })
		rate := 10.
		for range 200 {
			if rng.IntN(20) == 0 {
				rate = 40 * rng.Float64()
			}
			d := l.step(rate)
			held := 2 * (float64(d.Replicas) + float64(d.Warm.Standby) + w.Asleep.GPUs*float64(d.Warm.Asleep))
			switch {
			case d.Warm.Standby < 0 || d.Warm.Asleep < 0 || d.Warm.Standby > w.Standby.Max || d.Warm.Asleep > w.Asleep.Max:
				t.Fatalf("seed %d: %+v of %+v: %s", seed, d.Warm, w, explain(d))
			case held > float64(w.GPUs)+1e-6 && d.Warm.All() > 0:
				t.Fatalf("seed %d: %.1f of %d GPUs: %+v %s", seed, held, w.GPUs, d.Warm, explain(d))
			}
			warm += int(d.Warm.All())
		}
	}
	if warm < 1000 {
		t.Errorf("only %d times a replica was warm", warm)
	}
}

func TestHowLongAWakingTakesIsLearned(t *testing.T) {
	for name, x := range map[string]struct {
		woke     time.Duration
		ticks    int // until it serves
		from, to time.Duration
	}{
		"measured by who wakes":       {woke: 5 * time.Second, ticks: 1, from: 3500 * time.Millisecond, to: 4500 * time.Millisecond},
		"served at the next look":     {ticks: 1, from: 3 * time.Second, to: 3 * time.Second},
		"served at the third look":    {ticks: 3, from: 15 * time.Second, to: 25 * time.Second},
		"serves after a minute or so": {ticks: 5, from: 30 * time.Second, to: 50 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			l := warmLine(t, sleepers(), 3)
			l.ticks(4, 5)
			p := l.pods[2]
			p.Phase = scaling.Asleep
			l.desired = 2
			l.tick(5)
			p.Phase, p.Created, l.desired = scaling.Starting, l.now.Add(time.Hour), 3
			for range x.ticks - 1 {
				l.tick(5)
			}
			p.Phase, p.Woke = scaling.Ready, x.woke
			l.tick(5)
			if w := l.state.Wakes.Asleep; w.Samples != 1 || w.Took < x.from || w.Took > x.to {
				t.Errorf("learned %+v, want %v to %v", w, x.from, x.to)
			}
			var s scaling.State
			s.Restore(l.state.Learned(), l.now)
			if s.Wakes != l.state.Wakes {
				t.Errorf("of %+v %+v outlives the process", l.state.Wakes, s.Wakes)
			}
		})
	}
}

func TestAWokenReplicaIsNeitherUnseenNorADoubleOfTheOthers(t *testing.T) {
	l := warmLine(t, sleepers(), 3)
	l.ticks(20, 6)
	l.pods[2].Phase, l.desired = scaling.Asleep, 2
	l.ticks(40, 6)
	l.pods[2].Phase, l.desired = scaling.Ready, 3
	for i := range 4 {
		d := l.tick(6)
		if len(d.Unseen) > 0 || d.Demand > 6.5 || d.Demand < 5.5 {
			t.Fatalf("%d ticks after it was woken: demand %.2f, unseen %q", i, d.Demand, d.Unseen)
		}
	}
}

func TestTheLastReplicaSleepsThroughAShortSilence(t *testing.T) {
	for name, w := range map[string]scaling.Tiers{
		"asleep":     sleepers(),
		"on standby": {Standby: scaling.Tier{Max: 1, Price: 1, GPUs: 1, Wake: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			c.Zero, c.Warm, c.LeadTime.Override = true, w, 10*time.Minute
			c.Constraints[3] = constraint.Bounds{Max: 20}
			l := newLine(t, c, 1)
			l.front = &scaling.Front{}
			l.steps(120, 3)
			slept := 0
			for range 80 {
				if d := l.step(0); d.Replicas == 0 && d.Warm.All() > 0 {
					slept++
				}
			}
			if slept < 20 {
				t.Fatalf("%d of 80 silent ticks at zero with a warm one: %s", slept, explain(l.last))
			}
			if !strings.Contains(explain(l.last), "serves in") {
				t.Errorf("no step tells: %s", explain(l.last))
			}
		})
	}
}

func TestTiersThatMakeNoSenseAreRefused(t *testing.T) {
	for want, change := range map[string]func(*scaling.Tiers){
		"standby":              func(w *scaling.Tiers) { w.Standby.Max = -1 },
		"asleep":               func(w *scaling.Tiers) { w.Asleep.GPUs = 1.5 },
		"price -1":             func(w *scaling.Tiers) { w.Asleep.Price = -1 },
		"wake time -1s":        func(w *scaling.Tiers) { w.Standby.Wake = -time.Second },
		"GPUs of all":          func(w *scaling.Tiers) { w.GPUs = -1 },
		"none may be negative": func(w *scaling.Tiers) { w.Asleep.Max = -2 },
	} {
		c := config()
		c.Warm = sleepers()
		change(&c.Warm)
		if _, err := scaling.NewPlanner(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestWhatIsNeverNeededAgainIsNotKeptAsleepForLong(t *testing.T) {
	w := sleepers()
	w.Asleep.Price = 0.4 // for five minutes at the most, and a spike comes every half an hour
	l := warmLine(t, w, 6)
	slept := make([]int, 14)
	for spike := range slept {
		l.steps(6, 25)
		for range 114 {
			l.step(2)
			slept[spike] += l.in(scaling.Asleep)
		}
	}
	if first, last := slept[1], slept[len(slept)-1]; first < 20 || last > first/2 {
		t.Errorf("replica ticks asleep after each spike: %v", slept)
	}
	var s scaling.State
	s.Restore(l.state.Learned(), l.now)
	if s.Rests != l.state.Rests || s.Rests.Never == 0 {
		t.Errorf("of %+v %+v outlives the process", l.state.Rests, s.Rests)
	}
}

func TestWhatCostsAsMuchTakesNobodysPlaceAmongThoseThatServe(t *testing.T) {
	for name, x := range map[string]struct {
		price float64
		fewer bool
	}{
		"a cheap one does":    {0.05, true},
		"a dear one does not": {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			served := map[int]int32{}
			for _, asleep := range []int{0, 4} {
				w := sleepers()
				w.Asleep.Price = x.price
				l := warmLine(t, w, 4)
				for i := range 40 { // a load between 0 and 20 that no forecast resolves
					l.ticks(2, float64(20*(i*7%3/2)))
				}
				for range asleep {
					l.add(scaling.Asleep, t0)
				}
				served[asleep] = l.tick(0).Needed
			}
			if fewer := served[4] < served[0]; fewer != x.fewer {
				t.Errorf("needed beside none asleep and beside four: %v", served)
			}
		})
	}
}

func TestARestartLetsGoOfNoSleeper(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	l.steps(60, 4)
	before := l.in(scaling.Asleep)
	learned := l.state.Learned()
	l.state = scaling.State{}
	l.state.Restore(learned, l.now)
	for range 60 {
		if d := l.step(4); int(d.Warm.Asleep) < before {
			t.Fatalf("%d slept before the restart, %v after it: %s", before, d.Warm, explain(d))
		}
	}
	if l.steps(240, 4); l.in(scaling.Asleep) >= before || before == 0 {
		t.Errorf("%d slept, and an hour and more later %d do", before, l.in(scaling.Asleep))
	}
}
