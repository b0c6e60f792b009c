package replay

import "slices"

// router chooses among the ready replicas of a target.
type router struct {
	ready []*unit
	// loads has for each ready replica its requests in flight above turnBits and the number of the request that it got
	// last below: the least of them is the least busy, and among equals the one that has waited longest.
	loads    []uint64
	turns    uint64
	nextTurn int // rank from which RoundRobin goes on
}

// turnBits leaves room for 2^40 requests, and for 2^24 in flight in one replica.
const turnBits = 40

// slack is by how many requests in flight the replica with the longest prefix may exceed the least busy one: the
// imbalance above which AIBrix's prefix-cache router falls back to the least request
// (pkg/plugins/gateway/algorithms/prefix_cache.go, AIBRIX_PREFIX_CACHE_POD_RUNNING_REQUEST_IMBALANCE_ABS_COUNT).
const slack = 8

func (r *router) enlist(u *unit) {
	u.rank = len(r.ready)
	r.ready = append(r.ready, u)
	r.loads = append(r.loads, r.turn())
}

// delist takes a replica out, and keeps the order of the others.
func (r *router) delist(u *unit) {
	i := u.rank
	r.ready = slices.Delete(r.ready, i, i+1)
	r.loads = slices.Delete(r.loads, i, i+1)
	for ; i < len(r.ready); i++ {
		r.ready[i].rank = i
	}
}

func (r *router) turn() uint64 {
	r.turns++
	return r.turns
}

// burden and lighten keep account of a request that a ready replica took or ended.
func (r *router) burden(u *unit) {
	r.loads[u.rank] = (r.loads[u.rank]>>turnBits+1)<<turnBits | r.turn()
}

func (r *router) lighten(u *unit) { r.loads[u.rank] -= 1 << turnBits }

// least is the rank of the least busy replica; there must be one.
func (r *router) least() int {
	best, load := 0, r.loads[0]
	for i, l := range r.loads {
		if l < load {
			best, load = i, l
		}
	}
	return best
}

// pick returns the replica that takes a request with these prefix blocks, nil where none has room.
func (s *service) pick(blocks []uint64) *unit {
	if len(s.ready) == 0 {
		return nil
	}
	room := uint64(1) << (64 - turnBits)
	if n := s.cluster.cfg.MaxOutstanding; n > 0 {
		room = uint64(n)
	}
	switch {
	case s.cluster.cfg.Router == RoundRobin:
		return s.inTurn(room)
	case s.cluster.cfg.Router == PrefixAware && len(blocks) > 0:
		return s.longestPrefix(blocks, room)
	}
	if i := s.least(); s.loads[i]>>turnBits < room {
		return s.ready[i]
	}
	return nil
}

// inTurn goes on from the replica after the last one that was chosen.
func (r *router) inTurn(room uint64) *unit {
	for i := range r.ready {
		at := (r.nextTurn + i) % len(r.ready)
		if r.loads[at]>>turnBits < room {
			r.nextTurn = at + 1
			return r.ready[at]
		}
	}
	return nil
}

// longestPrefix takes the replica that holds most of the prompt, among those that are not much busier than the least
// busy one.
func (s *service) longestPrefix(blocks []uint64, room uint64) *unit {
	best := s.least()
	bound := min(room, s.loads[best]>>turnBits+slack+1)
	if s.loads[best]>>turnBits >= room {
		return nil
	}
	most := s.ready[best].cached(blocks)
	for i, u := range s.ready {
		if s.loads[i]>>turnBits >= bound {
			continue
		}
		if n := u.cached(blocks); n > most || n == most && s.loads[i] < s.loads[best] {
			best, most = i, n
		}
	}
	return s.ready[best]
}

// cached is the number of leading blocks that a replica's prefix cache holds now: it must not be left behind.
func (u *unit) cached(blocks []uint64) int {
	u.catchUp()
	return u.engine.Cached(blocks)
}
