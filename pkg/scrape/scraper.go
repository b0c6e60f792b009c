package scrape

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// Endpoint is where one pod serves its page.
type Endpoint struct {
	// Pod is whose readings the page gives.
	Pod store.PodID
	// URL is the page's address, for example "http://10.0.3.7:8000/metrics". Its host must be an IP address.
	URL string
	// Profile names the engine, for example "vllm"; empty means that the page tells.
	Profile string
}

// Source says which pods to scrape. It is called once per interval and must answer from memory.
type Source interface{ Endpoints() []Endpoint }

// Options bounds the work of a Scraper; zero fields take their defaults.
type Options struct {
	// Concurrency is how many pages are fetched at once (default 32).
	Concurrency int
	// Timeout bounds one fetch, from connecting to the last byte (default 3 s).
	Timeout time.Duration
	// BodyLimit is the largest page taken, in bytes after decompression (default 4 MiB).
	BodyLimit int64
	// TLS configures https endpoints; nil verifies certificates with the system's roots.
	TLS *tls.Config
	// Registerer takes the scraper's own metrics; nil keeps them to itself.
	Registerer prometheus.Registerer
	// Others are further pods whose readings stay in the store, since somebody else puts them there; nil: none.
	Others func() []store.PodID
	// Clock says when a page was fetched (default time.Now).
	Clock func() time.Time
}

const (
	defaultConcurrency = 32
	defaultTimeout     = 3 * time.Second
	defaultBodyLimit   = 4 << 20
)

// Scraper fetches pages. Make one with New; it is safe for concurrent use.
type Scraper struct {
	source   Source
	store    *store.Store
	profiles *exposition.Profiles
	fetcher  *fetcher
	metrics  *metrics
	log      *slog.Logger
	clock    func() time.Time
	others   func() []store.PodID
	slots    chan struct{} // one element per fetch that runs
	looks    sync.Mutex    // held while a page is looked through for what is missing
	doubtful chan struct{} // one element per fetch of a pod that failed last time; it may wait for its timeout

	mu   sync.Mutex
	pods map[store.PodID]*podState
}

// podState is what the scraper remembers of a pod.
type podState struct {
	inFlight bool
	// profile was detected on the pod's last good page.
	profile *exposition.Profile
	failing bool
	// why is the reason of the last failure, strange what was found of its page then.
	why     reason
	strange string
	// lacks are what the last reading lacked, as far as that was looked into.
	lacks lacking
}

// New returns a scraper that fetches nothing yet. The error is of Options.Registerer.
func New(o Options, source Source, into *store.Store, profiles *exposition.Profiles, log *slog.Logger) (*Scraper, error) {
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register scrape metrics: %w", err)
	}
	clock := o.Clock
	if clock == nil {
		clock = time.Now
	}
	concurrency := cmp.Or(o.Concurrency, defaultConcurrency)
	return &Scraper{
		source:   source,
		store:    into,
		profiles: profiles,
		fetcher:  newFetcher(cmp.Or(o.Timeout, defaultTimeout), cmp.Or(o.BodyLimit, defaultBodyLimit), o.TLS),
		metrics:  m,
		log:      log,
		clock:    clock,
		others:   o.Others,
		slots:    make(chan struct{}, concurrency),
		doubtful: make(chan struct{}, max(1, concurrency/2)),
		pods:     map[store.PodID]*podState{},
	}, nil
}

// Tick fetches the page of every endpoint once and returns when all are done. It makes the store forget the pods that
// are endpoints no more. A pod whose last fetch still runs is passed over. now is when the round began; a reading's
// time is that of its own answer, by Options.Clock.
func (s *Scraper) Tick(ctx context.Context, now time.Time) {
	var running sync.WaitGroup
	s.start(ctx, &running, s.refresh())
	running.Wait()
	s.metrics.lastTick.Set(float64(now.UnixNano()) / 1e9)
}

// Run fetches every endpoint once per interval, each pod at its own moment within it so that neither this process nor
// the pods' node sees them all at once, until ctx ends. Fetches that run then are cancelled and waited for.
func (s *Scraper) Run(ctx context.Context, every time.Duration) error {
	if every < minInterval {
		return fmt.Errorf("scrape interval %v is below %v", every, minInterval)
	}
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(every / spread)
	defer ticker.Stop()
	var due [spread][]Endpoint
	for turn := 0; ; turn = (turn + 1) % spread {
		if turn == 0 {
			due = spreadOut(s.refresh())
			s.metrics.lastTick.Set(float64(s.clock().UnixNano()) / 1e9)
		}
		s.start(ctx, &running, due[turn])
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

const (
	// spread is the number of moments in an interval at which fetches start.
	spread = 20
	// minInterval keeps a misconfiguration from flooding engines, which write their page in the serving process
	// (5-15 ms each for vLLM).
	minInterval = 100 * time.Millisecond
)

// spreadOut deals endpoints to the moments of an interval, by pod, so that a pod keeps its moment.
func spreadOut(endpoints []Endpoint) (due [spread][]Endpoint) {
	for _, e := range endpoints {
		at := momentOf(e.Pod)
		due[at] = append(due[at], e)
	}
	return due
}

// momentOf returns a pod's moment, below spread.
func momentOf(id store.PodID) uint64 {
	h := fnv.New64a()
	for _, part := range []string{id.Namespace, "/", id.Name, "/", id.UID} {
		_, _ = h.Write([]byte(part)) // never fails
	}
	// FNV's low bits follow the input's parity; Fibonacci hashing brings all bits to the top (Knuth, TAOCP 6.4).
	top := h.Sum64() * 0x9E3779B97F4A7C15 >> 32
	return top * spread >> 32
}

// refresh asks the source for the endpoints and forgets all other pods.
func (s *Scraper) refresh() []Endpoint {
	endpoints := s.source.Endpoints()
	ids := make([]store.PodID, len(endpoints))
	wanted := make(map[store.PodID]struct{}, len(endpoints))
	for i, e := range endpoints {
		ids[i] = e.Pod
		wanted[e.Pod] = struct{}{}
	}
	if s.others != nil {
		ids = append(ids, s.others()...)
	}
	s.store.Keep(ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, state := range s.pods {
		if _, ok := wanted[id]; !ok && !state.inFlight {
			delete(s.pods, id)
		}
	}
	s.metrics.endpoints.Set(float64(len(endpoints)))
	return endpoints
}

// start begins to scrape the endpoints, but for pods that are being scraped, and does not wait for the end. Pods that
// failed last time share half of the slots: where a zone is cut off, its pods must not keep the others waiting.
func (s *Scraper) start(ctx context.Context, running *sync.WaitGroup, endpoints []Endpoint) {
	for _, e := range endpoints {
		state, free := s.claim(e.Pod)
		if !free {
			s.metrics.failures.WithLabelValues(string(reasonOverlap)).Inc()
			continue
		}
		running.Go(func() {
			defer s.release(state)
			if state.failing {
				within(ctx, s.doubtful, func() { within(ctx, s.slots, func() { s.scrape(ctx, e, state) }) })
				return
			}
			within(ctx, s.slots, func() { s.scrape(ctx, e, state) })
		})
	}
}

// within does something as soon as there is a slot, and not at all where ctx ends first.
func within(ctx context.Context, slots chan struct{}, do func()) {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
		do()
	case <-ctx.Done():
	}
}

// claim marks a pod as being scraped, false where it is already.
func (s *Scraper) claim(id store.PodID) (*podState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.pods[id]
	if state == nil {
		state = &podState{}
		s.pods[id] = state
	}
	if state.inFlight {
		return state, false
	}
	state.inFlight = true
	return state, true
}

func (s *Scraper) release(state *podState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state.inFlight = false
}

// scrape fetches, reads and stores one page. It owns the pod's state but for inFlight.
func (s *Scraper) scrape(ctx context.Context, e Endpoint, state *podState) {
	began := s.clock()
	err := s.scrapePage(ctx, e, state)
	s.metrics.duration.Observe(s.clock().Sub(began).Seconds())
	if err != nil && ctx.Err() != nil {
		return // the scraper is being stopped: that is not the pod's fault
	}
	if err != nil {
		err = state.explain(e, err)
		s.metrics.failures.WithLabelValues(string(reasonOf(err))).Inc()
		s.store.Fail(e.Pod, s.clock(), err)
	}
	if failing := err != nil; failing != state.failing {
		state.failing = failing
		s.logChange(e, err)
	}
}

// scrapePage returns with the pod's reading stored, or with an error that tells why not.
func (s *Scraper) scrapePage(ctx context.Context, e Endpoint, state *podState) error {
	p, err := s.fetcher.fetch(ctx, e.URL, s.clock)
	if err != nil {
		return err
	}
	defer p.free()
	s.metrics.pageBytes.Observe(float64(p.body.Len()))
	profile, err := s.profileOf(e, state, p.body.Bytes())
	if err != nil {
		return err
	}
	reading, err := exposition.Decode(p.body.Bytes(), p.contentType, profile)
	if err != nil {
		if errors.Is(err, exposition.ErrNoEngine) {
			state.profile = nil // another engine may have come: look again next time
			s.estranged(state, p.body.Bytes())
		}
		return err
	}
	reading.Time = p.at
	s.store.Put(e.Pod, reading)
	s.lack(e, state, profile, reading, p.body.Bytes())
	return nil
}

// profileOf returns the endpoint's profile: the one that it names, the one found before, or what the page tells.
func (s *Scraper) profileOf(e Endpoint, state *podState, page []byte) (*exposition.Profile, error) {
	if e.Profile != "" {
		p, ok := s.profiles.Named(e.Profile)
		if !ok {
			return nil, fmt.Errorf("%w %q, known are %v", errProfile, e.Profile, s.profiles.Names())
		}
		return p, nil
	}
	if state.profile == nil {
		p, err := s.profiles.Detect(page)
		if err != nil {
			s.estranged(state, page)
			return nil, err
		}
		state.profile = p
	}
	return state.profile, nil
}

// logChange logs only when a pod begins or ceases to fail.
func (s *Scraper) logChange(e Endpoint, err error) {
	at := []any{"namespace", e.Pod.Namespace, "pod", e.Pod.Name, "url", e.URL}
	if err != nil {
		s.log.Warn("scrape fails", append(at, "reason", reasonOf(err), "error", err)...)
		return
	}
	s.log.Info("scrape works again", at...)
}
