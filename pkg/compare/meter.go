package compare

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Progress is how far an experiment is.
type Progress struct {
	// Done requests of Total have been simulated; Total is zero while the load is being read for the first time, and Done
	// counts the requests read then. What is set aside for the oracle's search is an estimate, and corrected as it ends.
	Done, Total int64
	// RunsDone of Runs have ended.
	RunsDone, Runs int
}

// Meter counts how far an experiment is. Its zero value is ready, and it may be read at any time by anyone.
type Meter struct {
	done, total    atomic.Int64
	runsDone, runs atomic.Int64
}

// Read returns how far the experiment is.
func (m *Meter) Read() Progress {
	return Progress{
		Done: m.done.Load(), Total: m.total.Load(),
		RunsDone: int(m.runsDone.Load()), Runs: int(m.runs.Load()),
	}
}

// expect begins the counting of runs.
func (m *Meter) expect(runs int, requests int64) {
	m.done.Store(0)
	m.runsDone.Store(0)
	m.runs.Store(int64(runs))
	m.total.Store(requests)
}

// progressStep is how many requests go by between two updates, so that counting costs nothing.
const progressStep = 1024

// metered is a stream that counts what goes by, and ends with ctx.
type metered struct {
	trace.Stream
	ctx     context.Context
	meter   *Meter
	pending int64 // requests that the meter has not been told of
}

// open opens the load as a run of one seed within ctx reads it.
func (m *Meter) open(ctx context.Context, load Load, seed uint64) (trace.Stream, error) {
	stream, err := load.Open(seed)
	if err != nil {
		return nil, err
	}
	return &metered{Stream: stream, ctx: ctx, meter: m}, nil
}

// Next implements trace.Stream.
func (s *metered) Next() (trace.Request, error) {
	q, err := s.Stream.Next()
	if err != nil {
		s.tell()
		return q, err
	}
	s.pending++
	if s.pending < progressStep {
		return q, nil
	}
	s.tell()
	return q, s.ctx.Err()
}

// End implements trace.Ending.
func (s *metered) End() (time.Duration, bool) { return trace.EndOf(s.Stream) }

func (s *metered) tell() {
	s.meter.done.Add(s.pending)
	s.pending = 0
}

// Close implements io.Closer: runs that end early give back the file of their load.
func (s *metered) Close() error {
	s.tell()
	closeStream(s.Stream)
	return nil
}

// closeStream closes a stream that has something to close. What was only read cannot be lost by it.
func closeStream(s trace.Stream) {
	if c, ok := s.(io.Closer); ok {
		c.Close()
	}
}
