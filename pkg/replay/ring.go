package replay

// ticket names a request in a line: its place among the jobs, and its ID, by which a place that has been given to
// another request since is told apart.
type ticket struct {
	id   uint64
	slot uint32
}

// ring is a line of tickets, first in, first out. It keeps its memory, so that a line as long as ever before costs
// nothing.
type ring struct {
	buffer []ticket // length a power of two
	head   int
	length int
}

func (r *ring) push(t ticket) {
	if r.length == len(r.buffer) {
		r.grow()
	}
	r.buffer[(r.head+r.length)&(len(r.buffer)-1)] = t
	r.length++
}

func (r *ring) grow() {
	bigger := make([]ticket, max(64, 2*len(r.buffer)))
	n := copy(bigger, r.buffer[r.head:])
	copy(bigger[n:], r.buffer[:r.head])
	r.buffer, r.head = bigger, 0
}

// first returns the head of the line; there must be one.
func (r *ring) first() ticket { return r.buffer[r.head] }

func (r *ring) pop() {
	r.head = (r.head + 1) & (len(r.buffer) - 1)
	r.length--
}
