package scaling_test

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// One of the series that a page's count sums up is gone (a Triton model unloaded, a Ray worker gone): not a restart.
func TestASeriesThatLeavesThePageIsNoRestart(t *testing.T) {
	l := newLine(t, config(), 2)
	for _, p := range l.pods {
		p.finished = 1e6
	}
	l.ticks(40, 4)
	l.pods[0].finished -= 3e5 // the unloaded model's share
	l.ticks(1, 4)
	if l.last.Demand > 8 {
		t.Errorf("demand %v invented, 4 requests/s come", l.last.Demand)
	}
}

// An engine without ITL buckets whose page is frozen by a caching sidecar while requests run.
func TestAFrozenPageWithoutITL(t *testing.T) {
	l := newLine(t, config(), 8)
	l.ticks(120, 30)
	before := l.last
	snaps := make([]signals.Reading, len(l.pods))
	for i, p := range l.pods {
		snaps[i] = *p.Reading
	}
	for i := range 80 { // 20 minutes
		l.now = l.now.Add(tick)
		for j, p := range l.pods {
			r := snaps[j]
			r.Time = l.now
			p.Reading = &r
		}
		l.decide()
		if l.last.Replicas < 8 {
			v, _ := snaps[0].Value(signals.RequestsRunning)
			t.Fatalf("before %d demand %.1f; after %d ticks of pages that stand still with %v running each: %s", before.Replicas, before.Demand, i, v, explain(l.last))
		}
	}
}

// The gateway that saw more goes silent: scale-down on missing data, and not blind.
func TestAGatewayThatFallsSilent(t *testing.T) {
	l := newLine(t, config(), 8)
	l.beside(120, 5, 30, scaling.CountedArrived)
	before := l.last
	l.gateway = &scaling.Gateway{Source: "the gateway"} // not read any more
	for i := range 80 {
		l.tick(5)
		if l.last.Replicas < 8 {
			t.Fatalf("before %d (demand %.1f); %v after the gateway fell silent: %s, blind %v unseen %v", before.Replicas, before.Demand, time.Duration(i)*tick, explain(l.last), l.last.Blind, l.last.Unseen)
		}
	}
}

// Every replica has lost its readiness under overload and its pages still tell of the flood: is it scaled up?
func TestAllReplicasLoseReadinessByOverload(t *testing.T) {
	for _, front := range []bool{false, true} {
		c := config()
		l := newLine(t, c, 2)
		if front {
			c.Zero = true
			c.Constraints[3] = constraint.Bounds{Max: 20}
			l = newLine(t, c, 2)
			l.front = &scaling.Front{}
		}
		l.ticks(40, 6)
		if l.desired < 2 {
			t.Fatal("setup")
		}
		for range 10 { // 60 requests/s come; probes time out
			l.now = l.now.Add(tick)
			for _, p := range l.pods {
				p.Phase = scaling.Starting
				p.serve(30*tick.Seconds(), 5*tick.Seconds())
				p.Reading = p.page(l.now)
			}
			if l.front != nil {
				l.front.Time = l.now
			}
			l.decide()
		}
		if l.last.Replicas <= 2 {
			t.Errorf("front %v: %d replicas while pages tell of %v waiting, %v requests/s: %s", front, l.last.Replicas, l.last.Waiting, l.last.Demand, l.last.Reason)
		}
	}
}

// KEDA's interceptor: Arrived of front already has the growth in flight (behind()), and offered() adds the engines' growth again.
func TestEndedCountWithInFlight(t *testing.T) {
	// As front.GatewayReader.Seen gives it for KEDAHTTPAddOn: ended 5/s, in flight grows by 5/s => Arrived grows by 10/s.
	l := newLine(t, config(), 1)
	arrived, inflight := 0., 0.
	for range 20 {
		arrived += 10 * tick.Seconds()
		inflight += 5 * tick.Seconds()
		g := scaling.Gateway{Time: l.now.Add(tick), Source: "KEDA", Arrived: arrived, Counted: scaling.CountedEnded, InFlight: inflight, InFlightKnown: true}
		l.gateway = &g
		l.tick(10)
	}
	if l.last.Demand > 10.5 {
		t.Errorf("demand %v, 10 requests/s come: %s", l.last.Demand, explain(l.last))
	}
}

// Llama.cpp fleet, busy, no count of requests; the gateway's counter stands still (wrong pool, traffic that passes it by, a
// cached page). Its 0 is taken for demand.
func TestAFlatGatewayBesideBusyPages(t *testing.T) {
	l := newLine(t, config(), 8)
	tokens := 0.
	for i := range 120 {
		l.now = l.now.Add(tick)
		tokens += 3000
		for _, p := range l.pods {
			r := &signals.Reading{Time: l.now}
			r.Set(signals.RequestsWaiting, 0)
			r.Set(signals.RequestsRunning, 4) // all slots
			r.Set(signals.GenerationTokens, tokens)
			r.Set(signals.PromptTokens, tokens)
			p.Reading = r
		}
		l.gateway = &scaling.Gateway{Time: l.now, Source: "Envoy", Arrived: 500, Counted: scaling.CountedSent, InFlightKnown: true}
		l.decide()
		if l.last.Replicas < 8 {
			t.Fatalf("after %d ticks: blind %v unseen %d %s", i, l.last.Blind, len(l.last.Unseen), explain(l.last))
		}
	}
}

// The only replica has lost its readiness and its page times out while three long requests run; nothing new comes: zero?
func TestAnUnreadyUnreadReplicaIsNoSilence(t *testing.T) {
	l := zeroLine(t)
	l.scale(1)
	l.pods[0].Phase, l.pods[0].ReadyAt = scaling.Ready, l.now.Add(-time.Hour)
	l.ticks(20, 0.2)
	p := l.pods[0]
	p.running = 3
	p.Reading = p.page(l.now)
	for i := range 240 {
		l.now = l.now.Add(tick)
		p.Phase = scaling.Starting // not ready; its last page grows old
		l.front.Time = l.now
		l.decide()
		if l.desired == 0 {
			t.Fatalf("zero after %v while nothing is read of a replica with 3 requests: %s", time.Duration(i)*tick, explain(l.last))
		}
	}
}

// All 8 replicas of a target behind an activator become not ready and unread at once (a zone is cut off); what comes is little.
func TestACutOffZoneIsNoSilence(t *testing.T) {
	c := config()
	c.Zero = true
	c.Constraints[3] = constraint.Bounds{Min: 0, Max: 20}
	l := newLine(t, c, 8)
	l.front = &scaling.Front{}
	l.ticks(120, 30)
	l.desired = 8
	for i := range 80 {
		l.now = l.now.Add(tick)
		for _, p := range l.pods {
			p.Phase = scaling.Starting
			p.Problem = "timeout"
		}
		l.front.Time = l.now
		l.decide()
		if l.last.Replicas < 8 {
			t.Fatalf("%v after all 8 became unready and unread: blind %v unseen %v %s", time.Duration(i)*tick, l.last.Blind, l.last.Unseen, explain(l.last))
		}
	}
}
