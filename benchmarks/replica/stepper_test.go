package replica

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// stepper is what the replica is compared with: the same engine, one step after the other and one sequence after the
// other, with nothing but what it takes to know when each request ends. It has no limit on KV blocks, which the loads
// measured here do not reach.
type stepper struct {
	p       replica.Profile
	running []decoding
	chunks  []chunk
	waiting []replica.Request
}

type decoding struct{ context, left int }

type chunk struct {
	replica.Request
	computed int
}

// run serves a load and returns when the last request ended, in milliseconds since the start, and the steps it took.
func (s *stepper) run(l load) (end float64, steps int) {
	next := 0
	queued := func(i int) float64 {
		return float64(l.at[i])/float64(time.Millisecond) + s.p.APIOverhead
	}
	now, planned := queued(0), queued(0)
	for next < len(l.requests) || len(s.running)+len(s.chunks)+len(s.waiting) > 0 {
		if len(s.running)+len(s.chunks)+len(s.waiting) == 0 {
			now = max(now, queued(next))
			planned = now
		}
		for next < len(l.requests) && queued(next) <= planned {
			s.waiting = append(s.waiting, l.requests[next])
			next++
		}
		took := s.step()
		if s.p.StepsAhead > 0 {
			planned = now
		} else {
			planned = now + took
		}
		now += took
		steps++
	}
	return now, steps
}

// step computes one step and returns its milliseconds.
func (s *stepper) step() float64 {
	took := s.p.StepBase
	budget := s.p.MaxNumBatchedTokens - len(s.running)
	for i := range s.running {
		s.running[i].context++
		s.running[i].left--
		took += s.p.StepPerSequence + s.p.StepPerContextToken*float64(s.running[i].context)
	}
	for len(s.waiting) > 0 && budget > 0 && len(s.running)+len(s.chunks) < s.p.MaxNumSeqs &&
		(len(s.chunks) == 0 || s.chunks[len(s.chunks)-1].computed == 0) {
		s.chunks = append(s.chunks, chunk{Request: s.waiting[0]})
		s.waiting = s.waiting[1:]
		budget -= s.chunks[len(s.chunks)-1].PromptTokens
	}
	budget = s.p.MaxNumBatchedTokens - len(s.running)
	left := s.running[:0]
	for _, d := range s.running {
		if d.left > 0 {
			left = append(left, d)
		}
	}
	s.running = left
	var open []chunk
	for _, c := range s.chunks {
		n := min(c.PromptTokens-c.computed, budget)
		took += s.p.PrefillPerToken*float64(n) + s.p.PrefillPerTokenPair*float64(n)*(float64(c.computed)+float64(n)/2)
		budget -= n
		c.computed += n
		switch {
		case c.computed < c.PromptTokens:
			open = append(open, c)
		case c.OutputTokens > 1:
			s.running = append(s.running, decoding{c.PromptTokens, c.OutputTokens - 1})
		}
	}
	s.chunks = open
	return took
}
