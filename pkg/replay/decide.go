package replay

import (
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Timetable is a policy that knows when it has to be asked: at these times, and not at its path's interval, which only
// says by when it is asked first.
type Timetable interface {
	// Next is when to ask next, given that it has just decided: after now. False: never again.
	Next(now time.Time) (time.Time, bool)
}

// decide asks the policy, and sends its answer on its way.
func (s *service) decide() {
	c := s.cluster
	d := s.Policy.Decide(s.observe())
	s.bound(&d)
	c.sink.Decided(s.Name, d, s.truth())
	if d.Replicas == s.asked && d.Warm == s.askedWarm {
		return
	}
	s.asked, s.askedWarm = d.Replicas, d.Warm
	c.agenda.add(event{at: c.now + c.cfg.APILag, kind: ordered, service: s, value: d.Replicas, warm: d.Warm})
}

// askAgain puts the next regular decision on the agenda.
func (s *service) askAgain() {
	if next, more := s.nextDecision(); more {
		s.cluster.agenda.add(event{at: next, kind: decided, service: s})
	}
}

// pushes reports whether a request that is held now is one that the policy is told of at once: the first one for which no
// replica is there, comes or has been asked for.
func (s *service) pushes() bool {
	return s.path.Push > 0 && !s.pushing && s.desired == 0 && s.asked == 0 && len(s.ready) == 0
}

// push asks the policy out of turn, on the gateway as it is now. It hears nothing where no page can be fetched either.
func (s *service) push() {
	s.pushing = false
	if s.cluster.outage {
		return
	}
	s.readings, s.visible = s.readings[:0], s.truth()
	s.decide()
}

// nextDecision is when the policy is asked again, false where it need not be.
func (s *service) nextDecision() (time.Duration, bool) {
	c := s.cluster
	t, ok := s.Policy.(Timetable)
	if !ok {
		return c.now + s.path.Interval, true
	}
	next, more := t.Next(c.at(c.now))
	return max(next.Sub(c.cfg.Start), c.now+1), more
}

// bound keeps a decision within the target's bounds.
func (s *service) bound(d *scaling.Decision) {
	allowed, reason := max(d.Replicas, s.Min), scaling.AtMinimum
	if s.Max > 0 && d.Replicas > s.Max {
		allowed, reason = s.Max, scaling.AtMaximum
		d.Limited, d.Needed = true, max(d.Needed, d.Replicas)
	}
	if allowed == d.Replicas {
		return
	}
	text := fmt.Sprintf("%d wanted, the target allows %d", d.Replicas, allowed)
	d.Steps = append(slices.Clip(d.Steps), scaling.Step{Stage: "bounds", Replicas: allowed, Text: text})
	d.Replicas, d.Reason = allowed, reason
}

// observe returns what the policy can see now.
func (s *service) observe() baseline.Observation {
	s.revealGateway()
	s.seen = s.seen[:0]
	for _, u := range s.units {
		u.reveal()
		s.seen = append(s.seen, u.look())
	}
	return baseline.Observation{
		Observation: scaling.Observation{
			Time: s.cluster.at(s.cluster.now), Desired: s.desired, GPUsPerReplica: int32(s.Profile.GPUs), Replicas: s.seen,
		},
		Gateway: s.visible,
	}
}

// look returns a replica as pkg/kube shows a pod. A pod whose node has yet to come up is unschedulable to the API, as one
// is for which there will be none; both hold back what goes by the API.
func (u *unit) look() scaling.Replica {
	r := scaling.Replica{
		ID: u.name, Name: u.name, Phase: scaling.Starting,
		Created: u.date(u.created), Scheduled: u.date(u.scheduled), Started: u.date(u.started), ReadyAt: u.date(u.readied),
		Woke: u.woke, Circumstance: u.circumstance, Reading: u.visible, Problem: u.problem,
	}
	switch u.stage {
	case waiting, node:
		r.Phase = scaling.Unschedulable
	case ready:
		r.Phase = scaling.Ready
	case draining, gone:
		r.Phase = scaling.Draining
	case standby:
		r.Phase = scaling.Standby
	case asleep:
		r.Phase = scaling.Asleep
	case pulling, loading, warming, waking:
		r.Anew = true
	}
	return r
}

// date is a time as the API shows it: in whole seconds, zero where it has not come.
func (u *unit) date(at time.Duration) time.Time {
	if at == unset {
		return time.Time{}
	}
	return u.service.cluster.at(at).Truncate(time.Second)
}
