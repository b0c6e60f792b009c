package constraint

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestGPUBudget(t *testing.T) {
	cases := map[string]struct {
		budget, each, wanted int32
		needed               float64
		want                 int32
		limited              bool
		text                 string
	}{
		"what the budget pays for is granted":               {8, 2, 4, 4, 4, false, ""},
		"no more than that":                                 {8, 2, 9, 8.5, 4, true, "9 wanted; budget of 8 GPUs, 2 a replica: 4 at most"},
		"a part of a replica is none":                       {7, 2, 4, 4, 3, true, "7 GPUs, 2 a replica: 3 at most"},
		"it goes before the minimum, which denies nobody":   {8, 2, 6, 2, 4, false, "4 at most"},
		"one replica is kept that is more than the budget":  {1, 4, 3, 3, 1, true, "budget of 1 GPU, 4 a replica: 1 at most, kept although it is more"},
		"one that is wanted is not told of":                 {1, 4, 1, 1, 1, false, ""},
		"what is no replica stays none":                     {1, 4, 0, 0, 0, false, ""},
		"where nobody knows it does not act and says so":    {8, 0, 100, 100, 100, false, "budget of 8 GPUs does not act"},
		"and it says so too where little is wanted":         {8, 0, 1, 1, 1, false, "budget of 8 GPUs does not act"},
		"the most that can be written down is no overflow":  {1<<31 - 1, 1, 1<<31 - 1, 1e9, 1<<31 - 1, false, ""},
		"nor is the largest replica that can be written so": {1, 1<<31 - 1, 7, 7, 1, true, "1 at most"},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			r := GPUBudget{GPUs: x.budget}.Apply(scaling.Input{Current: 3, GPUsPerReplica: x.each, Needed: x.needed}, x.wanted)
			if r.Replicas != x.want || r.Limited != x.limited || (r.Reason == scaling.AtGPUBudget) != (x.want != x.wanted) {
				t.Fatalf("got %+v, want %d replicas, limited %v", r, x.want, x.limited)
			}
			if !strings.Contains(r.Text, x.text) || (r.Text == "") != (x.text == "") {
				t.Errorf("text %q, want %q", r.Text, x.text)
			}
		})
	}
}

// Whatever came before it, the bounds too: what is asked for is paid for, or is one replica, and never more than wanted.
func TestTheGPUBudgetHoldsWhateverIsWanted(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	held, ignorant := 0, 0
	for range 5000 {
		low := rng.Int32N(12)
		bounds, budget := Bounds{Min: low, Max: low + 1 + rng.Int32N(12)}, GPUBudget{GPUs: 1 + rng.Int32N(64)}
		in := scaling.Input{Now: t0, Current: rng.Int32N(20), GPUsPerReplica: rng.Int32N(9)}
		wanted := bounds.Apply(in, rng.Int32N(40)).Replicas
		in.Needed = float64(wanted)
		r := budget.Apply(in, wanted)
		switch {
		case r.Replicas > wanted || r.Replicas < min(1, wanted):
			t.Fatalf("%+v, %d GPUs a replica: %d wanted, got %d", budget, in.GPUsPerReplica, wanted, r.Replicas)
		case in.GPUsPerReplica == 0:
			ignorant++
			if r.Replicas != wanted || r.Reason != "" || r.Limited || r.Text == "" {
				t.Fatalf("nobody knows what a replica takes: %+v", r)
			}
		case r.Replicas > 1 && r.Replicas*in.GPUsPerReplica > budget.GPUs:
			t.Fatalf("%+v: %d replicas of %d GPUs", budget, r.Replicas, in.GPUsPerReplica)
		case r.Replicas < wanted:
			held++
			if (r.Replicas+1)*in.GPUsPerReplica <= budget.GPUs {
				t.Fatalf("%+v, %d GPUs a replica: %d wanted, only %d granted", budget, in.GPUsPerReplica, wanted, r.Replicas)
			}
		}
	}
	if held < 500 || ignorant < 200 {
		t.Errorf("the budget held %d times and was idle %d times: too few to tell", held, ignorant)
	}
}

func TestAGPUBudgetLetsGoOfNothingWhileDoubtHolds(t *testing.T) {
	in := scaling.Input{Current: 6, GPUsPerReplica: 4, Held: true}
	if got := (GPUBudget{GPUs: 8}).Apply(in, 6); got.Replicas != 6 || got.Reason != "" || !strings.Contains(got.Text, "2 at most, once demand is seen again") {
		t.Errorf("%+v", got)
	}
	in.Held = false
	if got := (GPUBudget{GPUs: 8}).Apply(in, 6); got.Replicas != 2 || got.Reason != scaling.AtGPUBudget {
		t.Errorf("%+v", got)
	}
}
