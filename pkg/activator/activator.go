package activator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rewakeAfter is how long after a Wake a further held request calls it again.
const rewakeAfter = time.Second

// Activator is the proxy. It is an http.Handler and a prometheus.Collector; all methods may be called at the same time.
type Activator struct {
	opts       Options
	transports transports
	proxy      httputil.ReverseProxy // a template: each request's copy has its own transport
	waits      prometheus.Histogram

	ctx    context.Context // of the wakes
	cancel context.CancelFunc
	wakes  sync.WaitGroup
	idle   chan struct{} // closed when it drains and the last request is done

	mu      sync.Mutex
	targets map[string]*target
	// unresolved has what was read of requests of which it is not known yet for which target they are.
	unresolved *target
	// listeners are the streams of demand, each with room for one word that there is something new.
	listeners map[chan struct{}]struct{}
	held      int   // requests, over all targets
	bytes     int64 // over all targets
	active    int   // requests in ServeHTTP
	seq       uint64
	draining  bool
}

// New makes an Activator without targets. Shutdown ends what it starts.
func New(opts Options) (*Activator, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("activator options: %w", err)
	}
	a := &Activator{
		opts:       opts,
		transports: newTransports(opts),
		proxy:      newProxy(opts),
		waits:      newWaits(),
		idle:       make(chan struct{}),
		targets:    make(map[string]*target),
		unresolved: newTarget(""),
		listeners:  make(map[chan struct{}]struct{}),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// ServeHTTP hands the request on to an endpoint of its target, or holds it until there is one.
func (a *Activator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := a.begin(w, r)
	defer a.end(x)
	if err := x.resolve(); err != nil {
		x.fail(err)
		return
	}
	if err := x.admit(); err != nil {
		x.fail(err)
		return
	}
	x.forward()
}

func (a *Activator) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{a: a, w: &response{ResponseWriter: w}, r: r, target: a.unresolved, arrived: time.Now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.active++
	a.seq++
	x.seq = a.seq
	return x
}

// end gives back whatever the request still has.
func (a *Activator) end(x *exchange) {
	x.kept.whole() // ends the keeping: a transport may still read
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unbuffer(x)
	a.leaveEndpoint(x)
	a.active--
	a.closeIfIdle()
}

func (a *Activator) closeIfIdle() {
	if !a.draining || a.active > 0 {
		return
	}
	select {
	case <-a.idle: // a request that came after the last
	default:
		close(a.idle)
	}
}

// SetEndpoints tells all endpoints of a target that are ready now; none means that requests are held. What is in flight to
// an endpoint that is left out goes on. It ends what Refuse began.
func (a *Activator) SetEndpoints(target string, endpoints []Endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.target(target)
	t.unavailable = ""
	t.setEndpoints(endpoints, a.opts.MaxConcurrency)
	a.release(t)
}

// Refuse says that a target cannot be woken, and why, in words for its clients: what is held for it gets a 503, and so does
// what comes, until the next SetEndpoints. Without a reason, requests are held again.
func (a *Activator) Refuse(target, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.target(target)
	t.unavailable = reason
	if reason != "" && len(t.endpoints) == 0 {
		a.rejectAll(t, &refusal{Unavailable, reason})
	}
}

// Remove forgets a target; what is held for it gets a 503.
func (a *Activator) Remove(target string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.targets[target]; t != nil {
		t.unavailable, t.endpoints = "the model was removed", nil
		a.rejectAll(t, &refusal{Unavailable, t.unavailable})
		delete(a.targets, target)
	}
}

// Shutdown takes no more requests, answers those that are held with a retryable 503, and waits until those in flight are
// done, or ctx is. It returns ctx's error if some are left; closing the http.Server cuts those off.
func (a *Activator) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.draining = true
	for _, t := range a.targets {
		a.rejectAll(t, shuttingDown())
	}
	a.closeIfIdle()
	a.mu.Unlock()
	a.cancel()
	defer a.transports.closeIdle()
	defer a.wakes.Wait()
	select {
	case <-a.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for requests in flight: %w", ctx.Err())
	}
}

func shuttingDown() *refusal {
	return &refusal{ShuttingDown, "this proxy is shutting down; try again"}
}

// target is the named target's state, made when it is first named.
func (a *Activator) target(name string) *target {
	t := a.targets[name]
	if t == nil {
		t = newTarget(name)
		a.targets[name] = t
	}
	return t
}

// wake says that a target is needed, unless that was said just now.
func (a *Activator) wake(t *target) {
	now := time.Now()
	if t.waking || len(t.endpoints) > 0 || (t.held.Len() > 1 && now.Sub(t.woken) < rewakeAfter) {
		return
	}
	t.woken = now
	t.wakes++
	a.announce()
	if a.opts.Wake == nil {
		return
	}
	t.waking = true
	a.wakes.Go(func() {
		a.opts.Wake(a.ctx, t.name)
		a.mu.Lock()
		defer a.mu.Unlock()
		t.waking = false
	})
}
