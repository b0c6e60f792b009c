package scaling_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// within lets a line go on within a share.
func (l *line) within(s scaling.Share) { l.share = &s }

func TestAShareBoundsWhatIsWantedAndTheWishStays(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	l.within(scaling.Share{Awake: 3, Asleep: 1, Why: "others are worth more"})
	d := l.step(20)
	if d.Replicas != 3 || d.Reason != scaling.AtGPUBudget || !d.Limited || !strings.Contains(explain(d), "wanted, 3 are this target's share of the GPUs: others are worth more") {
		t.Fatalf("within a share of 3: %s", explain(d))
	}
	if d.Warm.Asleep > 1 {
		t.Errorf("%d sleep of a share of 1", d.Warm.Asleep)
	}
	worth := d.Worth.Serving
	if len(worth) < 5 || worth[0] < worth[len(worth)-1] || worth[len(worth)-1] <= 0 {
		t.Errorf("what is wished for: %v", worth)
	}
	l.within(scaling.Share{Awake: 20, Asleep: 20})
	if d := l.step(20); d.Replicas < 5 {
		t.Errorf("with a larger share: %s", explain(d))
	}
}

func TestAShareTakesNothingFromWhoIsNotSeen(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	before := l.desired
	freeze(l)
	l.steps(int(2*time.Minute/tick), 20)
	l.within(scaling.Share{})
	d := l.step(20)
	if d.Replicas != before || !d.Blind {
		t.Fatalf("%d served: %s", before, explain(d))
	}
	if worth := d.Worth.Serving; len(worth) != int(before) || worth[len(worth)-1] < 1000 {
		t.Errorf("what nobody sees is worth %v to it: others would have it", worth)
	}
}

func TestWithoutAShareNothingIsWishedFor(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	if d := l.steps(60, 20); d.Worth.Serving != nil || d.Worth.Asleep != nil {
		t.Errorf("got %+v", d.Worth)
	}
}

func TestWithoutAnybodyInFrontTheLastReplicaIsKept(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	l.within(scaling.Share{Why: "others are worth more"})
	if d := l.step(20); d.Replicas != 1 || !strings.Contains(explain(d), "one is kept, since nothing would hold requests without it") {
		t.Errorf("within a share of none: %s", explain(d))
	}
}

func TestTheFirstReplicaOfWhoHasRequestsComesBeforeTheSecondOfOthers(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	l.within(scaling.Share{Awake: 20, Asleep: 20})
	if worth := l.step(20).Worth.Serving; worth[0] < 1e5 || worth[1] > 1e5 {
		t.Errorf("worth of the first and the second: %v", worth[:2])
	}
}

func TestAShareTakesNothingFromWhoIsSeenInPartOnly(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	i := slices.IndexFunc(l.pods, func(p *pod) bool { return p.Phase == scaling.Ready })
	l.pods[i].frozen = true
	l.steps(int(time.Minute/tick), 20)
	before := l.desired
	l.within(scaling.Share{Awake: 1})
	d := l.step(20)
	if d.Replicas < before || d.Blind {
		t.Fatalf("%d served, of which one is not seen: %s", before, explain(d))
	}
	if worth := d.Worth.Serving; worth[before-1] < 1e5 {
		t.Errorf("what is not seen is worth %v to it: others would have it", worth)
	}
}

func TestAShareTakesNothingFromWhoIsSeenInPartAndWouldHaveMore(t *testing.T) {
	l := warmLine(t, sleepers(), 6)
	l.steps(60, 20)
	before := l.desired
	i := slices.IndexFunc(l.pods, func(p *pod) bool { return p.Phase == scaling.Ready })
	l.pods[i].frozen = true
	l.steps(int(time.Minute/tick), 20)
	l.within(scaling.Share{Awake: 1, Asleep: 20})
	var d scaling.Decision
	for range 20 {
		if d = l.step(60); d.Replicas < before {
			t.Fatalf("%d served, of which one is not seen: %s", before, explain(d))
		}
	}
	worth := d.Worth.Serving
	if len(worth) <= int(before) || worth[before-1] < 1e5 || worth[before] > 1e5 {
		t.Errorf("of %d that it has and others that it would have all are worth %v to it", before, worth)
	}
}

func TestAShareTakesNoWarmReplicasFromWhoIsNotSeen(t *testing.T) {
	for name, most := range map[string]int{"not at all": 20, "in part": 1} {
		l := warmLine(t, sleepers(), 6)
		l.within(scaling.Share{Awake: 20, Standby: 20, Asleep: 20})
		l.steps(60, 20)
		before := l.steps(80, 8).Warm.Asleep
		if before == 0 {
			t.Fatal("none sleeps")
		}
		for _, p := range l.pods {
			if p.Phase == scaling.Ready && most > 0 {
				p.frozen = true
				most--
			}
		}
		l.steps(int(2*time.Minute/tick), 8)
		l.within(scaling.Share{Awake: 20})
		d := l.step(8)
		if d.Warm.Asleep != before {
			t.Errorf("seen %s: of %d asleep %d are kept: %s", name, before, d.Warm.Asleep, explain(d))
		}
		if worth := d.Worth.Asleep; len(worth) != int(before) || worth[before-1] < 1e5 {
			t.Errorf("seen %s: what it has asleep is worth %v to it: others would have the memory", name, worth)
		}
	}
}

func TestAShareBoundsTheFewestThatAreKeptWarmToo(t *testing.T) {
	w := sleepers()
	w.Standby = scaling.Tier{Max: 2, Min: 1, Price: 1, GPUs: 1, Wake: time.Second}
	w.Asleep = scaling.Tier{}
	l := warmLine(t, w, 1)
	l.within(scaling.Share{Awake: 1, Standby: 5, Why: "others are worth more"})
	for range 60 {
		d := l.step(3)
		if d.Replicas+d.Warm.Standby > 1 {
			t.Fatalf("%d serve and %d stand by of a share of 1: %s", d.Replicas, d.Warm.Standby, explain(d))
		}
		if worth := d.Worth.Standby; len(worth) == 0 || worth[0] <= 0 {
			t.Fatalf("one is to be on standby, which is worth %v to it", worth)
		}
	}
	l.within(scaling.Share{Awake: 3, Standby: 1})
	if d := l.step(3); d.Warm.Standby != 1 {
		t.Errorf("%d on standby within a larger share: %s", d.Warm.Standby, explain(d))
	}
}

func TestWhoseCapacityNobodyKnowsKeepsWhatIsAtWork(t *testing.T) {
	c := config()
	c.Capacity.RequestsPerSecond = 0
	l := newLine(t, c, 3)
	l.within(scaling.Share{Awake: 20})
	var d scaling.Decision
	for range 40 {
		if d = l.tick(6); d.Capacity.Known() {
			t.Fatal("it is known what a replica sustains")
		}
	}
	if worth := d.Worth.Serving; len(worth) != 3 || worth[2] < 1e5 || worth[2] > worth[0]/1.5 {
		t.Errorf("what it has is worth %v to it while nobody knows what a replica sustains: %s", worth, explain(d))
	}
	if worth := l.ticks(40, 0).Worth.Serving; len(worth) > 0 && worth[0] > 1 {
		t.Errorf("what stands idle is worth %v to it", worth)
	}
}
