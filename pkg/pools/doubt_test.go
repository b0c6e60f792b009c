package pools

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestWhoIsPausedIsNotAskedToDecideOverAndOver(t *testing.T) {
	b := newBench(t)
	b.scales("chat", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Paused = true })
	b.scales("code", nil)
	b.shares("shared", 0, 4, "chat", "code")
	b.pods["chat"] = scaling.Observation{GPUsPerReplica: 1, Replicas: []scaling.Replica{{Phase: scaling.Standby}}}
	for range 3 {
		b.may("chat")
		b.Record(t.Context(), id("chat"), scaling.Decision{}, nil)
	}
	if got := b.tellNudged(); got != "" {
		t.Errorf("%s is asked to decide by its own decision, for ever", got)
	}
}

func TestAPoolMadeOfThoseThatAreServedAlreadyKnowsTheirGPUs(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"chat", "code"} {
		b.scales(name, func(a *v1alpha1.InferenceAutoscaler) {
			a.Status.Replicas = &v1alpha1.ReplicaStatus{Desired: 2, Current: 2}
		})
		b.seen(name, 2)
		o := b.pods[name]
		o.GPUsPerReplica = 4
		b.pods[name] = o
	}
	observer := b.Observer(b)
	for _, name := range []string{"chat", "code"} { // as long as there is no pool
		if o, err := observer.Observe(t.Context(), id(name), monday); err != nil || o.Share != nil {
			t.Fatal(o.Share, err)
		}
	}
	b.shares("shared", 0, 20, "chat", "code")
	if got := b.may("chat"); got != 3 {
		t.Errorf("beside 2 replicas of code on 8 of 20 GPUs chat may have %d of 4 GPUs each", got)
	}
}

func TestWhatIsMadeAnewKeepsWhatItsPodsHold(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	b.scales("code", nil)
	b.shares("shared", 0, 4, "chat", "code")
	b.wishes("chat", 3, 1, 1, 1)
	delete(b.autoscalers, id("chat"))
	b.Refresh()
	if got := b.may("code"); got != 4 {
		t.Errorf("once chat is gone code may have %d", got)
	}
	b.wishes("code", 0)
	b.scales("chat", nil)
	b.Refresh()
	if got := b.may("code"); got != 0 {
		t.Errorf("before the first look at chat, which has 3 pods, code may have %d more", got)
	}
	b.wishes("chat", 3, 1, 1, 1)
	if got := b.may("code"); got != 1 {
		t.Errorf("beside the 3 pods of chat that were seen code may have %d", got)
	}
}

func TestOneThatCannotBePlannedForLeavesTheOthersWhatItDoesNotHold(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	b.scales("code", nil)
	b.shares("shared", time.Hour, 4, "chat", "code")
	b.wishes("chat", 1, 1)
	b.seen("code", 0)
	for range 3 {
		b.may("chat") // and its planner panics
	}
	if got := b.may("code"); got != 3 {
		t.Errorf("beside one that holds 1 of 4 GPUs and never says what it makes of the others: %d", got)
	}
}

func TestWhoCouldNotBeObservedGivesBackWhatItWasOffered(t *testing.T) {
	b := newBench(t)
	b.scales("chat", nil)
	b.scales("code", nil)
	b.shares("shared", time.Hour, 4, "chat", "code")
	b.wishes("chat", 1, 1)
	b.may("chat")
	delete(b.pods, "chat")
	if _, err := b.Observer(b).Observe(t.Context(), id("chat"), monday); err == nil {
		t.Fatal("it can be observed")
	}
	b.seen("code", 0)
	if got := b.may("code"); got != 3 {
		t.Errorf("beside one that holds 1 of 4 GPUs and cannot be observed: %d", got)
	}
}
