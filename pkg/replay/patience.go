package replay

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// deadline is when the next request may time out, forever where none can. All requests have the same time, so that
// the line of deadlines is in order; those that have their first token leave it when they come to its head.
func (s *service) deadline() time.Duration {
	for s.deadlines.length > 0 {
		t := s.deadlines.first()
		if s.unanswered(t) {
			return s.jobs[t.slot].arrival + s.cluster.cfg.Timeout
		}
		s.deadlines.pop()
	}
	return forever
}

// unanswered reports whether a request is known neither to have ended nor to have its first token.
func (s *service) unanswered(t ticket) bool {
	j := &s.jobs[t.slot]
	return j.id == t.id && j.first < 0
}

// expire ends the requests that have waited too long for their first token.
func (s *service) expire() {
	for s.deadline() <= s.cluster.now {
		t := s.deadlines.first()
		s.jobs[t.slot].unit.catchUp()
		if s.unanswered(t) {
			s.withdraw(t.slot)
			s.close(t.slot, s.cluster.now, TimedOut)
		}
	}
}

// withdraw takes a request out of its replica, which has caught up, if it is in one.
func (s *service) withdraw(slot uint32) {
	u := s.jobs[slot].unit
	if u == nil {
		return
	}
	u.engine.Cancel(s.handle(slot))
	s.leave(u, s.cluster.now)
	s.cluster.reschedule(u, s.cluster.now)
}

// refuse ends a request that a replica did not take.
func (s *service) refuse(slot uint32, err error) {
	if !errors.Is(err, replica.ErrTooLong) {
		s.cluster.fail(err)
	}
	s.close(slot, s.cluster.now, Rejected)
}

// abandon ends what is still held when nothing has ended for long after the load's end: the policy keeps no replica, or
// there is no GPU for one.
func (s *service) abandon() {
	now := s.cluster.now
	quiet := max(s.lastArrival, s.lastEnd)
	if quiet+patience <= now {
		s.dismissHeld()
		quiet = now
	}
	s.cluster.agenda.add(event{at: quiet + patience, kind: abandoned, service: s})
}

func (s *service) dismissHeld() {
	for slot := range s.jobs {
		if s.jobs[slot].held {
			s.close(uint32(slot), s.cluster.now, TimedOut)
		}
	}
}

// recall takes all requests back from a replica that crashed. Those that have sent nothing are tried once more, before
// what has arrived since; the others are lost.
func (s *service) recall(u *unit) {
	again := s.again[:0]
	for slot := range s.jobs {
		j := &s.jobs[slot]
		if j.id == 0 || j.unit != u {
			continue
		}
		u.inflight--
		s.inflight--
		if j.first >= 0 || j.retried {
			s.close(uint32(slot), s.cluster.now, Lost)
			continue
		}
		j.unit, j.retried = nil, true
		again = append(again, ticket{j.id, uint32(slot)})
	}
	slices.SortFunc(again, func(a, b ticket) int { return cmp.Compare(a.id, b.id) })
	for _, t := range again {
		s.hold(&s.retries, t.slot)
	}
	s.again = again
}
