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
	// always computed. It is for callers who know the hit but not the prompt,
	// and ignored where Blocks are given.
	CachedTokens int
	// Blocks are the hashes of the prompt's leading blocks of PrefixBlock
	// tokens, in order, each of the prompt up to the block's end: what two
	// requests have in common, the second finds in the prefix cache if it is
	// still there. A last block that the prompt does not fill does not count.
	// The slice is kept until the request has ended and must not be changed.
	Blocks []uint64
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
	// At is when, on the caller's clock.
	At   time.Duration
	ID   uint64
	Kind EventKind
	// Tokens produced since the request's previous event.
	Tokens int
}

// check refuses what could never finish.
func (r *Replica) check(req Request) error {
	if req.PromptTokens < 1 || req.OutputTokens < 1 {
		return fmt.Errorf("%w: %d prompt and %d output tokens, each must be at least 1", ErrBadRequest, req.PromptTokens, req.OutputTokens)
	}
	if r.known.lookup(req.ID) != nil {
		return fmt.Errorf("%w: id %d is in use", ErrBadRequest, req.ID)
	}
	total := req.PromptTokens + req.OutputTokens
	if total > r.profile.MaxModelLen {
		return fmt.Errorf("%w: %d prompt + %d output tokens, the model takes %d", ErrTooLong, req.PromptTokens, req.OutputTokens, r.profile.MaxModelLen)
	}
	if total > r.capacity*r.profile.BlockSize {
		return fmt.Errorf("%w: %d prompt + %d output tokens, the KV cache holds %d", ErrTooLong, req.PromptTokens, req.OutputTokens, r.capacity*r.profile.BlockSize)
	}
	return nil
}
