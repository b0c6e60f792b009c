package replica

import (
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
}

type twinRequest struct {
	Request
	queued             time.Time
	computed, produced int
	reported           int
	started, decoding  bool
	blocks             int
	last               instant
}

func newTwin(p Profile) *twin { return &twin{p: p, itl: NewHistogram(itlBounds)} }

func (w *twin) submit(now time.Time, q Request) {
	w.requests = append(w.requests, &twinRequest{
		Request: q, queued: now.Add(time.Duration(w.p.APIOverhead * float64(time.Millisecond))),
	})
}

// goal is the number of tokens that need KV before the next token comes out.
func (q *twinRequest) goal() int { return q.PromptTokens + max(0, q.produced) }

// finish runs everything to its end.
func (w *twin) finish() []Event {
	var events []Event
	var running, waiting []*twinRequest
	pending := w.requests
	now := instant{at: pending[0].queued}
	capacity := w.p.KVTokens / w.p.BlockSize
	free := func() int {
		n := capacity
		for _, q := range running {
			n -= q.blocks
		}
		return n
	}
	blocks := func(tokens int) int { return (tokens + w.p.BlockSize - 1) / w.p.BlockSize }
	evict := func() *twinRequest {
		q := running[len(running)-1]
		running = running[:len(running)-1]
		q.blocks, q.computed, q.decoding = 0, 0, false
		waiting = slices.Insert(waiting, 0, q)
		w.preemptions++
		return q
	}
	for len(running)+len(waiting)+len(pending) > 0 {
		if len(running)+len(waiting) == 0 && now.at.Before(pending[0].queued) {
			now = instant{at: pending[0].queued}
		}
		for len(pending) > 0 && !pending[0].queued.After(now.at) {
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
			planned[q] = n
			budget -= n
		}
		for !evicted && len(waiting) > 0 && len(running) < w.p.MaxNumSeqs && budget > 0 {
			q := waiting[0]
			if !q.started {
				q.computed = min(q.CachedTokens, q.PromptTokens-1)
			}
			n := min(q.goal()-q.computed, budget)
			if blocks(q.computed+n) > free() {
				break
			}
			q.started = true
			waiting = waiting[1:]
			running = append(running, q)
			q.blocks = blocks(q.computed + n)
			planned[q] = n
			budget -= n
		}
		took := fromMillis(w.p.StepBase)
		for _, q := range running {
			switch n := planned[q]; {
			case q.decoding:
				took += fromMillis(w.p.StepPerSequence) + fromMillis(w.p.StepPerContextToken)*picoseconds(q.computed+1)
			default:
				took += fromMillis(w.p.PrefillPerToken) * picoseconds(n)
				took += fromMillis(w.p.PrefillPerTokenPair) * (picoseconds(n) * picoseconds(2*q.computed+n) / 2)
			}
		}
		now = now.add(took)
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
				w.itl.Observe(now.at.Sub(q.last.at).Seconds(), 1)
			}
			q.last = now
			report := func(kind EventKind) {
				events = append(events, Event{Time: now.at, ID: q.ID, Kind: kind, Tokens: q.produced - q.reported})
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
			case q.produced > 1 && w.p.StreamInterval > 0 && pending >= w.p.StreamInterval:
				report(Progress)
			}
		}
	}
	return events
}
