package assemble

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
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
	l.Put(Member(terms, Held(serving(2)), scaling.Decision{Worth: scaling.Worth{Serving: []float64{5, 4}, Asleep: []float64{1}}}))
	got := Share(l, "chat")
	if diff := cmp.Diff(scaling.Share{Awake: 5, Standby: 3, Asleep: 3, Why: "has all that is worth its price"}, got); diff != "" {
		t.Errorf("alone, beyond what it wishes for too (-want +got):\n%s", diff)
	}
	terms.Name, terms.Priority = "code", 1
	l.Put(Member(terms, Held(serving(0)), scaling.Decision{Worth: scaling.Worth{Serving: []float64{3, 2, 1, 1}, Standby: []float64{0.5}}}))
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
	if m := Member(Terms{Name: "chat", GPUs: 1}, Holding{Desired: 1, Awake: 2, Ending: 1}, scaling.Decision{Replicas: 2}); m.Busy != 3 || m.Ending != 1 {
		t.Errorf("two are asked for beside one that ends: %+v", m)
	}
	for name, x := range map[string]struct {
		decided scaling.Decision
		busy    int32
		has     int32
	}{
		"what ends holds its GPUs until it has ended": {scaling.Decision{Replicas: 1}, 4, 2},
		"what is ordered holds them at once":          {scaling.Decision{Replicas: 5, Warm: scaling.Warm{Standby: 1}}, 6, 5},
	} {
		if m := Member(Terms{Name: "chat", GPUs: 1}, Held(o), x.decided); m.Busy != x.busy || m.Serving.Has != x.has || m.Standby.Has != 1 || m.Asleep.Has != 1 {
			t.Errorf("%s: %d are busy, want %d; %+v", name, m.Busy, x.busy, m)
		}
	}
}

func TestTermsAreThoseOfTheSpec(t *testing.T) {
	for name, x := range map[string]struct {
		member v1alpha1.WarmPoolMember
		change func(*v1alpha1.InferenceAutoscalerSpec)
		seen   int32
		want   Terms
	}{
		"nothing is known":         {v1alpha1.WarmPoolMember{}, nil, 0, Terms{GPUs: 1, Min: 1}},
		"seen":                     {v1alpha1.WarmPoolMember{Priority: 3}, nil, 4, Terms{Priority: 3, GPUs: 4, Min: 1}},
		"said":                     {v1alpha1.WarmPoolMember{GPUsPerReplica: new(int32(2)), HostMemoryPerReplica: "3Gi"}, nil, 4, Terms{GPUs: 2, Min: 1, Memory: 3 << 30}},
		"nobody stands in at zero": {v1alpha1.WarmPoolMember{}, func(s *v1alpha1.InferenceAutoscalerSpec) { s.MinReplicas = new(int32(0)) }, 1, Terms{GPUs: 1, Min: 1}},
		"an activator stands in at zero": {v1alpha1.WarmPoolMember{}, func(s *v1alpha1.InferenceAutoscalerSpec) {
			s.MinReplicas, s.Activator = new(int32(0)), &v1alpha1.Activator{}
		}, 1, Terms{GPUs: 1}},
		"those asleep keep all": {v1alpha1.WarmPoolMember{}, func(s *v1alpha1.InferenceAutoscalerSpec) {
			s.Warm = &v1alpha1.Warm{Asleep: &v1alpha1.AsleepTier{}}
		}, 4, Terms{GPUs: 4, AsleepGPUs: 4, Min: 1}},
		"those asleep keep a part": {v1alpha1.WarmPoolMember{}, func(s *v1alpha1.InferenceAutoscalerSpec) {
			s.Warm = &v1alpha1.Warm{Asleep: &v1alpha1.AsleepTier{GPUPercent: new(int32(10))}}
		}, 4, Terms{GPUs: 4, AsleepGPUs: 1, Min: 1}},
		"paused":        {v1alpha1.WarmPoolMember{}, func(s *v1alpha1.InferenceAutoscalerSpec) { s.Paused = true }, 1, Terms{GPUs: 1, Min: 1, Passive: true}},
		"an HPA scales": {v1alpha1.WarmPoolMember{}, func(s *v1alpha1.InferenceAutoscalerSpec) { s.Mode = v1alpha1.ModeFloor }, 1, Terms{GPUs: 1, Min: 1, Passive: true}},
	} {
		ia := &v1alpha1.InferenceAutoscaler{}
		ia.Spec.Mode = v1alpha1.ModeOwn
		ia.SetDefaults()
		if x.change != nil {
			x.change(&ia.Spec)
		}
		got, err := PoolTerms(x.member, ia, x.seen)
		if diff := cmp.Diff(x.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestNothingIsTakenFromWhoCannotBeAsked(t *testing.T) {
	h := HeldBefore(&v1alpha1.ReplicaStatus{Desired: 2, Current: 5, Unschedulable: 1, Standby: 1, Asleep: 1})
	m := Undecided(Terms{Name: "chat", GPUs: 1}, h)
	if m.Busy != 3 || m.Min != 2 || len(m.Standby.Worth) != 1 || len(m.Asleep.Worth) != 1 {
		t.Errorf("before its first decision: %+v", m)
	}
	passive := Member(Terms{Name: "chat", GPUs: 1, Passive: true}, h, scaling.Decision{Replicas: 9, Worth: scaling.Worth{Serving: []float64{9, 9, 9}}})
	if diff := cmp.Diff(m, passive); diff != "" {
		t.Errorf("what it would like and cannot do counts (-undecided +passive):\n%s", diff)
	}
}
