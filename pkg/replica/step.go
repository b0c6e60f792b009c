package replica

// run completes every step that ends by the clock, except for those of a stride
// that ends later: nothing can be seen before its end, so it waits until then.
func (r *Replica) run() {
	for {
		if r.open {
			if r.end.after(r.clock) {
				r.soonest = r.end.ceil()
				return
			}
			r.complete()
		}
		if !r.wake() {
			return
		}
		whole := r.waits
		if whole.steps == 0 {
			whole = r.quiet()
		}
		if whole.steps == 0 {
			r.begin()
			continue
		}
		s := r.cut(whole)
		if end := r.now.add(s.span(s.steps)); end.after(r.clock) {
			r.waits, r.soonest = whole, end.ceil()
			return
		}
		r.pass(s, s.steps)
	}
}

// catchUp is run that does not wait for the end of a stride: afterwards the step
// in flight is the one that the clock is in.
func (r *Replica) catchUp() {
	r.run()
	if r.open || r.running.length == 0 {
		return
	}
	if n := r.waits.reach(r.now.until(r.clock)+1) - 1; n > 0 {
		r.pass(r.waits, n)
	}
	r.enqueue()
	r.begin()
}

// wake moves an idle replica to its next arrival, and says whether there is
// work at the present boundary.
func (r *Replica) wake() bool {
	if r.running.length == 0 && r.waiting.length == 0 {
		first := r.arriving.head
		if first == nil {
			r.soonest = Never
			return false
		}
		if first.queuedAt > r.clock {
			r.soonest = first.queuedAt
			return false
		}
		if first.queuedAt > r.now.at {
			r.now = instant{at: first.queuedAt}
		}
		r.planned = r.now
	}
	r.enqueue()
	return true
}

// enqueue moves requests that have reached the engine, before the step at hand
// was put together, into its queue.
func (r *Replica) enqueue() {
	for seq := r.arriving.head; seq != nil && seq.queuedAt <= r.planned.at; seq = r.arriving.head {
		r.arriving.remove(seq)
		r.waiting.pushBack(seq)
		seq.phase = queued
	}
}

// complete ends the step in flight: every decoding sequence has one more
// token, and prompts whose last chunk was in it have their first.
func (r *Replica) complete() {
	r.open = false
	r.moveTo(r.end, r.now)
	tokens := r.decoding
	r.stats.decoded(r.took, r.took, 1, r.decoding)
	for len(r.due) > 0 && r.due[0].step == r.step {
		r.report(r.due[0].seq)
	}
	for _, c := range r.chunks {
		if c.seq != nil {
			r.prefilled(c)
		}
		tokens += c.tokens
	}
	r.chunks = r.chunks[:0]
	r.stats.stepped(tokens, 1)
}

// moveTo reaches a step boundary; before is the one before it.
func (r *Replica) moveTo(now, before instant) {
	r.now, r.planned = now, now
	if r.profile.StepsAhead > 0 {
		r.planned = before
	}
}

// report tells about the decoding sequence that has reached its next event.
func (r *Replica) report(seq *sequence) {
	produced := r.produced(seq)
	if produced == seq.OutputTokens {
		r.due.pop()
		r.leave(seq)
		r.finish(seq)
		return
	}
	r.emit(seq, Progress, produced)
	r.due.replace(due{r.nextDue(seq), seq.ID, seq})
}

// finish ends a sequence that holds nothing any more.
func (r *Replica) finish(seq *sequence) {
	r.emit(seq, Finished, seq.OutputTokens)
	r.stats.finished(seq, r.now.at)
	r.running.remove(seq)
	r.forget(seq)
}

// prefilled books a chunk; the one that completes the prompt yields a token.
func (r *Replica) prefilled(c chunk) {
	seq := c.seq
	seq.computed += c.tokens
	if seq.computed < seq.target {
		r.partial = seq
		return
	}
	seq.before++
	r.stats.generated++
	if seq.begun {
		r.recomputed(seq)
	} else {
		r.first(seq)
	}
	if seq.before == seq.OutputTokens {
		r.yield(seq)
		r.finish(seq)
		return
	}
	r.join(seq)
}

func (r *Replica) first(seq *sequence) {
	seq.begun, seq.firstToken = true, r.now.at
	r.stats.first(seq)
	r.emit(seq, FirstToken, 1)
}

// recomputed books the token that ends the prefill after an eviction: its gap
// to the previous token is the whole interruption.
func (r *Replica) recomputed(seq *sequence) {
	r.stats.interrupted(r.now.at - seq.lastToken)
	interval := r.profile.StreamInterval
	if interval > 0 && seq.before < seq.OutputTokens && seq.before-seq.reported >= interval {
		r.emit(seq, Progress, seq.before)
	}
}

// join makes a sequence decode from the next step on.
func (r *Replica) join(seq *sequence) {
	seq.phase, seq.joined = decoding, r.step
	r.kv.own -= seq.held
	seq.held = 0
	seq.offset = r.kv.join(seq.target, r.step, r.cache.perBlock*seq.shared)
	r.decoding++
	r.context += int64(seq.target)
	r.due.push(due{r.nextDue(seq), seq.ID, seq})
}

// leave undoes join, except for the queue of events.
func (r *Replica) leave(seq *sequence) {
	r.kv.leave(seq.offset, r.cache.perBlock*seq.shared)
	r.decoding--
	r.context -= int64(seq.target) + r.step - seq.joined
	r.cache.release(seq)
}

// yield gives back what a sequence holds that is not decoding.
func (r *Replica) yield(seq *sequence) {
	r.kv.own -= seq.held
	seq.held = 0
	r.cache.release(seq)
}

// nextDue is the step at whose end the sequence has something to tell.
func (r *Replica) nextDue(seq *sequence) int64 {
	until := seq.OutputTokens
	if interval := r.profile.StreamInterval; interval > 0 {
		until = min(until, seq.reported+interval)
	}
	return seq.joined + int64(until-seq.before)
}

func (r *Replica) emit(seq *sequence, kind EventKind, produced int) {
	r.events = append(r.events, Event{At: r.now.at, ID: seq.ID, Kind: kind, Tokens: produced - seq.reported})
	seq.reported = produced
}

// produced is the number of tokens a decoding sequence has put out.
func (r *Replica) produced(seq *sequence) int {
	n := seq.before + int(r.step-seq.joined)
	if r.open {
		n--
	}
	return n
}
