package replica

// begin puts together the next step and starts it.
func (r *Replica) begin() {
	evicted := r.makeRoom()
	r.blocks += r.newBlocks(1)
	r.step++
	r.open = true
	r.context += int64(r.decoding)

	budget := r.profile.MaxNumBatchedTokens - r.decoding
	budget, moreEvicted := r.continuePrompts(budget)
	if !evicted && !moreEvicted {
		r.admit(budget)
	}
	r.took = r.cost.decode(r.decoding, r.context)
	for _, c := range r.chunks {
		r.took += r.cost.prefill(c.tokens, c.seq.computed)
	}
	r.end = r.now.add(r.took)
}

// makeRoom evicts until every decoding sequence finds its block.
func (r *Replica) makeRoom() (evicted bool) {
	for r.decoding > 0 && r.newBlocks(1) > r.capacity()-r.blocks {
		r.evict()
		evicted = true
	}
	return evicted
}

// continuePrompts gives budget to sequences in the middle of their prompt.
func (r *Replica) continuePrompts(budget int) (left int, evicted bool) {
	if r.decoding == len(r.running) {
		return budget, false
	}
	for i := 0; i < len(r.running) && budget > 0; i++ {
		seq := r.running[i]
		if seq.decoding {
			continue
		}
		n := min(seq.target-seq.computed, budget)
		for !seq.evictedFrom(r) && !r.hold(seq, n) {
			r.evict()
			evicted = true
		}
		if seq.evictedFrom(r) {
			break
		}
		r.chunks = append(r.chunks, chunk{seq, n})
		budget -= n
	}
	return budget, evicted
}

// evictedFrom says whether seq has been sent back to the queue: the newest
// sequence may have had to evict itself.
func (q *sequence) evictedFrom(r *Replica) bool {
	return len(r.waiting) > 0 && r.waiting[0] == q
}

// admit takes requests off the queue while batch, budget and KV cache allow.
func (r *Replica) admit(budget int) {
	for len(r.waiting) > 0 && r.admissible(r.waiting[0], budget) {
		seq := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.running = append(r.running, seq)
		if seq.scheduled.IsZero() {
			seq.scheduled = r.now.at
			seq.computed = seq.CachedTokens
		}
		n := min(seq.target-seq.computed, budget)
		r.hold(seq, n)
		r.chunks = append(r.chunks, chunk{seq, n})
		budget -= n
	}
}

func (r *Replica) admissible(seq *sequence, budget int) bool {
	if len(r.running) >= r.profile.MaxNumSeqs || budget <= 0 {
		return false
	}
	computed := seq.computed
	if seq.scheduled.IsZero() {
		computed = seq.CachedTokens
	}
	n := min(seq.target-computed, budget)
	return r.blocksFor(computed+n) <= r.capacity()-r.blocks
}

// hold takes the blocks for n more prompt tokens of seq, if they are free.
func (r *Replica) hold(seq *sequence, n int) bool {
	need := r.blocksFor(seq.computed+n) - seq.held
	if need > r.capacity()-r.blocks {
		return false
	}
	seq.held += need
	r.blocks += need
	return true
}

// evict sends the newest running sequence back to the head of the queue, where
// its prompt and all it has produced wait to be computed again.
func (r *Replica) evict() {
	last := len(r.running) - 1
	seq := r.running[last]
	r.running = r.running[:last]
	if seq.decoding {
		seq.lastToken = r.now.at
		seq.before = r.produced(seq)
	}
	r.release(seq)
	seq.target, seq.computed = seq.PromptTokens+seq.before, 0
	r.waiting = append([]*sequence{seq}, r.waiting...)
	r.stats.Preemptions++
	r.dropChunk(seq)
}

func (r *Replica) dropChunk(seq *sequence) {
	for i, c := range r.chunks {
		if c.seq == seq {
			r.chunks = append(r.chunks[:i], r.chunks[i+1:]...)
			return
		}
	}
}

// release gives back what a sequence holds when it leaves the batch.
func (r *Replica) release(seq *sequence) {
	if !seq.decoding {
		r.blocks -= seq.held
		seq.held = 0
		return
	}
	kv := r.kv(seq)
	r.blocks -= r.blocksFor(kv)
	r.context -= int64(kv)
	r.decoding--
	r.crossing[r.crossingOf(seq)]--
	r.due.drop(seq)
	seq.decoding, seq.held = false, 0
}
