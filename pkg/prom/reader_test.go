package prom

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// Each page of each engine and layout, scraped into Prometheus and asked for, gives the reading that it gives itself.
func TestBothSourcesAgreeOnEveryPage(t *testing.T) {
	files, err := filepath.Glob("../exposition/testdata/*/*.prom")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d pages: %v", len(files), err)
	}
	profiles, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	want := map[string]*signals.Reading{}
	for i, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, p, err := profiles.Decode(page, "")
		if err != nil || strings.Contains(string(page), "-nan") || strings.Contains(string(page), "# EOF") || strings.Contains(file, "1e999") {
			continue // what Prometheus does not take either
		}
		name := fmt.Sprintf("pod-%d", i)
		e := pod(name)
		if i%2 == 0 || p.Name() == "llm-d-inference-sim" { // told by a comment, which Prometheus does not keep
			e.Profile = p.Name()
		}
		w.endpoints = append(w.endpoints, e)
		want[name] = r
		w.scrape(start.Add(-7*time.Second), string(page), on(name)...)
		t.Log(name, file)
	}
	w.at(0)
	for name, r := range want {
		got := w.reading(name)
		if at := start.Add(-7 * time.Second); !got.Time.Equal(at) {
			t.Errorf("%s is of %v, want %v", name, got.Time, at)
		}
		if !got.Started.Equal(r.Started) {
			t.Errorf("%s started at %v, want %v", name, got.Started, r.Started)
		}
		for m := range signals.NumMetrics {
			a, okA := r.Value(m)
			if b, okB := got.Value(m); a != b || okA != okB {
				t.Errorf("%s: %v is %v %v, on the page %v %v", name, m, b, okB, a, okA)
			}
		}
		for l := range signals.NumLatencies {
			if diff := cmp.Diff(r.Histogram(l), got.Histogram(l)); diff != "" {
				t.Errorf("%s: %v: %s", name, l, diff)
			}
		}
	}
	if len(want) < 60 {
		t.Errorf("%d pages were compared only", len(want))
	}
}

func TestReadingsBearTheTimesOfTheScrapes(t *testing.T) {
	w := newWorld(t, pod("a"))
	for i := range 4 {
		w.scrape(start.Add(time.Duration(15*i-50)*time.Second), vllm(float64(i), 2, float64(100+10*i)), on("a")...)
	}
	w.at(0)
	w.wantValue("a", signals.RequestsWaiting, 3)
	if got := w.reading("a").Time; !got.Equal(start.Add(-5 * time.Second)) {
		t.Errorf("the reading is of %v", got)
	}
	if rate, ok := w.store.Pod(pod("a").Pod, store.RequestRate, w.now); !ok || math.Abs(rate.Value-30./45) > 1e-9 {
		t.Errorf("the rate is %v %v: the scrapes before count too", rate, ok)
	}
	// A minute without a scrape: the reading grows old, and is gone from the metrics after three intervals.
	w.at(30 * time.Second)
	w.wantProblem("a", "35s old", "every 15s", "metrics.stalenessBound")
	if _, ok := w.store.Pod(pod("a").Pod, store.RequestsWaiting, start.Add(39*time.Second)); !ok {
		t.Error("a reading of 44 s is stale where scrapes come every 15 s")
	}
	if _, ok := w.store.Pod(pod("a").Pod, store.RequestsWaiting, start.Add(41*time.Second)); ok {
		t.Error("a reading of 46 s is not stale")
	}
	w.scrape(start.Add(65*time.Second), vllm(9, 2, 150), on("a")...)
	w.at(70 * time.Second)
	w.wantValue("a", signals.RequestsWaiting, 9)
	if _, err := w.store.Problem(pod("a").Pod); err != nil {
		t.Errorf("still %v", err)
	}
}

func TestWhatIsNotOfTheRunningPodIsNotTaken(t *testing.T) {
	t.Run("an earlier pod of that name", func(t *testing.T) {
		e := pod("a")
		e.Since = start.Add(-10 * time.Second)
		w := newWorld(t, e)
		w.scrape(start.Add(-20*time.Second), vllm(5, 5, 5), on("a")...)
		w.at(0)
		if r, ok := w.store.Latest(e.Pod); ok {
			t.Errorf("a reading of %v", r.Time)
		}
		w.wantProblem("a", "no scrape of the running engine")
	})
	t.Run("series that are gone", func(t *testing.T) {
		w := newWorld(t, pod("a"))
		w.scrape(start.Add(-20*time.Second), vllm(5, 5, 5)+"vllm:num_requests_waiting{engine=\"1\"} 7\n", on("a")...)
		w.scrape(start.Add(-5*time.Second), vllm(4, 4, 5), on("a")...)
		w.at(0) // fewer samples than before: they may be on their way
		w.wantValue("a", signals.RequestsWaiting, 12)
		w.at(5 * time.Second)
		w.wantValue("a", signals.RequestsWaiting, 4)
	})
	t.Run("a scrape that failed", func(t *testing.T) {
		w := newWorld(t, pod("a"))
		w.scrape(start.Add(-60*time.Second), vllm(5, 5, 5), on("a")...)
		w.scrape(start.Add(-45*time.Second), "", on("a")...)
		w.scrape(start.Add(-5*time.Second), "", on("a")...)
		w.at(0)
		w.wantProblem("a", "scrapes of the pod have failed", "up is 0")
		if got := w.reading("a").Time; !got.Equal(start.Add(-60 * time.Second)) {
			t.Errorf("the reading is of %v", got)
		}
	})
	t.Run("no pod at all", func(t *testing.T) {
		w := newWorld(t, pod("a"))
		w.at(0)
		w.wantProblem("a", `no samples of the pod (labels namespace="ml", pod="a")`, "metrics.prometheus.labels")
	})
	t.Run("a pod without a page", func(t *testing.T) {
		w := newWorld(t, pod("a"))
		w.scrape(start.Add(-5*time.Second), "", on("a")...)
		w.at(0)
		w.wantProblem("a", "a:8000 fail (up is 0)")
	})
	t.Run("a page of something else", func(t *testing.T) {
		w := newWorld(t, pod("a"))
		w.scrape(start.Add(-5*time.Second), "go_goroutines 7\n", on("a")...)
		w.at(0)
		w.wantProblem("a", "what it scraped of a:8000")
	})
}

func TestAPodThatIsScrapedTwiceIsNotCountedTwice(t *testing.T) {
	for name, extra := range map[string][2][]string{
		"by two jobs":              {{"job", "annotations", "instance", "a:8000"}, {"job", "podmonitor", "instance", "a:8000", "endpoint", "http"}},
		"by two Prometheus":        {{"job", "engines", "prometheus_replica", "prometheus-0"}, {"job", "engines", "prometheus_replica", "prometheus-1"}},
		"by one of two since then": {{"job", "engines", "replica", "a"}, {"job", "engines", "replica", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, pod("a"))
			pair := [2][]string{append([]string{"namespace", "ml", "pod", "a"}, extra[0]...), append([]string{"namespace", "ml", "pod", "a"}, extra[1]...)}
			for i := range 20 {
				at := time.Duration(5*i) * time.Second
				which := i % 2
				if i > 10 {
					which = 1 // the other one has gone
				}
				w.scrape(start.Add(at), vllm(3, 2, float64(100+i)), pair[which]...)
				w.at(at + 2*time.Second)
				w.wantValue("a", signals.RequestsWaiting, 3)
			}
			if age := w.now.Sub(w.reading("a").Time); age > 10*time.Second {
				t.Errorf("the reading is %v old", age)
			}
		})
	}
}

func TestLabelsAsTheyStoodOnThePage(t *testing.T) {
	e := pod("a")
	e.Profile = "vllm"
	w := newWorld(t, e)
	page := "vllm:num_requests_waiting{endpoint=\"own\",engine=\"0\",job=\"a \\\"b\\\" \\\\ c\"} 1\n"
	w.scrape(start.Add(-5*time.Second), page, on("a")...)
	got, err := w.reader.query(t.Context(), []*member{{Endpoint: e, state: &podState{}}}, start)
	if err != nil {
		t.Fatal(err)
	}
	all := targets(got["a"].series)
	if text := all[0].page(all[0].scrapes()[0]); len(all) != 1 || len(text) != len(page) || !strings.Contains(string(text), `endpoint="own"`) ||
		!strings.Contains(string(text), `job="a \"b\" \\ c"`) {
		t.Errorf("%d targets, the page is\n%s", len(all), text)
	}
}

func TestAnotherEngineInThePodIsFound(t *testing.T) {
	w := newWorld(t, pod("a"))
	w.scrape(start.Add(-5*time.Second), vllm(3, 2, 1), on("a")...)
	w.at(0)
	w.wantValue("a", signals.RequestsWaiting, 3)
	w.scrape(start.Add(55*time.Second), "sglang:num_queue_reqs 8\nsglang:num_running_reqs 1\n", on("a")...)
	w.at(70 * time.Second) // only samples of vLLM are asked for
	w.at(80 * time.Second)
	w.wantValue("a", signals.RequestsWaiting, 8)
}

func TestRelabelledPods(t *testing.T) {
	e := pod("a")
	e.Naming = Naming{"kubernetes_namespace", "kubernetes_pod_name"}
	w := newWorld(t, e)
	w.scrape(start.Add(-5*time.Second), vllm(3, 2, 1), "kubernetes_namespace", "ml", "kubernetes_pod_name", "a", "job", "kubernetes-pods", "app", "vllm")
	w.at(0)
	w.wantValue("a", signals.RequestsWaiting, 3)
}

// A remote write may leave up out.
func TestWithoutUp(t *testing.T) {
	w := newWorld(t, pod("a"))
	w.mute = true
	for i := range 2 {
		at := start.Add(time.Duration(15*i-25) * time.Second)
		w.scrape(at, vllm(float64(i), 2, 1), append(on("a"), "replica", "0")...)
		w.scrape(at.Add(time.Second), vllm(float64(i), 2, 1), append(on("a"), "replica", "1")...)
	}
	w.at(0)
	w.wantValue("a", signals.RequestsWaiting, 1)
	w.wantValue("a", signals.RequestsRunning, 2)
}

func TestOneFailureLeavesTheOthersAlone(t *testing.T) {
	other := pod("b")
	other.Pod.Namespace = "other"
	for name, tc := range map[string]struct {
		refuse func(w http.ResponseWriter, query string) bool
		want   []string
	}{
		"an error of the query":  {func(w http.ResponseWriter, _ string) bool { http.Error(w, "no", http.StatusBadGateway); return true }, []string{"check --prometheus-url"}},
		"something else answers": {func(w http.ResponseWriter, _ string) bool { fmt.Fprint(w, "<html>"); return true }, []string{"--prometheus-url"}},
		"who are you":            {func(w http.ResponseWriter, _ string) bool { http.Error(w, "no", http.StatusUnauthorized); return true }, []string{"--prometheus-bearer-token-file"}},
		"a part of the answer": {func(w http.ResponseWriter, _ string) bool {
			fmt.Fprint(w, `{"status":"success","warnings":["store x is down"],"data":{"resultType":"matrix","result":[]}}`)
			return true
		}, []string{"in doubt", "store x is down"}},
		"another kind of answer": {func(w http.ResponseWriter, _ string) bool {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
			return true
		}, []string{"an unexpected answer"}},
		"an answer without bound": {func(w http.ResponseWriter, _ string) bool { fmt.Fprint(w, strings.Repeat(" ", 33<<20)); return true }, []string{"too large"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, pod("a"), other)
			w.scrape(start.Add(-5*time.Second), vllm(1, 2, 1), on("a")...)
			w.scrape(start.Add(-5*time.Second), vllm(1, 2, 1), "namespace", "other", "pod", "b", "job", "x", "instance", "b")
			w.at(0)
			w.scrape(start.Add(20*time.Second), vllm(2, 2, 1), on("a")...)
			w.scrape(start.Add(20*time.Second), vllm(2, 2, 1), "namespace", "other", "pod", "b", "job", "x", "instance", "b")
			w.refuse = func(out http.ResponseWriter, query string) bool {
				return strings.Contains(query, `namespace="ml"`) && tc.refuse(out, query)
			}
			w.at(25 * time.Second)
			w.wantValue("a", signals.RequestsWaiting, 1)
			w.wantProblem("a", append(tc.want, "read pod ml/a from Prometheus")...)
			if r, _ := w.store.Latest(other.Pod); r == nil || !r.Time.Equal(start.Add(20*time.Second)) {
				t.Errorf("the other pod has %v", r)
			}
		})
	}
}

func TestPrometheusIsNotAskedMoreOftenThanItScrapes(t *testing.T) {
	w := newWorld(t, pod("a"), pod("b"))
	for at := -60 * time.Second; at < 5*time.Minute; at += 30 * time.Second {
		w.scrape(start.Add(at), vllm(1, 2, 1+at.Seconds()+60), on("a")...)
		w.scrape(start.Add(at), vllm(1, 2, 1+at.Seconds()+60), on("b")...)
	}
	for at := time.Second; at < 5*time.Minute; at += 5 * time.Second {
		w.at(at)
	}
	if n := len(w.queries); n < 9 || n > 12 {
		t.Errorf("%d queries in five minutes for two pods that are scraped every 30 s", n)
	}
	// A Prometheus that fails is asked less and less.
	w.queries, w.refuse = nil, func(out http.ResponseWriter, _ string) bool {
		http.Error(out, "no", http.StatusBadGateway)
		return true
	}
	for at := 5 * time.Minute; at < 10*time.Minute; at += 5 * time.Second {
		w.at(at)
	}
	if n := len(w.queries); n < 10 || n > 16 {
		t.Errorf("%d queries in five minutes of failure", n)
	}
}

func TestAPrometheusThatFailsIsLoggedOnce(t *testing.T) {
	w := newWorld(t, pod("a"), pod("b"))
	var log bytes.Buffer
	w.reader.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.refuse = func(out http.ResponseWriter, _ string) bool {
		http.Error(out, "no", http.StatusBadGateway)
		return true
	}
	for i := range 20 {
		w.at(time.Duration(5*i) * time.Second)
	}
	w.refuse = nil
	w.scrape(start.Add(130*time.Second), vllm(1, 2, 1), on("a")...)
	for i := range 3 {
		w.at(135*time.Second + time.Duration(10*i)*time.Second)
	}
	for text, want := range map[string]int{"does not answer": 1, "answers again": 1, "does not tell of a pod": 1} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q is logged %d times:\n%s", text, n, log.String())
		}
	}
}

func TestATooLargePodLeavesItsNeighboursAlone(t *testing.T) {
	w := newWorld(t, pod("a"), pod("b"), pod("c"))
	for i := range w.endpoints {
		w.endpoints[i].Profile = "vllm"
		w.scrape(start.Add(-5*time.Second), vllm(1, 2, 1), on(w.endpoints[i].Pod.Name)...)
	}
	w.refuse = func(out http.ResponseWriter, query string) bool {
		if strings.Contains(query, "b") && strings.Contains(query, `pod=~"b`) || strings.Contains(query, "|b") {
			fmt.Fprint(out, strings.Repeat(" ", 33<<20))
			return true
		}
		return false
	}
	w.at(0)
	w.wantValue("a", signals.RequestsWaiting, 1)
	w.wantValue("c", signals.RequestsWaiting, 1)
	w.wantProblem("b", "too large", "--prometheus-max-bytes")
}

func TestExpressionsOfTheSpec(t *testing.T) {
	page := "my_queue{shard=\"0\"} 3\nmy_queue{shard=\"1\"} 4\nmy_total 50\n"
	expressions := &Expressions{Of: map[signals.Metric]string{
		signals.RequestsWaiting: "sum by (pod) (my_queue)", signals.RequestsFinished: "my_total",
	}}
	a, b := pod("a"), pod("b")
	a.Expressions, b.Expressions = expressions, expressions
	w := newWorld(t, a, b)
	w.scrape(start.Add(-20*time.Second), page, on("a")...)
	w.scrape(start.Add(-5*time.Second), page, on("a")...)
	w.scrape(start.Add(-5*time.Second), vllm(1, 2, 7)+"my_queue 9\n", on("b")...)
	w.scrape(start.Add(-5*time.Second), "my_queue 1000\n", "namespace", "elsewhere", "pod", "a", "job", "x", "instance", "y")
	w.at(0)
	w.wantValue("a", signals.RequestsWaiting, 7)
	w.wantValue("a", signals.RequestsFinished, 50)
	w.wantProblem("b", "inference_requests_total by spec.metrics.prometheus.expressions has no usable value", "my_total")
	if _, ok := w.store.Latest(b.Pod); ok {
		t.Error("a pod for which an expression has no value was read all the same")
	}
	w.scrape(start.Add(10*time.Second), vllm(1, 2, 7)+"my_queue 9\nmy_total 8\n", on("b")...)
	w.at(15 * time.Second)
	w.wantValue("b", signals.RequestsWaiting, 9)
	w.wantValue("b", signals.RequestsFinished, 8)
	w.wantValue("b", signals.RequestsRunning, 2)
}

func TestConfine(t *testing.T) {
	matcher := labels.Matcher{Type: labels.MatchEqual, Name: "namespace", Value: "ml"}
	for expression, want := range map[string]string{
		"sum by (pod) (rate(a[1m])) / on (pod) sum by (pod) (b{x=\"y\"})": "",
		"a offset 1m or max_over_time(b[1m:10s])":                         "",
		"1":         "gives a scalar",
		"vector(1)": "selects no series",
		"a[5m]":     "gives a range vector",
		"sum(":      "is no PromQL",
	} {
		got, err := Confine(expression, &matcher)
		switch {
		case want != "":
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error with %q", expression, err, want)
			}
		case err != nil || strings.Count(got, `namespace="ml"`) != 2:
			t.Errorf("%s became %s: %v", expression, got, err)
		}
	}
}
