package activator

import (
	"container/list"
	"slices"
	"time"
)

// Endpoint is one ready replica of a target.
type Endpoint struct {
	// Address is the host:port at which it serves HTTP/1.1, and gRPC over HTTP/2, without TLS. It identifies the endpoint.
	Address string
	// MaxConcurrency is the number of requests that it works on at once (vLLM: --max-num-seqs); 0 takes Options.MaxConcurrency.
	MaxConcurrency int
}

// trust is what is known of an endpoint's willingness to serve.
type trust int

const (
	trusted   trust = iota
	suspended       // refused a request just now: gets none until the pause is over
	doubted         // the pause is over: gets one request
	onTrial         // has that one
)

// endpoint is an Endpoint with what it is doing.
type endpoint struct {
	Endpoint
	inFlight int
	trust    trust
}

// takes tells whether the endpoint may be given a request; limited, while requests are held.
func (e *endpoint) takes(limited bool) bool {
	switch e.trust {
	case suspended, onTrial:
		return false
	case doubted:
		return true
	default:
		return !limited || e.inFlight < e.MaxConcurrency
	}
}

// target is what is known of one target. The Activator's mutex guards it.
type target struct {
	name      string
	endpoints []*endpoint
	next      int // where the search for an endpoint begins, so that equals take turns

	held  list.List // of *exchange, in order of arrival
	ripe  int       // how many of them have arrived in full
	bytes int64     // buffered, or reserved for what is still arriving

	unavailable string // why it cannot be woken; empty where it can
	waking      bool   // Wake has not returned
	woken       time.Time

	inFlight int
	arrivals uint64
	wakes    uint64
	refused  map[Reason]uint64
}

func newTarget(name string) *target { return &target{name: name, refused: make(map[Reason]uint64)} }

// pick is the endpoint with the least in flight of those that take a request, or nil.
func (t *target) pick(limited bool) *endpoint {
	var best *endpoint
	t.next++
	for i := range t.endpoints {
		e := t.endpoints[(t.next+i)%len(t.endpoints)]
		if e.takes(limited) && (best == nil || e.inFlight < best.inFlight) {
			best = e
		}
	}
	return best
}

// setEndpoints replaces the endpoints; those that stay keep what they have in flight.
func (t *target) setEndpoints(endpoints []Endpoint, maxConcurrency int) {
	known := make(map[string]*endpoint, len(t.endpoints))
	for _, e := range t.endpoints {
		known[e.Address] = e
	}
	t.endpoints = make([]*endpoint, 0, len(endpoints))
	for _, spec := range endpoints {
		e := known[spec.Address]
		if e == nil {
			e = &endpoint{Endpoint: spec}
			known[spec.Address] = e
		}
		e.MaxConcurrency = spec.MaxConcurrency // the address is read by requests in flight
		if e.MaxConcurrency <= 0 {
			e.MaxConcurrency = maxConcurrency
		}
		if !slices.Contains(t.endpoints, e) { // EndpointSlices may name one twice
			t.endpoints = append(t.endpoints, e)
		}
	}
}

// enqueue puts a request where its arrival says: at the end, or near the front where it has been there before.
func (t *target) enqueue(x *exchange) {
	if back := t.held.Back(); back == nil || back.Value.(*exchange).seq < x.seq {
		x.place = t.held.PushBack(x)
		return
	}
	next := t.held.Front()
	for next.Value.(*exchange).seq < x.seq {
		next = next.Next()
	}
	x.place = t.held.InsertBefore(x, next)
}
