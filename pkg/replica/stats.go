package replica

import "time"

// Stats is what a replica reports about itself at one instant: gauges, and
// counters and histograms since it was made.
type Stats struct {
	// Running and Waiting are the sequences in the batch and in the queue.
	Running, Waiting int
	// KVUsage is the share of KV blocks held by running sequences, 0 to 1.
	KVUsage float64

	// PromptTokens counts prompt tokens of requests whose prefill completed,
	// CachedTokens those of them that a prefix cache supplied, and
	// GenerationTokens the tokens produced.
	PromptTokens, CachedTokens, GenerationTokens uint64
	// PrefixCacheQueries counts the prompt tokens that were looked up in the
	// prefix cache, once a request, and PrefixCacheHits those found.
	PrefixCacheQueries, PrefixCacheHits uint64
	// Finished, Cancelled and Preemptions count requests and evictions.
	Finished, Cancelled, Preemptions uint64
	// Steps counts completed engine steps.
	Steps uint64

	// TTFT, ITL and E2E in seconds: arrival to first token, between two tokens
	// of a sequence, arrival to last token.
	TTFT, ITL, E2E Histogram
	// TPOT is the mean time per token after the first, per finished request,
	// in seconds; zero for a request of one token.
	TPOT Histogram
	// Queue, Prefill, Decode and Inference are the phases of finished requests
	// in seconds: queued to scheduled, scheduled to first token, first to last
	// token, scheduled to last token.
	Queue, Prefill, Decode, Inference Histogram
	// PromptSize, GenerationSize and ComputedSize are tokens per finished
	// request: prompt, output, and prompt without the cached part.
	PromptSize, GenerationSize, ComputedSize Histogram
	// IterationTokens is the number of tokens computed per step.
	IterationTokens Histogram
}

// Stats returns the replica's view of itself at the time of the latest call.
func (r *Replica) Stats() Stats {
	var out Stats
	r.StatsInto(&out)
	return out
}

// StatsInto is Stats that uses the memory of dst's histograms again.
func (r *Replica) StatsInto(dst *Stats) {
	r.catchUp()
	dst.Running, dst.Waiting = r.running.length, r.waiting.length
	dst.KVUsage = float64(r.kv.used(r.step)+r.cache.inUse) / float64(r.capacity)
	r.stats.into(dst)
}

// meters are Stats being filled.
type meters struct {
	prompt, cached, generated       uint64
	queries, hits                   uint64
	ended, cancelled, preemptions   uint64
	steps                           uint64
	ttft, e2e, tpot                 tally // nanoseconds
	itl                             tally // picoseconds; its sum is gaps
	gaps                            bigSum
	queue, prefill, decode, serving tally // nanoseconds
	promptSize, outputSize          tally
	computedSize, iteration         tally
}

func newMeters(p Profile) meters {
	ttft, itl := newRuler(TTFTBounds, 1e-9), newRuler(ITLBounds, 1e-12)
	tpot, latency := newRuler(ITLBounds, 1e-9), newRuler(LatencyBounds, 1e-9)
	tokens, iteration := newRuler(TokenBounds(p.MaxModelLen), 1), newRuler(iterationBounds, 1)
	return meters{
		ttft: newTally(ttft), e2e: newTally(latency), tpot: newTally(tpot), itl: newTally(itl),
		queue: newTally(latency), prefill: newTally(latency), decode: newTally(latency), serving: newTally(latency),
		promptSize: newTally(tokens), outputSize: newTally(tokens), computedSize: newTally(tokens),
		iteration: newTally(iteration),
	}
}

func (m *meters) into(s *Stats) {
	s.PromptTokens, s.CachedTokens, s.GenerationTokens = m.prompt, m.cached, m.generated
	s.PrefixCacheQueries, s.PrefixCacheHits = m.queries, m.hits
	s.Finished, s.Cancelled, s.Preemptions, s.Steps = m.ended, m.cancelled, m.preemptions, m.steps
	m.ttft.into(&s.TTFT)
	m.itl.into(&s.ITL)
	s.ITL.Sum = m.gaps.float() * m.itl.scale.unit
	m.e2e.into(&s.E2E)
	m.tpot.into(&s.TPOT)
	m.queue.into(&s.Queue)
	m.prefill.into(&s.Prefill)
	m.decode.into(&s.Decode)
	m.serving.into(&s.Inference)
	m.promptSize.into(&s.PromptSize)
	m.outputSize.into(&s.GenerationSize)
	m.computedSize.into(&s.ComputedSize)
	m.iteration.into(&s.IterationTokens)
}

// stepped records n completed steps of so many tokens each.
func (m *meters) stepped(tokens int, n int64) {
	m.steps += uint64(n)
	m.iteration.counts[m.iteration.scale.bucket(int64(tokens))] += uint64(n)
	m.iteration.sum += float64(tokens) * float64(n)
}

// decoded records n steps, the first so long and together total, in each of
// which every one of the decoding sequences has waited one step for its token.
func (m *meters) decoded(first, total picoseconds, n int64, decoding int) {
	if decoding == 0 {
		return
	}
	m.generated += uint64(n) * uint64(decoding)
	m.itl.counts[m.itl.scale.bucket(int64(first))] += uint64(n) * uint64(decoding)
	m.gaps.add(uint64(total), uint64(decoding))
}

// alike is how many steps of a stride are in the same bucket of the ITL histogram
// as the first.
func (m *meters) alike(s stride) int64 {
	bound := picoseconds(m.itl.scale.bounds[m.itl.scale.bucket(int64(s.first))])
	if s.first+s.growth*picoseconds(s.steps-1) <= bound {
		return s.steps
	}
	return int64((bound-s.first)/s.growth) + 1
}

// looked records that the prompt has been looked up in the prefix cache.
func (m *meters) looked(q *sequence) {
	m.queries += uint64(q.PromptTokens)
	m.hits += uint64(q.CachedTokens)
}

// first records a sequence's first token.
func (m *meters) first(q *sequence) {
	m.ttft.observe(int64(q.firstToken - q.arrived))
	m.prompt += uint64(q.PromptTokens)
	m.cached += uint64(q.CachedTokens)
}

// interrupted records the gap between two tokens around an eviction.
func (m *meters) interrupted(gap time.Duration) {
	m.itl.counts[m.itl.scale.bucket(int64(gap)*int64(perNanosecond))]++
	m.gaps.add(uint64(gap), uint64(perNanosecond))
}

// finished records a request's phases when its last token is out.
func (m *meters) finished(q *sequence, now time.Duration) {
	m.ended++
	decode := int64(now - q.firstToken)
	m.e2e.observe(int64(now - q.arrived))
	m.queue.observe(int64(q.scheduledAt - q.queuedAt))
	m.prefill.observe(int64(q.firstToken - q.scheduledAt))
	m.decode.observe(decode)
	m.serving.observe(int64(now - q.scheduledAt))
	m.perToken(decode, int64(q.OutputTokens-1))
	m.promptSize.observe(int64(q.PromptTokens))
	m.outputSize.observe(int64(q.OutputTokens))
	m.computedSize.observe(int64(q.PromptTokens - q.CachedTokens))
}

// perToken records the mean of n gaps that took decode nanoseconds.
func (m *meters) perToken(decode, n int64) {
	if n == 0 {
		m.tpot.observe(0)
		return
	}
	m.tpot.counts[m.tpot.scale.bucket((decode+n-1)/n)]++
	m.tpot.sum += float64(decode) / float64(n) * m.tpot.scale.unit
}
