package replica

// begin puts together the next step and starts it.
func (r *Replica) begin() {
	r.waits = stride{}
	evicted := r.makeRoom()
	r.step++
	r.open = true
	r.context += int64(r.decoding)

	budget := r.profile.MaxNumBatchedTokens - r.decoding
	if r.partial != nil {
		n := min(r.partial.target-r.partial.computed, budget)
		if r.hold(r.partial, n) {
			r.chunks = append(r.chunks, chunk{r.partial, n})
			r.partial = nil
			budget -= n
		} else {
			r.evict()
			evicted = true
		}
	}
	r.trim()
	if !evicted {
		r.admit(budget)
	}
	r.took = r.cost.decode(r.decoding, r.context)
	tokens := r.decoding
	for _, c := range r.chunks {
		r.took += r.cost.prefill(c.tokens, c.seq.computed)
		tokens += c.tokens
	}
	r.took += r.cost.touched(tokens)
	r.end = r.now.add(r.took)
}

// room is the number of blocks that no sequence uses in the step begun; the
// prefix cache may hold blocks there that nobody refers to.
func (r *Replica) room() int { return r.capacity - r.cache.inUse - r.kv.used(r.step) }

// makeRoom evicts until every decoding sequence finds its block.
func (r *Replica) makeRoom() (evicted bool) {
	for r.decoding > 0 && r.fitting(1) == 0 {
		r.evict()
		evicted = true
	}
	return evicted
}

// admit takes requests off the queue while batch, budget and KV cache allow.
func (r *Replica) admit(budget int) {
	for seq := r.waiting.head; seq != nil && budget > 0 && r.running.length < r.profile.MaxNumSeqs; seq = r.waiting.head {
		hits, fits := r.admissible(seq, budget)
		if !fits {
			return
		}
		r.waiting.remove(seq)
		r.running.pushBack(seq)
		seq.phase = prefilling
		r.reuse(seq, hits)
		if !seq.scheduled {
			seq.scheduled, seq.scheduledAt = true, r.now.at
			r.stats.looked(seq)
		}
		n := min(seq.target-seq.computed, budget)
		r.hold(seq, n)
		r.chunks = append(r.chunks, chunk{seq, n})
		budget -= n
		r.trim()
	}
}

// admissible says whether the KV cache has room for the first chunk of a queued
// sequence, and how many of its blocks the prefix cache holds.
func (r *Replica) admissible(seq *sequence, budget int) (hits int, fits bool) {
	computed, idle := seq.computed, 0
	if seq.Blocks != nil {
		hits, idle = r.cache.match(seq.lookup())
		computed = hits * PrefixBlock
	} else if !seq.scheduled {
		computed = seq.CachedTokens
	}
	need := r.kv.blocks(min(seq.target, computed+budget)) - r.cache.perBlock*(hits-idle)
	step := r.step
	if !r.open {
		step++
	}
	if r.kv.atMost(step)+need <= r.capacity-r.cache.inUse {
		return hits, true
	}
	return hits, r.kv.used(step)+need <= r.capacity-r.cache.inUse
}

// reuse gives a sequence what the prefix cache has of its prompt.
func (r *Replica) reuse(seq *sequence, hits int) {
	switch {
	case seq.Blocks != nil:
		r.cache.refer(seq, hits)
		seq.computed = hits * PrefixBlock
		if !seq.scheduled {
			seq.CachedTokens = seq.computed
		}
	case !seq.scheduled:
		seq.computed = seq.CachedTokens
	}
}

// hold takes the blocks for n more prompt tokens of seq, if there is room. The
// prompt's whole blocks among them are from now on the prefix cache's.
func (r *Replica) hold(seq *sequence, n int) bool {
	need := r.kv.blocks(seq.computed+n) - r.cache.perBlock*seq.shared - seq.held
	if r.kv.atMost(r.step)+need > r.capacity-r.cache.inUse && need > r.room() {
		return false
	}
	seq.held += need
	r.kv.own += need
	given := r.cache.keep(seq, seq.computed+n)
	seq.held -= given
	r.kv.own -= given
	return true
}

// trim lets the prefix cache go of what the sequences need.
func (r *Replica) trim() {
	if r.cache.idle.length > 0 {
		r.cache.shrink(r.capacity - r.cache.inUse - r.kv.used(r.step))
	}
}

// evict sends the newest running sequence back to the head of the queue, where
// its prompt and all it has produced wait to be computed again.
func (r *Replica) evict() {
	seq := r.running.tail
	r.running.remove(seq)
	if seq.phase == decoding {
		seq.lastToken = r.now.at
		seq.before = r.produced(seq)
	}
	r.abandon(seq)
	seq.target, seq.computed = seq.PromptTokens+seq.before, 0
	seq.phase = queued
	r.waiting.pushFront(seq)
	r.stats.preemptions++
}

// abandon gives back what a sequence holds that leaves the batch unfinished.
func (r *Replica) abandon(seq *sequence) {
	if seq.phase == decoding {
		r.leave(seq)
		r.due.drop(seq)
		return
	}
	r.yield(seq)
	if r.partial == seq {
		r.partial = nil
	}
	for i := range r.chunks {
		if r.chunks[i].seq == seq {
			r.chunks[i].seq = nil
		}
	}
}
