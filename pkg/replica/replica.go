package replica

import (
	"errors"
	"fmt"
	"time"
)

// Errors that Submit's callers branch on.
var (
	// ErrTooLong means that the request exceeds the model's maximum length or
	// the whole KV cache, and could never finish.
	ErrTooLong = errors.New("request too long for the replica")
	// ErrBadRequest means that the request itself makes no sense.
	ErrBadRequest = errors.New("bad request")
)

// Request is one completion to compute.
type Request struct {
	// ID identifies the request; unique among the unfinished ones of a replica.
	ID uint64
	// PromptTokens and OutputTokens are at least one.
	PromptTokens, OutputTokens int
	// CachedTokens of the prompt are found in the prefix cache and need no
	// prefill; they occupy KV blocks all the same. At least one prompt token is
	// always computed.
	CachedTokens int
}

// EventKind says what an Event reports.
type EventKind uint8

// What happens to a request that a client can see.
const (
	// FirstToken is the end of the step that completes the prompt.
	FirstToken EventKind = iota + 1
	// Progress reports StreamInterval further tokens.
	Progress
	// Finished reports the last tokens; nothing follows.
	Finished
)

// Event tells the outside about one request.
type Event struct {
	Time time.Time
	ID   uint64
	Kind EventKind
	// Tokens produced since the request's previous event.
	Tokens int
}

// Replica is one engine: a queue, a running batch, and a step in flight. The
// rules are those of vLLM's V1 scheduler: running decodes first, what is left
// of the token budget to prompt chunks in order of arrival, a new request only
// while the batch and the KV cache have room, and eviction of the newest
// request, to be computed again, when a decode finds no free block.
//
// Decoding sequences all gain one token a step, so nothing is kept per token:
// a step costs the same for 2 sequences as for 200, and a run of steps in which
// nothing can be seen from outside is skipped in one go, exactly.
//
// A Replica is not safe for concurrent use. Time never runs backwards: a call
// with an earlier time than the latest one is taken at the latest one.
type Replica struct {
	profile Profile
	cost    cost

	clock time.Time // latest time told by a caller
	now   instant   // step boundary reached
	step  int64     // steps begun
	open  bool      // the step numbered step is in flight
	took  picoseconds
	end   instant // of the step in flight

	known    map[uint64]*sequence
	arriving []*sequence // on their way to the queue, in order of arrival
	waiting  []*sequence // queue, head first
	running  []*sequence // batch, in order of admission
	chunks   []chunk     // prompt parts in flight

	decoding int      // sequences of running that produce a token each step
	context  int64    // KV tokens of the decoding sequences, with the step in flight
	due      dueQueue // decoding sequences by the step of their next event
	crossing []int    // decoding sequences by (step mod block size) in which they take a new block
	blocks   int      // KV blocks in use

	stats  Stats
	events []Event
}

// sequence is one request inside the replica.
type sequence struct {
	Request
	arrived   time.Time
	queued    time.Time
	scheduled time.Time // first time in the batch
	firstTok  bool
	firstToken,
	lastToken time.Time // lastToken is set on eviction only
	gone bool

	// While prefilling: target tokens need KV before the next token comes out,
	// computed of them have it, in held blocks.
	target, computed, held int

	decoding bool
	joined   int64 // step whose end made it a decoding sequence
	before   int   // tokens produced up to and with that step
	reported int   // tokens told by events
	due      int64
	index    int // in dueQueue
}

// chunk is a part of a prompt computed in the step in flight.
type chunk struct {
	seq    *sequence
	tokens int
}

// New makes an idle replica.
func New(p Profile) (*Replica, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("profile %q: %w", p.Name, err)
	}
	return &Replica{
		profile:  p,
		cost:     newCost(p),
		known:    map[uint64]*sequence{},
		crossing: make([]int, p.BlockSize),
		stats:    newStats(p),
	}, nil
}

// Profile returns what the replica was made with.
func (r *Replica) Profile() Profile { return r.profile }

// Submit hands in a request that arrives at now.
func (r *Replica) Submit(now time.Time, req Request) error {
	if err := r.check(req); err != nil {
		return err
	}
	r.run(now)
	req.CachedTokens = max(0, min(req.CachedTokens, req.PromptTokens-1))
	seq := &sequence{
		Request: req,
		arrived: r.clock,
		queued:  r.clock.Add(time.Duration(r.profile.APIOverhead * float64(time.Millisecond))),
		target:  req.PromptTokens,
		index:   -1,
	}
	r.known[req.ID] = seq
	r.arriving = append(r.arriving, seq)
	return nil
}

func (r *Replica) check(req Request) error {
	if req.PromptTokens < 1 || req.OutputTokens < 1 {
		return fmt.Errorf("%w: %d prompt and %d output tokens, each must be at least 1", ErrBadRequest, req.PromptTokens, req.OutputTokens)
	}
	if _, exists := r.known[req.ID]; exists {
		return fmt.Errorf("%w: id %d is in use", ErrBadRequest, req.ID)
	}
	total := req.PromptTokens + req.OutputTokens
	if total > r.profile.MaxModelLen {
		return fmt.Errorf("%w: %d prompt + %d output tokens, the model takes %d", ErrTooLong, req.PromptTokens, req.OutputTokens, r.profile.MaxModelLen)
	}
	if r.blocksFor(total) > r.capacity() {
		return fmt.Errorf("%w: %d prompt + %d output tokens, the KV cache holds %d", ErrTooLong, req.PromptTokens, req.OutputTokens, r.capacity()*r.profile.BlockSize)
	}
	return nil
}

// Cancel drops a request; its KV blocks are free at once, while the step in
// flight keeps its length. It says whether the request was still there.
func (r *Replica) Cancel(id uint64) bool {
	seq, ok := r.known[id]
	if !ok {
		return false
	}
	delete(r.known, id)
	seq.gone = true
	r.stats.Cancelled++
	switch {
	case remove(&r.arriving, seq), remove(&r.waiting, seq):
	case remove(&r.running, seq):
		r.release(seq)
	}
	return true
}

// Advance lets time pass up to and including until, and returns what happened
// since the previous call, in order of time. The slice is the caller's.
func (r *Replica) Advance(until time.Time) []Event {
	r.run(until)
	out := r.events
	r.events = nil
	return out
}

// NextEvent is a lower bound on the time of the next event if nothing more is
// submitted or cancelled, and the zero time if there will be none. A caller who sleeps until
// then, advances and asks again misses nothing.
func (r *Replica) NextEvent() time.Time {
	switch {
	case len(r.events) > 0:
		return r.events[0].Time
	case !r.open && len(r.arriving) > 0:
		return r.arriving[0].queued
	case !r.open:
		return time.Time{}
	}
	next := ceil(r.end)
	if !r.quiet() || len(r.due) == 0 {
		return next
	}
	steps := r.due[0].due - r.step
	if r.blocks+r.newBlocks(steps) > r.capacity() {
		return next // an eviction on the way would make the others faster
	}
	seen := ceil(r.end.add(r.span(steps)))
	if len(r.arriving) == 0 {
		return seen
	}
	if queued := r.arriving[0].queued; queued.After(next) {
		next = queued
	}
	if next.After(seen) {
		return seen
	}
	return next
}

// Stats returns the replica's view of itself at the time of the last Advance
// or Submit.
func (r *Replica) Stats() Stats {
	out := r.stats.clone()
	out.Running, out.Waiting = len(r.running), len(r.waiting)
	out.KVUsage = float64(r.blocks) / float64(r.capacity())
	return out
}

// Inflight is the number of requests submitted and not finished or cancelled.
func (r *Replica) Inflight() int { return len(r.known) }
