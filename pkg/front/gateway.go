package front

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

const (
	// urgently is how often pages are read while a target has no ready replica, calmly how often else.
	urgently, calmly = 250 * time.Millisecond, 5 * time.Second
	// pageTimeout bounds the reading of one page, pageLimit its size in bytes, pagesAtOnce how many are read at a time.
	pageTimeout = 2 * time.Second
	pageLimit   = 4 << 20
	pagesAtOnce = 16
)

// Gateway is one that holds requests itself, and what it calls a target.
type Gateway struct {
	Kind v1alpha1.GatewayKind
	// Namespace and Service name the Service whose endpoints hold the requests, Port is where these serve their metric page.
	Namespace, Service string
	Port               int32
	// Pool is the InferencePool's or the revision's name, PoolNamespace where it is.
	Pool, PoolNamespace string
}

// GatewayTarget is a target with a gateway in front.
type GatewayTarget struct {
	Target  string
	Gateway Gateway
	// Ready says that a replica is: what is held is not waited for then.
	Ready bool
}

// GatewayOptions are what a GatewayReader is made of.
type GatewayOptions struct {
	// Targets returns those that have a gateway.
	Targets func() []GatewayTarget
	// Endpoints returns the metric pages of all endpoints of a gateway that are ready: all of them must be read.
	Endpoints func(Gateway) []Source
	// Held is called when requests are held for a target, each time that a page says so. It must not block.
	Held func(target string)
	Log  *slog.Logger
}

// GatewayReader reads what gateways hold from their metric pages. It is safe for concurrent use.
type GatewayReader struct {
	options GatewayOptions
	client  *http.Client
	slots   chan struct{}

	mu      sync.Mutex
	targets map[string]*heardTarget
	pages   map[Source]*metricPage
}

// heardTarget is a target with what is known of it.
type heardTarget struct {
	GatewayTarget
	asked   time.Time
	arrived float64
	sources map[Source]*heardSource
}

// heardSource is what one endpoint says of a target; time is zero before it has said anything.
type heardSource struct {
	time time.Time
	tally
	// blind says that its last page told nothing.
	blind bool
}

// metricPage is a page that is to be read or is being read, once for all targets of which it tells.
type metricPage struct{ due, reading bool }

// NewGatewayReader returns a GatewayReader that reads nothing before Run.
func NewGatewayReader(o GatewayOptions) *GatewayReader {
	return &GatewayReader{
		options: o, slots: make(chan struct{}, pagesAtOnce), targets: map[string]*heardTarget{}, pages: map[Source]*metricPage{},
		client: &http.Client{
			Timeout: pageTimeout,
			Transport: &http.Transport{ // no proxy: pods are asked directly
				DialContext: (&net.Dialer{Timeout: pageTimeout}).DialContext, MaxConnsPerHost: 2, MaxIdleConnsPerHost: 1,
				IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Run reads pages until the context ends.
func (r *GatewayReader) Run(ctx context.Context) {
	var reading sync.WaitGroup
	defer reading.Wait()
	ticker := time.NewTicker(urgently)
	defer ticker.Stop()
	for {
		for _, s := range r.due(time.Now()) {
			reading.Go(func() { r.read(ctx, s) })
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// due takes over which targets and endpoints there are, and returns the pages to be read now. One that is still being read is
// not asked for again.
func (r *GatewayReader) due(now time.Time) (due []Source) {
	targets := r.options.Targets()
	r.mu.Lock()
	defer r.mu.Unlock()
	used := r.follow(targets, now)
	for s, p := range r.pages {
		switch {
		case p.reading:
		case !used[s]:
			delete(r.pages, s)
		case p.due:
			p.due, p.reading = false, true
			due = append(due, s)
		}
	}
	return due
}

// follow takes over which targets there are, and returns the pages that tell of them.
func (r *GatewayReader) follow(targets []GatewayTarget, now time.Time) (used map[Source]bool) {
	before := r.targets
	r.targets, used = make(map[string]*heardTarget, len(targets)), map[Source]bool{}
	for _, is := range targets {
		t := before[is.Target]
		if t == nil || t.Gateway != is.Gateway {
			t = &heardTarget{sources: map[Source]*heardSource{}}
		}
		r.targets[is.Target] = t
		t.GatewayTarget = is
		t.list(r.options.Endpoints(is.Gateway))
		ask := !is.Ready || now.Sub(t.asked) >= calmly
		if ask {
			t.asked = now
		}
		for s := range t.sources {
			used[s] = true
			if r.pages[s] == nil {
				r.pages[s] = &metricPage{due: true}
			}
			r.pages[s].due = r.pages[s].due || ask
		}
	}
	return used
}

// list takes over the endpoints that there are.
func (t *heardTarget) list(sources []Source) {
	before := t.sources
	t.sources = make(map[Source]*heardSource, len(sources))
	for _, s := range sources {
		t.sources[s] = before[s]
		if t.sources[s] == nil {
			t.sources[s] = &heardSource{}
		}
	}
}

// read reads one page for all targets of which it tells.
func (r *GatewayReader) read(ctx context.Context, s Source) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return
	}
	began := time.Now() // what the page says is no older
	page, err := r.fetch(ctx, s.URL)
	if ctx.Err() != nil {
		return
	}
	for _, target := range r.take(s, page, err, began) {
		r.options.Held(target)
	}
}

// fetch gets and reads a page.
func (r *GatewayReader) fetch(ctx context.Context, url string) (families, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4")
	request.Header.Set("User-Agent", "preheat")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("status %s: let the page be read without authentication (endpoint picker: --metrics-endpoint-auth=false)", response.Status)
	default:
		return nil, fmt.Errorf("status %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, pageLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read page: %w", err)
	case len(text) > pageLimit:
		return nil, fmt.Errorf("the page exceeds %d bytes", pageLimit)
	}
	return parsePage(text)
}

// take notes a page, and returns the targets for which it says that requests are held.
func (r *GatewayReader) take(from Source, page families, err error, at time.Time) (held []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pages[from]; p != nil {
		p.reading = false
	}
	for name, t := range r.targets {
		s := t.sources[from]
		if s == nil {
			continue
		}
		is, err := tally{}, err
		if err == nil {
			is, err = page.of(t.Gateway)
		}
		if err != nil {
			r.blind(t, from, err)
			continue
		}
		t.arrived += s.came(is)
		*s = heardSource{time: at, tally: is}
		if is.held > 0 {
			held = append(held, name)
		}
	}
	return held
}

// blind says once why an endpoint tells nothing of a target.
func (r *GatewayReader) blind(t *heardTarget, from Source, err error) {
	s := t.sources[from]
	if !s.blind {
		r.options.Log.Warn("what the gateway holds is not known: the target does not go to zero replicas", "target", t.Target, "url", from.URL, "error", err)
	}
	s.blind = true
}

// came is how many requests have come since the last page: those that were sent on and those that wait now and did not then.
// Some that came may have given up meanwhile; these are not seen. Of the first page, and where the process began anew, what
// is held is known to have come, and no more.
func (s *heardSource) came(is tally) float64 {
	if s.time.IsZero() || is.passed < s.passed {
		return is.held
	}
	return max(0, is.passed-s.passed+is.held-s.held)
}

// Of is what is known of a target: its Time is zero while one of the endpoints has not told yet, and where there is none.
func (r *GatewayReader) Of(target string) scaling.Front {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[target]
	if t == nil {
		return scaling.Front{}
	}
	f, known := scaling.Front{Arrived: t.arrived}, len(t.sources) > 0
	for _, s := range t.sources {
		known = known && !s.time.IsZero()
		if f.Time.IsZero() || s.time.Before(f.Time) {
			f.Time = s.time
		}
		f.Held += s.held
	}
	if !known {
		f.Time = time.Time{}
	}
	return f
}
