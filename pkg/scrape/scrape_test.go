package scrape

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

const goodPage = "vllm:num_requests_waiting{engine=\"0\"} 3\n"

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// endpoints is a Source that can change.
type endpoints struct {
	mu  sync.Mutex
	all []Endpoint
}

func (e *endpoints) Endpoints() []Endpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all
}

func (e *endpoints) set(all ...Endpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = all
}

func podID(n int) store.PodID {
	return store.PodID{Namespace: "ns", Name: fmt.Sprintf("pod-%d", n), UID: fmt.Sprintf("uid-%d", n)}
}

// rig is a scraper with what it writes to.
type rig struct {
	*Scraper
	source   *endpoints
	store    *store.Store
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	profiles, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{source: &endpoints{}, store: store.New(store.Options{}), registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	o.Registerer = r.registry
	if o.Clock == nil {
		o.Clock = func() time.Time { return start }
	}
	if r.Scraper, err = New(o, r.source, r.store, profiles, slog.New(slog.NewTextHandler(r.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.fetcher.client.CloseIdleConnections)
	return r
}

func (r *rig) failures(why reason) float64 {
	return testutil.ToFloat64(r.metrics.failures.WithLabelValues(string(why)))
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/metrics"
}

func answer(page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }
}

func TestAReadingIsStored(t *testing.T) {
	gzipped := func(w http.ResponseWriter, req *http.Request) {
		if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
			http.Error(w, "gzip is not asked for", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, goodPage)
		_ = z.Close()
	}
	openMetrics := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0")
		_, _ = io.WriteString(w, goodPage+"# EOF\n")
	}
	negotiated := func(w http.ResponseWriter, req *http.Request) {
		if got := req.Header.Get("Accept"); !strings.HasPrefix(got, "text/plain;version=0.0.4;q=1,application/openmetrics-text") {
			http.Error(w, got, http.StatusNotAcceptable)
			return
		}
		_, _ = io.WriteString(w, goodPage)
	}
	cases := map[string]struct {
		handler http.HandlerFunc
		profile string
	}{
		"with the engine named":            {answer(goodPage), "vllm"},
		"with the engine found":            {answer(goodPage), ""},
		"of a compressed page":             {gzipped, "vllm"},
		"of an OpenMetrics page":           {openMetrics, "vllm"},
		"asking for the text format first": {negotiated, "vllm"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.source.set(Endpoint{Pod: podID(1), URL: serve(t, c.handler), Profile: c.profile})
			r.Tick(t.Context(), start)
			got, ok := r.store.Pod(podID(1), store.RequestsWaiting, start)
			if _, err := r.store.Problem(podID(1)); !ok || got.Value != 3 || err != nil {
				t.Fatalf("waiting = %+v %v, problem %v", got, ok, err)
			}
			if !got.Time.Equal(start) {
				t.Errorf("Time = %v, want when the page came: %v", got.Time, start)
			}
		})
	}
}

func TestFailuresSayWhereWhyAndWhatToCheck(t *testing.T) {
	refused := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return "http://" + l.Addr().String() + "/metrics"
	}
	address := func(s string) func(*testing.T) string { return func(*testing.T) string { return s } }
	by := func(h http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string { return serve(t, h) }
	}
	hang := func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	trickle := func(w http.ResponseWriter, req *http.Request) {
		for req.Context().Err() == nil {
			_, _ = io.WriteString(w, goodPage)
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}
	endless := func(w http.ResponseWriter, req *http.Request) {
		for req.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(goodPage, 100)); err != nil {
				return
			}
		}
	}
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 1<<20))
		_ = z.Close()
	}
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, goodPage)
	}
	cases := map[string]struct {
		url     func(*testing.T) string
		profile string
		want    reason
		says    string
	}{
		"nothing listens":           {url: refused, want: reasonRefused, says: "connection refused; nothing listens there"},
		"no answer":                 {url: by(hang), want: reasonTimeout, says: "network policies"},
		"an answer that never ends": {url: by(trickle), want: reasonTimeout, says: "after"},
		"too large":                 {url: by(endless), want: reasonTooLarge, says: "65536 bytes"},
		"too large when unpacked":   {url: by(bomb), want: reasonTooLarge, says: "65536 bytes"},
		"broken off":                {url: by(broken), want: reasonTorn, says: "cut off after"},
		"an error of the server":    {url: by(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusInternalServerError) }), want: reasonStatus, says: "500 Internal Server Error"},
		"not found":                 {url: by(http.NotFound), want: reasonStatus, says: "check the metrics path"},
		"a redirect":                {url: by(http.RedirectHandler("http://169.254.169.254/", http.StatusFound).ServeHTTP), want: reasonRedirect, says: "169.254.169.254/\", which is not followed"},
		"HTML":                      {url: by(answer("<html></html>")), want: reasonNotExposition, says: "something else answers there"},
		"an OpenMetrics page cut off": {url: by(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/openmetrics-text")
			_, _ = io.WriteString(w, goodPage)
		}), want: reasonTorn, says: "# EOF"},
		"no engine":                     {url: by(answer("up 1\n")), want: reasonNoEngine, says: "of the 27 profiles knows"},
		"not the engine that was named": {url: by(answer(goodPage)), profile: "sglang", want: reasonNoEngine, says: "--enable-metrics"},
		"an engine that is not known":   {url: by(answer(goodPage)), profile: "abacus", want: reasonProfile, says: `"abacus", known are [dynamo-vllm`},
		"a host name":                   {url: address("http://localhost:1/metrics"), want: reasonAddress, says: "not an IP address"},
		"another scheme":                {url: address("file:///etc/passwd"), want: reasonAddress, says: "neither http nor https"},
		"no URL":                        {url: address("http://[::1"), want: reasonAddress, says: "bad endpoint address"},
		"TLS that is not there":         {url: func(t *testing.T) string { return strings.Replace(serve(t, answer(goodPage)), "http:", "https:", 1) }, want: reasonConnection, says: "scheme"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			timeout := 20 * time.Second
			if c.want == reasonTimeout {
				timeout = 200 * time.Millisecond
			}
			r := newRig(t, Options{BodyLimit: 1 << 16, Timeout: timeout})
			e := Endpoint{Pod: podID(1), URL: c.url(t), Profile: c.profile}
			r.source.set(e)
			r.Tick(t.Context(), start)
			at, err := r.store.Problem(podID(1))
			if err == nil {
				t.Fatal("no problem is remembered")
			}
			for _, part := range []string{e.URL, "ns/pod-1", c.says, remedies[c.want]} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
			if got := reasonOf(err); got != c.want || r.failures(c.want) != 1 || !at.Equal(start) {
				t.Errorf("reason %s at %v counted %v times, want %s at %v once", got, at, r.failures(c.want), c.want, start)
			}
			if _, ok := r.store.Latest(podID(1)); ok {
				t.Error("a failure stored a reading")
			}
		})
	}
}

func TestEveryReasonHasARemedy(t *testing.T) {
	for _, why := range []reason{
		reasonAddress, reasonTimeout, reasonRefused, reasonConnection, reasonRedirect, reasonStatus, reasonTooLarge,
		reasonTorn, reasonNotExposition, reasonNoEngine, reasonProfile,
	} {
		if remedies[why] == "" {
			t.Errorf("%s has no remedy", why)
		}
	}
}

func TestConcurrencyIsBoundedAndASlowPodStopsNoOther(t *testing.T) {
	var now, most atomic.Int32
	count := func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		_, _ = io.WriteString(w, goodPage)
	}
	hung := func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	r := newRig(t, Options{Concurrency: 4, Timeout: 2 * time.Second})
	all := []Endpoint{{Pod: podID(0), URL: serve(t, hung)}}
	for n := 1; n <= 40; n++ {
		all = append(all, Endpoint{Pod: podID(n), URL: serve(t, count)})
	}
	r.source.set(all...)
	r.Tick(t.Context(), start)
	for n := 1; n <= 40; n++ {
		if _, ok := r.store.Latest(podID(n)); !ok {
			t.Errorf("pod %d has no reading", n)
		}
	}
	if got := most.Load(); got > 4 || got < 2 {
		t.Errorf("%d fetches ran at once, want 2 to 4", got)
	}
	if r.failures(reasonTimeout) != 1 {
		t.Errorf("%v time-outs, want 1", r.failures(reasonTimeout))
	}
}

func TestPodsThatTimeOutLeaveSlotsToTheOthers(t *testing.T) {
	const timeout = 300 * time.Millisecond
	dead := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	var began, answered atomic.Int64
	good := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answered.Store(int64(time.Since(time.Unix(0, began.Load()))))
		_, _ = io.WriteString(w, goodPage)
	})
	r := newRig(t, Options{Concurrency: 4, Timeout: timeout})
	var all []Endpoint
	for i := range 12 {
		all = append(all, Endpoint{Pod: podID(i), URL: dead})
	}
	r.source.set(append(all, Endpoint{Pod: podID(12), URL: good})...)
	for range 2 { // the first round finds out who is dead
		began.Store(time.Now().UnixNano())
		r.Tick(t.Context(), start)
	}
	if took := time.Duration(answered.Load()); took > timeout/2 {
		t.Errorf("a pod that answers was asked %v after the round began, behind those that do not", took)
	}
}

func TestAPodIsNotScrapedTwiceAtOnce(t *testing.T) {
	arrived, leave := make(chan struct{}, 8), make(chan struct{})
	r := newRig(t, Options{Timeout: 5 * time.Second})
	r.source.set(Endpoint{Pod: podID(1), URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-leave
		_, _ = io.WriteString(w, goodPage)
	})})
	var first sync.WaitGroup
	first.Go(func() { r.Tick(t.Context(), start) })
	<-arrived
	r.source.set() // even a pod that was forgotten meanwhile and came back
	r.Tick(t.Context(), start)
	r.source.set(Endpoint{Pod: podID(1), URL: "http://127.0.0.1:1/metrics"})
	r.Tick(t.Context(), start)
	if got := r.failures(reasonOverlap); got != 1 {
		t.Errorf("%v overlaps, want 1", got)
	}
	close(leave)
	first.Wait()
	if len(arrived) != 0 {
		t.Error("a second fetch arrived")
	}
	if _, ok := r.store.Latest(podID(1)); !ok {
		t.Error("the first fetch gave no reading")
	}
}

func TestPodsThatLeaveAreForgotten(t *testing.T) {
	r := newRig(t, Options{})
	url := serve(t, answer(goodPage))
	r.source.set(Endpoint{Pod: podID(1), URL: url}, Endpoint{Pod: podID(2), URL: url})
	r.Tick(t.Context(), start)
	r.source.set(Endpoint{Pod: podID(2), URL: url})
	r.Tick(t.Context(), start)
	_, gone := r.store.Latest(podID(1))
	_, stays := r.store.Latest(podID(2))
	if gone || !stays || len(r.pods) != 1 {
		t.Errorf("pod 1 known %v, pod 2 known %v, %d states; want false, true, 1", gone, stays, len(r.pods))
	}
}

func TestReadingsThatComeFromElsewhereStay(t *testing.T) {
	r := newRig(t, Options{Others: func() []store.PodID { return []store.PodID{podID(1)} }})
	for n := range 3 {
		r.store.Put(podID(n), &signals.Reading{Time: start})
	}
	r.source.set(Endpoint{Pod: podID(2), URL: serve(t, answer(goodPage))})
	r.Tick(t.Context(), start)
	for n, want := range []bool{false, true, true} {
		if _, stays := r.store.Latest(podID(n)); stays != want {
			t.Errorf("the reading of pod %d stays: %v", n, stays)
		}
	}
}

func TestADetectedEngineIsRememberedAndSoughtAgainWhenItLeft(t *testing.T) {
	var page atomic.Value
	page.Store(goodPage)
	r := newRig(t, Options{})
	r.source.set(Endpoint{Pod: podID(1), URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, page.Load().(string))
	})})
	r.Tick(t.Context(), start)
	if p := r.pods[podID(1)].profile; p == nil || p.Name() != "vllm" {
		t.Fatalf("remembered profile %v, want vllm", p)
	}
	page.Store("sglang:num_running_reqs 4\n")
	r.Tick(t.Context(), start)
	if _, err := r.store.Problem(podID(1)); !errors.Is(err, exposition.ErrNoEngine) {
		t.Errorf("problem = %v, want %v", err, exposition.ErrNoEngine)
	}
	r.clock = func() time.Time { return start.Add(time.Second) }
	r.Tick(t.Context(), start)
	got, ok := r.store.Latest(podID(1))
	if v, known := got.Value(signals.RequestsRunning); !ok || !known || v != 4 {
		t.Errorf("running = %v %v, want 4 of the new engine", v, known)
	}
}

func TestOnlyChangesAreLogged(t *testing.T) {
	var good atomic.Bool
	r := newRig(t, Options{})
	r.source.set(Endpoint{Pod: podID(1), URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if !good.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, goodPage)
	})})
	for range 3 {
		r.Tick(t.Context(), start)
	}
	good.Store(true)
	for range 3 {
		r.Tick(t.Context(), start)
	}
	if fails, works := strings.Count(r.log.String(), "scrape fails"), strings.Count(r.log.String(), "works again"); fails != 1 || works != 1 {
		t.Errorf("logged %d failures and %d recoveries, want 1 and 1:\n%s", fails, works, r.log)
	}
}

func TestStoppingIsNotThePodsFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newRig(t, Options{})
	r.source.set(Endpoint{Pod: podID(1), URL: serve(t, func(_ http.ResponseWriter, req *http.Request) {
		cancel()
		<-req.Context().Done()
	})})
	r.Tick(ctx, start)
	if _, err := r.store.Problem(podID(1)); err != nil {
		t.Errorf("problem = %v, want none", err)
	}
}

func TestRunSpreadsPodsAndKeepsTheirMoment(t *testing.T) {
	var all []Endpoint
	for n := range 400 {
		all = append(all, Endpoint{Pod: podID(n)})
	}
	due := spreadOut(all)
	total := 0
	for turn, es := range due {
		total += len(es)
		if len(es) < 5 || len(es) > 40 {
			t.Errorf("%d of 400 pods at moment %d of %d", len(es), turn, spread)
		}
	}
	again := spreadOut(all[:200])
	for turn, es := range again {
		for i, e := range es {
			if due[turn][i] != e {
				t.Errorf("pod %v has another moment when others leave", e.Pod)
			}
		}
	}
	if total != 400 {
		t.Errorf("%d pods in all, want 400", total)
	}
}

func TestRunScrapesEachPodOncePerIntervalUntilStopped(t *testing.T) {
	var hits [10]atomic.Int32
	r := newRig(t, Options{Clock: time.Now})
	var all []Endpoint
	for n := range hits {
		all = append(all, Endpoint{Pod: podID(n), URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			hits[n].Add(1)
			_, _ = io.WriteString(w, goodPage)
		})})
	}
	r.source.set(all...)
	ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
	defer cancel()
	if err := r.Run(ctx, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for n := range hits {
		// Five and a half intervals; a busy machine may lose some.
		if got := hits[n].Load(); got < 2 || got > 6 {
			t.Errorf("pod %d was scraped %d times, want about 5", n, got)
		}
		if _, ok := r.store.Latest(podID(n)); !ok {
			t.Errorf("pod %d has no reading", n)
		}
	}
}

func TestRunRefusesToFloodEngines(t *testing.T) {
	if err := newRig(t, Options{}).Run(t.Context(), time.Millisecond); err == nil {
		t.Error("an interval of 1 ms is accepted")
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	r := newRig(t, Options{})
	r.source.set(Endpoint{Pod: podID(1), URL: serve(t, answer(goodPage))})
	r.Tick(t.Context(), start)
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range families {
		got[f.GetName()] = true
	}
	for _, name := range []string{"preheat_scrape_duration_seconds", "preheat_scrape_page_bytes", "preheat_scrape_endpoints"} {
		if !got[name] {
			t.Errorf("%s is not registered", name)
		}
	}
	if _, err := New(Options{Registerer: r.registry}, r.source, r.store, r.profiles, r.Scraper.log); err == nil {
		t.Error("a second scraper on one registry is accepted")
	}
}
