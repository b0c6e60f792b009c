package front

import (
	"cmp"
	"context"
	"errors"
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
	// urgently is how often pages are read that say what is held for a target without a ready replica, calmly how often else.
	urgently, calmly = 250 * time.Millisecond, 5 * time.Second
	// pageTimeout bounds the reading of one page, pageLimit its size in bytes, pagesAtOnce how many are read at a time.
	pageTimeout = 2 * time.Second
	pageLimit   = 4 << 20
	pagesAtOnce = 16
)

// Gateway is one in front of a target, and what it calls it.
type Gateway struct {
	Kind v1alpha1.GatewayKind
	// Namespace and Service name the Service whose endpoints see the requests, Port is where these serve their metric page.
	Namespace, Service string
	Port               int32
	// Pool is what the profile of its kind says, the InferencePool's name for example, PoolNamespace where that is.
	Pool, PoolNamespace string
	// every stands for all pools in place of one.
	every bool
}

// GatewayOf is the gateway that a target's spec names, its namespace and port those that are usual where none is named; false
// where it names none.
func GatewayOf(a *v1alpha1.InferenceAutoscaler) (Gateway, bool) {
	g := a.Spec.Gateway
	if g == nil {
		return Gateway{}, false
	}
	port, _ := Address(g.Kind)
	return Gateway{
		Kind: g.Kind, Namespace: cmp.Or(g.Namespace, a.Namespace), Service: g.Service, Port: cmp.Or(g.Port, port),
		Pool: g.Pool, PoolNamespace: a.Namespace,
	}, true
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
	// Held is called when requests are held for a target, each time that the page of a gateway that holds says so. It must
	// not block.
	Held func(target string)
	Log  *slog.Logger
}

// GatewayReader reads what gateways hold and see from their metric pages. It is safe for concurrent use.
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
type metricPage struct {
	due, reading bool
	// query asks for a part of it, since the whole is too large.
	query string
}

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
		ask := !is.Ready && is.Gateway.Holds() || now.Sub(t.asked) >= calmly
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
	page, err := r.fetch(ctx, s.URL+r.query(s, false))
	if errors.Is(err, errTooLarge) {
		if query := r.query(s, true); query != "" {
			page, err = r.fetch(ctx, s.URL+query)
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, target := range r.take(s, page, err, began) {
		r.options.Held(target)
	}
}

// query is what part of a page is asked for, from now on a part where it is too large and its gateway can tell one.
func (r *GatewayReader) query(s Source, tooLarge bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := r.pages[s]
	if page == nil {
		return ""
	}
	for _, t := range r.targets {
		if p := profiles[t.Gateway.Kind]; tooLarge && p != nil && t.sources[s] != nil {
			page.query = p.Part
		}
	}
	return page.query
}

// fetch gets and reads a page.
func (r *GatewayReader) fetch(ctx context.Context, url string) (series, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5")
	request.Header.Set("User-Agent", "preheat")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("status %s: %w", response.Status, errGuarded)
	default:
		return nil, fmt.Errorf("status %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, pageLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read page: %w", err)
	case len(text) > pageLimit:
		return nil, fmt.Errorf("%w: it exceeds %d bytes", errTooLarge, pageLimit)
	}
	return parsePage(text, response.Header.Get("Content-Type"))
}

// errTooLarge says that a page is not read to its end.
var errTooLarge = errors.New("the page is too large")

// errGuarded says that a page wants authentication.
var errGuarded = errors.New("let the page be read without authentication")

// take notes a page, and returns the targets for which it says that requests are held.
func (r *GatewayReader) take(from Source, page series, err error, at time.Time) (held []string) {
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
		if errors.Is(err, errBlind) && !t.Gateway.Holds() && t.told() {
			is, err = tally{heldKnown: true, inFlightKnown: true}, nil // its series come with its first request
		}
		if err != nil {
			r.blind(t, from, err)
			continue
		}
		t.arrived += s.came(is, t.Gateway.Holds())
		*s = heardSource{time: at, tally: is}
		if is.held > 0 && t.Gateway.Holds() {
			held = append(held, name)
		}
	}
	return held
}

// blind says once why an endpoint tells nothing of a target.
func (r *GatewayReader) blind(t *heardTarget, from Source, err error) {
	s := t.sources[from]
	if p := profiles[t.Gateway.Kind]; p != nil && p.Guarded != "" && errors.Is(err, errGuarded) {
		err = fmt.Errorf("%w (%s)", err, p.Guarded)
	}
	consequence := "what the gateway sees is not known: demand is made of the replicas' pages alone"
	if t.Gateway.Holds() {
		consequence = "what the gateway holds is not known: the target does not go to zero replicas"
	}
	if !s.blind {
		r.options.Log.Warn(consequence, "target", t.Target, "url", from.URL, "error", err)
	}
	s.blind = true
}

// came is how many requests have come since the last page: those that were counted, and those that are not counted yet and were
// not there then. Some that came may have given up meanwhile; these are not seen. Of the first page, and where the process
// began anew, what is held is known to have come, and no more.
func (s *heardSource) came(is tally, holds bool) float64 {
	if s.time.IsZero() || is.passed < s.passed || s.source != "" && is.source != s.source {
		if holds {
			return is.held
		}
		return 0
	}
	return max(0, is.passed-s.passed+is.behind()-s.behind())
}

// Holds reports whether the gateway keeps requests waiting while there is no replica, and says how many: else it only sees
// those that pass, and proves no silence.
func (g Gateway) Holds() bool {
	p := profiles[g.Kind]
	return p != nil && p.Holds
}

// told reports whether any endpoint has told of the target: what is sought is named as it should be.
func (t *heardTarget) told() bool {
	for _, s := range t.sources {
		if s.source != "" {
			return true
		}
	}
	return false
}

// heard is since when all endpoints have told of a target, zero while one has not, and where there is none.
func (t *heardTarget) heard() (since time.Time) {
	for _, s := range t.sources {
		if s.time.IsZero() {
			return time.Time{}
		}
		if since.IsZero() || s.time.Before(since) {
			since = s.time
		}
	}
	return since
}

// Of is what a gateway that holds requests has of a target: its Time is zero while one of the endpoints has not told yet, where
// there is none, and where the gateway holds nothing for anybody.
func (r *GatewayReader) Of(target string) scaling.Front {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[target]
	if t == nil || !t.Gateway.Holds() {
		return scaling.Front{}
	}
	f := scaling.Front{Time: t.heard(), Arrived: t.arrived}
	for _, s := range t.sources {
		f.Held += s.held
	}
	return f
}

// Seen is what a gateway of any kind has seen of a target's requests, whether there are replicas or not: its Time is zero while
// one of the endpoints has not told yet, and where there is none; its Source is empty where the target has no gateway.
func (r *GatewayReader) Seen(target string) scaling.Gateway {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[target]
	if t == nil || profiles[t.Gateway.Kind] == nil {
		return scaling.Gateway{}
	}
	p := profiles[t.Gateway.Kind]
	if t.heard().IsZero() {
		return scaling.Gateway{Source: p.Name}
	}
	g := scaling.Gateway{Time: t.heard(), Arrived: t.arrived, WaitingKnown: !p.WaitingIsInFlight, InFlightKnown: true}
	for _, s := range t.sources {
		source := p.Name + "'s " + s.source
		if s.counted != scaling.CountedNever && (g.Counted == scaling.CountedNever || s.counted < g.Counted || s.counted == g.Counted && source < g.Source) {
			g.Counted, g.Source = s.counted, source
		}
		g.Waiting += s.held
		g.InFlight += s.inFlight
		g.WaitingKnown = g.WaitingKnown && s.heldKnown
		g.InFlightKnown = g.InFlightKnown && s.inFlightKnown
	}
	if g.Source == "" {
		g.Source = p.Name
	}
	return g
}
