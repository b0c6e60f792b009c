package replica

// index finds the unfinished sequences by request ID: a hash table with open
// addressing, which for the few hundred sequences of a replica costs a quarter
// of a map.
type index struct {
	slots []slot // a power of two, at most half of them taken
	taken int
	shift uint // 64 - log2(len(slots))
}

type slot struct {
	id  uint64
	seq *sequence // nil: empty
}

func newIndex() index { return index{slots: make([]slot, 64), shift: 58} }

// home is the slot where the search for id begins (Fibonacci hashing).
func (x *index) home(id uint64) int { return int(id * 0x9E3779B97F4A7C15 >> x.shift) }

// find returns the slot of id, or the empty one where it would be put.
func (x *index) find(id uint64) int {
	i := x.home(id)
	for x.slots[i].seq != nil && x.slots[i].id != id {
		i = (i + 1) & (len(x.slots) - 1)
	}
	return i
}

func (x *index) lookup(id uint64) *sequence { return x.slots[x.find(id)].seq }

func (x *index) put(seq *sequence) {
	if 2*(x.taken+1) > len(x.slots) {
		x.grow()
	}
	x.slots[x.find(seq.ID)] = slot{seq.ID, seq}
	x.taken++
}

func (x *index) grow() {
	old := x.slots
	x.slots, x.shift = make([]slot, 2*len(old)), x.shift-1
	for _, s := range old {
		if s.seq != nil {
			x.slots[x.find(s.id)] = s
		}
	}
}

// drop removes id, which is there, and closes the gap so that searches need no
// tombstones.
func (x *index) drop(id uint64) {
	gap, mask := x.find(id), len(x.slots)-1
	for i := (gap + 1) & mask; x.slots[i].seq != nil; i = (i + 1) & mask {
		// What lives between its home and the gap must stay reachable.
		if (i-x.home(x.slots[i].id))&mask >= (i-gap)&mask {
			x.slots[gap], gap = x.slots[i], i
		}
	}
	x.slots[gap] = slot{}
	x.taken--
}
