package prom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// Naming says under which labels Prometheus has the namespace and the name of a pod.
type Naming struct{ Namespace, Pod string }

// Endpoint is one pod that is read out of Prometheus.
type Endpoint struct {
	// Pod is whose readings they are.
	Pod    store.PodID
	Naming Naming
	// Profile names the engine, for example "vllm"; empty means that its samples tell.
	Profile string
	// Since is when the pod's engine started: older samples are of an earlier pod of that name.
	Since time.Time
	// Staleness is the age beyond which the autoscaler does not believe a reading, for what is said of older ones.
	Staleness time.Duration
	// Expressions replace what the profile says, by metric. Pods of one target share them.
	Expressions *Expressions
}

// Expressions are PromQL by metric, each of which gives one value for each pod. They are told apart by their address.
type Expressions struct{ Of map[signals.Metric]string }

// Source says which pods to read. It is called once per interval and must answer from memory.
type Source interface{ Queried() []Endpoint }

// API is the part of Prometheus' API that reading needs.
type API interface {
	Query(ctx context.Context, query string, at time.Time, opts ...v1.Option) (model.Value, v1.Warnings, v1.Infos, error)
}

// Options say where from and how a Reader reads; zero fields take their defaults.
type Options struct {
	API      API
	Source   Source
	Store    *store.Store
	Profiles *exposition.Profiles
	Log      *slog.Logger
	// Timeout bounds one query (default 5 s).
	Timeout time.Duration
	// Registerer takes the reader's own metrics; nil keeps them to itself.
	Registerer prometheus.Registerer
	// Clock says what time it is (default time.Now).
	Clock func() time.Time
}

const (
	defaultTimeout = 5 * time.Second
	// podsPerQuery bounds an answer, pods whose engine is not known yet ask for more samples each.
	podsPerQuery, unknownPerQuery = 64, 8
	// queriesAtOnce bounds what Prometheus has to do for us.
	queriesAtOnce = 8
	// firstLookback is how far back a pod is sought of which nothing is known; later it is four scrapes, leastLookback at
	// least.
	firstLookback, leastLookback = 5 * time.Minute, time.Minute
	// settled is the age at which a scrape has arrived as a whole, where samples come one by one as with remote write.
	settled = 10 * time.Second
	// longestPause bounds the time between two tries of a Prometheus that fails.
	longestPause = 30 * time.Second
)

// Reader puts readings into a store. Make one with New.
type Reader struct {
	o       Options
	metrics *metrics
	slots   chan struct{}

	mu   sync.Mutex
	pods map[store.PodID]*podState // guarded by mu; the states themselves belong to who has them in flight
	// refused are the queries of which the last failed; guarded by mu.
	refused map[asking]bool
}

// podState is what is remembered of a pod.
type podState struct {
	inFlight bool
	// next is when it is asked for again.
	next     time.Time
	failures int
	// profile and target are those of the last reading, samples is how many that had, newest when it was scraped.
	profile *exposition.Profile
	target  string
	samples int
	newest  model.Time
	// interval is the time between two scrapes, zero while it is not known.
	interval time.Duration
	failing  bool
}

// New returns a reader that reads nothing yet. The error is of Options.Registerer.
func New(o Options) (*Reader, error) {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of reading from Prometheus: %w", err)
	}
	return &Reader{o: o, metrics: m, slots: make(chan struct{}, queriesAtOnce), pods: map[store.PodID]*podState{}, refused: map[asking]bool{}}, nil
}

// Run asks for each pod once per interval, and no more often than Prometheus scrapes it, until ctx ends.
func (r *Reader) Run(ctx context.Context, every time.Duration) {
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		r.start(ctx, &running, r.o.Clock(), every)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Tick asks once for each pod that is due, and waits for the answers.
func (r *Reader) Tick(ctx context.Context, now time.Time, every time.Duration) {
	var running sync.WaitGroup
	r.start(ctx, &running, now, every)
	running.Wait()
}

// start begins to ask for the pods that are due.
func (r *Reader) start(ctx context.Context, running *sync.WaitGroup, now time.Time, every time.Duration) {
	for _, b := range batches(r.due(now)) {
		running.Go(func() {
			select {
			case r.slots <- struct{}{}:
				r.read(ctx, b)
				<-r.slots
			case <-ctx.Done():
			}
			r.release(b, r.o.Clock(), every)
		})
	}
}

// member is a pod on its way through a query.
type member struct {
	Endpoint
	state *podState
	err   error
}

// due returns the pods that are to be asked for, which are in flight then, and forgets those that are gone.
func (r *Reader) due(now time.Time) []*member {
	endpoints := r.o.Source.Queried()
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := make(map[store.PodID]bool, len(endpoints))
	var due []*member
	for _, e := range endpoints {
		wanted[e.Pod] = true
		state := r.pods[e.Pod]
		if state == nil {
			state = &podState{}
			r.pods[e.Pod] = state
		}
		if !state.inFlight && !now.Before(state.next) {
			state.inFlight = true
			due = append(due, &member{Endpoint: e, state: state})
		}
	}
	for id, state := range r.pods {
		if !wanted[id] && !state.inFlight {
			delete(r.pods, id)
		}
	}
	r.metrics.pods.Set(float64(len(endpoints)))
	return due
}

// release notes when the pods are to be asked for again: not before the next scrape, and less often while it fails.
func (r *Reader) release(b []*member, now time.Time, every time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range b {
		s := m.state
		s.inFlight = false
		if m.err != nil {
			s.next = now.Add(min(every<<min(s.failures, 8), max(every, longestPause)) - every/2)
			s.failures++
			continue
		}
		s.failures = 0
		s.next = now.Add(every / 2) // before the next tick
		if expected := s.newest.Time().Add(s.interval); s.interval > 0 && expected.After(s.next) {
			s.next = expected
		}
	}
}

// kind is what pods must have in common to be asked for in one query.
type kind struct {
	namespace   string
	naming      Naming
	expressions *Expressions
	known       bool
}

// asking names what is asked for from one pass to the next.
type asking struct {
	kind
	text string
}

// text writes the expressions, empty where there are none.
func (e *Expressions) text() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	for _, m := range slices.Sorted(maps.Keys(e.Of)) {
		fmt.Fprintf(&b, "%v=%s\n", m, e.Of[m])
	}
	return b.String()
}

func (m *member) kind() kind {
	return kind{m.Pod.Namespace, m.Naming, m.Expressions, m.Profile != "" || m.state.profile != nil}
}

// batches puts pods together that one query can be about.
func batches(due []*member) (all [][]*member) {
	var order []kind
	of := map[kind][]*member{}
	for _, m := range due {
		k := m.kind()
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], m)
	}
	for _, k := range order {
		size := unknownPerQuery
		if k.known {
			size = podsPerQuery
		}
		all = slices.AppendSeq(all, slices.Chunk(of[k], size))
	}
	return all
}

// read asks for a batch and stores what is new. Where the answer is too large, each half is asked for by itself, so that
// one pod with too many series leaves the others alone.
func (r *Reader) read(ctx context.Context, b []*member) {
	now := r.o.Clock()
	found, err := r.query(ctx, b, now)
	if errors.Is(err, ErrTooLarge) && len(b) > 1 {
		r.read(ctx, b[:len(b)/2])
		r.read(ctx, b[len(b)/2:])
		return
	}
	if ctx.Err() != nil {
		return // the reader is being stopped
	}
	r.noteQuery(b, err)
	for _, m := range b {
		if err != nil {
			r.fail(m, now, err)
			continue
		}
		if err := r.take(m, found[m.Pod.Name], now); err != nil {
			r.fail(m, now, err)
		}
		r.notePod(m)
	}
}

// fail remembers that a pod could not be read.
func (r *Reader) fail(m *member, now time.Time, err error) {
	m.err = fmt.Errorf("read pod %s/%s from Prometheus: %w", m.Pod.Namespace, m.Pod.Name, err)
	r.o.Store.Fail(m.Pod, now, m.err)
}

// noteQuery logs where queries begin to fail or to work again, once for all pods that they are about.
func (r *Reader) noteQuery(b []*member, err error) {
	k := asking{b[0].kind(), b[0].Expressions.text()}
	k.expressions = nil // made anew each time
	r.mu.Lock()
	was := r.refused[k]
	if delete(r.refused, k); err != nil {
		r.refused[k] = true
	}
	r.mu.Unlock()
	switch {
	case err != nil && !was:
		r.o.Log.Warn("Prometheus does not answer", "namespace", k.namespace, "pods", len(b), "error", err)
	case err == nil && was:
		r.o.Log.Info("Prometheus answers again", "namespace", k.namespace)
	}
}

// notePod logs where a pod begins to be missing in good answers, or is there again.
func (r *Reader) notePod(m *member) {
	at := []any{"namespace", m.Pod.Namespace, "pod", m.Pod.Name}
	if failing := m.err != nil; failing != m.state.failing {
		m.state.failing = failing
		if failing {
			r.o.Log.Warn("Prometheus does not tell of a pod", append(at, "error", m.err)...)
			return
		}
		r.o.Log.Info("Prometheus tells of the pod again", at...)
	}
}
