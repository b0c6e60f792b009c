package oracle

import (
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// sample is a part of a load that is too long to be run often: pieces of equal length, evenly spread.
type sample struct {
	every int64 // each how many-th piece is in it
	bytes int64
	parts []part
}

// part is one piece of a load, by its number.
type part struct {
	number   int64
	requests []trace.Request
}

// Bounds of a sample: the length of a piece, which holds a queue from its beginning to its end, and what it may take.
const (
	partLength  = 10 * time.Minute
	mostSampled = 12 << 20
)

// take takes a request in, where it falls into the sample.
func (s *sample) take(q trace.Request) {
	s.every = max(s.every, 1)
	n := int64(q.At / partLength)
	if n%s.every != 0 {
		return
	}
	if last := len(s.parts) - 1; last < 0 || s.parts[last].number != n {
		s.parts = append(s.parts, part{number: n})
	}
	last := &s.parts[len(s.parts)-1]
	last.requests = append(last.requests, q)
	s.bytes += bytesOf(q)
	for s.bytes > mostSampled && len(s.parts) > 1 {
		s.thin()
	}
}

// thin leaves out every other piece.
func (s *sample) thin() {
	s.every *= 2
	s.parts = slices.DeleteFunc(s.parts, func(p part) bool { return p.number%s.every != 0 })
	s.bytes = 0
	for _, p := range s.parts {
		for _, q := range p.requests {
			s.bytes += bytesOf(q)
		}
	}
}

// load is the pieces one after the other.
func (s *sample) load() []trace.Request {
	var out []trace.Request
	for i, p := range s.parts {
		for _, q := range p.requests {
			q.At += time.Duration(int64(i)-p.number) * partLength
			out = append(out, q)
		}
	}
	return out
}

// lesson is what a sample taught: which share misses at which utilization, and what a miss is worth.
type lesson struct {
	curve curve
	price float64
}

// rehearse searches on a sample of the load, and keeps what it learns for the plans of the whole.
func (s *search) rehearse() error {
	p, requests := s.p, s.sample.load()
	p.From, p.Cluster.Events = 0, nil
	p.Load = func() (trace.Stream, error) { return &replayed{requests: requests}, nil }
	r, err := newSearch(s.ctx, p, Options{Requests: s.o.Requests / 2, Progress: s.o.Progress})
	if err != nil {
		return err
	}
	budget := r.budget()
	for _, stage := range []stage{{budget / 3, r.staffing}, {budget, r.priced}} {
		if err := r.carryOut(stage); err != nil {
			return err
		}
	}
	s.simulated += r.simulated
	s.lesson = &lesson{curve: *r.learned(), price: r.price}
	return nil
}
