package replica

import "math"

// quiet is the number of steps from the present boundary on that consist of
// nothing but decoding, and have one bucket of the ITL histogram; at its end an
// event may be due. Zero says that the next step needs a closer look: it
// computes prompts, or evicts.
func (r *Replica) quiet() int64 {
	if r.decoding == 0 || r.decoding != r.running.length || !r.stuck() {
		return 0
	}
	n := min(r.due[0].step-r.step, r.stride)
	n = r.fitting(n)
	if n == 0 {
		return 0
	}
	n = r.stats.alike(r.span(1), r.cost.perContext*picoseconds(r.decoding), n)
	if r.waiting.head != nil || r.arriving.head == nil {
		return n
	}
	if gap := r.now.until(r.arriving.head.queuedAt); gap < r.span(n) {
		n = min(n, r.reach(gap)+int64(r.profile.StepsAhead))
	}
	return n
}

// stuck says whether the head of the queue, if any, finds no room, and will not
// while nothing but decoding goes on.
func (r *Replica) stuck() bool {
	head := r.waiting.head
	if head == nil || r.running.length >= r.profile.MaxNumSeqs {
		return true
	}
	budget := r.profile.MaxNumBatchedTokens - r.decoding
	if head.Blocks != nil && head.target > budget {
		// Should the prefix cache lose blocks that it counts on, its first chunk
		// would need less room.
		return false
	}
	_, fits := r.admissible(head, budget)
	return !fits
}

// fitting is how many of the next n decode-only steps the KV cache has room for.
func (r *Replica) fitting(n int64) int64 {
	room := r.capacity - r.cache.inUse
	if r.kv.atMost(r.step+n) <= room {
		return n
	}
	low, high := int64(0), n
	for low < high {
		middle := (low + high + 1) / 2
		if r.kv.used(r.step+middle) <= room {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// span is the time of the next n decode-only steps.
func (r *Replica) span(n int64) picoseconds {
	first := r.cost.decode(r.decoding, r.context+int64(r.decoding)) + r.cost.touched(r.decoding)
	growth := r.cost.perContext * picoseconds(r.decoding)
	return picoseconds(n)*first + growth*picoseconds(n*(n-1)/2)
}

// reach is the smallest number of decode-only steps that together take at least
// gap. Steps grow by a constant, so n of them take
// n·first + growth·n·(n-1)/2, a quadratic in n; whole numbers then settle what
// the square root leaves open.
func (r *Replica) reach(gap picoseconds) int64 {
	if gap <= 0 {
		return 0
	}
	first := float64(r.span(1))
	growth := float64(r.cost.perContext) * float64(r.decoding)
	b := first - growth/2
	n := int64(math.Ceil(2 * float64(gap) / (b + math.Sqrt(b*b+2*growth*float64(gap)))))
	n = max(n, 1)
	for n > 1 && r.span(n-1) >= gap {
		n--
	}
	for r.span(n) < gap {
		n++
	}
	return n
}

// pass goes over the next n decode-only steps, total long, and reports what is
// due at their end.
func (r *Replica) pass(n int64, total picoseconds) {
	r.stats.decoded(r.span(1), total, n, r.decoding)
	r.stats.stepped(r.decoding, n)
	r.moveTo(r.now.add(total), r.now.add(r.span(n-1)))
	r.step += n
	r.context += n * int64(r.decoding)
	r.trim()
	for len(r.due) > 0 && r.due[0].step == r.step {
		r.report(r.due[0].seq)
	}
}
