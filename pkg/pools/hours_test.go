package pools

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// town is a pool over hours: members with demand that comes and goes, whose pods load and end in their time.
type town struct {
	*bench
	random  *rand.Rand
	budget  int32
	names   []string
	members map[string]*citizen
	round   int
}

// citizen is one member: a planner that wants what it needs, and its pods.
type citizen struct {
	gpus, desired, ending int32
	needs                 int32
	// dark cannot be observed, dim is seen without its readings, until a round.
	dark, dim int
	// hungry is for how many rounds it has had requests and no replica.
	hungry int
}

func (c *citizen) observation() scaling.Observation {
	o := scaling.Observation{Desired: c.desired, GPUsPerReplica: c.gpus}
	if c.desired+c.ending == 0 {
		o.GPUsPerReplica = 0 // no pod tells
	}
	for range c.desired {
		o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
	}
	for range c.ending {
		o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Draining, Ending: true})
	}
	return o
}

func newTown(t *testing.T, seed uint64) *town {
	w := &town{bench: newBench(t), random: rand.New(rand.NewPCG(seed, 9)), members: map[string]*citizen{}}
	for i := range 2 + w.random.IntN(4) {
		name := fmt.Sprint("m", i)
		c := &citizen{gpus: 1 + w.random.Int32N(3)}
		w.names, w.members[name] = append(w.names, name), c
		w.budget += c.gpus
		w.scales(name, nil)
	}
	w.budget += w.random.Int32N(6)
	wp := w.shares("shared", time.Hour, w.budget, w.names...)
	for i := range wp.Spec.Members {
		wp.Spec.Members[i].GPUsPerReplica = new(w.members[w.names[i]].gpus)
	}
	return w
}

// live lets a round pass: demand changes, pods end, somebody cannot be seen, and all decide in some order.
func (w *town) live() {
	w.round++
	r := w.random
	for _, name := range w.names {
		c := w.members[name]
		if r.IntN(10) == 0 {
			c.needs = max(0, r.Int32N(7)-2)
		}
		if c.ending > 0 && r.IntN(3) == 0 {
			c.ending--
		}
		switch r.IntN(60) {
		case 0:
			c.dark = w.round + r.IntN(20)
		case 1:
			c.dim = w.round + r.IntN(20)
		}
	}
	if r.IntN(50) == 0 {
		w.restart()
	}
	w.Refresh()
	for _, i := range r.Perm(len(w.names)) {
		w.decide(w.names[i])
	}
}

// restart forgets all but the statuses.
func (w *town) restart() {
	for _, wp := range w.statuses() {
		if err := w.options.Informer.GetStore().Add(wp); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range w.names {
		c := w.members[name]
		w.autoscalers[id(name)].Status.Replicas = &v1alpha1.ReplicaStatus{Desired: c.desired, Current: c.desired + c.ending}
	}
	w.books, w.Pools.seen = map[types.NamespacedName]*book{}, map[controlloop.TargetID]*sighting{}
}

// decide is one cycle of a member, after which nothing may be held beyond the budget.
func (w *town) decide(name string) {
	c := w.members[name]
	if c.dark > w.round {
		delete(w.pods, name)
	} else {
		w.pods[name] = c.observation()
	}
	o, err := w.Observer(w).Observe(w.t.Context(), id(name), monday)
	if err != nil {
		return
	}
	if w.random.IntN(40) == 0 {
		return // its planner panics
	}
	wants, worth := c.needs, 1e6
	if c.dim > w.round {
		wants = c.desired
	}
	d := scaling.Decision{}
	for k := range wants {
		if k > 0 && c.dim <= w.round {
			worth = 5 * w.random.Float64()
		}
		d.Worth.Serving = append(d.Worth.Serving, worth)
	}
	d.Replicas = min(wants, o.Share.Awake)
	if c.dim > w.round {
		d.Replicas = c.desired
	}
	before := c.desired
	c.ending += max(0, c.desired-d.Replicas)
	c.desired = d.Replicas
	w.Record(w.t.Context(), id(name), d, nil)
	if held := w.held(); c.desired > before && held > w.budget {
		w.t.Fatalf("round %d: %s has ordered up to %d: %d GPUs are held of %d", w.round, name, c.desired, held, w.budget)
	}
	if c.hungry++; c.desired > 0 || c.needs == 0 {
		c.hungry = 0
	}
	if c.hungry > 150 { // the longest blind spells and endings of others, several times over
		w.t.Fatalf("round %d: %s has had requests and no replica for %d rounds", w.round, name, c.hungry)
	}
}

// Where nothing changes any more, asking for decisions comes to an end: each of them asks others again.
func TestWhereNothingChangesNobodyIsAskedAgain(t *testing.T) {
	for seed := range uint64(100) {
		w := newTown(t, seed)
		for range 100 {
			w.live()
		}
		w.Refresh()
		for round := 0; ; round++ {
			asked := strings.Fields(w.tellNudged())
			if round > 0 && len(asked) == 0 {
				break
			}
			if round > 30 {
				t.Fatalf("seed %d: after %d rounds %v are still asked: %+v", seed, round, asked, w.of[id("m0")].ledger.Members())
			}
			if round == 0 {
				asked = w.names
			}
			for _, name := range asked {
				c := w.members[name]
				c.ending = 0
				w.pods[name] = c.observation()
				o, err := w.Observer(w).Observe(t.Context(), id(name), monday)
				if err != nil {
					t.Fatal(err)
				}
				d := scaling.Decision{Replicas: min(c.needs, o.Share.Awake)}
				for k := range c.needs {
					d.Worth.Serving = append(d.Worth.Serving, 5/float64(k+1))
				}
				c.ending, c.desired = max(0, c.desired-d.Replicas), d.Replicas
				w.Record(t.Context(), id(name), d, nil)
			}
		}
	}
}

func (w *town) held() (gpus int32) {
	for _, c := range w.members {
		gpus += (c.desired + c.ending) * c.gpus
	}
	return gpus
}

func TestOverHoursTheBudgetHoldsAndWhoeverHasRequestsIsServed(t *testing.T) {
	for seed := range uint64(15) {
		w := newTown(t, seed)
		for range 1000 {
			w.live()
		}
		if len(w.Pools.seen) != len(w.names) || len(w.books) != 1 {
			t.Fatalf("seed %d: %d of %d members are remembered", seed, len(w.Pools.seen), len(w.names))
		}
	}
}
