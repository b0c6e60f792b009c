package replica

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

func newStats(p Profile) Stats {
	tokens := TokenBounds(p.MaxModelLen)
	return Stats{
		TTFT: NewHistogram(ttftBounds), ITL: NewHistogram(itlBounds), TPOT: NewHistogram(itlBounds),
		E2E: NewHistogram(latencyBounds), Queue: NewHistogram(latencyBounds),
		Prefill: NewHistogram(latencyBounds), Decode: NewHistogram(latencyBounds), Inference: NewHistogram(latencyBounds),
		PromptSize: NewHistogram(tokens), GenerationSize: NewHistogram(tokens), ComputedSize: NewHistogram(tokens),
		IterationTokens: NewHistogram(iterationBounds),
	}
}

func (s Stats) clone() Stats {
	for _, h := range []*Histogram{
		&s.TTFT, &s.ITL, &s.TPOT, &s.E2E, &s.Queue, &s.Prefill, &s.Decode, &s.Inference,
		&s.PromptSize, &s.GenerationSize, &s.ComputedSize, &s.IterationTokens,
	} {
		*h = h.Clone()
	}
	return s
}

// finished records a request's phases when its last token is out.
func (s *Stats) finished(q *sequence, now instant) {
	s.Finished++
	decode := now.at.Sub(q.firstToken)
	s.E2E.observeDuration(now.at.Sub(q.arrived))
	s.Queue.observeDuration(q.scheduled.Sub(q.queued))
	s.Prefill.observeDuration(q.firstToken.Sub(q.scheduled))
	s.Decode.observeDuration(decode)
	s.Inference.observeDuration(now.at.Sub(q.scheduled))
	perToken := 0.0
	if q.OutputTokens > 1 {
		perToken = decode.Seconds() / float64(q.OutputTokens-1)
	}
	s.TPOT.Observe(perToken, 1)
	s.PromptSize.Observe(float64(q.PromptTokens), 1)
	s.GenerationSize.Observe(float64(q.OutputTokens), 1)
	s.ComputedSize.Observe(float64(q.PromptTokens-q.CachedTokens), 1)
}
