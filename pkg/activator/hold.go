package activator

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// take gives the request an endpoint, or holds it.
func (a *Activator) take(x *exchange) (held bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := x.target
	switch {
	case a.draining:
		return false, shuttingDown()
	case t.unavailable != "" && len(t.endpoints) == 0:
		return false, &refusal{Unavailable, t.unavailable}
	case t.ripe == 0:
		if e := t.pick(false); e != nil {
			a.enterEndpoint(x, e)
			return false, nil
		}
	}
	return true, a.hold(x)
}

// hold lets the request wait. One that waited before has its body and its place.
func (a *Activator) hold(x *exchange) error {
	if !x.buffered {
		a.unbuffer(x) // what a resolver read is a part of what is announced or will be read
		if err := a.grow(x.target, 1, x.announced()); err != nil {
			return err
		}
		a.account(x, x.announced())
	}
	x.turn = make(chan error, 1)
	x.target.enqueue(x)
	a.held++
	a.wake(x.target)
	return nil
}

// ripen says that a held request has arrived in full.
func (a *Activator) ripen(x *exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.place != nil {
		x.ripe = true
		x.target.ripe++
		a.release(x.target)
	}
}

// release hands held requests on, in order of arrival, as long as an endpoint takes one.
func (a *Activator) release(t *target) {
	for place := t.held.Front(); place != nil && t.ripe > 0; {
		x := place.Value.(*exchange)
		place = place.Next()
		if !x.ripe {
			continue
		}
		e := t.pick(true)
		if e == nil {
			return
		}
		a.unhold(x)
		a.enterEndpoint(x, e)
		a.waits.Observe(time.Since(x.arrived).Seconds())
		x.turn <- nil
	}
}

// unhold takes a request out of the queue.
func (a *Activator) unhold(x *exchange) {
	x.target.held.Remove(x.place)
	x.place = nil
	if x.ripe {
		x.ripe = false
		x.target.ripe--
	}
	a.held--
}

// reject gives a held request up.
func (a *Activator) reject(x *exchange, why *refusal) {
	if !x.ripe {
		x.interrupt()
	}
	a.unhold(x)
	a.unbuffer(x)
	x.turn <- why
}

func (a *Activator) rejectAll(t *target, why *refusal) {
	for t.held.Len() > 0 {
		a.reject(t.held.Back().Value.(*exchange), why)
	}
}

// withdraw takes a request back that does not wait any longer, and returns why, which is the verdict if there was one.
func (a *Activator) withdraw(x *exchange, why error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.place != nil {
		a.unhold(x)
		a.unbuffer(x)
		return why
	}
	if verdict := <-x.turn; verdict != nil {
		return verdict
	}
	return why
}

func (a *Activator) enterEndpoint(x *exchange, e *endpoint) {
	x.endpoint = e
	e.inFlight++
	x.target.inFlight++
	if e.trust == doubted {
		e.trust = onTrial
	}
}

// leaveEndpoint gives the request's place at its endpoint to those who wait.
func (a *Activator) leaveEndpoint(x *exchange) {
	e := x.endpoint
	if e == nil {
		return
	}
	x.endpoint = nil
	e.inFlight--
	x.target.inFlight--
	if e.trust == onTrial {
		e.trust = doubted
	}
	a.release(x.target)
}

// answered says that the endpoint serves, and that the request's body is not needed again.
func (a *Activator) answered(x *exchange) {
	x.body = nil
	x.kept.whole() // ends the keeping
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unbuffer(x)
	if e := x.endpoint; e.trust == doubted || e.trust == onTrial {
		e.trust = trusted
		a.release(x.target)
	}
}

// bounced leaves an endpoint alone for a while that did not take the request.
func (a *Activator) bounced(x *exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, t := x.endpoint, x.target
	if e.trust != suspended {
		e.trust = suspended
		time.AfterFunc(a.opts.RetryPause, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			e.trust = doubted
			a.release(t)
		})
	}
	a.leaveEndpoint(x)
}

// buffer reads the body of a held request: so that the client need not stay to send it, so that it can be sent again, and
// because only then net/http tells when an HTTP/1.1 client leaves. The body of a gRPC request, which may not end before
// there are answers, stays where it is, in HTTP/2's flow-control window.
func (x *exchange) buffer() error {
	if x.buffered {
		return nil
	}
	if isGRPC(x.r) {
		x.kept = &kept{x: x}
		return nil
	}
	body, err := x.read()
	if err != nil {
		return err
	}
	x.body, x.buffered = body, true
	return nil
}

// announced is how much of the body is known to be to come.
func (x *exchange) announced() int64 {
	if isGRPC(x.r) {
		return 0
	}
	return max(x.r.ContentLength, 0)
}

// read reads the body, each part after room was made for it.
func (x *exchange) read() ([]byte, error) {
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return []byte{}, nil
	}
	x.bound(x.arrived.Add(x.a.opts.MaxAge))
	body, err := x.readAll()
	if err == nil {
		x.bound(time.Time{})
	}
	return body, err
}

func (x *exchange) readAll() ([]byte, error) {
	if size := x.r.ContentLength; size >= 0 {
		body := make([]byte, size)
		_, err := io.ReadFull(x.r.Body, body)
		if err == nil {
			_, err = io.Copy(io.Discard, x.r.Body) // sees the end, so that net/http watches the connection
		}
		return body, x.unread(err)
	}
	return x.readChunks()
}

// readChunks reads a body whose length is not known.
func (x *exchange) readChunks() ([]byte, error) {
	var body []byte
	for {
		if len(body) == cap(body) {
			more := max(4<<10, cap(body))
			if err := x.reserve(int64(more)); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, cap(body)+more), body...)
		}
		n, err := x.r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, x.unread(err)
		}
	}
}

func (x *exchange) reserve(bytes int64) error {
	x.a.mu.Lock()
	defer x.a.mu.Unlock()
	if x.place == nil { // given up; wait tells why
		return &refusal{ClientGone, "given up"}
	}
	return x.a.reserve(x, bytes)
}

// unread says why a body could not be read.
func (x *exchange) unread(err error) error {
	switch {
	case err == nil:
		return nil
	case time.Since(x.arrived) >= x.a.opts.MaxAge: // net/http takes the deadline for the client's end too
		return x.tooLong()
	case x.r.Context().Err() != nil:
		return x.r.Context().Err()
	default:
		return &refusal{BadRequest, fmt.Sprintf("read the body: %v", err)}
	}
}

func (x *exchange) tooLong() error {
	return &refusal{HeldTooLong, fmt.Sprintf("the model was not ready within %s", x.a.opts.MaxAge)}
}

// wait returns when there is an endpoint for the request, or none is to be waited for any more.
func (x *exchange) wait() error {
	deadline := time.NewTimer(time.Until(x.arrived.Add(x.a.opts.MaxAge)))
	defer deadline.Stop()
	beat, stop := x.beats()
	defer stop()
	for {
		select {
		case verdict := <-x.turn:
			return verdict
		case <-x.r.Context().Done():
			return x.a.withdraw(x, x.r.Context().Err())
		case <-deadline.C:
			return x.a.withdraw(x, x.tooLong())
		case <-beat:
			x.w.comment()
		}
	}
}
