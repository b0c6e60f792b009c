package emulator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// errRestarted ends the streams of an engine that was restarted or closed.
var errRestarted = errors.New("engine stopped")

// engine runs a replica against the real clock: one goroutine sleeps until the
// replica's next event and hands events to the streams they belong to.
type engine struct {
	options Options
	wake    chan struct{} // capacity 1: there is something new to look at

	mu      sync.Mutex
	replica *replica.Replica
	created time.Time // of the replica: the start of its counters and the zero of its clock
	streams map[uint64]*stream
	resumed chan struct{} // not nil while the engine sleeps: closed when it wakes
	held    int           // requests that wait for it
	lastID  uint64
	totals  totals
}

// totals are the counters that the replica does not know.
type totals struct {
	stopped, length, aborted uint64
	maxTokens, parallel      replica.Histogram // params_max_tokens, params_n
}

func newEngine(o Options) (*engine, error) {
	e := &engine{options: o, wake: make(chan struct{}, 1), streams: map[uint64]*stream{}}
	return e, e.restart()
}

// restart replaces the replica by a fresh one; streams under way fail.
func (e *engine) restart() error {
	fresh, err := replica.New(e.options.Profile)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, s := range e.streams {
		s.fail(errRestarted)
		delete(e.streams, id)
	}
	e.replica, e.created = fresh, time.Now()
	e.open()
	e.totals = totals{
		maxTokens: replica.NewHistogram(replica.TokenBounds(e.options.Profile.MaxModelLen)),
		parallel:  replica.NewHistogram(replica.TokenBounds(20)),
	}
	e.nudge()
	return nil
}

// run delivers events until ctx ends.
func (e *engine) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait := e.pump(); wait < replica.Never {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.wake:
		}
	}
}

// pump delivers what is due and returns how long to wait before looking again, replica.Never where nothing is under way.
func (e *engine) pump() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance()
	next := e.replica.NextEvent()
	if next == replica.Never {
		return next
	}
	return next - e.now()
}

// now is the replica's time.
func (e *engine) now() time.Duration { return time.Since(e.created) }

func (e *engine) advance() {
	for _, event := range e.replica.Advance(e.now()) {
		s, ok := e.streams[event.ID]
		if !ok {
			continue
		}
		done := event.Kind == replica.Finished
		if done {
			delete(e.streams, event.ID)
			e.finished(s)
		}
		s.deliver(event.Tokens, done)
	}
}

func (e *engine) finished(s *stream) {
	if s.reason == "stop" {
		e.totals.stopped++
	} else {
		e.totals.length++
	}
	e.totals.maxTokens.Observe(float64(s.maxTokens), 1)
	e.totals.parallel.Observe(1, 1)
}

func (e *engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// admit starts a request as soon as the engine is awake.
func (e *engine) admit(ctx context.Context, req replica.Request, s *stream) error {
	for {
		if err := e.submit(req, s); !errors.Is(err, errPaused) {
			return err
		}
		if err := e.await(ctx); err != nil {
			return err
		}
	}
}

// submit starts a request; the stream receives its tokens.
func (e *engine) submit(req replica.Request, s *stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resumed != nil {
		return errPaused
	}
	e.lastID++
	req.ID, s.id = e.lastID, e.lastID
	if err := e.replica.Submit(e.now(), req); err != nil {
		return err
	}
	e.streams[s.id] = s
	e.nudge()
	return nil
}

// cancel drops a request whose client has gone; late calls do no harm.
func (e *engine) cancel(s *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.streams[s.id] != s {
		return
	}
	delete(e.streams, s.id)
	e.advance()
	e.replica.Cancel(s.id)
	e.totals.aborted++
	e.nudge()
}

// snapshot is everything the metric page needs, at one instant.
type snapshot struct {
	stats   replica.Stats
	totals  totals
	created time.Time
	// sleepLevel is what the metric shows, which is not always the truth.
	sleepLevel int
}

func (e *engine) snapshot() snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance()
	out := snapshot{stats: e.replica.Stats(), totals: e.totals, created: e.created}
	out.stats.Waiting += e.held
	out.totals.maxTokens = out.totals.maxTokens.Clone()
	out.totals.parallel = out.totals.parallel.Clone()
	return out
}

func (e *engine) inflight() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.streams)
}

// stream carries the tokens of one request from the engine to its handler.
// Tokens that the handler has not fetched yet add up.
type stream struct {
	id        uint64
	reason    string // how it will finish: "stop" or "length", or "abort" by a sleep
	maxTokens int
	ready     chan struct{} // capacity 1: something to take

	mu     sync.Mutex
	tokens int
	done   bool
	err    error
}

func newStream(maxTokens int, reason string) *stream {
	return &stream{reason: reason, maxTokens: maxTokens, ready: make(chan struct{}, 1)}
}

func (s *stream) deliver(tokens int, done bool) {
	s.mu.Lock()
	s.tokens += tokens
	s.done = s.done || done
	s.mu.Unlock()
	s.signal()
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.signal()
}

func (s *stream) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// next waits for tokens, the end, or the client's departure.
func (s *stream) next(ctx context.Context) (tokens int, done bool, err error) {
	select {
	case <-ctx.Done():
		return 0, false, ctx.Err()
	case <-s.ready:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens, s.tokens = s.tokens, 0
	return tokens, s.done, s.err
}
