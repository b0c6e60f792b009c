package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// clientColumns are those of a client's trace: start of the window in seconds, requests per second, CV of the gaps, their
// distribution ("Gamma", "Weibull" or nothing), its shape and its scale. There is no header.
const clientColumns = 6

// defaultWindow is the length of a window that no other follows.
const defaultWindow = 600 * time.Second

// client is one client of a service: what it sends in each window.
type client struct {
	name    string
	windows []clientWindow
	tokens  []tokenWindow // in order of time; nil where unknown
}

type clientWindow struct {
	at, length time.Duration
	rate       float64 // requests per second
	process    Process
	shape      float64
}

// readClient reads chunk-N-trace.csv.
func readClient(in *lines, file string) (*client, error) {
	t := &table{file: file, lines: in, header: []string{"start_s", "rate_rps", "cv", "distribution", "shape", "scale"}}
	c := &client{name: file}
	for {
		err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		w, err := clientRow(t)
		if err != nil {
			return nil, err
		}
		if n := len(c.windows); n > 0 && w.at <= c.windows[n-1].at {
			return nil, t.fault(0, errors.New("windows must be in order of time"))
		}
		c.windows = append(c.windows, w)
	}
	if len(c.windows) == 0 {
		return nil, &Error{File: file, Err: errors.New("no windows")}
	}
	c.measure()
	return c, nil
}

// measure gives each window its length: until the next one, but not over a hole.
func (c *client) measure() {
	usual := defaultWindow
	for i := range c.windows[1:] {
		step := c.windows[i+1].at - c.windows[i].at
		if i == 0 || step < usual {
			usual = step
		}
	}
	for i := range c.windows {
		c.windows[i].length = usual
	}
}

// clientRow reads one window.
func clientRow(t *table) (clientWindow, error) {
	at, err := parseSeconds(t.fields[0])
	if err != nil || at < 0 || at > int64(maxSpan) {
		return clientWindow{}, t.fault(0, errors.Join(err, errors.New("want seconds since the start")))
	}
	rate, err := parseRate(t.fields[1])
	if err != nil {
		return clientWindow{}, t.fault(1, err)
	}
	w := clientWindow{at: time.Duration(at), rate: rate}
	switch name := string(t.fields[3]); name {
	case "":
		return w, nil // idle, or a process that was not fitted: Poisson
	case "Gamma":
		w.process = Gamma
	case "Weibull":
		w.process = Weibull
	default:
		return w, t.fault(3, fmt.Errorf("distribution %q: want Gamma, Weibull or nothing", clip([]byte(name))))
	}
	if w.shape, err = parseRate(t.fields[4]); err != nil || !(w.shape > 1e-3) {
		return w, t.fault(4, errors.Join(err, errors.New("want a shape above 0.001")))
	}
	return w, nil
}

// service is the sum of its clients' arrivals.
type service struct {
	o   Options
	mix Mix
	// heap holds the clients that have something more to send, first the one that sends next.
	heap []*sender
	// end is the end of the window, from the service's start.
	end time.Duration
}

// sender sends what one client does, window by window.
type sender struct {
	*client
	index  int
	window int
	// due are arrivals of the current window in nanoseconds, in order.
	due  []time.Duration
	next int
	// sums are the gaps drawn, added up; kept to be used again.
	sums []float64

	pcg rand.PCG
	rng *rand.Rand
}

// newService superposes clients. Each window of each client has its own random source, so that a window cut out of a
// trace holds what the whole trace holds there.
func newService(clients []*client, mix Mix, o Options) *service {
	s := &service{o: o, mix: mix, end: length(clients)}
	if o.For > 0 {
		s.end = min(s.end, o.From+o.For)
	}
	for i, c := range clients {
		sender := &sender{client: c, index: i, window: -1}
		sender.rng = rand.New(&sender.pcg)
		if s.advance(sender) {
			s.heap = append(s.heap, sender)
		}
	}
	for i := len(s.heap)/2 - 1; i >= 0; i-- {
		s.sink(i)
	}
	return s
}

// maxWindow bounds the requests of one client's window, which are held in memory.
const maxWindow = 50_000_000

// check refuses windows that would not fit in memory.
func (c *client) check(o Options) error {
	factor := o.Rate
	if factor == 0 {
		factor = 1
	}
	for _, w := range c.windows {
		if n := w.rate * w.length.Seconds() * factor; n > maxWindow {
			return &Error{File: c.name, Err: fmt.Errorf("%.0f requests in the window of %v from %v: at most %d", n, w.length, w.at, maxWindow)}
		}
	}
	return nil
}

// length is the end of the last window.
func length(clients []*client) time.Duration {
	end := time.Duration(0)
	for _, c := range clients {
		last := c.windows[len(c.windows)-1]
		end = max(end, last.at+last.length)
	}
	return end
}

// Next returns the earliest arrival of all clients.
func (s *service) Next() (Request, error) {
	if len(s.heap) == 0 {
		return Request{}, io.EOF
	}
	first := s.heap[0]
	q := Request{At: first.due[first.next] - s.o.From}
	q.PromptTokens, q.OutputTokens = first.size(s.mix)
	if !s.advance(first) {
		last := len(s.heap) - 1
		s.heap[0] = s.heap[last]
		s.heap = s.heap[:last]
	}
	s.sink(0)
	return q, nil
}

// advance moves a client to its next arrival within the service's window; false where there is none.
func (s *service) advance(c *sender) bool {
	c.next++
	for c.window < 0 || c.next >= len(c.due) {
		c.window++
		if c.window >= len(c.windows) || c.windows[c.window].at >= s.end {
			return false
		}
		c.next, c.due = 0, c.due[:0]
		if w := c.windows[c.window]; w.at+w.length > s.o.From && w.rate > 0 {
			c.draw(w, s.o)
			c.next = c.skip(s.o.From)
		}
	}
	return c.due[c.next] < s.end
}

// skip is the index of the first arrival from a time on.
func (c *sender) skip(from time.Duration) int {
	i, _ := slices.BinarySearch(c.due, from)
	return i
}

// draw puts a window's arrivals into c.due. After ServeGen's method (NSDI 2026, servegen/construct.py@f891d11): gaps from
// the window's distribution, rescaled to fill the window. Where that draws as many gaps as requests, and loses the last one
// at the window's very end, one gap more puts exactly the recorded number inside.
func (c *sender) draw(w clientWindow, o Options) {
	c.pcg.Seed(uint64(o.Seed), forArrivals<<56|uint64(c.index)<<32|uint64(c.window))
	mean := w.rate * w.length.Seconds()
	if o.Rate > 0 {
		mean *= o.Rate
	}
	n := int(mean)
	if c.rng.Float64() < roundOff(mean) {
		n++
	}
	total := 0.0
	gaps := gaps{rng: c.rng, process: w.process, shape: w.shape, scale: 1}
	c.sums = c.sums[:0]
	for range n {
		total += gaps.next()
		c.sums = append(c.sums, total)
	}
	total += gaps.next()
	c.place(w, total)
}

// roundOff is the fraction of a mean count; recorded rates are counts over the window, up to rounding.
func roundOff(mean float64) float64 {
	_, fraction := math.Modf(mean)
	if fraction < 1e-6 {
		return 0
	}
	return fraction
}

// place scales the sums of gaps to the window.
func (c *sender) place(w clientWindow, total float64) {
	scale := float64(w.length) / total
	if !(total > 0) || math.IsInf(total, 0) {
		scale = 0 // gaps too small or too large for a number: all at once
	}
	for _, sum := range c.sums {
		c.due = append(c.due, w.at+min(time.Duration(sum*scale), w.length-1))
	}
}

// sink restores the order of the heap below i.
func (s *service) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.heap[child+1].before(s.heap[child]) {
			child++
		}
		if !s.heap[child].before(s.heap[i]) {
			return
		}
		s.heap[i], s.heap[child] = s.heap[child], s.heap[i]
		i = child
	}
}

func (c *sender) before(d *sender) bool {
	a, b := c.due[c.next], d.due[d.next]
	return a < b || (a == b && c.index < d.index)
}

// expectedOf is the number of requests of all windows.
func expectedOf(clients []*client, o Options) int64 {
	sum := 0.0
	end := length(clients)
	if o.For > 0 {
		end = min(end, o.From+o.For)
	}
	for _, c := range clients {
		for _, w := range c.windows {
			from, until := max(w.at, o.From), min(w.at+w.length, end)
			if until > from && w.rate > 0 {
				sum += w.rate * (until - from).Seconds()
			}
		}
	}
	if o.Rate > 0 {
		sum *= o.Rate
	}
	return int64(math.Round(sum))
}
