package prom

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// start is when the tests begin.
var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// server is Prometheus' own storage and query engine behind as much of its API as is asked.
type server struct {
	t       testing.TB
	storage *teststorage.TestStorage
	engine  *promql.Engine
	last    map[string]map[string]labels.Labels // by target, the series of the last scrape
	mute    bool                                // up is not recorded

	mu       sync.Mutex
	queries  []string
	headers  []http.Header
	warnings []string
	// refuse, where it is not nil, answers in the server's place.
	refuse func(w http.ResponseWriter, query string) bool
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{
		t: t, storage: teststorage.New(t), last: map[string]map[string]labels.Labels{},
		engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1e7, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})}),
	}
	t.Cleanup(func() { s.storage.Close() })
	return s
}

// scrape records a page as Prometheus does: with the target's labels, before which the page's give way, a report, and the
// end of the series that are gone. An empty page is a scrape that failed.
func (s *server) scrape(at time.Time, page string, target ...string) {
	s.t.Helper()
	app := s.storage.Appender(s.t.Context())
	of := labels.FromStrings(target...)
	now, up := map[string]labels.Labels{}, 0.
	if page != "" {
		up = 1
		p := textparse.NewPromParser([]byte(page), labels.NewSymbolTable(), false)
		for {
			entry, err := p.Next()
			if err != nil {
				break
			}
			if entry != textparse.EntrySeries {
				continue
			}
			var own labels.Labels
			p.Labels(&own)
			b := labels.NewBuilder(own)
			of.Range(func(l labels.Label) {
				if v := own.Get(l.Name); v != "" {
					b.Set("exported_"+l.Name, v)
				}
				b.Set(l.Name, l.Value)
			})
			series := b.Labels()
			_, _, v := p.Series()
			if now[series.String()].IsEmpty() {
				s.append(app, series, at, v)
			}
			now[series.String()] = series
		}
	}
	for key, series := range s.last[of.String()] {
		if now[key].IsEmpty() {
			app.Append(0, series, at.UnixMilli(), math.Float64frombits(value.StaleNaN))
		}
	}
	s.last[of.String()] = now
	if !s.mute {
		s.append(app, labels.NewBuilder(of).Set("__name__", "up").Labels(), at, up)
	}
	if err := app.Commit(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) append(app storage.Appender, series labels.Labels, at time.Time, v float64) {
	if _, err := app.Append(0, series, at.UnixMilli(), v); err != nil {
		s.t.Fatal(err)
	}
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.FormValue("query")
	s.mu.Lock()
	s.queries, s.headers = append(s.queries, query), append(s.headers, r.Header.Clone())
	refuse, warnings := s.refuse, s.warnings
	s.mu.Unlock()
	if refuse != nil && refuse(w, query) {
		return
	}
	var q promql.Query
	var err error
	if strings.HasSuffix(r.URL.Path, "/query_range") {
		step := time.Duration(seconds(r.FormValue("step")) * float64(time.Second))
		q, err = s.engine.NewRangeQuery(r.Context(), s.storage, nil, query, moment(r.FormValue("start")), moment(r.FormValue("end")), step)
	} else {
		q, err = s.engine.NewInstantQuery(r.Context(), s.storage, nil, query, moment(r.FormValue("time")))
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]any{"status": "error", "errorType": "bad_data", "error": err.Error()})
		return
	}
	defer q.Close()
	result := q.Exec(r.Context())
	if result.Err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(map[string]any{"status": "error", "errorType": "execution", "error": result.Err.Error()})
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "warnings": warnings, "data": map[string]any{
		"resultType": string(result.Value.Type()), "result": rows(result.Value),
	}})
}

// rows are a result as the API writes it.
func rows(v parser.Value) []any {
	out := []any{}
	pair := func(t int64, f float64) []any {
		return []any{float64(t) / 1000, strconv.FormatFloat(f, 'f', -1, 64)}
	}
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, map[string]any{"metric": s.Metric.Map(), "value": pair(s.T, s.F)})
		}
	case promql.Matrix:
		for _, s := range v {
			values := []any{}
			for _, p := range s.Floats {
				values = append(values, pair(p.T, p.F))
			}
			out = append(out, map[string]any{"metric": s.Metric.Map(), "values": values})
		}
	}
	return out
}

func seconds(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return v
}

func moment(text string) time.Time { return time.UnixMilli(int64(seconds(text)*1000 + 0.5)) }

// world is a reader of a server, with a clock of its own.
type world struct {
	*server
	reader    *Reader
	store     *store.Store
	profiles  *exposition.Profiles
	now       time.Time
	endpoints []Endpoint
}

// Queried implements Source.
func (w *world) Queried() []Endpoint { return w.endpoints }

func newWorld(t testing.TB, endpoints ...Endpoint) *world {
	t.Helper()
	w := &world{server: newServer(t), now: start, endpoints: endpoints, store: store.New(store.Options{})}
	web := httptest.NewServer(w.server)
	t.Cleanup(web.Close)
	api, err := Connect(Connection{URL: web.URL, MaxBytes: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if w.profiles, err = exposition.Load(); err != nil {
		t.Fatal(err)
	}
	w.reader, err = New(Options{
		API: api, Source: w, Store: w.store, Profiles: w.profiles, Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return w.now },
		Timeout: time.Minute, // a large answer takes long under the race detector
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// at lets the reader read at a time after the start.
func (w *world) at(after time.Duration) {
	w.t.Helper()
	w.now = start.Add(after)
	w.reader.Tick(w.t.Context(), w.now, 5*time.Second)
}

// pod is an endpoint of a pod in the namespace ml.
func pod(name string) Endpoint {
	return Endpoint{
		Pod: store.PodID{Namespace: "ml", Name: name, UID: name}, Naming: Naming{"namespace", "pod"}, Staleness: 30 * time.Second,
	}
}

// on are the labels of a target on a pod.
func on(name string) []string {
	return []string{"namespace", "ml", "pod", name, "job", "engines", "instance", name + ":8000", "container", "engine", "endpoint", "http"}
}

// reading returns a pod's newest reading, and fails where there is none.
func (w *world) reading(name string) *signals.Reading {
	w.t.Helper()
	r, ok := w.store.Latest(pod(name).Pod)
	if !ok {
		_, err := w.store.Problem(pod(name).Pod)
		w.t.Fatalf("no reading of %s: %v", name, err)
	}
	return r
}

// wantProblem checks that a pod has a problem of which the text has all parts.
func (w *world) wantProblem(name string, parts ...string) {
	w.t.Helper()
	_, err := w.store.Problem(pod(name).Pod)
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			w.t.Errorf("the problem is %v, want one with %q", err, part)
		}
	}
}

// wantValue checks a value of a pod's newest reading.
func (w *world) wantValue(name string, m signals.Metric, want float64) {
	w.t.Helper()
	if got, ok := w.reading(name).Value(m); got != want || !ok {
		w.t.Errorf("%v of %s is %v %v, want %v", m, name, got, ok, want)
	}
}

// vllm is a small page.
func vllm(waiting, running, finished float64) string {
	return fmt.Sprintf("vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} %v\nvllm:num_requests_running{engine=\"0\",model_name=\"m\"} %v\n"+
		"vllm:request_success_total{engine=\"0\",finished_reason=\"stop\",model_name=\"m\"} %v\nvllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} %v\n", waiting, running, finished, 100*finished)
}
