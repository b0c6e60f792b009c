package compare

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Outsized counts the requests of a load that no replica can hold: each is rejected under every policy, and misses the
// objective.
type Outsized struct {
	Requests int64
	// Tokens is the most that a request may have, prompt and output together; Field is the line of the profile that
	// bounds it.
	Tokens int
	Field  string
}

// newOutsized has the bound of the replicas, the same by which they reject: whole blocks of the KV cache count.
func newOutsized(p replica.Profile) *Outsized {
	o := &Outsized{Tokens: p.MaxModelLen, Field: "max_model_len"}
	if held := p.KVTokens / p.BlockSize * p.BlockSize; held < o.Tokens {
		o.Tokens, o.Field = held, "kv_tokens"
	}
	return o
}

// watch is the load, counted as it is read.
func (o *Outsized) watch(load Load) Load {
	return Load{Name: load.Name, Open: func(seed uint64) (trace.Stream, error) {
		stream, err := load.Open(seed)
		if err != nil {
			return nil, err
		}
		return sized{stream, o}, nil
	}}
}

// sized is a stream whose requests are measured as they go by.
type sized struct {
	trace.Stream
	outsized *Outsized
}

// Next implements trace.Stream.
func (s sized) Next() (trace.Request, error) {
	q, err := s.Stream.Next()
	if err == nil && q.PromptTokens+q.OutputTokens > s.outsized.Tokens {
		s.outsized.Requests++
	}
	return q, err
}

// End implements trace.Ending.
func (s sized) End() (time.Duration, bool) { return trace.EndOf(s.Stream) }

// Close implements io.Closer.
func (s sized) Close() error {
	closeStream(s.Stream)
	return nil
}
