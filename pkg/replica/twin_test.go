package replica

import (
	"math"
	"slices"
	"time"
)

// twin is the deliberately plain version of Replica: every request has its own
// counters and every step touches every request.
type twin struct {
	p           Profile
	requests    []*twinRequest
	preemptions uint64
	steps       uint64
	tokens      uint64
	itl         Histogram
	queries     int
	hits        int
}

type twinRequest struct {
	Request
	queued             time.Duration // when it reaches the queue
	computed, produced int
	reported           int
	started, decoding  bool
	blocks             int      // of its KV, shared ones too
	shared             []uint64 // blocks of its prompt that are in the prefix cache
	last               instant
}

func newTwin(p Profile) *twin { return &twin{p: p, itl: NewHistogram(ITLBounds)} }

func (w *twin) submit(now time.Duration, q Request) {
	w.requests = append(w.requests, &twinRequest{
		Request: q, queued: now + time.Duration(w.p.APIOverhead*float64(time.Millisecond)),
	})
}

// goal is the number of tokens that need KV before the next token comes out.
func (q *twinRequest) goal() int { return q.PromptTokens + max(0, q.produced) }

// finish runs everything to its end.
func (w *twin) finish() []Event {
	var events []Event
	var running, waiting []*twinRequest
	pending := w.requests
	now, before := instant{at: pending[0].queued}, instant{}
	capacity := w.p.KVTokens / w.p.BlockSize
	perPrefix := PrefixBlock / w.p.BlockSize
	var idle []uint64 // in the prefix cache and used by nobody, the next to go first
	referred := func() []uint64 {
		var all []uint64
		for _, q := range running {
			all = append(all, q.shared...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	free := func() int {
		n := capacity - perPrefix*len(referred())
		for _, q := range running {
			n -= q.blocks - perPrefix*len(q.shared)
		}
		return n
	}
	trim := func() {
		for len(idle) > 0 && perPrefix*len(idle) > free() {
			idle = idle[1:]
		}
	}
	// leave gives back the blocks of a request that is no longer running.
	leave := func(q *twinRequest) {
		for _, hash := range slices.Backward(q.shared) {
			if !slices.Contains(referred(), hash) {
				idle = append(idle, hash)
			}
		}
		q.shared, q.blocks = nil, 0
	}
	// share makes q refer to the blocks of its prompt up to tokens.
	share := func(q *twinRequest, tokens int) {
		for len(q.shared) < min(len(q.Blocks), min(tokens, q.PromptTokens)/PrefixBlock) {
			hash := q.Blocks[len(q.shared)]
			idle = slices.DeleteFunc(idle, func(h uint64) bool { return h == hash })
			q.shared = append(q.shared, hash)
		}
	}
	blocks := func(tokens int) int { return (tokens + w.p.BlockSize - 1) / w.p.BlockSize }
	evict := func() *twinRequest {
		q := running[len(running)-1]
		running = running[:len(running)-1]
		leave(q)
		q.computed, q.decoding = 0, false
		waiting = slices.Insert(waiting, 0, q)
		w.preemptions++
		return q
	}
	for len(running)+len(waiting)+len(pending) > 0 {
		if len(running)+len(waiting) == 0 && now.at < pending[0].queued {
			now = instant{at: pending[0].queued}
		}
		if w.p.StepsAhead == 0 || len(running)+len(waiting) == 0 {
			before = now
		}
		for len(pending) > 0 && pending[0].queued <= before.at {
			waiting = append(waiting, pending[0])
			pending = pending[1:]
		}
		evicted := false
		need := func() (n int) {
			for _, q := range running {
				if q.decoding {
					n += blocks(q.computed+1) - q.blocks
				}
			}
			return n
		}
		for need() > free() {
			evict()
			evicted = true
		}
		planned := map[*twinRequest]int{}
		budget := w.p.MaxNumBatchedTokens
		for _, q := range running {
			if q.decoding {
				q.blocks = blocks(q.computed + 1)
				planned[q] = 1
				budget--
			}
		}
		for i := 0; i < len(running) && budget > 0; i++ {
			q := running[i]
			if q.decoding {
				continue
			}
			n := min(q.goal()-q.computed, budget)
			self := false
			for !self && blocks(q.computed+n)-q.blocks > free() {
				out := evict()
				delete(planned, out)
				evicted = true
				self = out == q
			}
			if self {
				break
			}
			q.blocks = blocks(q.computed + n)
			share(q, q.computed+n)
			planned[q] = n
			budget -= n
		}
		trim()
		for !evicted && len(waiting) > 0 && len(running) < w.p.MaxNumSeqs && budget > 0 {
			q := waiting[0]
			if !q.started && q.Blocks == nil {
				q.computed = min(q.CachedTokens, q.PromptTokens-1)
			}
			shared, common := referred(), 0
			if q.Blocks != nil {
				hits := 0
				for hits < len(q.Blocks) && (hits+1)*PrefixBlock < q.PromptTokens {
					if slices.Contains(shared, q.Blocks[hits]) {
						common++
					} else if !slices.Contains(idle, q.Blocks[hits]) {
						break
					}
					hits++
				}
				q.computed = hits * PrefixBlock
			}
			n := min(q.goal()-q.computed, budget)
			if blocks(q.computed+n)-perPrefix*common > free() {
				break
			}
			if !q.started {
				w.queries += q.PromptTokens
				w.hits += q.computed
			}
			q.started = true
			waiting = waiting[1:]
			running = append(running, q)
			q.blocks = blocks(q.computed + n)
			share(q, q.computed+n)
			planned[q] = n
			budget -= n
			trim()
		}
		took := fromMillis(w.p.StepBase)
		tokens := 0
		for _, q := range running {
			tokens += planned[q]
			switch n := planned[q]; {
			case q.decoding:
				took += fromMillis(w.p.StepPerSequence) + fromMillis(w.p.StepPerContextToken)*picoseconds(q.computed+1)
			default:
				took += fromMillis(w.p.PrefillPerToken) * picoseconds(n)
				took += fromMillis(w.p.PrefillPerTokenPair) * (picoseconds(n) * picoseconds(2*q.computed+n) / 2)
			}
		}
		if w.p.ExpertStep > 0 {
			took += fromMillis(w.p.ExpertStep * (1 - math.Pow(1-w.p.ExpertShare, float64(min(tokens, expertTokens)))))
		}
		before, now = now, now.add(took)
		w.steps++
		// Decodes report in order of ID, prompts in order of the batch.
		var decodes, prompts []*twinRequest
		for _, q := range running {
			if q.decoding {
				decodes = append(decodes, q)
			} else if planned[q] > 0 {
				prompts = append(prompts, q)
			}
		}
		slices.SortFunc(decodes, func(a, b *twinRequest) int { return int(a.ID) - int(b.ID) })
		for i, q := range append(decodes, prompts...) {
			q.computed += planned[q]
			if q.computed < q.goal() {
				continue
			}
			q.produced++
			q.decoding = true
			w.tokens++
			switch {
			case i < len(decodes):
				w.itl.Observe(seconds(took), 1)
			case q.produced > 1:
				w.itl.Observe((now.at - q.last.at).Seconds(), 1)
			}
			q.last = now
			report := func(kind EventKind) {
				events = append(events, Event{At: now.at, ID: q.ID, Kind: kind, Tokens: q.produced - q.reported})
				q.reported = q.produced
			}
			pending := q.produced - q.reported
			if q.produced == 1 {
				report(FirstToken)
			}
			switch {
			case q.produced == q.OutputTokens:
				report(Finished)
				running = slices.DeleteFunc(running, func(o *twinRequest) bool { return o == q })
				leave(q)
			case q.produced > 1 && w.p.StreamInterval > 0 && pending >= w.p.StreamInterval:
				report(Progress)
			}
		}
	}
	return events
}

func seconds(d picoseconds) float64 { return float64(d) / 1e12 }
