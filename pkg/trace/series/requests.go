package series

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// countRequests makes rows of a trace of requests. Of a file with dates the rows begin at multiples of the step, and the
// first one is the first that lies behind the first request; a last row that the trace does not cover is left out.
func countRequests(spec string, o Options) (*Series, error) {
	step := o.Step
	if step == 0 {
		step = usualStep
	}
	t, err := trace.Open(spec, trace.Options{KeepOffset: true})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	c := counter{of: o.Of, step: step, dated: !t.Facts().Start.IsZero()}
	if err := c.count(t); err != nil {
		return nil, err
	}
	facts := t.Facts()
	if o.Of.tokens() && facts.DrawnSizes && isFile(spec) {
		return nil, &trace.Error{File: spec, Err: o.Of.missing()}
	}
	end, _ := t.End()
	first, counts := c.whole(max(end, facts.Reached))
	if len(counts) == 0 {
		return nil, &trace.Error{File: spec, Err: fmt.Errorf("its %d requests in %v fill no row of %v: give a shorter --step",
			facts.Requests, facts.Reached.Round(time.Millisecond), step)}
	}
	s := &Series{Name: nameOfSpec(spec), Start: facts.Start.Add(time.Duration(first) * step), Step: step, Unit: o.Of.unit(), Notes: facts.Notes}
	if !o.Of.tokens() {
		s.Notes = ofTimes(facts.Notes)
	}
	if facts.Start.IsZero() {
		s.Start = time.Unix(0, 0).UTC().Add(time.Duration(first) * step)
	}
	for _, n := range counts {
		s.Values = append(s.Values, n/step.Seconds())
	}
	return s, nil
}

// ofTimes are the notes that matter where only arrivals count.
func ofTimes(notes []string) []string {
	return slices.DeleteFunc(slices.Clone(notes), func(n string) bool { return strings.Contains(n, "drawn from the mix") })
}

// counter counts requests, or their tokens, by row.
type counter struct {
	of    Quantity
	step  time.Duration
	dated bool
	// zero is the number of the first row, first the time of the first request.
	zero   int
	first  time.Duration
	counts []float64
}

func (c *counter) count(s trace.Stream) error {
	for {
		q, err := s.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i := int(q.At / c.step)
		if c.counts == nil {
			c.zero, c.first = i, q.At
		}
		if i-c.zero >= mostRows {
			return fmt.Errorf("a series has at most %d rows: give a longer --step", mostRows)
		}
		for len(c.counts) <= i-c.zero {
			c.counts = append(c.counts, 0)
		}
		c.counts[i-c.zero] += c.of.in(q)
	}
}

// whole are the rows that the trace covers, with the number of the first one.
func (c *counter) whole(end time.Duration) (first int, counts []float64) {
	for len(c.counts) > 0 && time.Duration(c.zero+len(c.counts)+1)*c.step <= end {
		c.counts = append(c.counts, 0) // idle at its end
	}
	n := min(len(c.counts), int(end/c.step)-c.zero)
	if n <= 0 {
		return 0, nil
	}
	if c.dated && c.first > time.Duration(c.zero)*c.step {
		return c.zero + 1, c.counts[1:n]
	}
	return c.zero, c.counts[:n]
}

// isFile says whether there is a file, or a folder, of that name: a generated workload has none.
func isFile(spec string) bool {
	_, err := os.Stat(spec)
	return err == nil
}

// nameOfSpec is the name of a file, or of a workload without its settings.
func nameOfSpec(spec string) string {
	if isFile(spec) {
		return NameOf(spec)
	}
	name, _, _ := strings.Cut(spec, ":")
	return name
}

// stepped is the series in rows of a step, zero for those that it has.
func (s *Series) stepped(path string, step time.Duration) (*Series, error) {
	if step == 0 || step == s.Step {
		return s, nil
	}
	if step%s.Step != 0 {
		return nil, &trace.Error{File: path, Err: fmt.Errorf("its rows are of %v: --step %v must be a whole multiple of that", s.Step, step)}
	}
	n := int(step / s.Step)
	first := int(modulo(-s.Start.UnixNano(), int64(step))/int64(s.Step)) % n
	out := *s
	out.Start, out.Step, out.Values = s.Start.Add(time.Duration(first)*s.Step), step, nil
	for i := first; i+n <= len(s.Values); i += n {
		out.Values = append(out.Values, mean(s.Values[i:i+n]))
	}
	if out.Known() == 0 {
		return nil, &trace.Error{File: path, Err: fmt.Errorf("its %d rows of %v fill no row of --step %v", len(s.Values), s.Step, step)}
	}
	return &out, nil
}

// mean is over the known rows, unknown where fewer than half are.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	if 2*n < len(values) || n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}
