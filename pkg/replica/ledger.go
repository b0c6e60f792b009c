package replica

// ledger counts KV blocks in use without touching the sequences at each step.
//
// A sequence that joined after step j with t tokens of KV has t + s - j of them
// in step s, and ceil((t+s-j)/size) blocks. With o = t - j + size - 1 that is
//
//	floor((o+s)/size) = floor(o/size) + floor(s/size) + (1 if o mod size + s mod size >= size)
//
// so the sum over all needs the sum of the first terms, the number of sequences,
// and how many there are of each remainder of o. Worked example: size 16, t 31,
// j 0: o = 46 = 2·16 + 14; in step 1 it has 2 + 0 + 0 blocks (32 tokens), in
// step 2 it has 3, for 14 + 2 reaches 16.
type ledger struct {
	own      int // blocks that prefilling sequences hold
	quotient int // sum of floor(o/size), less the blocks that the prefix cache counts
	joined   int
	ends     []int // sequences by remainder of o
	size     int64
}

func newLedger(blockSize int) ledger {
	return ledger{ends: make([]int, blockSize), size: int64(blockSize)}
}

// join counts a sequence with t tokens at the end of step, of which shared blocks are
// counted elsewhere; it returns its o, which leave needs.
func (l *ledger) join(t int, step int64, shared int) (offset int) {
	offset = t - int(step) + int(l.size) - 1
	quotient, remainder := l.split(offset)
	l.quotient += quotient - shared
	l.ends[remainder]++
	l.joined++
	return offset
}

func (l *ledger) leave(offset, shared int) {
	quotient, remainder := l.split(offset)
	l.quotient -= quotient - shared
	l.ends[remainder]--
	l.joined--
}

// split divides, rounding towards minus infinity.
func (l *ledger) split(offset int) (quotient, remainder int) {
	size := int(l.size)
	quotient, remainder = offset/size, offset%size
	if remainder < 0 {
		return quotient - 1, remainder + size
	}
	return quotient, remainder
}

// used is the number of blocks in use in a step, without the prefix cache's.
func (l *ledger) used(step int64) int {
	n := l.own + l.quotient + l.joined*int(step/l.size)
	for _, sequences := range l.ends[l.size-step%l.size:] {
		n += sequences
	}
	return n
}

// atMost is an upper bound of used that is quick to find.
func (l *ledger) atMost(step int64) int {
	return l.own + l.quotient + l.joined*int(step/l.size+1)
}
