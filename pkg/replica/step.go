package replica

import "time"

// run is the main loop: it begins and completes steps until the one in flight
// ends after until.
func (r *Replica) run(until time.Time) {
	if until.After(r.clock) {
		r.clock = until
	}
	for {
		if !r.open {
			if !r.wake() {
				return
			}
			r.skip()
			r.begin()
		}
		if r.end.after(r.clock) {
			return
		}
		r.complete()
	}
}

// wake moves an idle replica to its next arrival, and says whether there is
// work at the present boundary.
func (r *Replica) wake() bool {
	if len(r.running) == 0 && len(r.waiting) == 0 {
		if len(r.arriving) == 0 || r.arriving[0].queued.After(r.clock) {
			return false
		}
		if first := r.arriving[0].queued; first.After(r.now.at) {
			r.now = instant{at: first}
		}
	}
	r.enqueue()
	return true
}

// enqueue moves requests that have reached the engine into its queue.
func (r *Replica) enqueue() {
	n := 0
	for n < len(r.arriving) && !r.arriving[n].queued.After(r.now.at) {
		n++
	}
	r.waiting = append(r.waiting, r.arriving[:n]...)
	r.arriving = r.arriving[n:]
}

// complete ends the step in flight: every decoding sequence has one more
// token, and prompts whose last chunk was in it have their first.
func (r *Replica) complete() {
	r.open = false
	r.now = r.end
	tokens := r.decoding
	r.observeDecodes(r.took, r.took, 1)
	r.stats.Steps++
	r.stats.GenerationTokens += uint64(r.decoding)
	for len(r.due) > 0 && r.due[0].due == r.step {
		r.report(r.due[0])
	}
	for _, c := range r.chunks {
		if !c.seq.gone {
			r.prefilled(c)
		}
		tokens += c.tokens
	}
	r.chunks = r.chunks[:0]
	r.stats.IterationTokens.Observe(float64(tokens), 1)
}

// observeDecodes records n steps, together total long, of which one is the
// first: each decoding sequence has waited one step for its token.
func (r *Replica) observeDecodes(total, first picoseconds, n int64) {
	if r.decoding == 0 {
		return
	}
	h := &r.stats.ITL
	h.Counts[h.bucket(seconds(first))] += uint64(n) * uint64(r.decoding)
	h.Sum += seconds(total) * float64(r.decoding)
}

// report tells about a decoding sequence that has reached its next event.
func (r *Replica) report(seq *sequence) {
	if r.produced(seq) == seq.OutputTokens {
		r.finish(seq)
		return
	}
	r.emit(seq, Progress, r.produced(seq))
	seq.due = r.nextDue(seq)
	r.due.fix(seq)
}

func (r *Replica) finish(seq *sequence) {
	r.emit(seq, Finished, seq.OutputTokens)
	r.stats.finished(seq, r.now)
	remove(&r.running, seq)
	r.release(seq)
	delete(r.known, seq.ID)
}

// prefilled books a chunk; the one that completes the prompt yields a token.
func (r *Replica) prefilled(c chunk) {
	seq := c.seq
	seq.computed += c.tokens
	if seq.computed < seq.target {
		return
	}
	seq.before++
	r.stats.GenerationTokens++
	if seq.firstTok {
		r.recomputed(seq)
	} else {
		r.first(seq)
	}
	if seq.before == seq.OutputTokens {
		r.finish(seq)
		return
	}
	r.join(seq)
}

func (r *Replica) first(seq *sequence) {
	seq.firstTok, seq.firstToken = true, r.now.at
	r.stats.TTFT.observeDuration(r.now.at.Sub(seq.arrived))
	r.stats.PromptTokens += uint64(seq.PromptTokens)
	r.stats.CachedTokens += uint64(seq.CachedTokens)
	r.emit(seq, FirstToken, 1)
}

// recomputed books the token that ends the prefill after an eviction: its gap
// to the previous token is the whole interruption.
func (r *Replica) recomputed(seq *sequence) {
	r.stats.ITL.observeDuration(r.now.at.Sub(seq.lastToken))
	interval := r.profile.StreamInterval
	if interval > 0 && seq.before < seq.OutputTokens && seq.before-seq.reported >= interval {
		r.emit(seq, Progress, seq.before)
	}
}

// join makes a sequence decode from the next step on.
func (r *Replica) join(seq *sequence) {
	seq.decoding, seq.joined = true, r.step
	r.decoding++
	r.context += int64(seq.target)
	r.crossing[r.crossingOf(seq)]++
	seq.due = r.nextDue(seq)
	r.due.add(seq)
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
	r.events = append(r.events, Event{Time: r.now.at, ID: seq.ID, Kind: kind, Tokens: produced - seq.reported})
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

// kv is the number of KV tokens of a decoding sequence, with the step in flight.
func (r *Replica) kv(seq *sequence) int { return seq.target + int(r.step-seq.joined) }

// crossingOf is the residue of the steps in which a decoding sequence starts a
// new block: those before which its KV tokens fill their blocks exactly.
func (r *Replica) crossingOf(seq *sequence) int64 {
	size := int64(r.profile.BlockSize)
	return ((seq.joined+1-int64(seq.target))%size + size) % size
}

func (r *Replica) capacity() int { return r.profile.KVTokens / r.profile.BlockSize }

func (r *Replica) blocksFor(tokens int) int {
	return (tokens + r.profile.BlockSize - 1) / r.profile.BlockSize
}

func seconds(d picoseconds) float64 { return float64(d) / 1e12 }

// ceil is the first whole nanosecond not before t.
func ceil(t instant) time.Time {
	if t.rest > 0 {
		return t.at.Add(1)
	}
	return t.at
}
