package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// phase is where a replica is in its life.
type phase int

const (
	loading phase = iota
	serving
	draining
)

// PodServer is one emulated engine with its HTTP server. It starts loading;
// MarkLoaded makes it serve.
type PodServer struct {
	options Options
	engine  *engine
	sleeper *sleeper
	web     *webStats
	http    *http.Server
	stop    context.CancelFunc
	stopped chan struct{} // the engine's goroutine has ended

	mu      sync.Mutex
	phase   phase
	fault   Fault
	frozen  []byte        // the page that StaleFault repeats
	changed chan struct{} // closed when the fault changes
}

// New makes a replica in the loading phase. Shutdown frees it.
func New(o Options) (*PodServer, error) {
	o, err := o.completed()
	if err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	e, err := newEngine(o)
	if err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &PodServer{
		options: o, engine: e, sleeper: newSleeper(o.SleepTimes, e, ctx.Done()), web: newWebStats(), fault: NoFault,
		stop: stop, stopped: make(chan struct{}), changed: make(chan struct{}),
	}
	// The server's own log would tell about clients that break off: noise here.
	p.http = &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() {
		defer close(p.stopped)
		e.run(ctx)
	}()
	return p, nil
}

// Serve answers on the listener until Shutdown; it takes the listener over.
func (p *PodServer) Serve(l net.Listener) error {
	if err := p.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("emulator on %s: %w", l.Addr(), err)
	}
	return nil
}

// MarkLoaded ends the loading phase: the model is in memory.
func (p *PodServer) MarkLoaded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == loading {
		p.phase = serving
	}
}

// Drain refuses new work with 503 while running streams and the metric page go
// on, and returns when no stream is left or ctx ends.
func (p *PodServer) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.phase = draining
	p.mu.Unlock()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for p.Inflight() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain with %d streams left: %w", p.Inflight(), ctx.Err())
		case <-poll.C:
		}
	}
	return nil
}

// Shutdown closes the listener and idle connections at once, lets running
// streams finish until ctx ends, cuts what is left and stops the engine.
func (p *PodServer) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.phase = draining
	p.mu.Unlock()
	err := p.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, p.http.Close())
	}
	p.stop()
	<-p.stopped
	return err
}

// Restart plays a crash with an instant reload: running streams break off and
// every counter starts at zero.
func (p *PodServer) Restart() error {
	p.web.reset()
	p.sleeper.reset()
	return p.engine.restart()
}

// SetFault makes the replica go wrong in the given way until it is set again.
// Completions are not affected.
func (p *PodServer) SetFault(f Fault) error {
	if !slices.Contains(Faults(), f) {
		return fmt.Errorf("no fault %q; known are %v", f, Faults())
	}
	page := p.page()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.frozen = f, page
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// Inflight is the number of completions being computed.
func (p *PodServer) Inflight() int { return p.engine.inflight() }

// Status is what the admin interface tells about a replica.
type Status struct {
	Phase    string `json:"phase"`
	Sleep    string `json:"sleep"`
	Fault    Fault  `json:"fault"`
	Inflight int    `json:"inflight"`
}

// Status describes the replica now.
func (p *PodServer) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Status{Phase: [...]string{"loading", "serving", "draining"}[p.phase], Sleep: p.sleeper.current().describe(), Fault: p.fault, Inflight: p.Inflight()}
}

// Handler is the replica's HTTP interface.
func (p *PodServer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", p.metrics)
	mux.HandleFunc("GET /health", p.whenServing(func(http.ResponseWriter, *http.Request) {}))
	mux.HandleFunc("GET /version", p.whenLoaded(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"version": p.options.Version})
	}))
	mux.HandleFunc("GET /v1/models", p.web.measured("/v1/models", p.whenLoaded(p.models)))
	mux.HandleFunc("POST /v1/completions", p.web.measured("/v1/completions", p.whenServing(func(w http.ResponseWriter, r *http.Request) {
		p.complete(w, r, false)
	})))
	mux.HandleFunc("POST /v1/chat/completions", p.web.measured("/v1/chat/completions", p.whenServing(func(w http.ResponseWriter, r *http.Request) {
		p.complete(w, r, true)
	})))
	if p.options.SleepMode {
		p.sleepRoutes(mux)
	}
	return mux
}

func (p *PodServer) currentFault() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

func (p *PodServer) current() phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase
}

// whenLoaded answers 503 before the model is loaded.
func (p *PodServer) whenLoaded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.current() == loading {
			writeError(w, apiError{http.StatusServiceUnavailable, "the model is being loaded"})
			return
		}
		h(w, r)
	}
}

// whenServing answers 503 also while draining, and asks the client to leave.
func (p *PodServer) whenServing(h http.HandlerFunc) http.HandlerFunc {
	return p.whenLoaded(func(w http.ResponseWriter, r *http.Request) {
		if p.current() == draining {
			w.Header().Set("Connection", "close")
			writeError(w, apiError{http.StatusServiceUnavailable, "the server is shutting down"})
			return
		}
		h(w, r)
	})
}

// modelList is the answer of /v1/models.
type modelList struct {
	Object string        `json:"object"`
	Data   []servedModel `json:"data"`
}

type servedModel struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	OwnedBy     string `json:"owned_by"`
	Root        string `json:"root"`
	MaxModelLen int    `json:"max_model_len"`
}

func (p *PodServer) models(w http.ResponseWriter, _ *http.Request) {
	name := p.options.ModelName
	writeJSON(w, http.StatusOK, modelList{Object: "list", Data: []servedModel{
		{ID: name, Object: "model", OwnedBy: "vllm", Root: name, MaxModelLen: p.options.Profile.MaxModelLen},
	}})
}

// metrics serves the page, or what the fault makes of it.
func (p *PodServer) metrics(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	now, fault, frozen, changed := p.phase, p.fault, p.frozen, p.changed
	p.mu.Unlock()
	if now == loading {
		writeError(w, apiError{http.StatusServiceUnavailable, "the model is being loaded"})
		return
	}
	body := frozen
	switch fault { //nolint:exhaustive // a stale page is the frozen one
	case ErrorFault:
		writeError(w, errors.New("injected fault"))
		return
	case HangFault:
		hang(r.Context(), changed)
		return
	case GarbageFault:
		body = []byte(garbage)
	case NoFault, NaNFault, LieFault, WakeErrorFault:
		body = p.page()
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(body) // a scraper that has gone is not an error
}

func hang(ctx context.Context, changed <-chan struct{}) {
	limit := time.NewTimer(hangLimit)
	defer limit.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-limit.C:
	}
}

// garbage has what a scraper may meet: another protocol's page, broken lines,
// bytes that are no text.
const garbage = "<!doctype html><html><head><title>502</title></head>\n" +
	"vllm:num_requests_running{engine=\"0\",model_name=\"x 3.0\n" +
	"vllm:num_requests_waiting{engine=\"0\"} many\n" +
	"\x00\xff\xfe\x01vllm:\x80 1\n# TYPE vllm:kv_cache_usage_perc gauge gauge\nvllm:kv_cache_usage_perc{ 0.5"
