package warmpool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// SGLang is the Sleeper of an SGLang server with --enable-memory-saver and
// --enable-weights-cpu-backup. SGLang does not tell whether its memory is
// released, and a release or resume too many, like a request in between, ends
// its scheduler: so the state is what this SGLang was told and has done since.
type SGLang struct {
	client
	known State
}

var _ Sleeper = (*SGLang)(nil)

// NewSGLang takes the engine's state from the caller: Awake for an engine that
// has just become ready, else what State said last. It does not call the engine.
func NewSGLang(o Options, known State) (*SGLang, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &SGLang{client: c, known: known}, nil
}

// State implements Sleeper from memory; ErrUnknownState follows a call that
// failed half-way.
func (s *SGLang) State(ctx context.Context) (State, error) {
	end, err := s.begin(ctx)
	if err != nil {
		return State{Phase: Unknown}, err
	}
	defer end()
	return s.known, s.knows(releaseRequest("state"))
}

func releaseRequest(doing string) request {
	return request{doing, http.MethodPost, "/release_memory_occupation", tagged()}
}

func (s *SGLang) knows(r request) error {
	if slices.Contains([]Phase{Awake, Partial, Asleep}, s.known.Phase) {
		return nil
	}
	return s.failed(r, "restart the engine: SGLang does not say what it holds, and a wrong call ends it", ErrUnknownState)
}

// Sleep implements Sleeper for Offload.
func (s *SGLang) Sleep(ctx context.Context, level Level) error {
	r := releaseRequest("sleep")
	if level != Offload {
		return s.failed(r, "ask for level 1: SGLang keeps the weights in host memory",
			fmt.Errorf("%w: level %d", ErrLevel, level))
	}
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := s.knows(r); err != nil || s.known.Phase == Asleep {
		return err
	}
	if s.known.Phase == Partial {
		r.body = tagged(Weights)
	} else if err := s.idle(ctx, "sglang:num_running_reqs", "sglang:num_queue_reqs"); err != nil {
		return err
	}
	return s.move(ctx, r, State{Asleep, Offload})
}

// Wake implements Sleeper.
func (s *SGLang) Wake(ctx context.Context, tags ...Tag) error {
	r := request{"wake", http.MethodPost, "/resume_memory_occupation", tagged()}
	weights, cache, err := parts(tags)
	if err != nil {
		return s.failed(r, "give weights, kv_cache or none for both", err)
	}
	end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := s.knows(r); err != nil {
		return err
	}
	if s.known.Phase == Asleep && !weights {
		return s.failed(r, "wake the weights first, or everything", ErrOrder)
	}
	switch {
	case s.known.Phase == Awake:
		return s.serves(ctx)
	case s.known.Phase == Partial && !cache:
		return nil
	case s.known.Phase == Partial:
		r.body = tagged(KVCache)
	case !cache:
		r.body = tagged(Weights)
		return s.move(ctx, r, State{Phase: Partial})
	}
	if err := s.move(ctx, r, State{Phase: Awake}); err != nil {
		return err
	}
	return s.serves(ctx)
}

// tagged is a request's body; without tags SGLang takes all it has.
func tagged(tags ...Tag) map[string][]Tag {
	if len(tags) == 0 {
		return map[string][]Tag{}
	}
	return map[string][]Tag{"tags": tags}
}

// move notes where a call led; after one that failed nobody knows, unless the
// engine has no such endpoint.
func (s *SGLang) move(ctx context.Context, r request, to State) error {
	_, err := s.call(ctx, r)
	if e, ok := errors.AsType[*CallError](err); ok && hasStatus(err, http.StatusNotFound) {
		e.Err = fmt.Errorf("%w: %w", ErrNoSleepAPI, e.Err)
		e.Remedy = "use an SGLang with " + r.path + " and start it with --enable-memory-saver --enable-weights-cpu-backup"
		return err
	}
	if err != nil {
		to = State{Phase: Unknown}
	}
	s.known = to
	return err
}
