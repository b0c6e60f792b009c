package scaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

type values = map[signals.Metric]float64

// glance is what the only replica's page and the gateway show at one tick.
type glance struct {
	page    values
	gateway scaling.Gateway
}

// behind decides once per glance, 15 s after the last.
func behind(t *testing.T, all ...glance) scaling.Decision {
	t.Helper()
	l := newLine(t, config(), 1)
	for _, g := range all {
		l.now = l.now.Add(tick)
		r := &signals.Reading{Time: l.now}
		for m, v := range g.page {
			r.Set(m, v)
		}
		l.pods[0].Reading = r
		g.gateway.Time, g.gateway.Source = l.now, "the gateway"
		l.gateway = &g.gateway
		l.decide()
	}
	return l.last
}

func TestAGatewayStandsInForPagesThatDoNotTell(t *testing.T) {
	// llama.cpp with all slots busy: no count of requests.
	busy := func(waiting, tokens float64) values {
		return values{signals.RequestsWaiting: waiting, signals.RequestsRunning: 4, signals.GenerationTokens: tokens}
	}
	// TorchServe: nothing of what is in flight.
	counts := func(n float64) values { return values{signals.RequestsFinished: n} }
	for name, x := range map[string]struct {
		was, is glance
		demand  float64
		blind   bool
	}{
		"llama.cpp is busy, and the gateway counts what it sends on": {
			was:    glance{busy(0, 100), scaling.Gateway{Arrived: 10, Counted: scaling.CountedSent}},
			is:     glance{busy(6, 900), scaling.Gateway{Arrived: 40, Counted: scaling.CountedSent}},
			demand: 2,
		},
		"llama.cpp is busy, and the gateway counts responses: what is in flight grew besides": {
			was:    glance{busy(0, 100), scaling.Gateway{Arrived: 10, Counted: scaling.CountedEnded}},
			is:     glance{busy(15, 900), scaling.Gateway{Arrived: 25, Counted: scaling.CountedEnded}},
			demand: 2,
		},
		"llama.cpp is busy, and the gateway counts nothing": {
			was:   glance{busy(0, 100), scaling.Gateway{InFlightKnown: true}},
			is:    glance{busy(6, 900), scaling.Gateway{InFlightKnown: true, InFlight: 10}},
			blind: true,
		},
		"TorchServe, and the gateway knows what is in flight": {
			was:    glance{counts(10), scaling.Gateway{Arrived: 10, Counted: scaling.CountedArrived, InFlightKnown: true}},
			is:     glance{counts(20), scaling.Gateway{Arrived: 40, Counted: scaling.CountedArrived, InFlightKnown: true, InFlight: 20}},
			demand: 2,
		},
		"requests hang while a counter of responses is flat: it proves nothing": {
			was:   glance{counts(10), scaling.Gateway{Arrived: 10, Counted: scaling.CountedEnded}},
			is:    glance{counts(10), scaling.Gateway{Arrived: 10, Counted: scaling.CountedEnded}},
			blind: true,
		},
		"the gateway began anew": {
			was:   glance{busy(0, 100), scaling.Gateway{Arrived: 50, Counted: scaling.CountedSent}},
			is:    glance{busy(6, 900), scaling.Gateway{Arrived: 40, Counted: scaling.CountedSent}},
			blind: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := behind(t, x.was, x.is)
			if d.Blind != x.blind || d.DemandKnown == x.blind || d.Demand != x.demand {
				t.Errorf("demand %v known %v, blind %v; want %v, blind %v: %s", d.Demand, d.DemandKnown, d.Blind, x.demand, x.blind, explain(d))
			}
			if said := strings.Contains(explain(d), "by the gateway"); said == x.blind {
				t.Errorf("that the gateway tells demand is said: %v: %s", said, explain(d))
			}
		})
	}
}

// beside lets ticks pass in which rate requests/s come to the replicas and seen requests/s to the gateway.
func (l *line) beside(n int, rate, seen float64, counted scaling.Counted) {
	for range n {
		g := scaling.Gateway{Source: "the gateway", Counted: counted}
		if l.gateway != nil {
			g.Arrived = l.gateway.Arrived
		}
		g.Arrived += seen * tick.Seconds()
		g.Time = l.now.Add(tick)
		l.gateway = &g
		l.tick(rate)
	}
}

func TestAGatewaysCountIsNeverAddedToTheReplicas(t *testing.T) {
	l := newLine(t, config(), 2)
	for range 3 { // bursts that the replicas tell of a tick later, and calm
		l.beside(1, 0, 8, scaling.CountedArrived)
		l.beside(1, 8, 0, scaling.CountedArrived)
		l.beside(20, 4, 4, scaling.CountedArrived)
	}
	if d := l.last; d.Demand != 4 || !strings.Contains(explain(d), "the replicas' pages count") {
		t.Errorf("demand %v, want the 4 that both tell of: %s", d.Demand, explain(d))
	}
	l.beside(20, 4, 2, scaling.CountedArrived)
	if d := l.last; d.Demand != 4 {
		t.Errorf("demand %v, want the 4 that come, half of them by another way: %s", d.Demand, explain(d))
	}
}

func TestAGatewaySeesWhatReplicasRefuse(t *testing.T) {
	for _, counted := range []scaling.Counted{scaling.CountedArrived, scaling.CountedSent, scaling.CountedEnded} {
		l := newLine(t, config(), 2)
		l.beside(40, 4, 7, counted)
		if d := l.last; d.Demand != 7 || !strings.Contains(explain(d), "demand is 7.00 requests/s by the gateway") {
			t.Errorf("demand %v, want the 7 that the gateway has seen: %s", d.Demand, explain(d))
		}
		l.gateway.Time = l.now.Add(-time.Hour)
		l.tick(4)
		l.gateway = nil
		if l.ticks(8, 4); l.last.Demand != 4 {
			t.Errorf("demand %v an hour after the gateway was read, want the 4 of the replicas: %s", l.last.Demand, explain(l.last))
		}
	}
}

func TestWhatTheGatewayHoldsWhileReplicasServeWaits(t *testing.T) {
	page := values{signals.RequestsWaiting: 1, signals.RequestsRunning: 2, signals.RequestsFinished: 5}
	g := scaling.Gateway{Waiting: 30, WaitingKnown: true, InFlight: 33, InFlightKnown: true}
	if d := behind(t, glance{page, g}, glance{page, g}); d.Waiting != 31 || d.Running != 2 {
		t.Errorf("%v wait and %v run, want 31 and 2: %s", d.Waiting, d.Running, explain(d))
	}
}

// quiet lets an hour pass without demand; each page is that of the first pod, and the gateway says what it is given.
func (l *line) quiet(gateway scaling.Gateway, partial bool, without ...signals.Metric) scaling.Decision {
	for range 240 {
		l.now = l.now.Add(tick)
		l.front.Time = l.now
		gateway.Time, gateway.Source = l.now, "the gateway"
		l.gateway = &gateway
		for _, p := range l.pods {
			p.without, p.running = without, 0
			p.Reading = p.page(l.now)
			if partial {
				p.Reading.SetPartial()
			}
		}
		l.decide()
	}
	return l.last
}

func TestAGatewayThatOnlySeesProvesNoSilence(t *testing.T) {
	for name, x := range map[string]struct {
		gateway scaling.Gateway
		partial bool
		without []signals.Metric
		left    int32
	}{
		"idle, and the gateway too": {gateway: scaling.Gateway{Counted: scaling.CountedEnded}},
		"in flight in the gateway":  {gateway: scaling.Gateway{InFlightKnown: true, InFlight: 1}, left: 1},
		"waiting in the gateway":    {gateway: scaling.Gateway{WaitingKnown: true, Waiting: 1}, left: 1},
		"a flat counter of responses beside a page that does not tell of what is in flight": {
			gateway: scaling.Gateway{Counted: scaling.CountedEnded}, without: []signals.Metric{signals.RequestsWaiting, signals.RequestsRunning}, left: 2, // held
		},
		"a flat counter of arrivals beside it": {
			gateway: scaling.Gateway{Counted: scaling.CountedArrived, InFlightKnown: true}, without: []signals.Metric{signals.RequestsWaiting, signals.RequestsRunning}, left: 1,
		},
		"MLServer's in-flight gauge counts REST only, and a gRPC request looks idle": {partial: true, left: 1},
		"the gateway knows what is in flight of both":                                {partial: true, gateway: scaling.Gateway{InFlightKnown: true}},
	} {
		t.Run(name, func(t *testing.T) {
			l := zeroLine(t)
			d := l.quiet(x.gateway, x.partial, x.without...)
			if d.Replicas != x.left {
				t.Errorf("%d replicas after an hour of that, want %d: %s", d.Replicas, x.left, explain(d))
			}
			if x.partial && x.left > 0 && !strings.Contains(explain(d), "do not count all requests that are in flight") {
				t.Errorf("nothing says why: %s", explain(d))
			}
		})
	}
}
