package trace

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

// What randomness is drawn for. Each purpose has its own source, so that a change in one leaves the others alone.
const (
	forArrivals uint64 = iota + 1
	forSizes
	forCopies
	forJitter
	forLevel
)

func source(seed int64, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(seed), purpose))
}

// Apply returns what o makes of the requests, which must be in order of time
// and stay as they are. What o says of reading and drawing has no effect.
func Apply(requests []Request, o Options) ([]Request, error) {
	s, err := Reshape(FromSlice(requests), o)
	if err != nil {
		return nil, err
	}
	return Collect(s)
}

// Reshape is Apply on a stream: jitter, window, rate, compression and offset, in this order. The result is an Ending: it
// knows its end where the stream does, or where the window ends before.
func Reshape(s Stream, o Options) (Stream, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	cut := o.cut(o.spread(s))
	out := &shaped{Stream: o.retime(o.resize(cut)), origin: s, o: o}
	out.window, _ = cut.(*window)
	return out, nil
}

// spread moves each request by up to o.Jitter.
func (o Options) spread(s Stream) Stream {
	if o.Jitter == 0 {
		return s
	}
	rng := source(o.Seed, forJitter)
	return &delayed{in: s, expand: func(q Request, later func(Request)) {
		q.At += time.Duration(rng.Int64N(int64(o.Jitter)))
		later(q)
	}}
}

// cut takes the window.
func (o Options) cut(s Stream) Stream {
	if o.From == 0 && o.For == 0 {
		return s
	}
	return &window{in: s, from: o.From, length: o.For}
}

// retime compresses and shifts.
func (o Options) retime(s Stream) Stream {
	if (o.Compress == 0 || o.Compress == 1) && o.Offset == 0 {
		return s
	}
	factor := o.Compress
	if factor == 0 {
		factor = 1
	}
	return &retimed{in: s, factor: factor, offset: o.Offset}
}

// copySpread is how far a repeated request may fall behind the original. More
// load from more clients is smoother from second to second, while its trend over
// minutes is the same; copies close together would make one client's burst a
// burst of all.
const copySpread = 30 * time.Second

// resize leaves requests out or repeats them.
func (o Options) resize(s Stream) Stream {
	if o.Rate == 0 || o.Rate == 1 {
		return s
	}
	rng := source(o.Seed, forCopies)
	whole, fraction := math.Modf(o.Rate)
	if whole == 0 {
		return &thinned{in: s, keep: fraction, rng: rng}
	}
	return &delayed{in: s, expand: func(q Request, later func(Request)) {
		n := int(whole)
		if rng.Float64() < fraction {
			n++
		}
		later(q)
		for range n - 1 {
			again := q
			again.At += time.Duration(rng.Int64N(int64(copySpread)))
			later(again)
		}
	}}
}

// window passes what arrives within it, from zero on.
type window struct {
	in           Stream
	from, length time.Duration
	ended        bool
}

// Next passes over what is before the window, and ends with it.
func (w *window) Next() (Request, error) {
	for !w.ended {
		q, err := w.in.Next()
		if err != nil {
			return Request{}, err
		}
		q.At -= w.from
		if w.length > 0 && q.At >= w.length {
			w.ended = true // whatever follows is later still
			break
		}
		if q.At >= 0 {
			return q, nil
		}
	}
	return Request{}, io.EOF
}

// thinned keeps a share of the requests.
type thinned struct {
	in   Stream
	keep float64
	rng  *rand.Rand
}

// Next draws for each request whether it stays.
func (t *thinned) Next() (Request, error) {
	for {
		q, err := t.in.Next()
		if err != nil || t.rng.Float64() < t.keep {
			return q, err
		}
	}
}

// retimed divides times by factor and adds offset.
type retimed struct {
	in     Stream
	factor float64
	offset time.Duration
}

// Next changes the time alone.
func (r *retimed) Next() (Request, error) {
	q, err := r.in.Next()
	if r.factor != 1 {
		q.At = time.Duration(float64(q.At) / r.factor)
	}
	q.At += r.offset
	return q, err
}

// delayed replaces each request by any number of requests at or after its time. It holds what is later than the newest
// request read: what arrives within the longest delay.
type delayed struct {
	in     Stream
	expand func(q Request, later func(Request))

	held    queue
	reached time.Duration
	err     error
}

// Next returns the earliest request held once nothing earlier can follow.
func (d *delayed) Next() (Request, error) {
	for d.err == nil && (len(d.held.rows) == 0 || d.held.rows[0].at > int64(d.reached)) {
		d.read()
	}
	if d.err != nil && !errors.Is(d.err, io.EOF) || len(d.held.rows) == 0 {
		return Request{}, d.err
	}
	r := d.held.pop()
	return Request{At: time.Duration(r.at), PromptTokens: r.prompt, OutputTokens: r.output, Blocks: r.blocks}, nil
}

func (d *delayed) read() {
	q, err := d.in.Next()
	if err != nil {
		d.err = err
		return
	}
	d.reached = q.At
	d.expand(q, d.hold)
}

func (d *delayed) hold(q Request) {
	d.held.push(row{at: int64(q.At), prompt: q.PromptTokens, output: q.OutputTokens, blocks: q.Blocks})
}
