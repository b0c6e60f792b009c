package kube

import (
	"context"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/warmpool"
)

// toldSleeper sleeps at once, and wakes when and as it is told.
type toldSleeper struct {
	warmpool.Sleeper
	wake chan error
}

func (toldSleeper) Sleep(context.Context, warmpool.Level) error { return nil }

func (s toldSleeper) Wake(context.Context, ...warmpool.Tag) error { return <-s.wake }

// toldBed has a pod that serves and one that is warm, vllm-1, whose engine wakes when it is told.
func toldBed(t *testing.T, warm scaling.Warm) (*bed, toldSleeper) {
	b := newBed(t, 2, nil)
	b.flight["vllm-0"] = 1
	engine := toldSleeper{wake: make(chan error, 1)}
	b.Actuator.own.crew.hands.sleeper = func(string, string, warmpool.Phase) (warmpool.Sleeper, error) { return engine, nil }
	b.must(b.settles(1, warm))
	b.wantReplicas(2)
	return b, engine
}

// acts observes and carries out a decision; the kubelet does not follow yet.
func (b *bed) acts(serving int32, warm scaling.Warm) {
	b.t.Helper()
	obs, err := b.Observer.Observe(context.Background(), vllm, b.now)
	b.must(err)
	b.must(b.Actuator.Actuate(context.Background(), vllm, scaling.Decision{Time: b.now, Current: obs.Desired, Replicas: serving, Warm: warm}))
}

// unanswered has changes of pods fail until they are answered again; they may have been made all the same.
func (b *bed) unanswered(made bool) (answer func()) {
	fails := true
	b.core.PrependReactor("patch", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if fails && made {
			_, _, err := b.patch(action)
			b.must(err)
		}
		return fails, nil, apierrors.NewTimeoutError("no answer", 1)
	})
	return func() { fails = false }
}

// wakesUp lets the engine's waking come to an end, after which the kubelet follows.
func (b *bed) wakesUp(s toldSleeper, err error) {
	s.wake <- err
	b.Actuator.own.crew.hands.running.Wait()
	b.live()
}

// sees is vllm-1 as it is observed.
func (b *bed) sees() scaling.Replica {
	b.t.Helper()
	obs, err := b.Observer.Observe(context.Background(), vllm, b.now)
	b.must(err)
	for _, r := range obs.Replicas {
		if r.Name == "vllm-1" {
			return r
		}
	}
	b.t.Fatal("vllm-1 is not observed")
	return scaling.Replica{}
}

func (b *bed) wantWoke(phase scaling.Phase, took time.Duration) {
	b.t.Helper()
	if r := b.sees(); r.Phase != phase || r.Woke != took {
		b.t.Errorf("observed %s, woken in %v; want %s, %v", r.Phase, r.Woke, phase, took)
	}
}

func TestAWakingIsMeasuredUntilThePodServes(t *testing.T) {
	t.Run("within a tick", func(t *testing.T) {
		b, engine := toldBed(t, scaling.Warm{Asleep: 1})
		b.wantWoke(scaling.Asleep, 0)
		b.acts(2, scaling.Warm{})
		b.now = b.now.Add(3 * time.Second)
		engine.wake <- nil
		b.Actuator.own.crew.hands.running.Wait()
		b.wantWoke(scaling.Starting, 0) // its gate is open, and the kubelet does not know yet
		b.run(time.Second)
		b.run(11 * time.Second)
		for range 3 {
			b.wantWoke(scaling.Ready, 4*time.Second)
			b.must(b.decides(2, scaling.Warm{}))
			b.run(15 * time.Second)
		}
		b.must(b.decides(1, scaling.Warm{Asleep: 1}))
		b.wantWoke(scaling.Asleep, 0)
	})
	t.Run("over some ticks", func(t *testing.T) {
		b, engine := toldBed(t, scaling.Warm{Asleep: 1})
		for range 2 {
			b.acts(2, scaling.Warm{})
			b.run(15 * time.Second)
			b.wantWoke(scaling.Starting, 0)
		}
		b.acts(2, scaling.Warm{})
		b.now = b.now.Add(2500 * time.Millisecond)
		b.wakesUp(engine, nil)
		b.wantWoke(scaling.Ready, 32500*time.Millisecond)
	})
	t.Run("from standby", func(t *testing.T) {
		b, _ := toldBed(t, scaling.Warm{Standby: 1})
		b.wantWoke(scaling.Standby, 0)
		b.acts(2, scaling.Warm{})
		b.wantWoke(scaling.Starting, 0)
		b.run(1500 * time.Millisecond)
		b.run(10 * time.Second)
		b.wantWoke(scaling.Ready, 1500*time.Millisecond)
	})
}

func TestWhatIsNoWakingIsNotMeasured(t *testing.T) {
	for name, wake := range map[string]func(*bed, toldSleeper){
		"one that failed and was tried again": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{Asleep: 1})
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, warmpool.ErrNotServing) // the engine lied
			b.wantWoke(scaling.Asleep, 0)
			time.Sleep(5 * time.Millisecond)
			b.run(time.Second)
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, nil)
		},
		"one that failed when nobody could be told": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{Asleep: 1})
			tell := b.unanswered(false)
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, warmpool.ErrNotServing)
			tell()
			time.Sleep(5 * time.Millisecond)
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, nil)
		},
		"one of which nobody knows whether it was begun": func(b *bed, s toldSleeper) {
			tell := b.unanswered(true)
			obs, err := b.Observer.Observe(context.Background(), vllm, b.now)
			b.must(err)
			err = b.Actuator.Actuate(context.Background(), vllm, scaling.Decision{Time: b.now, Current: obs.Desired, Replicas: 2})
			b.wantReason(err, WriteFailed)
			tell()
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, nil)
		},
		"one that was taken back while the engine woke": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{})
			b.run(time.Second)
			b.acts(1, scaling.Warm{Asleep: 1})
			b.wantWoke(scaling.Asleep, 0)
			b.run(time.Second)
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, nil)
		},
		"one of an engine that did not sleep yet": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{})
			b.wakesUp(s, nil)
			b.run(time.Second)
			b.flight["vllm-1"] = 1
			b.run(time.Second)
			b.flight["vllm-0"] = 2
			b.acts(1, scaling.Warm{Asleep: 1})
			b.run(time.Second)
			b.wantWoke(scaling.Asleep, 0)
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, nil)
		},
		"one during which its container was started again": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{})
			for _, is := range []bool{false, true} {
				b.now = b.now.Add(10 * time.Second)
				b.change("vllm-1", func(p *corev1.Pod) { setCondition(p, corev1.ContainersReady, is, b.now) })
			}
			b.wakesUp(s, nil)
		},
		"one of a pod that has not left its endpoints yet": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{})
			b.wakesUp(s, nil)
			b.run(time.Second)
			b.flight["vllm-0"] = 2
			b.acts(1, scaling.Warm{Standby: 1})
			b.now = b.now.Add(time.Second)
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Second)
			b.wantWoke(scaling.Ready, 0)
		},
		"one of a pod whose container loads": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{})
			b.wakesUp(s, nil)
			b.acts(1, scaling.Warm{Standby: 1})
			b.live()
			b.change("vllm-1", func(p *corev1.Pod) { setCondition(p, corev1.ContainersReady, false, b.now) })
			b.acts(2, scaling.Warm{})
			b.now = b.now.Add(time.Minute)
			b.change("vllm-1", func(p *corev1.Pod) { setCondition(p, corev1.ContainersReady, true, b.now) })
		},
		"one that another process began": func(b *bed, s toldSleeper) {
			b.acts(2, scaling.Warm{})
			b.forgetAll()
			b.now = b.now.Add(time.Second)
			b.wakesUp(s, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, engine := toldBed(t, scaling.Warm{Asleep: 1})
			wake(b, engine)
			for range 2 {
				b.run(15 * time.Second)
				b.acts(2, scaling.Warm{})
			}
			b.run(time.Second)
			b.wantWoke(scaling.Ready, 0)
		})
	}
}

func TestAStaleInformerNeitherEndsAWakingNorMeasuresIt(t *testing.T) {
	b, engine := toldBed(t, scaling.Warm{Asleep: 1})
	resting := b.get("vllm-1")
	b.acts(2, scaling.Warm{})
	b.births.see(resting)
	b.now = b.now.Add(2 * time.Second)
	b.wakesUp(engine, nil)
	b.births.see(resting)
	b.wantWoke(scaling.Ready, 2*time.Second)
	b.births.forget(resting.UID)
	b.wantWoke(scaling.Ready, 0)
}

func TestAPodThatIsBeingDeletedHasNoWaking(t *testing.T) {
	b, _ := toldBed(t, scaling.Warm{Asleep: 1})
	pod := b.get("vllm-1").DeepCopy()
	var w wakings
	w.begin(pod, func() time.Time { return b.now })
	b.now = b.now.Add(time.Second)
	pod.ResourceVersion, pod.Annotations = bump(pod.ResourceVersion), nil
	pod.DeletionTimestamp = &metav1.Time{Time: b.now}
	for i := range pod.Status.Conditions {
		pod.Status.Conditions[i].Status = corev1.ConditionTrue
	}
	w.see(pod)
	if took := w.of(pod.UID); took != 0 {
		t.Errorf("measured %v", took)
	}
}

// TestWakeTimesAreLearnedFromWhatIsMeasured lets the planner see wakings that are shorter than the time between two looks, of
// which it would else know only that they were.
func TestWakeTimesAreLearnedFromWhatIsMeasured(t *testing.T) {
	c := scaling.Default()
	c.Capacity.RequestsPerSecond, c.LeadTime.Override = 5, 2*time.Minute
	c.Warm = scaling.Tiers{
		Standby: scaling.Tier{Max: 4, Price: 1, GPUs: 1, Wake: scaling.StandbyWake},
		Asleep:  scaling.Tier{Max: 4, Price: scaling.OffloadPrice, Wake: scaling.OffloadWake},
	}
	planner, err := scaling.NewPlanner(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		tier   scaling.Warm
		took   time.Duration
		learns func(scaling.Wakes) scaling.Waking
	}{
		"asleep":     {scaling.Warm{Asleep: 1}, 8 * time.Second, func(w scaling.Wakes) scaling.Waking { return w.Asleep }},
		"on standby": {scaling.Warm{Standby: 1}, 5 * time.Second, func(w scaling.Wakes) scaling.Waking { return w.Standby }},
	} {
		t.Run(name, func(t *testing.T) {
			b, engine := toldBed(t, x.tier)
			var st scaling.State
			look := func() {
				t.Helper()
				obs, err := b.Observer.Observe(context.Background(), vllm, b.now)
				b.must(err)
				st, _ = planner.Plan(st, obs)
			}
			const times = 20
			for range times {
				b.must(b.settles(1, x.tier))
				look()
				b.acts(2, scaling.Warm{})
				b.now = b.now.Add(x.took)
				if x.tier.Asleep > 0 {
					engine.wake <- nil
				}
				b.Actuator.own.crew.hands.running.Wait()
				b.live()
				b.run(15*time.Second - x.took)
				look()
				b.run(15 * time.Second)
				look() // the same once more, which teaches nothing
			}
			got := x.learns(st.Wakes)
			if got.Samples != times || math.Abs((got.Took-x.took).Seconds()) > 0.2 {
				t.Errorf("learned %+v of %d wakings that took %v each", got, times, x.took)
			}
		})
	}
}
