package exposition

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// pagesByName returns all pages that the tests have, by name.
func pagesByName(t *testing.T) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	for _, pattern := range []string{"testdata/traps/*.prom", "testdata/layouts/*.prom", filepath.Join(corpus, "*.prom")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pages[filepath.Base(file)] = text
		}
	}
	if len(pages) < 50 {
		t.Fatalf("%d pages only", len(pages))
	}
	return pages
}

// onlyNamed leaves out the lines of a page that are comments or of other samples than match names.
func onlyNamed(page []byte, names []string) []byte {
	wanted := regexp.MustCompile("^(?:" + strings.Join(names, "|") + ")$")
	var out strings.Builder
	for line := range strings.Lines(string(page)) {
		if name, _, _, err := splitName([]byte(line)); err == nil && wanted.Match(name) {
			out.WriteString(line)
		}
	}
	return []byte(out.String())
}

// What a query for SampleNames brings is enough to tell the engine and to read its page.
func TestSampleNamesAreEnough(t *testing.T) {
	ps := mustLoad(t)
	for name, page := range pagesByName(t) {
		want, p, err := ps.Decode(page, "")
		if err != nil {
			continue
		}
		part := onlyNamed(page, ps.SampleNames())
		got, err := ps.Detect(part)
		if err != nil || got != p {
			if !strings.Contains(strings.Join(p.spec.Detect.Any, " "), "#") { // comments do not get through Prometheus
				t.Errorf("%s: %s is taken for %v: %v", name, p.Name(), got != nil && got != p, err)
			}
			continue
		}
		reading, err := Decode(onlyNamed(page, p.SampleNames()), "", p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for m := range signals.NumMetrics {
			a, okA := want.Value(m)
			if b, okB := reading.Value(m); a != b || okA != okB {
				t.Errorf("%s: %v is %v %v, on the whole page %v %v", name, m, b, okB, a, okA)
			}
		}
	}
}

// scraped puts a page into a storage as Prometheus does: with the target's labels, before which the page's give way.
func scraped(t *testing.T, page []byte) *teststorage.TestStorage {
	t.Helper()
	storage := teststorage.New(t)
	app := storage.Appender(t.Context())
	seen := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, tail, inBraces, err := splitName([]byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		ls, tail, err := parseLabels(nil, tail, inBraces)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		v, err := parseValue(tail)
		if err != nil {
			continue // such as -nan
		}
		set := map[string]string{"__name__": string(name), "namespace": "ml", "pod": "a", "instance": "10.0.0.1:8000"}
		for _, l := range ls {
			key := string(l.name)
			if _, taken := set[key]; taken {
				key = "exported_" + key
			}
			set[key] = string(l.value)
		}
		series := labels.FromMap(set)
		if seen[series.String()] {
			continue
		}
		seen[series.String()] = true
		if _, err := app.Append(0, series, 1000, v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return storage
}

// Each profile as PromQL, evaluated by Prometheus' own engine, gives on each page what Decode gives; where a note says
// that something is left out it may give nothing.
func TestQueriesGiveWhatDecodeGives(t *testing.T) {
	ps := mustLoad(t)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	compared := 0
	for name, page := range pagesByName(t) {
		want, p, err := ps.Decode(page, "")
		if err != nil {
			continue
		}
		storage := scraped(t, page)
		for _, q := range p.Queries(QueryOptions{Matchers: `namespace="ml",pod=~"a|b"`}) {
			if q.Expr == "" && q.Note == "" {
				t.Errorf("%s: %s has neither expression nor note", p.Name(), q.Name)
			}
			if q.Expr == "" {
				continue
			}
			query, err := engine.NewInstantQuery(t.Context(), storage, nil, q.Expr, time.Unix(1, 0))
			if err != nil {
				t.Fatalf("%s: %s: %s: %v", p.Name(), q.Name, q.Expr, err)
			}
			vector, err := query.Exec(t.Context()).Vector()
			if err != nil {
				t.Errorf("%s: %s: %s: %v", name, q.Name, q.Expr, err)
				continue
			}
			v, known := wanted(want, q.Name)
			got, shown := result(vector)
			switch {
			case !known: // absent, or there and not usable
			case q.Note != "", !shown && strings.Contains(q.Expr, "le)"): // a page may lack the bucket without a bound
			case !shown || math.Abs(got-v) > 1e-9*math.Max(1, math.Abs(v)):
				t.Errorf("%s: %s is %v (%v), want %v: %s", name, q.Name, got, shown, v, q.Expr)
			default:
				compared++
			}
			query.Close()
		}
		storage.Close()
	}
	if compared < 300 {
		t.Errorf("%d values were compared only", compared)
	}
}

// wanted returns a scalar, or the number of observations of a distribution.
func wanted(r *signals.Reading, name string) (float64, bool) {
	if m, ok := signals.MetricNamed(name); ok {
		return r.Value(m)
	}
	l, _ := signals.LatencyNamed(name)
	h := r.Histogram(l)
	return h.Count(), h != nil && len(h.Bounds) > 0
}

// result returns the one value of a vector, or that of the bucket without a bound.
func result(v promql.Vector) (float64, bool) {
	for _, s := range v {
		if le := s.Metric.Get("le"); le == "" || le == "+Inf" {
			return s.F, true
		}
	}
	return 0, false
}

func TestQueriesWithAWindowAreRatesAndQuantiles(t *testing.T) {
	ps := mustLoad(t)
	for _, name := range ps.Names() {
		p, _ := ps.Named(name)
		for _, q := range p.Queries(QueryOptions{Matchers: `job="x"`, By: []string{"instance"}, Window: "2m"}) {
			if q.Expr == "" {
				continue
			}
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(q.Expr); err != nil {
				t.Errorf("%s: %s: %v", name, q.Expr, err)
			}
			if m, ok := signals.MetricNamed(q.Name); ok && (m.Kind() == signals.Counter) != strings.Contains(q.Expr, "rate(") {
				t.Errorf("%s: %s", name, q.Expr)
			}
			if bare := regexp.MustCompile(`[a-z_]\{[^j]`).FindString(q.Expr); bare != "" {
				t.Errorf("%s: %s has a selector without the matchers", name, q.Expr)
			}
		}
	}
	p, _ := ps.Named("vllm")
	want := map[string]string{
		"inference_requests_waiting":            `sum by (pod) (max without (pid) (vllm:num_requests_waiting{namespace="ml"}))`,
		"inference_requests_waiting_capacity":   `sum by (pod) (max without (pid) (vllm:num_requests_waiting_by_reason{namespace="ml",reason="capacity"})) or sum by (pod) (max without (pid) (vllm:num_requests_waiting{namespace="ml"}))`,
		"inference_generation_tokens_total":     `sum by (pod) (max without (pid) (rate(vllm:generation_tokens_total{namespace="ml"}[2m])))`,
		"inference_time_to_first_token_seconds": `histogram_quantile(0.95, sum by (pod, le) (rate(vllm:time_to_first_token_seconds_bucket{namespace="ml"}[2m])))`,
	}
	for _, q := range p.Queries(QueryOptions{Matchers: `namespace="ml"`, By: []string{"pod"}, Window: "2m"}) {
		if text, ok := want[q.Name]; ok && text != q.Expr {
			t.Errorf("%s is\n%s, want\n%s", q.Name, q.Expr, text)
		}
	}
}
