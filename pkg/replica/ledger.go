package replica

import "math/bits"

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
	shift    uint  // of size, which is a power of two: no division
}

func newLedger(blockSize int) ledger {
	return ledger{ends: make([]int, blockSize), shift: uint(bits.TrailingZeros(uint(blockSize)))}
}

// blocks is the number of blocks for so many tokens.
func (l *ledger) blocks(tokens int) int { return (tokens + len(l.ends) - 1) >> l.shift }

// join counts a sequence with t tokens at the end of step, of which shared blocks are
// counted elsewhere; it returns its o, which leave needs.
func (l *ledger) join(t int, step int64, shared int) (offset int) {
	offset = t - int(step) + len(l.ends) - 1
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
	return offset >> l.shift, offset & (len(l.ends) - 1)
}

// used is the number of blocks in use in a step, without the prefix cache's.
func (l *ledger) used(step int64) int {
	whole, rest := l.split(int(step))
	n := l.own + l.quotient + l.joined*whole
	for _, sequences := range l.ends[len(l.ends)-rest:] {
		n += sequences
	}
	return n
}

// atMost is an upper bound of used that is quick to find.
func (l *ledger) atMost(step int64) int {
	return l.own + l.quotient + l.joined*(int(step)>>l.shift+1)
}
