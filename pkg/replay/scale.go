package replay

import (
	"cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// scale makes n the number of replicas asked for, beside warm ones. What drains does not count: it cannot be called back,
// unless it is to rest.
func (s *service) scale(n int32, warm scaling.Warm) {
	s.desired, s.warm = n, warm
	if n == 0 {
		s.vacate()
	}
	s.changed = true
	active := s.active()
	for ; active < n; active++ {
		if !s.wake() {
			s.order()
		}
	}
	for ; active > n; active-- {
		s.dismiss()
	}
	s.settleTiers()
	s.cluster.place()
}

// order makes a replica, which is scheduled at once where there are GPUs and waits in line where there are none.
func (s *service) order() *unit {
	c := s.cluster
	u := s.create()
	u.lead = u.lead.slowed(c.slowness)
	c.stock.line = append(c.stock.line, u)
	return u
}

// dismiss removes one replica, or puts it to rest where a tier has room: rather one that waits than one that starts, rather one that starts than one that serves,
// rather one with few requests than with many, rather a new one than an old one.
func (s *service) dismiss() {
	var least *unit
	for _, u := range s.units {
		if u.stage != draining && !u.resting() && (least == nil || u.cheaper(least)) {
			least = u
		}
	}
	if goal := s.shortage(); goal != serving && (least.stage != waiting || least.lent > 0) {
		least.retire(goal)
		return
	}
	if least.stage == ready {
		least.drain()
		return
	}
	least.remove()
}

// cheaper reports whether losing u costs less than losing o.
func (u *unit) cheaper(o *unit) bool {
	return cmp.Or(
		cmp.Compare(u.worth(), o.worth()),
		cmp.Compare(u.inflight, o.inflight),
		cmp.Compare(o.ordinal, u.ordinal),
	) < 0
}

// worth is the rank of a stage when replicas are removed.
func (u *unit) worth() int {
	switch u.stage {
	case waiting:
		return 0
	case ready:
		return 2
	default:
		return 1
	}
}
