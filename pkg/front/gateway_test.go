package front

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// served is an endpoint whose page a test writes.
type served struct {
	*httptest.Server
	page  atomic.Value // func(http.ResponseWriter, *http.Request)
	reads atomic.Int64
}

func newServed(t *testing.T) *served {
	s := &served{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reads.Add(1)
		s.page.Load().(func(http.ResponseWriter, *http.Request))(w, r)
	}))
	t.Cleanup(s.Close)
	s.say("")
	return s
}

func (s *served) source() Source { return Source{ID: s.URL, URL: s.URL} }

func (s *served) behave(f func(http.ResponseWriter, *http.Request)) { s.page.Store(f) }

func (s *served) say(page string) {
	s.behave(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
}

// queue is a page on which so many are held and have been sent on.
func queue(held, passed int) string {
	return fmt.Sprintf("llm_d_epp_flow_control_queue_size{inference_pool=\"qwen\"} %d\nllm_d_epp_request_total{model_name=\"a\"} %d\n", held, passed)
}

// watched is a GatewayReader with its targets and endpoints.
type watched struct {
	*GatewayReader
	t     *testing.T
	told  chan string
	mu    sync.Mutex
	ready bool
	from  []Source
	log   bytes.Buffer
}

func newWatched(t *testing.T, from ...*served) *watched {
	w := &watched{t: t, told: make(chan string, 1000)}
	w.list(from...)
	w.GatewayReader = NewGatewayReader(GatewayOptions{
		Targets: func() []GatewayTarget {
			w.mu.Lock()
			defer w.mu.Unlock()
			return []GatewayTarget{{Target: "ml/a", Gateway: picker, Ready: w.ready}}
		},
		Endpoints: func(g Gateway) []Source {
			w.mu.Lock()
			defer w.mu.Unlock()
			if g != picker {
				t.Errorf("asked for the endpoints of %+v", g)
			}
			return w.from
		},
		Held: func(target string) { w.told <- target },
		Log:  slog.New(slog.NewTextHandler(w, nil)),
	})
	var running sync.WaitGroup
	running.Go(func() { w.Run(t.Context()) })
	t.Cleanup(running.Wait)
	return w
}

// Write takes the log.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *watched) warnings() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.log.String(), "level=WARN")
}

func (w *watched) list(from ...*served) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = nil
	for _, s := range from {
		w.from = append(w.from, s.source())
	}
}

func (w *watched) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: %+v", what, w.Of("ml/a"))
		}
	}
}

// reads are so many further rounds of an endpoint's page.
func (w *watched) rounds(s *served, n int64) {
	w.t.Helper()
	from := s.reads.Load()
	w.until("the page is read again", func() bool { return s.reads.Load() >= from+n })
}

func (w *watched) says(held, arrived float64) func() bool {
	return func() bool {
		f := w.Of("ml/a")
		return !f.Time.IsZero() && f.Held == held && f.Arrived == arrived
	}
}

func TestGatewayHoldsTellsAndServes(t *testing.T) {
	s := newServed(t)
	s.say(queue(0, 100))
	w := newWatched(t, s)
	w.until("nothing is held", w.says(0, 0))
	if len(w.told) > 0 {
		t.Error("told of held requests while there are none")
	}
	s.say(queue(1, 100))
	select {
	case target := <-w.told:
		if target != "ml/a" {
			t.Errorf("told of %q", target)
		}
	case <-time.After(patience):
		t.Fatal("not told of the first request")
	}
	w.until("one is held", w.says(1, 1))
	s.say(queue(3, 100))
	w.until("three are held", w.says(3, 3))
	s.say(queue(0, 104))
	w.until("all were sent on, and one more", w.says(0, 4))
	s.say(queue(2, 1))
	w.until("the process began anew: what is held has come", w.says(2, 6))
	s.say(queue(0, 1))
	w.until("two clients have left", w.says(0, 6))
	s.say(queue(1, 1))
	w.until("and another has come", w.says(1, 7))
}

func TestGatewayIsReadSeldomWhileAReplicaIsReady(t *testing.T) {
	s := newServed(t)
	s.say(queue(0, 0))
	w := newWatched(t, s)
	w.rounds(s, 3)
	w.mu.Lock()
	w.ready = true
	w.mu.Unlock()
	time.Sleep(2 * urgently) // one that was under way
	before := s.reads.Load()
	time.Sleep(4 * urgently)
	if got := s.reads.Load() - before; got > 1 {
		t.Errorf("read %d times within %v while a replica is ready, want once in %v", got, 4*urgently, calmly)
	}
}

func TestGatewayIsAsOldAsItsOldestPage(t *testing.T) {
	a, b := newServed(t), newServed(t)
	a.say(queue(1, 0))
	b.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	w := newWatched(t, a, b)
	<-w.told // what one holds is a reason to wake, whatever the others do
	w.rounds(b, 3)
	if f := w.Of("ml/a"); !f.Time.IsZero() {
		t.Errorf("with the page of one endpoint missing the reading is of %v, want none", f.Time)
	}
	if got := w.warnings(); got != 1 {
		t.Errorf("%d warnings of the page that is missing, want 1", got)
	}
	b.say(queue(1, 0))
	w.until("both", w.says(2, 2))
	b.say("llm_d_epp_request_total 5\n")
	w.rounds(b, 2)
	before := w.Of("ml/a").Time
	w.rounds(a, 2)
	w.rounds(b, 2)
	if got := w.Of("ml/a").Time; !got.Equal(before) {
		t.Errorf("the reading is of %v, want %v, when the other page told for the last time", got, before)
	}
	w.list(a)
	w.until("what only one holds", w.says(1, 2))
	w.list()
	w.until("no endpoint is no reading", func() bool { return w.Of("ml/a").Time.IsZero() })
	if f := w.Of("ml/b"); f.Held != 0 || !f.Time.IsZero() {
		t.Errorf("of a target that is not listed: %+v", f)
	}
}

// TestGatewayWithstandsHostilePages has one endpoint misbehave beside one that is well: nothing is believed of the first, and
// the second is read all the same.
func TestGatewayWithstandsHostilePages(t *testing.T) {
	chunk := []byte(strings.Repeat("a 1\n", 1<<12))
	for name, misbehave := range map[string]func(http.ResponseWriter, *http.Request){
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			for n := 0; n <= pageLimit; n += len(chunk) {
				_, _ = w.Write(chunk)
			}
			_, _ = io.WriteString(w, queue(0, 0))
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>\x00\xff") },
		"hanging": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, queue(0, 0))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"guarded":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"dripping": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "#")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := newServed(t), newServed(t)
			bad.behave(misbehave)
			good.say(queue(1, 0))
			w := newWatched(t, bad, good)
			<-w.told
			w.until("the fault is told", func() bool { return w.warnings() == 1 })
			w.rounds(good, 3)
			if f := w.Of("ml/a"); !f.Time.IsZero() || f.Held != 1 {
				t.Errorf("%+v, want one held and no time", f)
			}
		})
	}
}

func TestGatewayPageIsReadOnceForAllItsTargets(t *testing.T) {
	s := newServed(t)
	var targets []GatewayTarget
	for n := range 50 {
		g := knative
		g.Pool = fmt.Sprintf("chat-%d", n)
		targets = append(targets, GatewayTarget{Target: fmt.Sprintf("ml/%d", n), Gateway: g})
	}
	r := NewGatewayReader(GatewayOptions{
		Targets:   func() []GatewayTarget { return targets },
		Endpoints: func(Gateway) []Source { return []Source{s.source()} },
		Held:      func(string) {}, Log: slog.New(slog.DiscardHandler),
	})
	if due := r.due(time.Now()); len(due) != 1 {
		t.Errorf("%d pages are due, want the one that all share", len(due))
	}
	if due := r.due(time.Now()); len(due) != 0 {
		t.Errorf("%d pages are due while the only one is being read, want none", len(due))
	}
	targets[0].Gateway.Pool = "other"
	targets = targets[:1]
	page, err := parsePage([]byte(`kn_revision_request_queued{k8s_namespace_name="ml",kn_revision_name="chat-0"} 6`+"\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	r.due(now)
	r.take(s.source(), page, nil, now)
	if f := r.Of("ml/0"); f.Held != 0 || !f.Time.Equal(now) {
		t.Errorf("of a target that is now another revision's: %+v, want nothing held", f)
	}
	if f := r.Of("ml/1"); !f.Time.IsZero() {
		t.Errorf("of a target that is gone: %+v", f)
	}
}

func reader(g Gateway, from ...Source) *GatewayReader {
	return NewGatewayReader(GatewayOptions{
		Targets:   func() []GatewayTarget { return []GatewayTarget{{Target: "ml/a", Gateway: g, Ready: true}} },
		Endpoints: func(Gateway) []Source { return from }, Held: func(string) {}, Log: slog.New(slog.DiscardHandler),
	})
}

func feed(t *testing.T, r *GatewayReader, s Source, at time.Time, text string) {
	t.Helper()
	page, err := parsePage([]byte(text), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	r.take(s, page, nil, at)
}

// Requests that LiteLLM itself refuses (401 bad key, 429 budget) are demand for GPUs.
func TestLiteLLMRefusals(t *testing.T) {
	g := Gateway{Kind: "LiteLLM", Pool: "qwen"}
	page := func(ok, refused string) string {
		return `litellm_proxy_total_requests_metric_total{requested_model="qwen",status_code="200"} ` + ok + "\n" +
			`litellm_proxy_total_requests_metric_total{requested_model="qwen",status_code="401"} ` + refused + "\n"
	}
	s := Source{ID: "a", URL: "http://a"}
	r := reader(g, s)
	r.due(time.Now())
	at := time.Now()
	feed(t, r, s, at, page("100", "0"))
	was := r.Seen("ml/a")
	feed(t, r, s, at.Add(10*time.Second), page("120", "5000"))
	is := r.Seen("ml/a")
	if came := is.Arrived - was.Arrived; came > 25 {
		t.Errorf("%v requests/s of demand, of which 500/s have a wrong key and never reach a replica", came/10)
	}
}

// A gateway of two that has had no request for this model yet makes the whole gateway unknown.
func TestAFreshGatewayBlindsAll(t *testing.T) {
	g := Gateway{Kind: "LiteLLM", Pool: "qwen"}
	a, b := Source{ID: "a", URL: "http://a"}, Source{ID: "b", URL: "http://b"}
	r := reader(g, a, b)
	r.due(time.Now())
	at := time.Now()
	for i := range 100 {
		at = at.Add(5 * time.Second)
		feed(t, r, a, at, "litellm_proxy_total_requests_metric_total{requested_model=\"qwen\",status_code=\"200\"} 1000\n")
		feed(t, r, b, at, "litellm_in_flight_requests 0\nlitellm_proxy_total_requests_metric_total{requested_model=\"other\",status_code=\"200\"} 7\n")
		_ = i
	}
	if s := r.Seen("ml/a"); s.Time.IsZero() {
		t.Error("nothing is known of a gateway of which one replica is read for 500 s and the other has served nobody of this model yet")
	}
}

// Two endpoint pickers in the midst of an upgrade: each says under another name; Seen's source changes from call to call.
func TestTwoVersionsOfAGateway(t *testing.T) {
	g := Gateway{Kind: "EndpointPicker", Pool: "qwen"}
	a, b := Source{ID: "a", URL: "http://a"}, Source{ID: "b", URL: "http://b"}
	r := reader(g, a, b)
	r.due(time.Now())
	at := time.Now()
	feed(t, r, a, at, "llm_d_epp_flow_control_pool_saturation{inference_pool=\"qwen\"} 0\nllm_d_epp_request_total 5\n")
	feed(t, r, b, at, "inference_extension_flow_control_pool_saturation{inference_pool=\"qwen\"} 0\ninference_objective_request_total 5\n")
	seen := map[string]int{}
	for range 200 {
		seen[r.Seen("ml/a").Source]++
	}
	if len(seen) > 1 {
		t.Errorf("one reading, several sources: %v; each change voids the rate (Gateway.anew)", seen)
	}
}

// A proxy of many clusters has a page of many megabytes; asked for a part, it tells of the target.
func TestAPageTooLargeIsReadInPart(t *testing.T) {
	s := newServed(t)
	var whole atomic.Int64
	s.behave(func(w http.ResponseWriter, r *http.Request) {
		filter := r.URL.Query().Get("filter")
		if filter == "" {
			whole.Add(1)
			for range pageLimit / 10 {
				_, _ = io.WriteString(w, "envoy_x{} 1\n")
			}
		}
		// The filter is on Envoy's own names, anywhere in them.
		for name, line := range map[string]string{
			"cluster.chat.upstream_rq_total":          `envoy_cluster_upstream_rq_total{envoy_cluster_name="chat"} 7`,
			"cluster.chat.upstream_rq_pending_active": `envoy_cluster_upstream_rq_pending_active{envoy_cluster_name="chat"} 2`,
			"cluster.chat.upstream_rq_active":         `envoy_cluster_upstream_rq_active{envoy_cluster_name="chat"} 3`,
			"cluster.chat.upstream_rq_time":           `envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="chat"} -1`,
		} {
			if regexp.MustCompile(filter).MatchString(name) {
				_, _ = io.WriteString(w, line+"\n")
			}
		}
	})
	r := reader(Gateway{Kind: v1alpha1.GatewayEnvoy, Pool: "chat"}, s.source())
	for n := range 3 {
		r.due(time.Now().Add(time.Duration(n) * calmly))
		r.read(t.Context(), s.source())
		if g := r.Seen("ml/a"); g.Time.IsZero() || g.Waiting != 2 || g.InFlight != 5 {
			t.Errorf("read %d: %+v, want 2 waiting and 5 in flight", n, g)
		}
	}
	if n := whole.Load(); n != 1 {
		t.Errorf("the whole page was asked for %d times, want once", n)
	}
}

// What is asked for by a part has all that the profile reads.
func TestPartsHaveAllThatIsRead(t *testing.T) {
	for kind, p := range profiles {
		if p.Part == "" {
			continue
		}
		query, err := url.ParseQuery(strings.TrimPrefix(p.Part, "?"))
		if err != nil {
			t.Fatal(err)
		}
		part, asked := regexp.MustCompile(query.Get("filter")), map[string]bool{}
		for _, list := range [][]candidate{p.Waiting, p.Requests, p.InFlight, p.Proof} {
			want(asked, list)
		}
		for name := range asked { // envoy_cluster_upstream_rq_total is cluster.NAME.upstream_rq_total there
			if own := strings.TrimPrefix(name, "envoy_cluster_"); !part.MatchString(own) {
				t.Errorf("%s: %s is not in the part", kind, name)
			}
		}
	}
}
