package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestAReplicaIsDrainedBeforeItIsLetGo(t *testing.T) {
	f := newFarm(t, 3, true)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3}
	f.wants(2)
	f.wantLanes(3, map[lane]string{laneServing: "0 2", laneDraining: "1"})
	if got := f.desired(); got != 2 {
		t.Errorf("%d replicas are observed to be asked for, want 2", got)
	}
	for range 10 {
		f.run(10 * time.Second)
		f.wants(2)
	}
	f.wantLanes(3, map[lane]string{laneServing: "0 2", laneDraining: "1"})
	f.flight["vllm-1"] = 0
	f.run(10 * time.Second)
	f.wants(2)
	f.wantReplicas(3) // one look is none: it may have been between two requests
	f.run(10 * time.Second)
	f.wants(2)
	f.wantLanes(2, map[lane]string{laneServing: "0 2"})
	if got := f.desired(); got != 2 {
		t.Errorf("%d replicas are observed to be asked for, want 2", got)
	}
}

func TestADrainEndsWithItsTimeout(t *testing.T) {
	f := newFarm(t, 2, true)
	f.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Drain.Timeout = &metav1.Duration{Duration: time.Minute} })
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2}
	f.wants(1)
	f.run(59 * time.Second)
	f.wants(1)
	f.wantLanes(2, map[lane]string{laneServing: "0", laneDraining: "1"})
	f.run(time.Second)
	f.wants(1)
	f.wantLanes(1, map[lane]string{laneServing: "0"})
	if !strings.Contains(f.heard(), "DrainTimedOut") {
		t.Error("no event says so")
	}
}

// heard returns the events so far.
func (w *world) heard() string {
	var all []string
	for {
		select {
		case e := <-w.said.Events:
			all = append(all, e)
		default:
			return strings.Join(all, "\n")
		}
	}
}

func TestADrainWithoutReadingsWaitsForItsTimeout(t *testing.T) {
	f := newFarm(t, 2, true)
	f.wants(1)
	f.flight = map[string]float64{}
	f.run(4 * time.Minute)
	f.wants(1)
	f.wantReplicas(2)
	f.run(time.Minute)
	f.wants(1)
	f.wantReplicas(1)
}

func TestAClientThatKeepsItsConnectionKeepsADrainGoing(t *testing.T) {
	f := newFarm(t, 2, true)
	f.flight["vllm-0"] = 1
	for range 10 {
		f.wants(1)
		f.finished["vllm-1"]++ // one request after the other, none of them while anybody looks
		f.run(10 * time.Second)
	}
	f.wantReplicas(2)
	f.wants(1)
	f.run(10 * time.Second)
	f.wants(1)
	f.wantLanes(1, map[lane]string{laneServing: "0"})
}

func TestAScaleUpInTheMiddleOfADrainTakesItBack(t *testing.T) {
	f := newFarm(t, 4, true)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3, "vllm-3": 9}
	f.wants(2)
	f.wantLanes(4, map[lane]string{laneServing: "0 3", laneDraining: "1 2"})
	f.run(10 * time.Second)
	f.wants(3)
	f.wantLanes(4, map[lane]string{laneServing: "0 2 3", laneDraining: "1"})
	if pod := f.get("vllm-2"); pod.Annotations[costAnnotation] != "" || !gateOpen(pod) || pod.Annotations[sinceAnnotation] != "" {
		t.Errorf("a pod that was taken back still has %v", pod.Annotations)
	}
	f.run(10 * time.Second)
	f.wants(6)
	f.wantReplicas(6)
	if got := f.names(laneServing); !strings.HasPrefix(got, "0 1 2 3") {
		t.Errorf("pods %s serve, want all", got)
	}
	if len(f.deleted) > 0 {
		t.Errorf("deleted %v, want none", f.deleted)
	}
}

func TestANewLeaderGoesOnWithADrain(t *testing.T) {
	f := newFarm(t, 3, true)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3}
	f.wants(2)
	f.forgetAll()
	if got := f.desired(); got != 2 {
		t.Errorf("a new leader observes %d replicas asked for, want 2", got)
	}
	f.flight["vllm-1"] = 0
	for range 3 {
		f.run(10 * time.Second)
		f.wants(2)
	}
	f.wantLanes(2, map[lane]string{laneServing: "0 2"})
}

// forgetAll is a new process: all that it knows is on the objects.
func (f *farm) forgetAll() {
	crew := f.Actuator.own.crew
	crew.ledgers.forget(vllm)
	f.Actuator.own.memory.forget(vllm)
	crew.hands.mu.Lock()
	defer crew.hands.mu.Unlock()
	clear(crew.hands.pods)
	clear(f.births.all)
	clear(f.births.wakings.all)
}

func TestAStaleInformerDrainsNoSecondOne(t *testing.T) {
	f := newFarm(t, 3, true)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3}
	f.blind = true
	f.wants(2)
	f.flight["vllm-2"] = 1 // now the one with least
	if got := f.desired(); got != 2 {
		t.Errorf("%d replicas are observed to be asked for, want 2", got)
	}
	f.wants(2)
	if got := f.names(laneDraining); got != "1" {
		t.Errorf("pods %s are drained, want 1", got)
	}
}

func TestTheNumberIsNotLoweredTwiceForAPodThatIsStillThere(t *testing.T) {
	f := newFarm(t, 3, true)
	f.wants(2)
	f.run(10 * time.Second)
	f.blind = true // the deletion is not heard of
	f.must(f.decidesOnly(2))
	f.wantReplicas(2)
	if got := f.desired(); got != 2 {
		t.Errorf("%d replicas are observed to be asked for, want 2", got)
	}
	f.must(f.decidesOnly(2))
	f.wantReplicas(2)
}

// decidesOnly carries a decision out before the cluster follows.
func (f *farm) decidesOnly(serving int32) error {
	return f.tick(vllm, f.now, serving)
}

func TestTheNumberIsLoweredOnceHoweverLongTheDeletionTakes(t *testing.T) {
	for name, ordinal := range map[string]bool{"by a ReplicaSet": false, "by ordinal": true} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, 3, true)
			if ordinal {
				f.byOrdinal()
			}
			f.flight = map[string]float64{"vllm-0": 3, "vllm-1": 2, "vllm-2": 0}
			f.must(f.decidesOnly(1))
			f.kubelet()
			for range 20 { // nobody deletes pods all the while, and the leader changes
				f.now = f.now.Add(10 * time.Second)
				f.forgetLeader()
				f.must(f.decidesOnly(1))
				f.wantReplicas(2)
				if got := f.desired(); got != 1 {
					t.Fatalf("%d replicas are observed to be asked for, want 1", got)
				}
				f.kubelet()
			}
			f.live()
			f.wantLanes(2, map[lane]string{laneServing: "0", laneDraining: "1"})
		})
	}
}

func TestLoadingPodsAreNotDeletedInPlaceOfDrainedOnes(t *testing.T) {
	f := newFarm(t, 3, true)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3}
	f.wants(2)
	f.remove("vllm-0") // a crash: another comes for it
	f.scales.set("ml/vllm", 3)
	pending := f.load(false)
	f.flight["vllm-1"] = 0
	for range 3 {
		f.run(10 * time.Second)
		f.wants(2)
	}
	f.wantReplicas(3)
	f.loaded(pending.Name)
	f.run(time.Second)
	f.wants(2)
	f.wantLanes(2, map[lane]string{laneServing: "2 3"})
}

func TestReplicasThatStillLoadAreLetGoFirst(t *testing.T) {
	f := newFarm(t, 2, true)
	f.wants(4)
	f.run(10 * time.Second)
	f.wants(3)
	f.run(time.Second)
	f.wants(3)
	f.wantReplicas(3)
	if len(f.deleted) != 1 || f.deleted[0] == "vllm-0" || f.deleted[0] == "vllm-1" {
		t.Errorf("deleted %v, want one that loads", f.deleted)
	}
}

func TestPodsWithoutAGateAreMarkedAndLetGoAtOnce(t *testing.T) {
	f := newFarm(t, 4, false)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 0, "vllm-2": 3, "vllm-3": 1}
	f.wants(2)
	f.wantLanes(2, map[lane]string{laneServing: "0 2"})
	for _, p := range f.all() {
		if cost, ok := p.Annotations[costAnnotation]; ok {
			t.Errorf("pod %s, which stays, has deletion cost %s", p.Name, cost)
		}
	}
}

func TestAnUnknownReplicaIsTheLastToGo(t *testing.T) {
	f := newFarm(t, 3, false)
	f.flight = map[string]float64{"vllm-0": 40, "vllm-2": 30}
	f.wants(1)
	f.wantLanes(1, map[lane]string{laneServing: "1"})
}

func TestAnOverloadedReplicaThatLostItsReadinessIsNotDeletedInPlaceOfAnIdleOne(t *testing.T) {
	f := newFarm(t, 3, false)
	f.flight = map[string]float64{"vllm-0": 0, "vllm-1": 90, "vllm-2": 5}
	f.change("vllm-1", func(p *corev1.Pod) { setCondition(p, corev1.ContainersReady, false, f.now) })
	f.live()
	f.wants(2)
	f.wantReplicas(3)
	f.change("vllm-1", func(p *corev1.Pod) { setCondition(p, corev1.ContainersReady, true, f.now) })
	f.live()
	f.wants(2)
	f.wantLanes(2, map[lane]string{laneServing: "1 2"})
}

func TestCostsOfOthersAreLeftAlone(t *testing.T) {
	for name, tt := range map[string]struct{ idle, want string }{
		"a pod that another is cheaper than is marked":             {"vllm-0", "1 2"},
		"one that somebody else marked is left for them to choose": {"vllm-1", "1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, 3, false)
			f.change("vllm-1", func(p *corev1.Pod) { p.Annotations = map[string]string{costAnnotation: "50"} })
			f.change("vllm-2", func(p *corev1.Pod) { p.Annotations = map[string]string{costAnnotation: "5"} })
			f.flight = map[string]float64{"vllm-0": 3, "vllm-1": 3, "vllm-2": 3}
			f.flight[tt.idle] = 0
			f.wants(2)
			f.wantLanes(2, map[lane]string{laneServing: tt.want})
			if got := f.get("vllm-1").Annotations[costAnnotation]; got != "50" {
				t.Errorf("somebody else's cost of 50 is now %s", got)
			}
		})
	}
}

func TestAMarkThatIsNotNeededAnyMoreIsTakenBack(t *testing.T) {
	f := newFarm(t, 3, false)
	f.change("vllm-2", func(p *corev1.Pod) { p.Annotations = map[string]string{costAnnotation: victimCost} })
	f.wants(3)
	if cost, ok := f.get("vllm-2").Annotations[costAnnotation]; ok {
		t.Errorf("deletion cost %s, want none", cost)
	}
}

func TestOrdinalsGoFromTheHighestWhateverTheyHold(t *testing.T) {
	f := newFarm(t, 3, true)
	f.byOrdinal()
	f.flight = map[string]float64{"vllm-0": 0, "vllm-1": 1, "vllm-2": 30}
	f.wants(1)
	f.wantLanes(3, map[lane]string{laneServing: "0", laneDraining: "1 2"})
	f.flight["vllm-1"] = 0
	for range 3 {
		f.run(10 * time.Second)
		f.wants(1)
	}
	f.wantReplicas(3) // the one that is done is not the highest
	f.wants(2)
	f.wantLanes(3, map[lane]string{laneServing: "0 1", laneDraining: "2"})
	f.flight["vllm-2"] = 0
	for range 3 {
		f.run(10 * time.Second)
		f.wants(2)
	}
	f.wantLanes(2, map[lane]string{laneServing: "0 1"})
}

func TestDrainsToZeroAndBack(t *testing.T) {
	f := newFarm(t, 2, true)
	f.flight = map[string]float64{"vllm-0": 1, "vllm-1": 0}
	for range 3 {
		f.wants(0)
		f.run(10 * time.Second)
	}
	f.wantLanes(1, map[lane]string{laneDraining: "0"})
	f.wants(1)
	f.wantLanes(1, map[lane]string{laneServing: "0"})
	f.flight["vllm-0"] = 0
	for range 3 {
		f.wants(0)
		f.run(10 * time.Second)
	}
	f.wantLanes(0, nil)
	f.wants(1)
	f.wantReplicas(1)
}

func TestWhoLetsDrainedPodsServeAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*farm)
		want   string
	}{
		"a spec that is not in mode Own any more": {func(f *farm) {
			f.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Mode = v1alpha1.ModeAdvise })
		}, "0 1 2"},
		"a person who sets another number": {func(f *farm) { f.scales.set("ml/vllm", 4); f.made++; f.add() }, "0 1 2 4"},
		"nobody while it is paused": {func(f *farm) {
			f.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Paused = true })
		}, "0 1"},
		"nobody who does not lead": {func(f *farm) { f.leader.lead(false) }, "0 1"},
		"the sweep, where the InferenceAutoscaler is gone": {func(f *farm) {
			f.Targets.drop(f.autoscalers.all[vllm])
			f.must(f.Actuator.orphans(t.Context()))
		}, "0 1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, 3, true)
			f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 3, "vllm-2": 2}
			f.wants(2)
			tt.change(f)
			if _, ok := f.Targets.Autoscaler(vllm); ok {
				_ = f.decides(2, scaling.Warm{}) // what it reports is tested elsewhere
			}
			f.live()
			if got := f.names(laneServing); got != tt.want {
				t.Errorf("pods %s serve, want %s", got, tt.want)
			}
		})
	}
}

func TestTheStatusTellsOfADrain(t *testing.T) {
	f := newFarm(t, 3, true)
	f.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3}
	f.wants(2)
	f.run(42 * time.Second)
	f.wants(2)
	f.writeStatuses()
	status := f.autoscalers.all[vllm].Status
	if got := status.Replicas.Draining; got != 1 {
		t.Errorf("%d replicas are drained, want 1", got)
	}
	for _, c := range status.Conditions {
		if c.Type == v1alpha1.ConditionDraining && c.Status == metav1.ConditionTrue && strings.Contains(c.Message, "vllm-1 for 42s with 2 requests in flight") {
			return
		}
	}
	t.Errorf("no condition tells of it: %v", status.Conditions)
}
