package kube

import (
	"math"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// roster are the replicas of a target that are not being deleted, by lane.
type roster struct {
	// now is when they were observed.
	now time.Time
	// replicas is what the scale subresource asks for.
	replicas int32
	// live are all of them; leaving are those of them for which the number was lowered already, and in no lane any more.
	live, leaving []*member
	lanes         map[lane][]*member
	// reserved are warm replicas that were asked for and do not exist yet.
	reserved scaling.Warm
	// ordinal says that they are let go of by ordinal, drained for how long each may be drained.
	ordinal bool
	drained time.Duration
}

// newRoster sorts replicas into lanes.
func newRoster(r roster, all []*member, l ledger) roster {
	r.lanes, r.reserved = map[lane][]*member{}, l.reserved
	for _, m := range all {
		if m.pod.DeletionTimestamp == nil {
			r.live = append(r.live, new(*m))
		}
	}
	first := r.firstOrdinal()
	for _, m := range r.live {
		in := laneOf(m.pod)
		if l.hasLeft(m.pod, r.now, len(r.live) > int(r.replicas)) || r.ordinal && in == laneDraining && ordinalOf(m.pod)-first >= int(r.replicas) {
			r.leaving = append(r.leaving, m)
			continue
		}
		r.lanes[in] = append(r.lanes[in], m)
	}
	return r
}

// rank sorts each lane into the order in which replicas are taken out of it: those with the least in flight first, or the
// highest ordinals.
func (r *roster) rank() {
	for _, in := range r.lanes {
		if r.ordinal {
			highestFirst(in)
		} else {
			idleFirst(in, r.now, r.drained)
		}
	}
}

// roster is an empty roster of what was seen.
func (v view) roster() roster {
	return roster{now: v.time, replicas: v.read.replicas(), ordinal: byOrdinal(v.read.target, v.members)}
}

// firstOrdinal is the lowest ordinal.
func (r *roster) firstOrdinal() int {
	first := math.MaxInt
	for _, m := range r.live {
		first = min(first, ordinalOf(m.pod))
	}
	return first
}

// count is the number of replicas in lanes.
func (r *roster) count(lanes ...lane) int32 {
	n := 0
	for _, l := range lanes {
		n += len(r.lanes[l])
	}
	return int32(n)
}

// asked is the number of serving replicas that are asked for.
func (r *roster) asked() int32 {
	return max(0, r.replicas-r.count(laneDraining, laneStandby, laneAsleep)-r.reserved.All())
}

// take moves up to n replicas that meet a condition from one lane to another, and returns them.
func (r *roster) take(n int32, from, to lane, is func(*member) bool) []*member {
	var taken []*member
	r.lanes[from] = slices.DeleteFunc(r.lanes[from], func(m *member) bool {
		if int32(len(taken)) >= n || !is(m) {
			return false
		}
		taken = append(taken, m)
		return true
	})
	r.lanes[to] = append(r.lanes[to], taken...)
	return taken
}

// ledger is what is remembered of a target's replicas beyond what is on the pods. Without it (after a crash) at most the next
// observation is wrong: by the replicas that are being deleted or made at that very moment.
type ledger struct {
	// reserved are warm replicas that were asked for and do not exist yet.
	reserved scaling.Warm
	// left are pods for which the number was lowered, and when.
	left map[types.UID]time.Time
	// quiet is since when a replica that is drained has nothing in flight.
	quiet map[types.UID]quiet
}

// leaveWithin is how long a pod may take to be deleted after the number was lowered for it, where there are no more pods than
// the number: one that is still there then was not the one that was deleted.
const leaveWithin = 30 * time.Second

// hasLeft reports whether the number was lowered for a pod, which is not counted any more then. While there are more pods than
// the number, those that are marked as victims are yet to be deleted, however long that takes: counted once more, the number
// would be lowered once more.
func (l *ledger) hasLeft(pod *corev1.Pod, now time.Time, excess bool) bool {
	at, known := l.left[pod.UID]
	marked := pod.Annotations[costAnnotation] == victimCost
	return known && now.Sub(at) < leaveWithin || excess && (known || marked)
}

// leave remembers that the number was lowered for pods.
func (l *ledger) leave(all []*member, now time.Time) {
	if l.left == nil {
		l.left = map[types.UID]time.Time{}
	}
	for _, m := range all {
		l.left[m.pod.UID] = now
	}
}

// keep forgets pods that are gone.
func (l *ledger) keep(all []*member) {
	is := map[types.UID]bool{}
	for _, m := range all {
		is[m.pod.UID] = true
	}
	for uid := range l.left {
		if !is[uid] {
			delete(l.left, uid)
		}
	}
	for uid := range l.quiet {
		if !is[uid] {
			delete(l.quiet, uid)
		}
	}
}

// lockedLedger is a ledger that the Observer and the Actuator share.
type lockedLedger struct {
	mu sync.Mutex
	ledger
}

// asked is the number of serving replicas that are asked for, of those that were observed.
func (l *lockedLedger) asked(seen view) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := newRoster(seen.roster(), seen.members, l.ledger)
	return r.asked()
}
