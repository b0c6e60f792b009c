package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// webStats are the counters of the HTTP layer. /metrics, /health and /version
// are left out, as vLLM's instrumentation does.
type webStats struct {
	mu       sync.Mutex
	requests map[webKey]uint64
	paths    map[string]*pathStats
	latency  replica.Histogram // of all paths
}

// webKey is one series of http_requests_total.
type webKey struct{ handler, method, status string }

type pathStats struct {
	method                      string
	requestBytes, responseBytes float64
	latency                     replica.Histogram
}

var (
	webBounds  = []float64{.01, .025, .05, .075, .1, .25, .5, .75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60}
	pathBounds = []float64{.1, .5, 1}
)

func newWebStats() *webStats {
	s := &webStats{}
	s.reset()
	return s
}

func (s *webStats) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.paths, s.latency = map[webKey]uint64{}, map[string]*pathStats{}, replica.NewHistogram(webBounds)
}

// measured counts the requests of one path.
func (s *webStats) measured(path string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		counted := &countingWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() { s.observe(path, r, counted, time.Since(start)) }()
		h(counted, r)
	}
}

func (s *webStats) observe(path string, r *http.Request, w *countingWriter, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[webKey{path, r.Method, fmt.Sprintf("%dxx", w.status/100)}]++
	stats, ok := s.paths[path]
	if !ok {
		stats = &pathStats{method: r.Method, latency: replica.NewHistogram(pathBounds)}
		s.paths[path] = stats
	}
	stats.requestBytes += float64(max(0, r.ContentLength))
	stats.responseBytes += float64(w.bytes)
	stats.latency.Observe(took.Seconds(), 1)
	s.latency.Observe(took.Seconds(), 1)
}

// countingWriter notes status and size of an answer.
type countingWriter struct {
	http.ResponseWriter
	status, bytes int
}

// WriteHeader notes the status.
func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the size.
func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// write puts the http_* families on the page.
func (s *webStats) write(p *page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(s.requests), func(a, b webKey) int {
		return strings.Compare(a.handler+a.method+a.status, b.handler+b.method+b.status)
	})
	var counts []sample
	for _, k := range keys {
		counts = append(counts, sample{fmt.Sprintf("handler=%q,method=%q,status=%q", k.handler, k.method, k.status), float64(s.requests[k])})
	}
	p.counter("http_requests", "Requests by method, status class and handler.", counts...)
	paths := slices.Sorted(maps.Keys(s.paths))
	p.family("http_request_size_bytes", "summary", "Content-Length of requests by handler.")
	for _, path := range paths {
		p.summary("http_request_size_bytes", path, s.paths[path].latency.Count(), s.paths[path].requestBytes)
	}
	p.family("http_response_size_bytes", "summary", "Size of responses by handler.")
	for _, path := range paths {
		p.summary("http_response_size_bytes", path, s.paths[path].latency.Count(), s.paths[path].responseBytes)
	}
	const fine = "http_request_duration_highr_seconds"
	p.family(fine, "histogram", "Latency of all handlers together, in many buckets.")
	p.buckets(fine, "", "", s.latency)
	p.createdOf(fine, "Latency of all handlers together, in many buckets.", "")
	const coarse = "http_request_duration_seconds"
	p.family(coarse, "histogram", "Latency by handler, in few buckets.")
	var labels []string
	for _, path := range paths {
		before, after := fmt.Sprintf("handler=%q,", path), fmt.Sprintf(",method=%q", s.paths[path].method)
		p.buckets(coarse, before, after, s.paths[path].latency)
		labels = append(labels, before+after[1:])
	}
	p.createdOf(coarse, "Latency by handler, in few buckets.", labels...)
}

func (p *page) summary(name, path string, count uint64, sum float64) {
	labels := fmt.Sprintf("handler=%q", path)
	p.sample(name+"_count", labels, float64(count))
	p.sample(name+"_sum", labels, sum)
}
