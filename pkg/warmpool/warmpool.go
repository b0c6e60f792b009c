// Package warmpool has the hands of warm pools: it puts an inference engine to
// sleep, wakes it and says what it holds, over the engine's own HTTP API.
//
// An engine's word is not taken for it: after a sleep its state must follow,
// and after a wake it must compute a token, because engines say that they are
// awake before they are. A call that finds its work done does nothing but check.
//
// It must not decide who sleeps, when or how deeply, must not know Kubernetes,
// and assumes that nobody else puts the engine to sleep meanwhile.
package warmpool

import (
	"context"
	"errors"
)

// Level is how deeply an engine sleeps.
type Level int

const (
	// LevelUnknown is the level of an engine that is awake or does not tell.
	LevelUnknown Level = 0
	// Offload keeps the weights in host memory and drops the KV cache (vLLM's level 1).
	Offload Level = 1
	// Discard drops weights and KV cache; waking reads the weights from disk (vLLM's level 2).
	Discard Level = 2
)

// Tag names a part of the GPU memory that can be woken on its own.
type Tag string

const (
	// Weights are the model's parameters; they wake before anything else.
	Weights Tag = "weights"
	// KVCache is the memory of the key-value cache, empty after a sleep.
	KVCache Tag = "kv_cache"
)

// Phase is where an engine is between sleeping and serving.
type Phase string

const (
	// Unknown means that the engine does not tell and nobody has noted it.
	Unknown Phase = "Unknown"
	// Awake means that the engine says so; only Wake proves that it serves.
	Awake Phase = "Awake"
	// Partial means that some tags are awake, and the engine serves nothing.
	Partial Phase = "Partial"
	// Asleep means that nothing is on the GPU.
	Asleep Phase = "Asleep"
)

// State is what an engine says of itself.
type State struct {
	Phase Phase
	// Level is set for Asleep where the engine tells it.
	Level Level
}

// Sleeper is one engine's sleep mode. Calls on one Sleeper take turns; all of
// them end with ctx or the bounds of Options, and an engine may still be at it
// after a call has timed out: State tells.
type Sleeper interface {
	// Sleep frees the GPU memory of an engine without work. An engine with
	// requests is left alone (ErrBusy), as sleeping would abort them.
	Sleep(ctx context.Context, level Level) error
	// Wake brings the tags back, all of them where none is given, and returns
	// nil for an engine that is wholly awake only after it has computed a token.
	Wake(ctx context.Context, tags ...Tag) error
	// State asks the engine and changes nothing.
	State(ctx context.Context) (State, error)
}

// What callers branch on; every error is a *CallError around one of these or
// around what the network or the context says.
var (
	// ErrNoSleepAPI means that the engine was started without its sleep mode.
	ErrNoSleepAPI = errors.New("the engine has no sleep endpoints")
	// ErrBusy means that requests run or wait in the engine, or that it cannot be told.
	ErrBusy = errors.New("the engine is not idle")
	// ErrLevel means that the engine cannot go from its present sleep to the one asked for.
	ErrLevel = errors.New("no such change of level")
	// ErrOrder means that a tag was to wake before the weights.
	ErrOrder = errors.New("the weights sleep")
	// ErrNotSettled means that the engine accepted a call and its state did not follow.
	ErrNotSettled = errors.New("the engine's state did not follow")
	// ErrNotServing means that the engine says it is awake and computes nothing.
	ErrNotServing = errors.New("the engine does not serve")
	// ErrUnknownState means that neither the engine nor the caller knows whether it sleeps.
	ErrUnknownState = errors.New("the engine's state is unknown")
)

// CallError says what was being done to which engine, and what to do about it.
type CallError struct {
	// Doing is the operation: sleep, wake, state or probe.
	Doing string
	// Endpoint is the method and URL that failed.
	Endpoint string
	// Remedy is what an operator can do.
	Remedy string
	Err    error
}

// Error is one line with the operation, the endpoint, the cause and the remedy.
func (e *CallError) Error() string {
	return e.Doing + ": " + e.Endpoint + ": " + e.Err.Error() + "; " + e.Remedy
}

// Unwrap gives the cause.
func (e *CallError) Unwrap() error { return e.Err }

// parts splits the tags of a Wake into what they ask for.
func parts(tags []Tag) (weights, cache bool, err error) {
	for _, tag := range tags {
		switch tag {
		case Weights:
			weights = true
		case KVCache:
			cache = true
		default:
			return false, false, errors.New("tag " + string(tag) + " is neither " + string(Weights) + " nor " + string(KVCache))
		}
	}
	return weights || len(tags) == 0, cache || len(tags) == 0, nil
}
