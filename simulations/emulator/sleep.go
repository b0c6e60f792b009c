package emulator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// SleepTimes say how long the parts of sleeping and waking take. A sleep of
// level 1 takes Copy and Map, and its wake too; a sleep of level 2 takes two
// Maps, and its wake two Maps and the Reload.
type SleepTimes struct {
	// Copy moves the weights between GPU and host memory, either way.
	Copy time.Duration
	// Map frees, or allocates anew, the GPU memory of one tag.
	Map time.Duration
	// Reload reads the weights from disk after a sleep of level 2.
	Reload time.Duration
}

// DefaultSleepTimes are an 8B model's: between the 0.8 s (4B) and 2.9 s (30B)
// measured for a wake from level 1, and within the 0.85 to 2.6 s of level 2
// (dynamo #11233 and vLLM's figures of its sleep mode).
var DefaultSleepTimes = SleepTimes{Copy: time.Second, Map: 100 * time.Millisecond, Reload: 1500 * time.Millisecond}

// The tags of memory that a wake may be confined to.
const (
	weightsTag = "weights"
	kvCacheTag = "kv_cache"
)

// garbageToken is what vLLM writes from weights that were never loaded again.
const garbageToken = "!"

// sleeper is the sleep mode of an engine, as vLLM has it since February 2026: a
// sleep aborts what runs, and what arrives meanwhile waits until every tag is
// awake. Sleeps, wakes and looks at the state take turns, as calls to the
// engine's core do.
type sleeper struct {
	times  SleepTimes
	engine *engine
	closed <-chan struct{} // the replica is gone
	turn   chan struct{}   // capacity 1: held by the call under way

	mu     sync.Mutex
	state  sleepState
	claims bool // LieFault's: a wake that has been answered and not done
	life   int  // counts restarts: what a call began in an earlier life is void
}

// sleepState is where the memory is. The zero value is awake.
type sleepState struct {
	level    int      // of the sleep under way, 0 when fully awake
	sleeping []string // the tags that are not on the GPU
	shown    int      // the level that the metric tells; 0 from the first partial wake on
	garbage  bool     // weights allocated after level 2 and not reloaded
}

func newSleeper(times SleepTimes, e *engine, closed <-chan struct{}) *sleeper {
	return &sleeper{times: times, engine: e, closed: closed, turn: make(chan struct{}, 1)}
}

func (s *sleeper) current() sleepState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// reset is what a restart does: the model is loaded.
func (s *sleeper) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.claims = sleepState{}, false
	s.life++
}

// errGone ends a call whose replica has been shut down or restarted.
var errGone = errors.New("the engine stopped in the middle of the call")

// begin waits for the turn; the answer is the life the call belongs to.
func (s *sleeper) begin() (int, error) {
	select {
	case s.turn <- struct{}{}:
	case <-s.closed:
		return 0, errGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life, nil
}

func (s *sleeper) end() { <-s.turn }

// spend takes the time of a step; a client that leaves does not shorten it.
func (s *sleeper) spend(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.closed:
		return errGone
	}
}

// set changes the state unless the engine was restarted meanwhile.
func (s *sleeper) set(life int, state sleepState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life != life {
		return errGone
	}
	s.state = state
	return nil
}

// sleep carries out level 1 or 2. An engine that sleeps, be it in part, stays as it is.
func (s *sleeper) sleep(level int) error {
	life, err := s.begin()
	if err != nil {
		return err
	}
	defer s.end()
	if s.current().level != 0 {
		return nil
	}
	s.engine.pause()
	took := s.times.Copy + s.times.Map
	if level == 2 {
		took = 2 * s.times.Map
	}
	if err := s.spend(took); err != nil {
		return err
	}
	return s.set(life, sleepState{level: level, sleeping: []string{weightsTag, kvCacheTag}, shown: level})
}

// wake brings tags back to the GPU. As in vLLM one tag that is awake already
// leaves all of them as they are.
func (s *sleeper) wake(tags []string, fault Fault) error {
	life, err := s.begin()
	if err != nil {
		return err
	}
	defer s.end()
	state := s.current()
	if state.level == 0 || slices.ContainsFunc(tags, func(t string) bool { return !slices.Contains(state.sleeping, t) }) {
		return nil
	}
	for _, tag := range tags {
		if fault == WakeErrorFault && tag == kvCacheTag {
			return errors.New("CUDA out of memory: the KV cache does not fit beside what the GPU holds")
		}
		if err := s.spend(s.wakeTime(tag, state.level)); err != nil {
			return err
		}
		state.sleeping = slices.DeleteFunc(slices.Clone(state.sleeping), func(t string) bool { return t == tag })
		state.shown = 0 // with the first tag, though the rest still sleeps
		state.garbage = state.garbage || tag == weightsTag && state.level == 2
		if len(state.sleeping) == 0 {
			state.level = 0
		}
		if err := s.set(life, state); err != nil {
			return err
		}
	}
	if state.level == 0 {
		s.engine.resume()
	}
	return nil
}

func (s *sleeper) wakeTime(tag string, level int) time.Duration {
	if tag == weightsTag && level == 1 {
		return s.times.Copy
	}
	return s.times.Map
}

// wakeLater answers before the work is done.
func (s *sleeper) wakeLater(tags []string) {
	s.mu.Lock()
	s.claims = true
	s.mu.Unlock()
	go func() {
		_ = s.wake(tags, NoFault) // an engine that stopped has nobody to tell
		s.mu.Lock()
		s.claims = false
		s.mu.Unlock()
	}()
}

// isSleeping waits for the call under way, unless a lie spares it that.
func (s *sleeper) isSleeping() (bool, error) {
	s.mu.Lock()
	claims := s.claims
	s.mu.Unlock()
	if claims {
		return false, nil
	}
	if _, err := s.begin(); err != nil {
		return false, err
	}
	defer s.end()
	return s.current().level != 0, nil
}

// reload reads the weights from disk into memory that must have been woken.
func (s *sleeper) reload() error {
	life, err := s.begin()
	if err != nil {
		return err
	}
	defer s.end()
	state := s.current()
	if slices.Contains(state.sleeping, weightsTag) {
		return errors.New("CUDA error: an illegal memory access was encountered: the weights have no memory; wake them first")
	}
	if err := s.spend(s.times.Reload); err != nil {
		return err
	}
	state.garbage = false
	return s.set(life, state)
}

// token is the text of one generated token.
func (s *sleeper) token() string {
	if s.current().garbage {
		return garbageToken
	}
	return filler
}

// shownLevel is what the metric tells.
func (s *sleeper) shownLevel() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims {
		return 0
	}
	return s.state.shown
}

// errPaused refuses a request while the engine sleeps.
var errPaused = errors.New("the engine sleeps")

// pause aborts every stream and lets nothing in until resume.
func (e *engine) pause() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resumed == nil {
		e.resumed = make(chan struct{})
	}
	e.advance()
	for id, s := range e.streams {
		delete(e.streams, id)
		e.replica.Cancel(id)
		e.totals.aborted++
		s.abort()
	}
	e.nudge()
}

func (e *engine) resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open()
}

// open lets the requests in that wait; e.mu is held.
func (e *engine) open() {
	if e.resumed != nil {
		close(e.resumed)
		e.resumed = nil
	}
}

// await holds a request until the engine has woken; it fails where the client
// leaves or the engine is restarted, as whatever it had queued is lost then.
func (e *engine) await(ctx context.Context) error {
	e.mu.Lock()
	resumed, life := e.resumed, e.replica
	if resumed == nil {
		e.mu.Unlock()
		return nil
	}
	e.held++
	e.mu.Unlock()
	var err error
	select {
	case <-resumed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held--
	if e.replica != life {
		return errRestarted
	}
	if err != nil {
		e.totals.aborted++
	}
	return err
}

// abort ends a stream with the tokens it has.
func (s *stream) abort() {
	s.mu.Lock()
	s.reason, s.done = "abort", true
	s.mu.Unlock()
	s.signal()
}

// outcome is the finish reason of a stream that is done.
func (s *stream) outcome() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// describe is the state in words, for the admin interface.
func (s sleepState) describe() string {
	switch {
	case s.level == 0 && s.garbage:
		return "awake, weights not reloaded"
	case s.level == 0:
		return "awake"
	case len(s.sleeping) == 1:
		return fmt.Sprintf("level %d, %s still asleep", s.level, strings.Join(s.sleeping, ""))
	}
	return fmt.Sprintf("level %d", s.level)
}
