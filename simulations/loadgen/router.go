package loadgen

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrNoEndpoint means that no replica came up while a request could wait.
var ErrNoEndpoint = errors.New("no endpoint")

// suspicion is how long an endpoint that refused a request is passed over, if
// there is another. Without it, a dead replica, having nothing outstanding,
// would draw all traffic.
const suspicion = time.Second

// slowStart is how long an endpoint that joins others is spared. Having nothing outstanding it would draw every
// request until it had caught up, some seconds of prompts at once; gateways have a slow start against that (Envoy's
// slow_start_config).
const slowStart = 10 * time.Second

// Router picks an endpoint for each request. It is safe for concurrent use.
type Router struct {
	mu        sync.Mutex
	endpoints []*endpoint
	changed   chan struct{} // closed when endpoints come up
	turn      uint64
	waiting   int
}

type endpoint struct {
	address      string
	outstanding  int
	last         uint64 // turn of its last pick, so that equals take turns
	suspectUntil time.Time
	// joined is when it joined others, and head the mean number of requests that they had outstanding then.
	joined time.Time
	head   float64
}

// load is what an endpoint is picked by: its outstanding requests, and in its first seconds a falling share of what the
// others had when it joined them.
func (e *endpoint) load(now time.Time) float64 {
	return float64(e.outstanding) + e.head*max(0, 1-now.Sub(e.joined).Seconds()/slowStart.Seconds())
}

// NewRouter makes a router without endpoints.
func NewRouter() *Router { return &Router{changed: make(chan struct{})} }

// SetEndpoints replaces the set of host:port addresses. Requests under way to an
// address that is gone go on.
func (r *Router) SetEndpoints(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endpoints = slices.DeleteFunc(r.endpoints, func(e *endpoint) bool { return !slices.Contains(addresses, e.address) })
	now, head := time.Now(), r.meanOutstanding()
	for _, a := range addresses {
		if !slices.ContainsFunc(r.endpoints, func(e *endpoint) bool { return e.address == a }) {
			r.endpoints = append(r.endpoints, &endpoint{address: a, joined: now, head: head})
		}
	}
	if len(r.endpoints) > 0 {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// meanOutstanding is the mean of all endpoints, zero where there is none; the caller holds the lock.
func (r *Router) meanOutstanding() float64 {
	var sum int
	for _, e := range r.endpoints {
		sum += e.outstanding
	}
	return float64(sum) / float64(max(1, len(r.endpoints)))
}

// RouterStats is what a gateway would publish.
type RouterStats struct {
	// Endpoints is the number of replicas known ready.
	Endpoints int
	// Waiting requests are held for want of an endpoint.
	Waiting int
	// Outstanding requests are at an endpoint.
	Outstanding int
}

// Stats describes the router now.
func (r *Router) Stats() RouterStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := RouterStats{Endpoints: len(r.endpoints), Waiting: r.waiting}
	for _, e := range r.endpoints {
		out.Outstanding += e.outstanding
	}
	return out
}

// acquire picks the endpoint with the fewest outstanding requests, waiting for
// one as long as ctx allows.
func (r *Router) acquire(ctx context.Context) (*endpoint, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting++
	defer func() { r.waiting-- }()
	for len(r.endpoints) == 0 {
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		r.mu.Lock()
		if ctx.Err() != nil {
			return nil, errors.Join(ErrNoEndpoint, ctx.Err())
		}
	}
	now := time.Now()
	e := slices.MinFunc(r.endpoints, func(a, b *endpoint) int { return a.compare(b, now) })
	r.turn++
	e.outstanding, e.last = e.outstanding+1, r.turn
	return e, nil
}

func (e *endpoint) compare(other *endpoint, now time.Time) int {
	suspect, otherSuspect := e.suspectUntil.After(now), other.suspectUntil.After(now)
	switch {
	case suspect != otherSuspect && suspect:
		return 1
	case suspect != otherSuspect:
		return -1
	case e.load(now) != other.load(now):
		return cmp.Compare(e.load(now), other.load(now))
	case e.last < other.last:
		return -1
	}
	return 1
}

func (r *Router) release(e *endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.outstanding--
}

// refused passes e over for a while.
func (r *Router) refused(e *endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.suspectUntil = time.Now().Add(suspicion)
}
