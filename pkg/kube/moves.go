package kube

import (
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// moves are what is to be done so that a target has the replicas of a decision.
type moves struct {
	// changes are replicas that change their lane, in the order in which it is done.
	changes []move
	// cut are replicas that are let go of at once, since they have no gate.
	cut []*member
	// reserved are the warm replicas that are asked for and do not exist yet, replicas the number to ask for, before it is
	// lowered for those that have been drained.
	reserved scaling.Warm
	replicas int32
}

// move is one replica that changes its lane.
type move struct {
	member   *member
	from, to lane
	// fills says that it is one that was reserved.
	fills bool
}

// movesFor returns what is to be done for a decision; the roster is then as it is to become. What exists is used before
// anything is made: replicas that are drained are taken back first, since that costs nothing, then those on standby, then
// those that sleep.
func (r *roster) movesFor(serving int32, warm scaling.Warm) moves {
	asked := r.asked()
	p := mover{roster: r, moves: moves{reserved: r.reserved, replicas: r.replicas}}
	p.fill(r.count(laneServing, laneWaking) - asked)
	if serving > asked {
		p.grow(serving - asked)
	} else {
		p.shrink(asked-serving, asked, warm)
	}
	p.thin(warm)
	p.want(laneStandby, &p.moves.reserved.Standby, warm.Standby)
	p.want(laneAsleep, &p.moves.reserved.Asleep, warm.Asleep)
	return p.moves
}

// mover makes moves.
type mover struct {
	*roster
	moves moves
}

// move takes up to n replicas that meet a condition from one lane to another, and returns how many.
func (p *mover) move(n int32, from, to lane, is func(*member) bool) int32 {
	taken := p.take(n, from, to, is)
	for _, m := range taken {
		p.moves.changes = append(p.moves.changes, move{member: m, from: from, to: to})
	}
	return int32(len(taken))
}

// fill gives lanes to replicas that came for those that were reserved, as far as there are too many that serve.
func (p *mover) fill(surplus int32) {
	first := len(p.moves.changes)
	reserved := &p.moves.reserved
	n := p.move(min(surplus, reserved.Standby), laneServing, laneStandby, isGated)
	reserved.Standby -= n
	reserved.Asleep -= p.move(min(surplus-n, reserved.Asleep), laneServing, laneAsleep, isGated)
	for i := range p.moves.changes[first:] {
		p.moves.changes[first+i].fills = true
	}
}

// grow lets n more replicas serve.
func (p *mover) grow(n int32) {
	slices.Reverse(p.lanes[laneDraining]) // those that would be done last, or the lowest ordinals
	n -= p.move(n, laneDraining, laneServing, isAwake)
	n -= p.move(n, laneStandby, laneServing, isLoaded)
	n -= p.move(n, laneAsleep, laneWaking, isLoaded)
	n -= p.move(n, laneDraining, laneWaking, isLoaded)
	n -= p.move(n, laneStandby, laneServing, anyone)
	n -= p.move(n, laneAsleep, laneServing, isAwake)
	n -= p.move(n, laneAsleep, laneWaking, anyone)
	p.moves.replicas += n
}

// shrink lets n fewer of the replicas serve that are asked for: first those that do not exist, then those that hold least.
func (p *mover) shrink(n, asked int32, warm scaling.Warm) {
	missing := min(n, max(0, asked-p.count(laneServing, laneWaking)))
	p.moves.replicas -= missing
	n -= missing
	n -= p.move(min(n, warm.Asleep-p.count(laneAsleep)), laneWaking, laneAsleep, anyone)
	n -= p.move(n, laneWaking, laneDraining, anyone)
	victims := slices.Clone(p.lanes[laneServing][:min(n, p.count(laneServing))])
	for _, v := range victims {
		p.letGo(v, warm)
	}
}

// letGo finds the place of one replica that is to serve no longer.
func (p *mover) letGo(v *member, warm scaling.Warm) {
	to := laneDraining
	switch {
	case !gated(v.pod):
		p.moves.cut = append(p.moves.cut, v)
		return
	case !loaded(v.pod):
	case p.count(laneStandby) < warm.Standby:
		to = laneStandby
	case p.count(laneAsleep) < warm.Asleep:
		to = laneAsleep
	}
	p.move(1, laneServing, to, func(m *member) bool { return m == v })
}

// thin lets warm replicas go of which there are too many. Those that still load are not counted by who decides, and wait.
func (p *mover) thin(warm scaling.Warm) {
	spare := p.number(laneStandby, isSettled) - warm.Standby
	spare -= p.move(min(spare, warm.Asleep-p.count(laneAsleep)), laneStandby, laneAsleep, isSettled)
	p.move(spare, laneStandby, laneDraining, isSettled)
	p.move(p.number(laneAsleep, isSettled)-warm.Asleep, laneAsleep, laneDraining, isSettled)
}

// want reserves warm replicas of a lane that are missing, after those that are about to be let go of, and gives up what was
// reserved beyond, as long as that deletes nothing.
func (p *mover) want(l lane, reserved *int32, wanted int32) {
	missing := wanted - p.count(l) - *reserved
	if missing > 0 {
		missing -= p.move(missing, laneDraining, l, func(m *member) bool { return loaded(m.pod) && (l == laneAsleep || isAwake(m)) })
	} else {
		missing = -min(-missing, *reserved, max(0, p.moves.replicas-int32(len(p.live)-len(p.leaving))))
	}
	*reserved += missing
	p.moves.replicas += missing
}

// number counts the replicas of a lane that meet a condition.
func (p *mover) number(l lane, is func(*member) bool) int32 {
	var n int32
	for _, m := range p.lanes[l] {
		if is(m) {
			n++
		}
	}
	return n
}

func anyone(*member) bool     { return true }
func isAwake(m *member) bool  { return !maySleep(m) }
func isLoaded(m *member) bool { return loaded(m.pod) }
func isGated(m *member) bool  { return gated(m.pod) }

// isSettled reports whether a replica is loaded, or fails to load.
func isSettled(m *member) bool { return loaded(m.pod) || restarted(m.pod) }

// maySleep reports whether a replica's engine may be asleep. One that has never been loaded is not.
func maySleep(m *member) bool {
	_, sleep := m.pod.Annotations[sleepAnnotation]
	return sleep && !m.neverLoaded()
}
