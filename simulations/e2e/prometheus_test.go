//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/backfill"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// A real Prometheus scrapes emulated engines under load. What it is asked for is, within one percent, what the pages said
// that it got; and once the engines are idle, what a scrape of them says, also by the profile as PromQL. It knows what was
// demanded. When it ends, readings grow old and it is said why.
func TestBothSourcesSayTheSame(t *testing.T) {
	binary, err := testbed.PrometheusBinary()
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	must(t, err)
	s := newSources(t, 3)
	host := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	address, stop := "http://"+host, startPrometheus(t, binary, host, "ml", s.hosts())
	s.read(t, address)
	idle := s.load(t)

	compared := 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) {
		for _, e := range s.engines {
			if r, ok := s.queried.Latest(e.id); ok {
				compared += s.compare(t, e.name()+" under load", e.pageAt(r.Time), r)
			}
		}
	}
	if compared < 500 {
		t.Errorf("%d values of pages were compared only", compared)
	}
	idle()
	time.Sleep(5 * time.Second) // two scrapes of each source
	for _, e := range s.engines {
		want, okA := s.scraped.Latest(e.id)
		got, okB := s.queried.Latest(e.id)
		if !okA || !okB {
			t.Fatalf("%s: scraped %v, queried %v", e.name(), okA, okB)
		}
		if n := s.compare(t, e.name()+" when idle", want, got); n < 15 {
			t.Errorf("%s: %d values were compared only", e.name(), n)
		}
	}
	t.Logf("%d values of pages were the same", compared)
	s.compareExpressions(t, address)
	s.fill(t, address)

	stop()
	time.Sleep(3 * time.Second)
	before, _ := s.queried.Latest(s.engines[0].id)
	eventually(t, 10*time.Second, func(context.Context) string {
		at, err := s.queried.Problem(s.engines[0].id)
		if err == nil || !strings.Contains(err.Error(), "--prometheus-url") {
			return fmt.Sprintf("after the end of Prometheus: %v %v", at, err)
		}
		return ""
	})
	if after, _ := s.queried.Latest(s.engines[0].id); after != before {
		t.Error("there are readings without a Prometheus")
	}
}

// The service reads engines out of Prometheus alone, serves what they report and decides on it; without Prometheus it is
// blind, says so and holds.
func TestServiceOnPrometheus(t *testing.T) {
	binary, err := testbed.PrometheusBinary()
	if errors.Is(err, testbed.ErrNotBuilt) {
		t.Skip(err)
	}
	must(t, err)
	host := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s := newSuite(t, "--prometheus-url=http://"+host)
	s.deploy(t, "queried", 2)
	pods, err := s.kube.CoreV1().Pods("queried").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	hosts := map[string]string{}
	for _, pod := range pods.Items {
		hosts[pod.Name] = pod.Status.PodIP + ":8000"
	}
	stop := startPrometheus(t, binary, host, "queried", hosts)
	must(t, s.cluster.Apply(t.Context(), []byte(`
apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: vllm, namespace: queried}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}
  mode: Own
  minReplicas: 2
  maxReplicas: 6
  metrics: {stalenessBound: 5s, prometheus: {}}
`)))
	s.drive(t, "queried", busy(60*time.Second))
	eventually(t, 45*time.Second, func(ctx context.Context) string {
		raw, err := s.cluster.Kubectl(ctx, "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2/namespaces/queried/pods/*/inference_requests_running")
		if err != nil || strings.Count(raw, `"value":`) < 2 || strings.Contains(raw, `"value":"0"`) {
			return fmt.Sprintf("requests running: %s, %v", raw, err)
		}
		ia, err := s.status(ctx, "queried")
		if err != nil || !strings.HasPrefix(condition(ia, "Blind"), "False") {
			return fmt.Sprintf("Blind is %q (%v)", condition(ia, "Blind"), err)
		}
		return ""
	})
	stop()
	s.awaitCondition(t, 30*time.Second, "queried", "Blind", "True/NoFreshData", "vllm-")
	if n := s.replicas(t.Context(), "queried"); n < 2 {
		t.Errorf("blind, and yet %d replicas", n)
	}
}

// sources are emulated engines with both ways to read them.
type sources struct {
	engines          []*recordedEngine
	model            string
	profiles         *exposition.Profiles
	scraped, queried *store.Store
}

// recordedEngine is an emulated engine that remembers the pages that Prometheus got.
type recordedEngine struct {
	id  store.PodID
	url string

	mu    sync.Mutex
	pages []recordedPage // guarded by mu
}

type recordedPage struct {
	at      time.Time
	reading *signals.Reading
}

func (e *recordedEngine) name() string { return e.id.Name }

func newSources(t *testing.T, engines int) *sources {
	t.Helper()
	p, err := replica.ProfileNamed(profile)
	must(t, err)
	s := &sources{model: p.Model, scraped: store.New(store.Options{}), queried: store.New(store.Options{})}
	s.profiles, err = exposition.Load()
	must(t, err)
	for i := range engines {
		pod, err := emulator.New(emulator.Options{Profile: p})
		must(t, err)
		pod.MarkLoaded()
		e := &recordedEngine{id: store.PodID{Namespace: "ml", Name: fmt.Sprintf("vllm-%d", i), UID: fmt.Sprint(i)}}
		web := httptest.NewServer(e.recording(s.profiles, pod.Handler()))
		t.Cleanup(func() { web.Close(); pod.Shutdown(context.Background()) })
		e.url = web.URL
		s.engines = append(s.engines, e)
	}
	return s
}

// recording keeps what Prometheus gets of a handler's pages.
func (e *recordedEngine) recording(profiles *exposition.Profiles, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || !strings.HasPrefix(r.UserAgent(), "Prometheus") {
			h.ServeHTTP(w, r)
			return
		}
		at, page := time.Now(), httptest.NewRecorder()
		h.ServeHTTP(page, r)
		reading, _, err := profiles.Decode(page.Body.Bytes(), page.Header().Get("Content-Type"))
		if err == nil {
			e.mu.Lock()
			e.pages = append(e.pages, recordedPage{at, reading})
			e.mu.Unlock()
		}
		w.Header().Set("Content-Type", page.Header().Get("Content-Type"))
		w.Write(page.Body.Bytes())
	})
}

// pageAt returns what the page of a scrape said; Prometheus' time of it is the beginning of its request.
func (e *recordedEngine) pageAt(at time.Time) *signals.Reading {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.pages {
		if after := p.at.Sub(at); after > -50*time.Millisecond && after < 800*time.Millisecond {
			return p.reading
		}
	}
	return &signals.Reading{}
}

// startPrometheus runs a Prometheus that scrapes pods of a namespace, at host:port, each second.
func startPrometheus(t *testing.T, binary, address, namespace string, pods map[string]string) (stop func()) {
	t.Helper()
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: engines\n  static_configs:\n")
	for name, host := range pods {
		fmt.Fprintf(&config, "  - targets: [%q]\n    labels: {namespace: %s, pod: %s}\n", host, namespace, name)
	}
	file := filepath.Join(dir, "prometheus.yml")
	must(t, os.WriteFile(file, []byte(config.String()), 0o600))
	var log bytes.Buffer
	cmd := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	stop = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	eventually(t, 30*time.Second, func(ctx context.Context) string {
		r, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return r.Status
		}
		return ""
	})
	return stop
}

// hosts are where the engines' pages are, by name.
func (s *sources) hosts() map[string]string {
	hosts := map[string]string{}
	for _, e := range s.engines {
		hosts[e.name()] = strings.TrimPrefix(e.url, "http://")
	}
	return hosts
}

// Endpoints implements scrape.Source.
func (s *sources) Endpoints() (all []scrape.Endpoint) {
	for _, e := range s.engines {
		all = append(all, scrape.Endpoint{Pod: e.id, URL: e.url + "/metrics"})
	}
	return all
}

// Queried implements prom.Source.
func (s *sources) Queried() (all []prom.Endpoint) {
	for _, e := range s.engines {
		all = append(all, prom.Endpoint{Pod: e.id, Naming: prom.Naming{Namespace: "namespace", Pod: "pod"}, Staleness: 10 * time.Second})
	}
	return all
}

// read runs both readers until the test ends.
func (s *sources) read(t *testing.T, address string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	scraper, err := scrape.New(scrape.Options{}, s, s.scraped, s.profiles, log)
	must(t, err)
	api, err := prom.Connect(prom.Connection{URL: address, MaxBytes: 32 << 20})
	must(t, err)
	reader, err := prom.New(prom.Options{API: api, Source: s, Store: s.queried, Profiles: s.profiles, Log: log})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { scraper.Run(ctx, time.Second) })
	running.Go(func() { reader.Run(ctx, time.Second) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// load keeps each engine busy, the first one the most, until idle is called, which waits for the last answer.
func (s *sources) load(t *testing.T) (idle func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i, e := range s.engines {
		for range 48 / (i + 1) {
			running.Go(func() {
				body := fmt.Sprintf(`{"model": %q, "prompt": %q, "max_tokens": 60, "ignore_eos": true}`, s.model, strings.Repeat("word ", 300))
				for ctx.Err() == nil {
					answer, err := http.Post(e.url+"/v1/completions", "application/json", strings.NewReader(body))
					if err == nil {
						io.Copy(io.Discard, answer.Body)
						answer.Body.Close()
					}
				}
			})
		}
	}
	return func() { cancel(); running.Wait() }
}

// compareExpressions asks a real Prometheus for the profile as PromQL; of what is idle it tells what scrapes do.
func (s *sources) compareExpressions(t *testing.T, address string) {
	t.Helper()
	api, err := prom.Connect(prom.Connection{URL: address})
	must(t, err)
	p, _ := s.profiles.Named("vllm")
	compared := 0
	for _, q := range p.Queries(exposition.QueryOptions{Matchers: `namespace="ml"`}) {
		m, scalar := signals.MetricNamed(q.Name)
		if q.Expr == "" || q.Note != "" || !scalar {
			continue
		}
		value, warnings, _, err := api.Query(t.Context(), q.Expr, time.Now())
		vector, ok := value.(model.Vector)
		if err != nil || len(warnings) > 0 || !ok {
			t.Errorf("%s: %v %v", q.Expr, err, warnings)
		}
		for _, e := range s.engines {
			reading, _ := s.scraped.Latest(e.id)
			want, known := reading.Value(m)
			for _, sample := range vector {
				if known && string(sample.Metric["pod"]) == e.name() {
					compared++
					if got := float64(sample.Value); math.Abs(got-want) > 0.01*want {
						t.Errorf("%s is %v for %s, want %v: %s", q.Name, got, e.name(), want, q.Expr)
					}
				}
			}
		}
	}
	if compared < 30 {
		t.Errorf("%d values of expressions were compared only", compared)
	}
}

// pastOnly is a history that knows nothing and remembers what it is given.
type pastOnly struct{ past []series.Past }

// Range implements backfill.History.
func (*pastOnly) Range(context.Context, controlloop.TargetID, series.Quantity, time.Time, time.Time, time.Duration) ([]series.Sample, error) {
	return nil, nil
}

// Fill implements backfill.History.
func (p *pastOnly) Fill(_ context.Context, past []series.Past) error {
	p.past = past
	return nil
}

// fill asks a real Prometheus for the past of the engines' demand, a minute of which there is.
func (s *sources) fill(t *testing.T, address string) {
	t.Helper()
	api, err := prom.Connect(prom.Connection{URL: address})
	must(t, err)
	history := &pastOnly{}
	eventually(t, 90*time.Second, func(ctx context.Context) string { // until a minute has ended
		backfill.New(backfill.Options{
			API: api, Profiles: s.profiles, History: history, Length: time.Hour, Log: slog.New(slog.DiscardHandler), OnDisk: func() bool { return true },
			Targets: func() []backfill.Target {
				return []backfill.Target{{
					ID: controlloop.TargetID{Namespace: "ml", Name: "chat"}, Workload: "vllm", Engine: "auto",
					Naming: prom.Naming{Namespace: "namespace", Pod: "pod"},
				}}
			},
		}).Pass(ctx)
		if len(history.past) != 3 {
			return fmt.Sprintf("%d series of the past", len(history.past))
		}
		return ""
	})
	for _, p := range history.past {
		if v := p.Samples[len(p.Samples)-1].Value; v <= 0 {
			t.Errorf("%v was %v", p.Quantity, v)
		}
	}
}

// compare compares all values of two readings and returns how many known ones there are that are not zero.
func (s *sources) compare(t *testing.T, what string, want, got *signals.Reading) (compared int) {
	t.Helper()
	same := func(name string, a, b float64) {
		if math.Abs(a-b) > 0.01*math.Abs(a) {
			t.Errorf("%s: %s is %v out of Prometheus, on the page %v", what, name, b, a)
		}
		if a != 0 {
			compared++
		}
	}
	for m := range signals.NumMetrics {
		a, okA := want.Value(m)
		b, okB := got.Value(m)
		if okA != okB {
			t.Errorf("%s: %v is known %v out of Prometheus, on the page %v", what, m, okB, okA)
		}
		same(m.String(), a, b)
	}
	for l := range signals.NumLatencies {
		a, b := want.Histogram(l), got.Histogram(l)
		if (a == nil) != (b == nil) {
			t.Errorf("%s: %v is known %v out of Prometheus, on the page %v", what, l, b != nil, a != nil)
			continue
		}
		if a == nil {
			continue
		}
		p, _, _ := a.Quantile(0.95)
		q, _, _ := b.Quantile(0.95)
		same(l.String()+" p95", p, q)
		same(l.String()+" count", a.Count(), b.Count())
		same(l.String()+" sum", a.Sum, b.Sum)
	}
	return compared
}
