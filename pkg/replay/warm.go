package replay

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Wake is how long warm replicas take until they serve, drawn for each waking; zero is what the policy takes it to be.
type Wake struct{ Standby, Asleep Phase }

// Tiered is a policy that keeps replicas warm: its decisions say how many, Tiers what they cost.
type Tiered interface {
	Tiers() scaling.Tiers
}

// Tiers implements Tiered.
func (p *preheat) Tiers() scaling.Tiers { return p.targets[0].Planner.Config().Warm }

// tiersOf are the tiers of a policy that has some.
func tiersOf(p any) scaling.Tiers {
	if t, ok := p.(Tiered); ok {
		return t.Tiers()
	}
	return scaling.Tiers{}
}

// resting reports whether a replica is warm, or on its way to be, and so none of those asked for.
func (u *unit) resting() bool { return u.goal != serving }

// active is the number of replicas that serve or are on their way to.
func (s *service) active() (n int32) {
	for _, u := range s.units {
		if !u.resting() && u.stage != draining {
			n++
		}
	}
	return n
}

// at is the number of replicas that are warm, or on their way to be, by the stage that they are to be in.
func (s *service) at(goal stage) (n int32) {
	for _, u := range s.units {
		if u.goal == goal {
			n++
		}
	}
	return n
}

// shortage is the tier that has fewer replicas than it is to have, serving where there is none.
func (s *service) shortage() stage {
	switch {
	case s.at(asleep) < s.warm.Asleep:
		return asleep
	case s.at(standby) < s.warm.Standby:
		return standby
	}
	return serving
}

// settleTiers brings the tiers to their numbers: what is too much on standby falls asleep before it ends, and what is too little
// is ordered.
func (s *service) settleTiers() {
	for _, tier := range [...]struct {
		goal stage
		most int32
	}{{asleep, s.warm.Asleep}, {standby, s.warm.Standby}} {
		for n := s.at(tier.goal); n > tier.most; n-- {
			u := s.latest(tier.goal)
			if u.stage == standby && s.shortage() == asleep {
				u.goal = asleep
				u.rest(asleep)
			} else {
				u.end()
			}
		}
	}
	for goal := s.shortage(); goal != serving; goal = s.shortage() {
		s.order().goal = goal
	}
}

// latest is the newest replica that is in a tier or on its way there; there must be one.
func (s *service) latest(goal stage) (found *unit) {
	for _, u := range s.units {
		if u.goal == goal {
			found = u
		}
	}
	return found
}

// end ends a replica that rests or is to; one that drains finishes what it holds.
func (u *unit) end() {
	u.goal = serving
	if u.stage != draining {
		u.remove()
	}
}

// retire takes a replica out of service: one that is ready finishes what it holds and then rests, one that is to wake and
// waits for the GPUs that it lent sleeps on, others rest as soon as they would be ready.
func (u *unit) retire(goal stage) {
	if u.lent > 0 {
		u.service.cluster.stock.withdraw(u)
		u.goal = asleep
		u.rest(asleep)
		return
	}
	u.goal = goal
	if u.stage != ready {
		return
	}
	u.retreat()
	if u.inflight == 0 {
		u.rest(goal)
		return
	}
	u.service.cluster.exact++
}

// rest brings a replica that holds no request into its tier. Asleep it gives up whole GPUs of those that it lets others use.
func (u *unit) rest(goal stage) {
	s := u.service
	u.settleAccount()
	s.cluster.due.drop(u)
	u.stage = goal
	u.epoch++
	s.changed = true
	if gpus := float64(s.Profile.GPUs) * (1 - s.tiers.Asleep.GPUs); goal == asleep && u.lent == 0 {
		u.lent = int(gpus + 1e-9)
		s.cluster.stock.release(u, u.lent)
	}
}

// wake brings back the replica that serves soonest of those that rest, false where none does.
func (s *service) wake() bool {
	var best *unit
	for _, u := range s.units {
		if u.resting() && (best == nil || u.nearness() > best.nearness()) {
			best = u
		}
	}
	if best == nil {
		return false
	}
	best.rise()
	return true
}

// nearness ranks those that rest by how soon they serve.
func (u *unit) nearness() int {
	switch u.stage { //nolint:exhaustive // the others start
	case draining:
		return 3
	case standby:
		return 2
	case asleep:
		return 1
	}
	return 0
}

// rise makes a replica that rests, or is on its way to, one that serves.
func (u *unit) rise() {
	s, c := u.service, u.service.cluster
	u.goal = serving
	u.risen = c.now
	s.changed = true
	switch u.stage { //nolint:exhaustive // the others start, and will serve
	case draining:
		if u.inflight > 0 {
			c.exact--
		}
		u.attend()
	case standby:
		u.settleAccount()
		u.rouse(c.cfg.Wake.Standby, s.tiers.Standby)
	case asleep:
		u.settleAccount()
		if u.lent > 0 {
			u.stage = waiting
			c.stock.line = append([]*unit{u}, c.stock.line...)
			return
		}
		u.rouse(c.cfg.Wake.Asleep, s.tiers.Asleep)
	}
}

// rouse begins a waking.
func (u *unit) rouse(p Phase, t scaling.Tier) {
	s, c := u.service, u.service.cluster
	if p.Median == 0 {
		p.Median = t.Wake
	}
	if u.wakes == nil {
		u.wakes = c.dice(wakeDraws, s.Name, u.ordinal)
	}
	u.stage = waking
	u.after(time.Duration(float64(p.draw(u.wakes)) * c.drowsiness))
}

// attend lets a replica that is loaded serve again, with what it still holds.
func (u *unit) attend() {
	s := u.service
	u.settleAccount()
	u.stage = ready
	u.epoch++
	u.idleSince = s.cluster.now
	s.changed = true
	s.enlist(u)
	s.awaken()
	s.loads[u.rank] |= uint64(u.inflight) << turnBits
	u.arm()
	s.dispatch()
}

// lose ends the oldest replicas that sleep of each target that is concerned, as the loss of their node does; others are made
// in their place.
func (c *cluster) lose(e Event) {
	for _, s := range c.services {
		if e.Target != "" && e.Target != s.Name {
			continue
		}
		var lost []*unit
		for _, u := range s.units {
			if u.stage == asleep && len(lost) < int(e.Value) {
				lost = append(lost, u)
			}
		}
		for _, u := range lost {
			u.remove()
		}
		s.settleTiers()
	}
	c.place()
}
