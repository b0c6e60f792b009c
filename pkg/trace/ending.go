package trace

import "time"

// Ending is implemented by streams that may last beyond their last request: a load known by its rate may end with nothing,
// and so may a window. To be idle then costs what it costs at any other time.
type Ending interface {
	// End is when the load ends, false where nothing tells but the last request. It is known once Next has returned
	// io.EOF, of loads known by their rate from the start.
	End() (time.Duration, bool)
}

// EndOf is when a stream's load ends, false where it is no Ending or does not know.
func EndOf(s Stream) (time.Duration, bool) {
	if e, ok := s.(Ending); ok {
		return e.End()
	}
	return 0, false
}

// End implements Ending.
func (t *Trace) End() (time.Duration, bool) { return EndOf(t.stream) }

// End implements Ending: rates tell what they cover.
func (d *drawn) End() (time.Duration, bool) { return max(0, d.end-d.start), true }

// End implements Ending: the last window of any client ends the load.
func (s *service) End() (time.Duration, bool) { return max(0, s.end-s.o.From), true }

// shaped is a stream that options have been applied to, from its origin to its last link.
type shaped struct {
	Stream
	origin Stream
	o      Options
	// window is nil where none was cut.
	window *window
}

// End implements Ending. Where the origin does not know its end, a window that ended before the origin did lasts as long
// as it was asked for.
func (s *shaped) End() (time.Duration, bool) {
	if end, known := EndOf(s.origin); known {
		return s.o.windowed(end), true
	}
	if s.window != nil && s.window.ended {
		return s.o.windowed(0), true
	}
	return 0, false
}
