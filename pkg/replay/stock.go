package replay

import (
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

// stock is the GPUs that all targets share, and the line of replicas that wait for them.
type stock struct {
	limited        bool
	total          int // where limited
	nodes          int // zero: without limit
	used, occupied int // held by replicas, of them on the nodes that exist anyway
	line           []*unit
}

// fits reports whether so many GPUs are free.
func (s *stock) fits(gpus int) bool { return !s.limited || s.used+gpus <= s.total }

// limit sets the number of GPUs that there are; replicas that run stay.
func (s *stock) limit(gpus int) { s.limited, s.total = true, gpus }

// take gives a replica its GPUs, on a node that exists where one has room.
func (s *stock) take(u *unit) {
	if u.lent > 0 {
		s.reclaim(u)
		return
	}
	gpus := u.service.Profile.GPUs
	s.used += gpus
	u.held = gpus
	u.newNode = s.nodes > 0 && s.occupied+gpus > s.nodes
	if !u.newNode {
		s.occupied += gpus
	}
}

// nodeOf says what the API tells of the node of a replica that has just got one: nothing where all nodes are there, and
// else whether it is younger than the replica.
func (s *stock) nodeOf(u *unit) leadtime.Node {
	switch {
	case s.nodes == 0:
		return leadtime.NodeUnknown
	case u.newNode && u.date(u.scheduled).After(u.date(u.created)):
		return leadtime.NodeMade
	}
	return leadtime.NodePresent
}

// reclaim gives a replica back what it lent to others.
func (s *stock) reclaim(u *unit) {
	s.used += u.lent
	u.held += u.lent
	if !u.newNode {
		s.occupied += u.lent
	}
	u.lent = 0
}

// release takes some of them back; a node that was made for the replica goes with it.
func (s *stock) release(u *unit, gpus int) {
	s.used -= gpus
	u.held -= gpus
	if !u.newNode {
		s.occupied -= gpus
	}
}

// withdraw takes a replica out of the line.
func (s *stock) withdraw(u *unit) {
	if i := slices.Index(s.line, u); i >= 0 {
		s.line = slices.Delete(s.line, i, i+1)
	}
}

// place schedules the replicas that wait, in the order in which they were made, as far as there are GPUs. One that needs
// more than there are does not keep back those behind it, as the kube-scheduler goes on after a pod that does not fit.
func (c *cluster) place() {
	if len(c.stock.line) == 0 {
		return
	}
	left := c.stock.line[:0]
	for _, u := range c.stock.line {
		if !c.stock.fits(u.service.Profile.GPUs - u.held) {
			left = append(left, u)
			continue
		}
		c.stock.take(u)
		u.occupy()
	}
	clear(c.stock.line[len(left):])
	c.stock.line = left
}
