package replica

import (
	"fmt"
	"math"
	"time"
)

// Replica is one engine: a queue, a running batch, and a step in flight. The
// rules are those of vLLM's V1 scheduler: running decodes first, what is left
// of the token budget to prompt chunks in order of arrival, a new request only
// while the batch and the KV cache have room, and eviction of the newest
// request, to be computed again, when a decode finds no free block.
//
// Decoding sequences all gain one token a step, so nothing is kept per token:
// a step costs the same for 2 sequences as for 200, and a run of steps in which
// nothing can be seen from outside is passed in one stride, exactly.
//
// Times count from a zero that the caller chooses. They never run backwards: a
// call with an earlier time than the latest one, or zero before the first, is
// taken at that. A Replica is not safe for concurrent use.
type Replica struct {
	profile  Profile
	cost     cost
	overhead time.Duration // APIOverhead
	longest  int64         // steps passed at once at most
	capacity int           // of the KV cache, in blocks

	clock   time.Duration // latest time told by a caller
	now     instant       // step boundary reached; while idle or in a stride it lags behind clock
	planned instant       // when the next step was or will be put together: now, or the boundary before
	step    int64         // steps begun
	open    bool          // the step numbered step is in flight
	took    picoseconds
	end     instant       // of the step in flight
	waits   stride        // from now on, if run waits for its end or an arrival
	soonest time.Duration // nothing can be seen before

	known    index
	free     *sequence // ended ones, to be used again
	arriving list      // on their way to the queue, in order of arrival
	waiting  list      // queue, head first
	running  list      // batch, in order of admission
	partial  *sequence // the only one, and the newest, whose prompt is computed in part
	chunks   []chunk   // prompt parts in flight

	decoding int   // sequences of running that produce a token each step
	context  int64 // KV tokens of the decoding sequences, with the step in flight
	due      dueQueue
	kv       ledger
	cache    prefixCache

	stats  meters
	events []Event
}

// phase is where a sequence is.
type phase uint8

const (
	onItsWay phase = iota
	queued
	prefilling
	decoding
)

// sequence is one request inside the replica.
type sequence struct {
	Request
	next, prev *sequence // in the list of its phase
	phase      phase
	scheduled  bool // has been in the batch
	begun      bool // has its first token

	arrived, queuedAt, scheduledAt, firstToken time.Duration
	lastToken                                  time.Duration // set on eviction only

	// target tokens need KV before the next token comes out; while prefilling,
	// computed of them have it, in held blocks that are its own.
	target, computed, held int
	shared                 int // leading Blocks that it refers to in the prefix cache

	joined   int64 // step whose end made it a decoding sequence
	before   int   // tokens produced up to and with that step
	reported int   // tokens told by events
	offset   int   // see ledger
}

// chunk is a part of a prompt computed in the step in flight; seq is nil if it
// was cancelled meanwhile.
type chunk struct {
	seq    *sequence
	tokens int
}

// Never is later than any event.
const Never = time.Duration(math.MaxInt64)

// New makes an idle replica.
func New(p Profile) (*Replica, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("profile %q: %w", p.Name, err)
	}
	r := &Replica{
		profile:  p,
		cost:     newCost(p),
		overhead: time.Duration(p.APIOverhead * float64(time.Millisecond)),
		capacity: p.KVTokens / p.BlockSize,
		soonest:  Never,
		known:    newIndex(),
		kv:       newLedger(p.BlockSize),
		cache:    newPrefixCache(p.BlockSize),
		stats:    newMeters(p),
	}
	r.longest = r.cost.longestStride(p)
	return r, nil
}

// Profile returns what the replica was made with.
func (r *Replica) Profile() Profile { return r.profile }

// Submit hands in a request that arrives at now.
func (r *Replica) Submit(now time.Duration, req Request) error {
	r.clock = max(r.clock, now)
	if r.soonest <= r.clock {
		r.run()
	}
	if r.overhead == 0 {
		r.catchUp() // a step that begins at now does without the request
	}
	if err := r.check(req); err != nil {
		return err
	}
	seq := r.take(req)
	r.known.put(seq)
	r.arriving.pushBack(seq)
	r.soonest = min(r.soonest, seq.queuedAt)
	return nil
}

// take makes a sequence of a request, of the memory of an ended one if there is
// any.
func (r *Replica) take(req Request) *sequence {
	seq := r.free
	if seq == nil {
		seq = new(sequence)
	} else {
		r.free = seq.next
	}
	req.CachedTokens = max(0, min(req.CachedTokens, req.PromptTokens-1))
	req.Blocks = r.cache.usable(req)
	if req.Blocks != nil {
		req.CachedTokens = 0
	}
	seq.Request = req
	seq.arrived, seq.queuedAt, seq.target = r.clock, r.clock+r.overhead, req.PromptTokens
	// The rest is set before it is read; clearing all of it would cost a tenth of a request.
	seq.phase, seq.scheduled, seq.begun = onItsWay, false, false
	seq.computed, seq.held, seq.shared, seq.before, seq.reported = 0, 0, 0, 0, 0
	return seq
}

// forget ends a sequence that is in no list any more.
func (r *Replica) forget(seq *sequence) {
	r.known.drop(seq.ID)
	seq.Blocks = nil
	seq.next, r.free = r.free, seq
}

// Cancel drops a request; its KV blocks are free at once, while the step in
// flight keeps its length. It says whether the request was still there.
func (r *Replica) Cancel(id uint64) bool {
	r.catchUp()
	seq := r.known.lookup(id)
	if seq == nil {
		return false
	}
	r.stats.cancelled++
	switch seq.phase {
	case onItsWay:
		r.arriving.remove(seq)
	case queued:
		r.waiting.remove(seq)
	case prefilling, decoding:
		r.running.remove(seq)
		r.abandon(seq)
	}
	r.forget(seq)
	r.foresee()
	return true
}

// foresee sets the time before which nothing can be seen after something has
// been taken away.
func (r *Replica) foresee() {
	switch {
	case r.open:
		r.soonest = r.end.ceil()
	case r.arriving.head != nil:
		r.soonest = r.arriving.head.queuedAt
	default:
		r.soonest = Never
	}
}

// Advance lets time pass up to and including until, and returns what happened
// since the previous call, in order of time. The slice is the caller's.
func (r *Replica) Advance(until time.Duration) []Event { return r.AdvanceTo(until, nil) }

// AdvanceTo is Advance that appends the events to dst, which it returns: with
// room in dst it allocates nothing. It costs next to nothing while there is
// nothing to see.
func (r *Replica) AdvanceTo(until time.Duration, dst []Event) []Event {
	r.clock = max(r.clock, until)
	if len(r.events) > 0 {
		dst = append(dst, r.events...)
		r.events = r.events[:0]
	}
	if r.soonest > r.clock {
		return dst
	}
	own := r.events
	r.events = dst
	r.run()
	dst, r.events = r.events, own
	return dst
}

// NextEvent is a lower bound on the time of the next event if nothing more is
// submitted or cancelled, Never if there will be none. A caller who sleeps until
// then, advances and asks again misses nothing.
func (r *Replica) NextEvent() time.Duration {
	if len(r.events) > 0 {
		return r.events[0].At
	}
	return r.soonest
}

// NextFinish is a lower bound on the time of the next Finished event if nothing is
// cancelled, Never where no request is under way: what is submitted meanwhile
// makes the others later, if anything. It is for a caller to whom first tokens
// are not news.
func (r *Replica) NextFinish() time.Duration {
	if !r.open || len(r.events) > 0 {
		return r.NextEvent()
	}
	return max(r.soonest, r.end.add(r.afterwards()).ceil())
}

// Inflight is the number of requests submitted and not finished or cancelled.
func (r *Replica) Inflight() int { return r.known.taken }

// Cached is the number of leading blocks, of those that a request's Blocks would
// name, that the prefix cache holds now.
func (r *Replica) Cached(blocks []uint64) int {
	if len(blocks) == 0 {
		return 0
	}
	r.catchUp()
	n, _ := r.cache.match(blocks)
	return n
}
