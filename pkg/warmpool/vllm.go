package warmpool

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	dto "github.com/prometheus/client_model/go"
)

// VLLM is the Sleeper of a vLLM server with --enable-sleep-mode and
// VLLM_SERVER_DEV_MODE=1.
type VLLM struct {
	client
	// loaded says, for an engine that is half awake, that this VLLM woke the
	// weights and that they are the model's.
	loaded bool
}

var _ Sleeper = (*VLLM)(nil)

// NewVLLM checks the options; it does not call the engine.
func NewVLLM(o Options) (*VLLM, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &VLLM{client: c}, nil
}

// State implements Sleeper.
func (v *VLLM) State(ctx context.Context) (State, error) {
	end, err := v.begin(ctx)
	if err != nil {
		return State{Phase: Unknown}, err
	}
	defer end()
	return v.state(ctx, "state")
}

// state joins /is_sleeping, which stays true until every tag is awake, with
// the gauge, which says awake from the first tag on.
func (v *VLLM) state(ctx context.Context, doing string) (State, error) {
	sleeping, err := v.sleeping(ctx, doing)
	if err != nil {
		return State{Phase: Unknown}, err
	}
	if !sleeping {
		return State{Phase: Awake}, nil
	}
	families, err := v.page(ctx, doing)
	if err != nil {
		return State{Phase: Unknown}, err
	}
	return sleepState(families["vllm:engine_sleep_state"]), nil
}

// sleepState reads the gauge of an engine that sleeps, or half sleeps. With
// several engines behind one port the deepest counts; a vLLM before 0.11.1, and
// the Rust front end, have no gauge and do not tell the level.
func sleepState(family *dto.MetricFamily) State {
	on := map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "sleep_state" && gauge(m) == 1 {
				on[l.GetValue()] = true
			}
		}
	}
	switch {
	case on["discard_all"]:
		return State{Asleep, Discard}
	case on["weights_offloaded"]:
		return State{Asleep, Offload}
	case on["awake"]:
		return State{Phase: Partial}
	}
	return State{Phase: Asleep}
}

func sleepingRequest(doing string) request {
	return request{doing, http.MethodGet, "/is_sleeping", nil}
}

func (v *VLLM) sleeping(ctx context.Context, doing string) (bool, error) {
	var answer struct {
		IsSleeping *bool `json:"is_sleeping"`
	}
	r := sleepingRequest(doing)
	if err := v.ask(ctx, r, &answer); err != nil {
		return false, vllmFault(err)
	}
	if answer.IsSleeping == nil {
		return false, v.fault(r, errors.New("no is_sleeping in the answer"))
	}
	return *answer.IsSleeping, nil
}

// Sleep implements Sleeper. A half-awake engine is woken first: vLLM ignores a
// sleep while any tag sleeps.
func (v *VLLM) Sleep(ctx context.Context, level Level) error {
	r := request{"sleep", http.MethodPost, fmt.Sprintf("/sleep?level=%d", level), nil}
	if level != Offload && level != Discard {
		return v.failed(r, "ask for level 1 or 2", ErrLevel)
	}
	end, err := v.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	now, err := v.state(ctx, "sleep")
	if err != nil {
		return err
	}
	switch {
	case now.Phase == Asleep && (now.Level == level || now.Level == LevelUnknown):
		return nil
	case now.Phase == Asleep:
		return v.failed(r, "wake it first", fmt.Errorf("%w: it sleeps at level %d and vLLM would ignore the call", ErrLevel, now.Level))
	case now.Phase == Partial:
		if err := v.wakeRest(ctx, now, true); err != nil {
			return err
		}
	}
	if err := v.idle(ctx, "vllm:num_requests_running", "vllm:num_requests_waiting"); err != nil {
		return err
	}
	if err := v.post(ctx, r); err != nil {
		return err
	}
	return v.settle(ctx, "sleep", true)
}

// Wake implements Sleeper. After level 2, and where the level is not known, the
// weights are read from disk before the KV cache wakes: a vLLM woken without it
// serves garbage with status 200.
func (v *VLLM) Wake(ctx context.Context, tags ...Tag) error {
	weights, cache, err := parts(tags)
	if err != nil {
		return v.failed(wakeRequest(""), "give weights, kv_cache or none for both", err)
	}
	end, err := v.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	now, err := v.state(ctx, "wake")
	if err != nil {
		return err
	}
	switch {
	case now.Phase == Awake:
		return v.serves(ctx)
	case now.Phase == Asleep && !weights:
		return v.failed(wakeRequest(KVCache), "wake the weights first, or everything", ErrOrder)
	}
	if err := v.wakeRest(ctx, now, cache); err != nil || !cache {
		return err
	}
	return v.serves(ctx)
}

// wakeRequest wakes one tag, or all.
func wakeRequest(tag Tag) request {
	path := "/wake_up"
	if tag != "" {
		path += "?tags=" + string(tag)
	}
	return request{"wake", http.MethodPost, path, nil}
}

// wakeRest brings the weights back, unless they are known to be, and then the
// KV cache where it is wanted.
func (v *VLLM) wakeRest(ctx context.Context, now State, cache bool) error {
	if now.Phase == Asleep {
		v.loaded = false
	}
	if now == (State{Asleep, Offload}) && cache {
		if err := v.post(ctx, wakeRequest("")); err != nil {
			return err
		}
		return v.settle(ctx, "wake", false)
	}
	if !v.loaded {
		if err := v.wakeWeights(ctx, now.Level); err != nil {
			return err
		}
		v.loaded = true
	}
	if !cache {
		return nil
	}
	if err := v.post(ctx, wakeRequest(KVCache)); err != nil {
		return err
	}
	return v.settle(ctx, "wake", false)
}

func (v *VLLM) wakeWeights(ctx context.Context, level Level) error {
	// vLLM ignores a tag that is awake already.
	if err := v.post(ctx, wakeRequest(Weights)); err != nil || level == Offload {
		return err
	}
	return v.post(ctx, request{"wake", http.MethodPost, "/collective_rpc", map[string]string{"method": "reload_weights"}})
}

// settle waits until the engine says what it was told to become: early
// versions answer before they have done it.
func (v *VLLM) settle(ctx context.Context, doing string, want bool) error {
	bounded, cancel := context.WithTimeout(ctx, v.CallTimeout)
	defer cancel()
	for {
		sleeping, err := v.sleeping(bounded, doing)
		if err != nil || sleeping == want {
			return err
		}
		if v.pause(bounded) == nil {
			continue
		}
		if ctx.Err() != nil {
			return v.failed(sleepingRequest(doing), "the caller gave up; the engine may still be at it", ctx.Err())
		}
		return v.failed(sleepingRequest(doing), "look at the engine's log and restart it",
			fmt.Errorf("%w: is_sleeping is still %v after %v", ErrNotSettled, sleeping, v.CallTimeout))
	}
}

func (v *VLLM) post(ctx context.Context, r request) error {
	_, err := v.call(ctx, r)
	return vllmFault(err)
}

// vllmFault tells an engine without the endpoints from other faults.
func vllmFault(err error) error {
	if e, ok := errors.AsType[*CallError](err); ok && hasStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed) {
		e.Err = fmt.Errorf("%w: %w", ErrNoSleepAPI, e.Err)
		e.Remedy = "start vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1, behind a network policy: these endpoints ask for no key"
	}
	return err
}
