package replay

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

// NewReplica makes an idle replica.
func NewReplica(p Profile) (*Replica, error) {
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

// quiet says whether steps consist of nothing but decoding until the next
// event or arrival: no prompt is being computed and the head of the queue, if
// any, finds no room.
func (r *Replica) quiet() bool {
	if r.decoding != len(r.running) || r.decoding == 0 {
		return false
	}
	return len(r.waiting) == 0 || !r.admissible(r.waiting[0], r.profile.MaxNumBatchedTokens-r.decoding)
}

// span is the time of the next n decode-only steps.
func (r *Replica) span(n int64) picoseconds {
	first := r.cost.decode(r.decoding, r.context+int64(r.decoding))
	growth := r.cost.perContext * picoseconds(r.decoding)
	return picoseconds(n)*first + growth*picoseconds(n*(n-1)/2)
}

// skip passes over the steps in which nothing can be seen from outside.
func (r *Replica) skip() {
	if !r.quiet() {
		return
	}
	limit := r.clock
	if len(r.arriving) > 0 && r.arriving[0].queued.Before(limit) {
		limit = r.arriving[0].queued
	}
	n := r.skippable(limit)
	if n == 0 {
		return
	}
	r.observeDecodes(r.span(n), r.span(1), n)
	r.now = r.now.add(r.span(n))
	r.blocks += r.newBlocks(n)
	r.step += n
	r.context += n * int64(r.decoding)
	r.stats.Steps += uint64(n)
	r.stats.GenerationTokens += uint64(n) * uint64(r.decoding)
	r.stats.IterationTokens.Observe(float64(r.decoding), uint64(n))
}

// skippable is the number of steps that end by limit, come before the next
// event, fit the KV cache, and have one bucket of the ITL histogram.
func (r *Replica) skippable(limit time.Time) int64 {
	bucket := r.stats.ITL.bucket(seconds(r.span(1)))
	fits := func(n int64) bool {
		last := r.span(n) - r.span(n-1)
		return !r.now.add(r.span(n)).after(limit) &&
			r.blocks+r.newBlocks(n) <= r.capacity() &&
			r.stats.ITL.bucket(seconds(last)) == bucket
	}
	low, high := int64(0), r.due[0].due-r.step-1
	for low < high {
		middle := (low + high + 1) / 2
		if fits(middle) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// newBlocks is the number of KV blocks that decoding takes in the next n steps.
func (r *Replica) newBlocks(n int64) int {
	size := int64(r.profile.BlockSize)
	total := int(n/size) * r.decoding
	for i := int64(1); i <= n%size; i++ {
		total += r.crossing[(r.step+i)%size]
	}
	return total
}

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
	r.stats.TTFT.observeDuration(r.now.at.Sub(seq.arrived), 1)
	r.stats.PromptTokens += uint64(seq.PromptTokens)
	r.stats.CachedTokens += uint64(seq.CachedTokens)
	r.emit(seq, FirstToken, 1)
}

// recomputed books the token that ends the prefill after an eviction: its gap
// to the previous token is the whole interruption.
func (r *Replica) recomputed(seq *sequence) {
	r.stats.ITL.observeDuration(r.now.at.Sub(seq.lastToken), 1)
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
