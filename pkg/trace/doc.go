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
}
