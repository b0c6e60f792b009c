package scaling_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const tick = 15 * time.Second

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// config declares 5 requests/s a replica, a lead time of 2 minutes and bounds of 1 to 20.
func config() scaling.Config {
	c := scaling.Default()
	c.Capacity.RequestsPerSecond = 5
	c.LeadTime.Override = 2 * time.Minute
	c.Forecast.Step = tick
	c.Constraints = constraints(20)
	return c
}

func constraints(most int32) []scaling.Constraint {
	return []scaling.Constraint{
		constraint.Tolerance{},
		constraint.Stabilization{},
		constraint.GPUs{},
		constraint.Bounds{Min: 1, Max: most},
	}
}

// pod is one replica of a line: its page counts what it is given.
type pod struct {
	scaling.Replica
	finished, waiting, running, tokens float64
	// without are metrics that its page lacks; frozen keeps its last page.
	without []signals.Metric
	frozen  bool
}

// line is a time-line of one target: a test moves it on by ticks and says what happens.
type line struct {
	t       testing.TB
	planner *scaling.Planner
	state   scaling.State
	now     time.Time
	desired int32
	pods    []*pod
	made    int
	gpus    int32            // of a replica; zero: nobody knows
	front   *scaling.Front   // holds what comes while no pod is ready; nil: there is none
	gateway *scaling.Gateway // sees what comes; nil: there is none
	last    scaling.Decision
	// ready is how long a replica takes to become ready; follow lets replicas follow decisions.
	ready  time.Duration
	follow bool
	share  *scaling.Share
}

func newLine(t testing.TB, c scaling.Config, replicas int) *line {
	t.Helper()
	p, err := scaling.NewPlanner(c)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{t: t, planner: p, now: t0, desired: int32(replicas), ready: 2 * time.Minute}
	for range replicas {
		l.add(scaling.Ready, t0.Add(-time.Hour))
	}
	return l
}

func (l *line) add(phase scaling.Phase, created time.Time) *pod {
	l.made++
	p := &pod{Replica: scaling.Replica{
		ID: fmt.Sprintf("uid-%d", l.made), Name: fmt.Sprintf("pod-%d", l.made), Phase: phase, Created: created,
	}}
	if phase != scaling.Unschedulable {
		p.Scheduled, p.Started = created, created
	}
	if phase == scaling.Ready {
		p.ReadyAt = created.Add(l.ready)
	}
	l.pods = append(l.pods, p)
	return p
}

// page is what a pod reports now.
func (p *pod) page(now time.Time) *signals.Reading {
	r := &signals.Reading{Time: now}
	values := map[signals.Metric]float64{
		signals.RequestsFinished: p.finished, signals.RequestsWaiting: p.waiting, signals.RequestsRunning: p.running,
		signals.GenerationTokens: p.tokens,
	}
	for _, m := range p.without {
		delete(values, m)
	}
	for m, v := range values {
		r.Set(m, v)
	}
	return r
}

// tick lets a tick pass in which rate requests/s in all arrive, are spread over the ready pods and served up to 5/s each
// (the rest waits), and decides.
func (l *line) tick(rate float64) scaling.Decision {
	l.now = l.now.Add(tick)
	var ready []*pod
	for _, p := range l.pods {
		if p.Phase == scaling.Starting && l.now.Sub(p.Created) >= l.ready {
			p.Phase, p.ReadyAt = scaling.Ready, p.Created.Add(l.ready)
		}
		if p.Phase == scaling.Ready {
			ready = append(ready, p)
		}
	}
	l.hold(rate*tick.Seconds(), ready)
	for _, p := range ready {
		p.serve(rate*tick.Seconds()/float64(len(ready)), 5*tick.Seconds())
		if !p.frozen {
			p.Reading = p.page(l.now)
		}
	}
	return l.decide()
}

// hold lets what stands in front take notice of arrivals, keep them while no pod is ready, and hand over what it has kept.
func (l *line) hold(arrivals float64, ready []*pod) {
	f := l.front
	if f == nil {
		return
	}
	f.Time = l.now
	f.Arrived += arrivals
	if len(ready) == 0 {
		f.Held += arrivals
		return
	}
	ready[0].waiting += f.Held
	f.Held = 0
}

// serve takes arrivals and finishes up to most of them and of what waited.
func (p *pod) serve(arrivals, most float64) {
	p.waiting += arrivals
	done := min(p.waiting, most)
	p.finished += done
	p.waiting -= done
	p.running = done / 10
	p.tokens += 200*done + 1
}

// decide plans without letting time pass.
func (l *line) decide() scaling.Decision {
	obs := scaling.Observation{Time: l.now, Desired: l.desired, GPUsPerReplica: l.gpus, Share: l.share}
	for _, p := range l.pods {
		obs.Replicas = append(obs.Replicas, p.Replica)
	}
	if l.front != nil {
		obs.Front = *l.front
	}
	if l.gateway != nil {
		obs.Gateway = *l.gateway
	}
	l.state, l.last = l.planner.Plan(l.state, obs)
	if l.follow {
		l.scale(l.last.Replicas)
	}
	return l.last
}

// scale makes the replicas asked for, or ends the newest.
func (l *line) scale(n int32) {
	l.desired = n
	for int32(len(l.pods)) < n {
		l.add(scaling.Starting, l.now)
	}
	l.pods = l.pods[:n]
}

// ticks lets several ticks pass.
func (l *line) ticks(n int, rate float64) scaling.Decision {
	for range n {
		l.tick(rate)
	}
	return l.last
}

// want fails unless the last decision is this one.
func (l *line) want(replicas int32, reason scaling.Reason) {
	l.t.Helper()
	if d := l.last; d.Replicas != replicas || d.Reason != reason {
		l.t.Fatalf("at %v: got %d %s, want %d %s\n%s", l.now.Sub(t0), d.Replicas, d.Reason, replicas, reason, explain(d))
	}
}

func explain(d scaling.Decision) string {
	s := fmt.Sprintf("%s %s", d.Reason, d.Message())
	for _, x := range d.Steps {
		s += fmt.Sprintf("\n    %s", x)
	}
	return s
}
