package trace

import (
	"errors"
	"fmt"
	"io"
	"time"
)

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

// maxTokens bounds a single token count: far above any model's context, and low
// enough that sums cannot overflow.
const maxTokens = 1 << 26

// maxSpan bounds the time between two arrivals, well inside time.Duration.
const maxSpan = 20 * 365 * 24 * time.Hour

// Stream yields requests in order of time, the first at or after zero. Next returns io.EOF after the last one and keeps
// returning it. A Stream is used by one goroutine.
type Stream interface {
	Next() (Request, error)
}

// FromSlice streams requests that are in order of time; the slice must not be changed meanwhile.
func FromSlice(requests []Request) Stream { return &slice{requests} }

type slice struct{ left []Request }

// Next returns the first of what is left.
func (s *slice) Next() (Request, error) {
	if len(s.left) == 0 {
		return Request{}, io.EOF
	}
	q := s.left[0]
	s.left = s.left[1:]
	return q, nil
}

// Collect reads a stream to its end.
func Collect(s Stream) ([]Request, error) {
	var out []Request
	for {
		q, err := s.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
}

// ErrFormat means that a file is in none of the formats this package reads.
var ErrFormat = errors.New("unknown trace format")

// Error is a fault at a place in a file.
type Error struct {
	File string
	// Line and Column count from one; zero where the fault is of the whole file or line. Column is a column of a CSV, and
	// a character of a line of JSON.
	Line, Column int
	// Name is what the header calls the column, or the JSON field.
	Name string
	Err  error
}

// Error names the place from the outside in.
func (e *Error) Error() string {
	place := e.File
	if e.Line > 0 {
		place += fmt.Sprintf(": line %d", e.Line)
	}
	switch {
	case e.Column > 0 && e.Name != "":
		place += fmt.Sprintf(", column %d (%s)", e.Column, e.Name)
	case e.Column > 0:
		place += fmt.Sprintf(", column %d", e.Column)
	case e.Name != "":
		place += ", " + e.Name
	}
	return place + ": " + e.Err.Error()
}

// Unwrap returns the fault without its place.
func (e *Error) Unwrap() error { return e.Err }
