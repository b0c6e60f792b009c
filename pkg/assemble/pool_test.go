package assemble

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// serving is an observation of so many ready replicas.
func serving(n int32) *scaling.Observation {
	o := &scaling.Observation{Desired: n}
	for range n {
		o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
	}
	return o
}

func TestMembersOfAPoolGetWhatOthersLeave(t *testing.T) {
	l := pool.NewLedger(pool.Budget{GPUs: 10, Memory: 300, Asleep: -1})
	if s := Share(l, "chat"); s.Awake < 1000 || s.Standby < 1000 || s.Asleep < 1000 {
		t.Errorf("one that has yet to say what it wishes for may have %+v", s)
	}
	terms := Terms{Name: "chat", GPUs: 2, Memory: 100, Min: 1}
	l.Put(Member(terms, serving(2), scaling.Decision{Worth: scaling.Worth{Serving: []float64{5, 4}, Asleep: []float64{1}}}))
	got := Share(l, "chat")
	if diff := cmp.Diff(scaling.Share{Awake: 5, Standby: 3, Asleep: 3, Why: "has all that is worth its price"}, got); diff != "" {
		t.Errorf("alone, beyond what it wishes for too (-want +got):\n%s", diff)
	}
	terms.Name, terms.Priority = "code", 1
	l.Put(Member(terms, serving(0), scaling.Decision{Worth: scaling.Worth{Serving: []float64{3, 2, 1, 1}, Standby: []float64{0.5}}}))
	if s := Share(l, "chat"); s.Awake != 1 || s.Asleep != 3 {
		t.Errorf("beside one of a higher priority that wishes for 5: %+v", s)
	}
	l.Release("chat")
	l.Release("code")
	l.Drop("code")
	if s := Share(l, "chat"); s.Awake != 5 {
		t.Errorf("once that is gone: %+v", s)
	}
}

func TestAMemberHoldsWhatEndsAndWhatIsOrdered(t *testing.T) {
	o := serving(2)
	o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Draining}, scaling.Replica{Phase: scaling.Standby},
		scaling.Replica{Phase: scaling.Asleep}, scaling.Replica{Phase: scaling.Unschedulable})
	for name, x := range map[string]struct {
		decided scaling.Decision
		busy    int32
	}{
		"what ends holds its GPUs until it has ended": {scaling.Decision{Replicas: 1}, 4},
		"what is ordered holds them at once":          {scaling.Decision{Replicas: 5, Warm: scaling.Warm{Standby: 1}}, 6},
	} {
		if m := Member(Terms{Name: "chat", GPUs: 1}, o, x.decided); m.Busy != x.busy || m.Serving.Has != 2 || m.Standby.Has != 1 || m.Asleep.Has != 1 {
			t.Errorf("%s: %d are busy, want %d; %+v", name, m.Busy, x.busy, m)
		}
	}
}
