// Package trace turns recorded or invented load into requests: it reads the
// public trace formats, makes requests out of plain rates, re-times and
// re-scales them, and generates a workload for a machine that has no trace.
//
// It must not read a clock or draw from a global random source: the same bytes,
// options and seed give the same requests.
package trace

import "time"

// Request is one arrival.
type Request struct {
	// At is the time since the start of the trace.
	At time.Duration
	// PromptTokens and OutputTokens are at least one.
	PromptTokens, OutputTokens int
	// Blocks are the hashes of the prompt's leading blocks of BlockTokens tokens
	// each, in order; requests that begin alike have the same ones. Nil where the
	// trace does not tell.
	Blocks []uint64
}

// BlockTokens is the number of tokens in one of a Request's Blocks, as in the
// Mooncake traces.
const BlockTokens = 512

// Stream yields requests in order of time, the first at or after zero. Next returns io.EOF after the last one and keeps
// returning it. A Stream is used by one goroutine.
type Stream interface {
	Next() (Request, error)
}
