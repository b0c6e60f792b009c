package trace

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// row is a request at a time of the file's own clock. Token counts below zero are not told.
type row struct {
	at             int64 // nanoseconds
	prompt, output int
	blocks         []uint64
}

// rowReader reads a file's rows in its own order. Errors are an *Error with the place.
type rowReader interface {
	next() (row, error)
	// here is the place of the row last read.
	here() *Error
	// dropped counts the rows left out so far, because they record failures.
	dropped() int64
}

// queue is a heap of rows, first the earliest, and of equal times the one pushed first.
type queue struct {
	rows   []queued
	pushed uint64
}

type queued struct {
	row
	number uint64
}

func (a *queued) before(b *queued) bool {
	return a.at < b.at || (a.at == b.at && a.number < b.number)
}

func (h *queue) push(r row) {
	h.pushed++
	h.add(queued{r, h.pushed})
}

func (h *queue) add(q queued) {
	h.rows = append(h.rows, q)
	i := len(h.rows) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h.rows[i].before(&h.rows[parent]) {
			return
		}
		h.rows[i], h.rows[parent] = h.rows[parent], h.rows[i]
		i = parent
	}
}

// pop takes the first row; there must be one.
func (h *queue) pop() row {
	first := h.rows[0].row
	last := len(h.rows) - 1
	h.rows[0] = h.rows[last]
	h.rows[last] = queued{} // lets go of its blocks
	h.rows = h.rows[:last]
	h.sink()
	return first
}

// sink restores the order after the first row was replaced.
func (h *queue) sink() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h.rows) {
			return
		}
		if child+1 < len(h.rows) && h.rows[child+1].before(&h.rows[child]) {
			child++
		}
		if !h.rows[child].before(&h.rows[i]) {
			return
		}
		h.rows[i], h.rows[child] = h.rows[child], h.rows[i]
		i = child
	}
}

// reorderWindow is how many rows are held to put them in order of time. Logs are written when requests end, or by several
// writers: rows are late by seconds. What is out of order beyond the window was sorted by something else.
const reorderWindow = 1 << 16

// ordered puts rows in order within a window. Rows that come in order, nearly all, go through a ring at no cost; only the
// others go through the heap.
type ordered struct {
	in rowReader
	// window is how many rows ring and heap may hold together; the ring grows up to it.
	window int
	ring   []queued
	head   int // of the ring
	length int // of the ring
	late   queue
	number uint64
	// first is the time of the first row handed out, last that of the newest one; started once there is one.
	first, last int64
	started     bool
	ended       bool
	err         error

	// newest is the latest time read. disorder counts the rows earlier than a row before them, negative those before zero.
	newest             int64
	disorder, negative int64
}

func newOrdered(in rowReader, window int) *ordered {
	return &ordered{in: in, window: window, ring: make([]queued, min(window, 256))}
}

// next returns the earliest row in the window.
func (o *ordered) next() (row, error) {
	for !o.ended && o.length+len(o.late.rows) < o.window {
		if err := o.read(); err != nil {
			return row{}, err
		}
	}
	if o.length+len(o.late.rows) == 0 {
		return row{}, o.end()
	}
	return o.admit(o.earliest())
}

// read takes one more row into the window.
func (o *ordered) read() error {
	r, err := o.in.next()
	if errors.Is(err, io.EOF) {
		o.ended = true
		return nil
	}
	if err != nil {
		o.fail(err)
		return o.err
	}
	if o.started && r.at < o.last {
		return o.outOfOrder(r)
	}
	o.observe(r.at)
	o.number++
	q := queued{r, o.number}
	if o.length > 0 && r.at < o.ring[(o.head+o.length-1)%len(o.ring)].at {
		o.late.add(q)
		return nil
	}
	o.append(q)
	return nil
}

// observe counts what a reader of the facts should know of the rows' times.
func (o *ordered) observe(at int64) {
	if o.number > 0 && at < o.newest {
		o.disorder++
	}
	if o.number == 0 || at > o.newest {
		o.newest = at
	}
	if at < 0 {
		o.negative++
	}
}

// notes say in words what was observed so far.
func (o *ordered) notes(dated bool) []string {
	var out []string
	if o.disorder > 0 {
		out = append(out, fmt.Sprintf("%d rows are earlier than one before them: they were put in order of time", o.disorder))
	}
	if o.negative > 0 && !dated {
		out = append(out, fmt.Sprintf("%d rows have times below zero: times count from the earliest one", o.negative))
	}
	return out
}

// append puts a row at the ring's end.
func (o *ordered) append(q queued) {
	if o.length == len(o.ring) {
		grown := make([]queued, min(o.window, 4*len(o.ring)))
		n := copy(grown, o.ring[o.head:])
		copy(grown[n:], o.ring[:o.head])
		o.ring, o.head = grown, 0
	}
	o.ring[(o.head+o.length)%len(o.ring)] = q
	o.length++
}

// fail ends the stream: what is in the window precedes the fault, but a trace that breaks off is of no use.
func (o *ordered) fail(err error) {
	o.err, o.ended, o.length, o.late.rows = err, true, 0, nil
}

func (o *ordered) outOfOrder(r row) error {
	place := o.in.here()
	place.Err = fmt.Errorf("this row is %v earlier than one more than %d rows before it: sort the file by its time column",
		time.Duration(o.last-r.at), o.window-1)
	o.fail(place)
	return place
}

// earliest takes the earliest row of ring and heap.
func (o *ordered) earliest() row {
	if o.length == 0 || (len(o.late.rows) > 0 && o.late.rows[0].before(&o.ring[o.head])) {
		return o.late.pop()
	}
	r := o.ring[o.head].row
	o.ring[o.head].blocks = nil
	o.head = (o.head + 1) % len(o.ring)
	o.length--
	return r
}

// admit keeps times within what a duration can hold.
func (o *ordered) admit(r row) (row, error) {
	if !o.started {
		o.first, o.started = r.at, true
	}
	if r.at-o.first > int64(maxSpan) {
		place := o.in.here()
		place.Line, place.Column, place.Name = 0, 0, ""
		place.Err = fmt.Errorf("arrivals are more than %d years apart", int(maxSpan.Hours()/24/365))
		o.fail(place)
		return row{}, place
	}
	o.last = r.at
	return r, nil
}

// end says why there is nothing more; a file without any request is a fault.
func (o *ordered) end() error {
	switch {
	case o.err != nil:
		return o.err
	case o.started:
		return io.EOF
	}
	place := o.in.here()
	place.Line, place.Column, place.Name = 0, 0, ""
	place.Err = errors.New("no requests")
	if n := o.in.dropped(); n > 0 {
		place.Err = fmt.Errorf("no requests: all %d rows record failures", n)
	}
	o.fail(place)
	return place
}
