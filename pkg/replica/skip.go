package replica

import "math"

// stride is a run of decode-only steps, each of which is longer than the one
// before by the same growth, for every sequence has one more token of context.
type stride struct {
	steps         int64
	first, growth picoseconds
}

// span is the time of the first n steps.
func (s stride) span(n int64) picoseconds {
	return picoseconds(n)*s.first + s.growth*picoseconds(n*(n-1)/2)
}

// reach is the smallest number of steps that together take at least gap. n of
// them take n·first + growth·n·(n-1)/2, a quadratic in n; whole numbers then
// settle what the square root leaves open.
func (s stride) reach(gap picoseconds) int64 {
	if gap <= 0 {
		return 0
	}
	b := float64(s.first) - float64(s.growth)/2
	n := max(1, int64(2*float64(gap)/(b+math.Sqrt(b*b+2*float64(s.growth)*float64(gap)))))
	for n > 1 && s.span(n-1) >= gap {
		n--
	}
	for s.span(n) < gap {
		n++
	}
	return n
}

// quiet is the stride from the present boundary on in which nothing but decoding
// goes on, whatever arrives, and all steps have one bucket of the ITL histogram;
// at its end an event may be due. No steps say that the next one needs a closer look: it
// computes prompts, or evicts.
func (r *Replica) quiet() stride {
	if r.decoding == 0 || r.decoding != r.running.length || !r.stuck() {
		return stride{}
	}
	s := stride{
		steps:  r.fitting(min(r.due[0].step-r.step, r.longest)),
		first:  r.cost.decode(r.decoding, r.context+int64(r.decoding)) + r.cost.touched(r.decoding),
		growth: r.cost.perContext * picoseconds(r.decoding),
	}
	if s.steps == 0 {
		return s
	}
	s.steps = r.stats.alike(s)
	return s
}

// cut ends a stride where the next arrival may have its prompt computed; one that
// has others before it in the queue does not matter.
func (r *Replica) cut(s stride) stride {
	if r.waiting.head != nil || r.arriving.head == nil {
		return s
	}
	if gap := r.now.until(r.arriving.head.queuedAt); gap < s.span(s.steps) {
		s.steps = min(s.steps, s.reach(gap)+int64(r.profile.StepsAhead))
	}
	return s
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

// afterwards is a lower bound on the time from the end of the step in flight until
// a request finishes. It is only known to be more than nothing where all of them
// are in the batch.
func (r *Replica) afterwards() picoseconds {
	if r.waiting.head != nil || r.arriving.head != nil {
		return 0
	}
	steps, batch, context := r.longest, r.decoding, r.context
	if len(r.due) > 0 {
		steps = r.due[0].step - r.step
	}
	for _, c := range r.chunks {
		if c.seq == nil {
			continue
		}
		left := int64(c.seq.OutputTokens - c.seq.before)
		if c.seq.computed+c.tokens == c.seq.target {
			left--
			batch++
			context += int64(c.seq.target)
		}
		steps = min(steps, left)
	}
	growing := (batch - r.decoding) * r.kv.blocks(int(steps)+1)
	if batch == 0 || r.kv.atMost(r.step+steps)+growing > r.capacity-r.cache.inUse {
		return 0 // for all that is known a request is evicted, and the others are quicker then
	}
	return stride{
		first:  r.cost.decode(batch, context+int64(batch)) + r.cost.touched(batch),
		growth: r.cost.perContext * picoseconds(batch),
	}.span(steps)
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

// pass goes over the first n steps of a stride and reports what is due at their
// end.
func (r *Replica) pass(s stride, n int64) {
	r.waits = stride{}
	total := s.span(n)
	r.stats.decoded(s.first, total, n, r.decoding)
	r.stats.stepped(r.decoding, n)
	before := r.now
	if r.profile.StepsAhead > 0 {
		before = r.now.add(total - s.first - s.growth*picoseconds(n-1))
	}
	r.moveTo(r.now.add(total), before)
	r.step += n
	r.context += n * int64(r.decoding)
	r.trim()
	for len(r.due) > 0 && r.due[0].step == r.step {
		r.report(r.due[0].seq)
	}
}
