package replica

import "time"

// quiet says whether steps consist of nothing but decoding until the next
// event or arrival: no prompt is being computed and the head of the queue, if
// any, finds no room.
func (r *Replica) quiet() bool {
	if r.decoding != len(r.running) || r.decoding == 0 {
		return false
	}
	return len(r.waiting) == 0 || !r.admissible(r.waiting[0], r.profile.MaxNumBatchedTokens-r.decoding)
}

// span is the time of the next n decode-only steps.
func (r *Replica) span(n int64) picoseconds {
	first := r.cost.decode(r.decoding, r.context+int64(r.decoding))
	growth := r.cost.perContext * picoseconds(r.decoding)
	return picoseconds(n)*first + growth*picoseconds(n*(n-1)/2)
}

// skip passes over the steps in which nothing can be seen from outside.
func (r *Replica) skip() {
	if !r.quiet() {
		return
	}
	limit := r.clock
	if len(r.arriving) > 0 && r.arriving[0].queued.Before(limit) {
		limit = r.arriving[0].queued
	}
	n := r.skippable(limit)
	if n == 0 {
		return
	}
	r.observeDecodes(r.span(n), r.span(1), n)
	r.now = r.now.add(r.span(n))
	r.blocks += r.newBlocks(n)
	r.step += n
	r.context += n * int64(r.decoding)
	r.stats.Steps += uint64(n)
	r.stats.GenerationTokens += uint64(n) * uint64(r.decoding)
	r.stats.IterationTokens.Observe(float64(r.decoding), uint64(n))
}

// skippable is the number of steps that end by limit, come before the next
// event, fit the KV cache, and have one bucket of the ITL histogram.
func (r *Replica) skippable(limit time.Time) int64 {
	bucket := r.stats.ITL.bucket(seconds(r.span(1)))
	fits := func(n int64) bool {
		last := r.span(n) - r.span(n-1)
		return !r.now.add(r.span(n)).after(limit) &&
			r.blocks+r.newBlocks(n) <= r.capacity() &&
			r.stats.ITL.bucket(seconds(last)) == bucket
	}
	low, high := int64(0), r.due[0].due-r.step-1
	for low < high {
		middle := (low + high + 1) / 2
		if fits(middle) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// newBlocks is the number of KV blocks that decoding takes in the next n steps.
func (r *Replica) newBlocks(n int64) int {
	size := int64(r.profile.BlockSize)
	total := int(n/size) * r.decoding
	for i := int64(1); i <= n%size; i++ {
		total += r.crossing[(r.step+i)%size]
	}
	return total
}
