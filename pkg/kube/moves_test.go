package kube

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// someRoster makes replicas of every kind at random, gated all or none.
func someRoster(rng *rand.Rand) roster {
	isGated := rng.IntN(4) > 0
	var all []*member
	for i := range rng.IntN(12) {
		all = append(all, someMember(rng, i, isGated))
	}
	l := ledger{left: map[types.UID]time.Time{}}
	for _, m := range all {
		if rng.IntN(10) == 0 {
			l.left[m.pod.UID] = t0.Add(time.Hour)
		}
	}
	r := newRoster(roster{now: t0.Add(time.Hour), replicas: int32(rng.IntN(14)), drained: drainTimeout, ordinal: rng.IntN(5) == 0}, all, l)
	r.rank()
	if isGated && !r.ordinal {
		r.reserved = scaling.Warm{Standby: int32(rng.IntN(2)), Asleep: int32(rng.IntN(2))}
	}
	return r
}

func someMember(rng *rand.Rand, i int, isGated bool) *member {
	pod := readyPod(fmt.Sprintf("vllm-%d", i))
	pod.Spec.NodeName = "n"
	ready := rng.IntN(4) > 0
	m := &member{pod: pod, engine: "engine", birth: birth{served: true, containers: pod.Status.ContainerStatuses}}
	if isGated {
		pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: v1alpha1.ServingGate}}
		in := []lane{laneServing, laneServing, laneServing, laneDraining, laneStandby, laneAsleep, laneWaking}[rng.IntN(7)]
		pod.Annotations = map[string]string{laneAnnotation: string(in)}
		if in == laneAsleep || in == laneWaking || in == laneDraining && rng.IntN(3) == 0 {
			pod.Annotations[sleepAnnotation] = "Offload"
		}
		setCondition(pod, corev1.ContainersReady, ready, t0)
		ready = ready && in == laneServing
	}
	setCondition(pod, corev1.PodReady, ready, t0.Add(50*time.Minute+time.Duration(rng.IntN(600))*time.Second))
	switch rng.IntN(6) {
	case 0:
		m.birth, pod.Status.Phase, pod.Status.ContainerStatuses = birth{unborn: true}, corev1.PodPending, nil
	case 1:
	default:
		m.reading = &signals.Reading{Time: t0.Add(time.Hour - time.Second)}
		m.reading.Set(signals.RequestsRunning, float64(rng.IntN(5)))
		m.reading.Set(signals.RequestsWaiting, 0)
	}
	if rng.IntN(12) == 0 {
		pod.DeletionTimestamp = &metav1.Time{Time: t0}
	}
	return m
}

func TestMovesAlways(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 6_000 {
		r := someRoster(rng)
		before := r.asked()
		had := map[lane][]*member{}
		for in, members := range r.lanes {
			had[in] = slices.Clone(members)
		}
		serving := int32(rng.IntN(12))
		var warm scaling.Warm
		if r.reserved != (scaling.Warm{}) || rng.IntN(2) == 0 && !r.ordinal && allGated(r.live) {
			warm = scaling.Warm{Standby: int32(rng.IntN(3)), Asleep: int32(rng.IntN(3))}
		}
		if r.replicas < r.count(laneDraining, laneStandby, laneAsleep)+r.reserved.All() {
			continue // somebody else lowered the number, and has pods deleted at this moment
		}
		all := r
		todo := r.movesFor(serving, warm)
		checkVictims(t, &all, had, todo)
		checkNumbers(t, &r, before, serving, todo)
		if madeToServe(&all, todo) > 0 && serving > before {
			checkNothingLeft(t, &r)
			seen["made"]++
		}
		if len(todo.cut) > 0 {
			seen["cut"]++
		}
		for _, m := range todo.changes {
			seen[string(m.from)+">"+string(m.to)]++
		}
	}
	for _, kind := range []string{"made", "cut", ">draining", ">standby", ">asleep", "draining>", "draining>waking", "standby>", "asleep>waking", "draining>standby", "draining>asleep"} {
		if seen[kind] < 20 {
			t.Errorf("%q came up %d times only: %v", kind, seen[kind], seen)
		}
	}
}

// madeToServe is by how much the number is raised for replicas that are to serve.
func madeToServe(r *roster, todo moves) int32 {
	made := todo.replicas - r.replicas - (todo.reserved.All() - r.reserved.All())
	for _, m := range todo.changes {
		if m.fills {
			made--
		}
	}
	return made
}

func allGated(all []*member) bool {
	return !slices.ContainsFunc(all, func(m *member) bool { return !gated(m.pod) })
}

// checkVictims: none that stops serving has more in flight than one that goes on, or a lower ordinal.
func checkVictims(t *testing.T, r *roster, had map[lane][]*member, todo moves) {
	t.Helper()
	victim := map[*member]bool{}
	for _, m := range todo.cut {
		victim[m] = true
	}
	for _, m := range todo.changes {
		if m.from == laneServing && !m.fills {
			victim[m.member] = true
		}
	}
	worst, ordinal := math.Inf(-1), math.MaxInt
	for m := range victim {
		worst, ordinal = max(worst, m.inFlight(r.now, r.drained)), min(ordinal, ordinalOf(m.pod))
	}
	for _, m := range had[laneServing] {
		if victim[m] || slices.ContainsFunc(todo.changes, func(c move) bool { return c.member == m }) {
			continue
		}
		if r.ordinal && len(victim) > 0 && ordinalOf(m.pod) > ordinal {
			t.Fatalf("ordinal %d goes on, %d does not", ordinalOf(m.pod), ordinal)
		}
		if n := m.inFlight(r.now, r.drained); !r.ordinal && n < worst {
			t.Fatalf("one with %v in flight goes on, one with %v does not", n, worst)
		}
	}
}

// checkNumbers: what serves is what is wanted, and no more is let go of than is asked for. What is counted here is what the
// next observation would find.
func checkNumbers(t *testing.T, r *roster, before, serving int32, todo moves) {
	t.Helper()
	out := r.count(laneDraining, laneStandby, laneAsleep) + todo.reserved.All()
	if asked := todo.replicas - int32(len(todo.cut)) - out; asked != serving {
		t.Fatalf("%d replicas are asked for after a decision for %d (%d before)", asked, serving, before)
	}
	if gone := int32(len(todo.cut)); gone > max(0, before-serving) {
		t.Fatalf("%d are let go of for %d less", gone, before-serving)
	}
	var drained int32
	for _, m := range todo.changes {
		if m.from == laneServing && m.to == laneDraining {
			drained++
		}
	}
	if drained > max(0, before-serving) {
		t.Fatalf("%d are drained for %d less", drained, before-serving)
	}
}

// checkNothingLeft: nothing that could have served was left while more were made.
func checkNothingLeft(t *testing.T, r *roster) {
	t.Helper()
	if n := r.count(laneStandby) + r.count(laneAsleep); n > 0 {
		t.Fatalf("replicas are made while %d on standby or asleep are left", n)
	}
	for _, m := range r.lanes[laneDraining] {
		if loaded(m.pod) {
			t.Fatalf("replicas are made while %s, which is drained, is left", m.pod.Name)
		}
	}
}

func TestDeletableEqualsTheDeletion(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := &farm{world: &world{t: t}}
	lowered := 0
	for range 2_000 {
		r := someRoster(rng)
		chosen := map[*member]bool{}
		for _, m := range r.live {
			chosen[m] = rng.IntN(2) == 0
		}
		sure, _ := deletable(r.live, chosen, r.ordinal)
		pods := make([]*corev1.Pod, len(r.live))
		for i, m := range r.live {
			pods[i] = m.pod.DeepCopy()
			if chosen[m] {
				pods[i].Annotations = map[string]string{costAnnotation: victimCost}
			}
		}
		f.ordinal = r.ordinal
		for range sure {
			first := slices.MinFunc(pods, f.deletedFirst)
			pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return p == first })
			if !slices.ContainsFunc(sure, func(m *member) bool { return m.pod.Name == first.Name }) {
				t.Fatalf("%s was deleted, which is none of %d", first.Name, len(sure))
			}
			lowered++
		}
	}
	if lowered < 500 {
		t.Errorf("only %d deletions: the comparison says nothing", lowered)
	}
}

func TestOrdinalOf(t *testing.T) {
	for name, tt := range map[string]struct {
		pod  corev1.Pod
		want int
	}{
		"the label of a LeaderWorkerSet's group": {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a-1", Labels: map[string]string{ordinalLabels[0]: "7", ordinalLabels[1]: "1"}}}, 7},
		"the label of a StatefulSet":             {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a-1", Labels: map[string]string{ordinalLabels[1]: "12"}}}, 12},
		"the end of the name":                    {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a-b-11"}}, 11},
		"a name without a number":                {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a-x7fz"}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ordinalOf(&tt.pod); got != tt.want {
				t.Errorf("ordinal %d, want %d", got, tt.want)
			}
		})
	}
}

// TestTimeline lets demand go up and down at random for a day, in a cluster that follows, and looks at every pod that is
// deleted.
func TestTimeline(t *testing.T) {
	for _, isGated := range []bool{true, false} {
		t.Run(fmt.Sprintf("gated %v", isGated), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 6))
			f := newFarm(t, 4, isGated)
			serving, deletions := int32(4), 0
			for range 1000 {
				if rng.IntN(8) == 0 {
					serving = int32(rng.IntN(8))
				}
				for name := range f.flight {
					f.flight[name] = max(0, f.flight[name]+float64(rng.IntN(3)-1))
					if laneOf(f.get(name)) == laneDraining {
						f.flight[name] = max(0, f.flight[name]-1) // it finishes what it has
					}
				}
				for _, p := range f.all() {
					if !loaded(p) && rng.IntN(4) == 0 {
						f.loaded(p.Name)
					}
				}
				busy := maps.Clone(f.flight)
				f.wants(serving)
				f.heard() // nobody else listens
				for _, name := range f.deleted {
					if n := busy[name]; isGated && n > 0 {
						t.Fatalf("%s was deleted with %v requests in flight", name, n)
					}
				}
				deletions += len(f.deleted)
				f.deleted = nil
				f.run(10 * time.Second)
				if got := f.desired(); got != serving && (isGated || got < serving) {
					t.Fatalf("%d replicas are asked for after a decision for %d", got, serving)
				}
			}
			if deletions < 80 {
				t.Errorf("only %d deletions: this says nothing", deletions)
			}
		})
	}
}
