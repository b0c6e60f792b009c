package oracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// clock divides a run into cells of equal length.
type clock struct{ cell time.Duration }

// mostCells bounds what is kept for each run: a second up to 18 hours, ten seconds for a week.
const mostCells = 1 << 16

// of is the cell that holds t.
func (c clock) of(t time.Duration) int { return int(max(0, t) / c.cell) }

// at is the beginning of a cell.
func (c clock) at(i int) time.Duration { return time.Duration(i) * c.cell }

// grown returns a slice that has an element i.
func grown[T any](s []T, i int) []T {
	for len(s) <= i {
		s = append(s, *new(T))
	}
	return s
}

// survey is what one reading of the load tells.
type survey struct {
	clock
	requests int64
	// effort is the requests weighed by what it takes to simulate them: four prefix blocks take as long as a request.
	effort int64
	// last is the time of the last arrival, span the end of the load: the same where the load does not tell its end.
	last, span time.Duration
	// work is the replica-seconds that arrive in each cell at full batches.
	work []float64
	// arrived are the requests that arrive in each cell, lost those that no replica could serve within the objectives.
	arrived, lost []int32
	bound         *Bounder
	// tokens are the sums over all requests.
	tokens replica.Mix
	// kept are all requests where they take no more than mostKept, so that they need not be read again for each run, in
	// pieces; bytes is what they take.
	kept  [][]trace.Request
	bytes int64
	// sample is a part of what is larger.
	sample sample
}

// look reads the load once.
func look(ctx context.Context, p Problem) (*survey, error) {
	stream, err := p.Load()
	if err != nil {
		return nil, fmt.Errorf("open the load: %w", err)
	}
	defer closeStream(stream)
	s := &survey{clock: clock{cell: time.Second}, bound: NewBounder(p.Target.Profile, p.SLO)}
	for {
		q, err := stream.Next()
		if errors.Is(err, io.EOF) {
			s.close(stream)
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read request %d: %w", s.requests+1, err)
		}
		s.take(p, q)
		if s.requests&0xfff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func closeStream(s trace.Stream) {
	if c, ok := s.(io.Closer); ok {
		c.Close()
	}
}

func (s *survey) take(p Problem, q trace.Request) {
	known := s.bound.cache.tokens(q)
	x := priced(p.Target.Profile, p.SLO, q, known)
	s.tokens.PromptTokens += float64(q.PromptTokens)
	s.tokens.OutputTokens += float64(q.OutputTokens)
	s.tokens.CachedTokens += float64(known)
	if q.At >= p.From {
		s.bound.add(q, x)
	}
	s.requests++
	s.effort += 1 + int64(len(q.Blocks))/4
	s.last = q.At
	i := s.extend(q.At)
	s.arrived[i]++
	if x.hopeless {
		s.lost[i]++
	}
	if q.PromptTokens+q.OutputTokens <= p.Target.Profile.MaxModelLen {
		s.work[i] += x.typical()
	}
	s.keep(q)
}

// extend makes the load last until t at least, and returns the cell that holds t.
func (s *survey) extend(t time.Duration) int {
	s.span = max(s.span, t)
	for t/s.cell >= mostCells {
		s.coarsen()
	}
	i := s.of(t)
	s.work, s.arrived, s.lost = grown(s.work, i), grown(s.arrived, i), grown(s.lost, i)
	return i
}

// close takes note of the end of a load that tells it: nothing arrives until then, and replicas cost as before.
func (s *survey) close(stream trace.Stream) {
	if end, known := trace.EndOf(stream); known && end > s.span {
		s.extend(end)
	}
}

// rest is from when on no replica is needed: a moment after the last arrival where the load goes on. Where it does not,
// one stays for ever at no cost, since the run ends with the last request.
func (s *survey) rest() time.Duration {
	if s.span == s.last {
		return forever
	}
	return s.last + s.cell
}

// coarsen doubles the length of the cells.
func (s *survey) coarsen() {
	s.cell *= 2
	s.work, s.arrived, s.lost = halved(s.work), halved(s.arrived), halved(s.lost)
}

// halved adds neighbours.
func halved[T int32 | float64](s []T) []T {
	half := make([]T, (len(s)+1)/2)
	for i, x := range s {
		half[i/2] += x
	}
	return half
}

// keep remembers the requests as long as they are few.
func (s *survey) keep(q trace.Request) {
	if s.bytes += bytesOf(q); s.bytes > mostKept {
		s.thin(q)
		return
	}
	last := len(s.kept) - 1
	if last < 0 || len(s.kept[last]) == chunk {
		s.kept = append(s.kept, make([]trace.Request, 0, chunk))
		last++
	}
	s.kept[last] = append(s.kept[last], q)
}

// thin keeps a sample only.
func (s *survey) thin(q trace.Request) {
	for _, piece := range s.kept {
		for _, k := range piece {
			s.sample.take(k)
		}
	}
	s.kept = nil
	s.sample.take(q)
}

// open returns the load anew.
func (s *survey) open(p Problem) (trace.Stream, error) {
	if s.bytes <= mostKept {
		return &replayed{more: s.kept, end: s.span}, nil
	}
	return p.Load()
}

// replayed is a stream of requests in memory.
type replayed struct {
	requests []trace.Request
	more     [][]trace.Request // to follow them
	end      time.Duration
}

// End implements trace.Ending.
func (r *replayed) End() (time.Duration, bool) { return r.end, true }

// Next implements trace.Stream.
func (r *replayed) Next() (trace.Request, error) {
	for len(r.requests) == 0 {
		if len(r.more) == 0 {
			return trace.Request{}, io.EOF
		}
		r.requests, r.more = r.more[0], r.more[1:]
	}
	q := r.requests[0]
	r.requests = r.requests[1:]
	return q, nil
}

// scale is how many replicas, by the closed form of what one sustains, the work of one replica at full batches needs; 1
// where the closed form knows of nothing sustainable.
func (s *survey) scale(p Problem) float64 {
	n, work := float64(s.requests), 0.0
	for _, w := range s.work {
		work += w
	}
	mix := replica.Mix{PromptTokens: s.tokens.PromptTokens / n, OutputTokens: s.tokens.OutputTokens / n, CachedTokens: s.tokens.CachedTokens / n}
	rate := replica.Sustainable(p.Target.Profile, mix, p.SLO.TTFT, p.SLO.TPOT)
	if !(rate > 0 && work > 0) {
		return 1
	}
	return max(1, n/(rate*work))
}

// demand is the work that arrives around each cell, in replicas: the mean over a window centred on it.
func (s *survey) demand(window time.Duration) []float64 {
	half := int(window / s.cell / 2)
	n := s.of(s.span) + 1
	sums := make([]float64, n+1)
	for i := range n {
		sums[i+1] = sums[i] + element(s.work, i)
	}
	out := make([]float64, n)
	for i := range out {
		from, to := max(0, i-half), min(n, i+half+1)
		out[i] = (sums[to] - sums[from]) / (float64(to-from) * s.cell.Seconds())
	}
	return out
}
