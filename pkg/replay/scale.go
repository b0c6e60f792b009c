package replay

import "cmp"

// scale makes n the number of replicas asked for. What drains does not count: it cannot be called back.
func (s *service) scale(n int32) {
	s.desired = n
	s.changed = true
	active := int32(0)
	for _, u := range s.units {
		if u.stage != draining {
			active++
		}
	}
	for ; active < n; active++ {
		s.order()
	}
	for ; active > n; active-- {
		s.dismiss()
	}
	s.cluster.place()
}

// order makes a replica, which is scheduled at once where there are GPUs and waits in line where there are none.
func (s *service) order() {
	c := s.cluster
	u := s.create()
	u.lead = u.lead.slowed(c.slowness)
	c.stock.line = append(c.stock.line, u)
}

// dismiss removes one replica: rather one that waits than one that starts, rather one that starts than one that serves,
// rather one with few requests than with many, rather a new one than an old one.
func (s *service) dismiss() {
	var least *unit
	for _, u := range s.units {
		if u.stage != draining && (least == nil || u.cheaper(least)) {
			least = u
		}
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
