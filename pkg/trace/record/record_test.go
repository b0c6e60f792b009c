package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// prometheus answers range queries as Prometheus does, from functions of time.
type prometheus struct {
	// answers are by query: for each series, a value at a time, NaN for none.
	answers map[string][]func(at time.Time) float64
	token   string

	mu      sync.Mutex
	queries []string
	points  []int
}

// maxResolution is Prometheus' own bound.
const maxResolution = 11_000

func (p *prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.token != "" && r.Header.Get("Authorization") != "Bearer "+p.token {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	if r.URL.Path != "/api/v1/query_range" {
		http.NotFound(w, r)
		return
	}
	from, to, step := seconds(r.FormValue("start")), seconds(r.FormValue("end")), seconds(r.FormValue("step"))
	n := int((to-from)/step) + 1
	p.mu.Lock()
	p.queries = append(p.queries, r.FormValue("query"))
	p.points = append(p.points, n)
	p.mu.Unlock()
	if n > maxResolution {
		fail(w, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
		return
	}
	series, ok := p.answers[r.FormValue("query")]
	if !ok {
		fail(w, "invalid parameter \"query\": parse error")
		return
	}
	answer(w, matrix(series, from, step, n))
}

func seconds(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return v
}

// matrix has no sample where there is no value, and the text NaN for a division by zero.
func matrix(series []func(time.Time) float64, from, step float64, n int) []map[string]any {
	out := []map[string]any{}
	for k, value := range series {
		samples := [][]any{}
		for i := range n {
			at := from + float64(i)*step
			if v := value(time.UnixMilli(int64(at * 1000))); !math.IsInf(v, -1) {
				samples = append(samples, []any{at, strconv.FormatFloat(v, 'f', -1, 64)})
			}
		}
		if len(samples) > 0 {
			out = append(out, map[string]any{"metric": map[string]string{"pod": fmt.Sprint(k)}, "values": samples})
		}
	}
	return out
}

func answer(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"status": "success", "data": map[string]any{"resultType": "matrix", "result": result},
		"warnings": []string{"results may be partial"},
	})
}

func fail(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]any{"status": "error", "errorType": "bad_data", "error": text})
}

// absent is no sample at all.
var absent = math.Inf(-1)

func constant(v float64) func(time.Time) float64 { return func(time.Time) float64 { return v } }

func connect(t *testing.T, p *prometheus, c Connection) API {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	c.URL = server.URL
	api, err := Connect(c)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func options(periods int) Options {
	return Options{
		Queries: Queries{Rate: "rate", Prompt: "prompt", Output: "output"},
		From:    start, To: start.Add(time.Duration(periods) * time.Minute), Step: time.Minute, Timeout: 10 * time.Second,
	}
}

func TestRecordSumsSeriesAndKeepsHoles(t *testing.T) {
	p := &prometheus{answers: map[string][]func(time.Time) float64{
		"rate": {
			func(at time.Time) float64 { return at.Sub(start).Minutes() }, // the value at the end of a period is the period's
			func(at time.Time) float64 {
				if at.Sub(start) > 2*time.Minute {
					return absent
				}
				return 10
			},
			constant(math.NaN()),
		},
		"prompt": {constant(500)}, "output": {func(at time.Time) float64 {
			if at.Sub(start) == 3*time.Minute {
				return math.NaN()
			}
			return 50
		}},
	}}
	got, err := Run(t.Context(), connect(t, p, Connection{}), options(4))
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{11, 12, 3, 4}
	if diff := cmp.Diff(want, got.Rates.PerSecond); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{50, 50, math.NaN(), 50}, got.Rates.Output, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("output tokens (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"results may be partial"}, got.Warnings); diff != "" {
		t.Errorf("warnings, each once (-want +got):\n%s", diff)
	}
	if !got.Rates.Start.Equal(start) || got.Rates.Period != time.Minute {
		t.Errorf("start %v, period %v", got.Rates.Start, got.Rates.Period)
	}
}

func TestRecordSplitsLongRanges(t *testing.T) {
	const periods = 25_003
	p := &prometheus{answers: map[string][]func(time.Time) float64{
		"rate": {func(at time.Time) float64 { return at.Sub(start).Minutes() - 1 }},
	}}
	o := options(periods)
	o.Queries = Queries{Rate: "rate"}
	got, err := Run(t.Context(), connect(t, p, Connection{}), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got.Rates.PerSecond {
		if v != float64(i) {
			t.Fatalf("period %d has the rate %v", i, v)
		}
	}
	if diff := cmp.Diff([]int{10_000, 10_000, 5_003}, p.points); diff != "" || len(got.Rates.PerSecond) != periods {
		t.Errorf("%d periods, queried as (-want +got):\n%s", len(got.Rates.PerSecond), diff)
	}
}

func TestRecordWithoutSizes(t *testing.T) {
	p := &prometheus{answers: map[string][]func(time.Time) float64{
		"rate": {constant(1)}, "prompt": {constant(math.NaN())}, "output": {constant(5)},
	}}
	got, err := Run(t.Context(), connect(t, p, Connection{}), options(3))
	if err != nil || got.Rates.Prompt != nil || got.Rates.Output != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	if !strings.Contains(strings.Join(got.Warnings, "\n"), "no data for prompt") {
		t.Errorf("warnings %q do not say what is missing", got.Warnings)
	}
}

func TestRecordErrors(t *testing.T) {
	tests := map[string]struct {
		answers map[string][]func(time.Time) float64
		want    string
	}{
		"no data at all":            {map[string][]func(time.Time) float64{"rate": {constant(absent)}}, "no data for rate"},
		"only NaN":                  {map[string][]func(time.Time) float64{"rate": {constant(math.NaN())}}, "no data for rate"},
		"a query that is no PromQL": {nil, "parse error"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), connect(t, &prometheus{answers: tc.answers}, Connection{}), options(3))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v does not say %q", err, tc.want)
			}
		})
	}
}

func TestRecordTellsWhyPrometheusDoesNotAnswer(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	plain := func(h http.HandlerFunc) *httptest.Server { return httptest.NewServer(h) }
	closed := func(h http.HandlerFunc) *httptest.Server {
		server := plain(h)
		server.Close()
		return server
	}
	secured := func(h http.HandlerFunc) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail
		server.StartTLS()
		return server
	}
	for name, tc := range map[string]struct {
		start   func(http.HandlerFunc) *httptest.Server
		handler http.HandlerFunc
		scheme  string // other than the server's
		want    error
	}{
		"nobody listens":                  {closed, status(200, ""), "", ErrUnreachable},
		"a proxy without its server":      {plain, status(502, "Bad Gateway"), "", ErrUnreachable},
		"it hangs up":                     {plain, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", ErrUnreachable},
		"a certificate of its own":        {secured, status(200, ""), "", ErrUntrusted},
		"no user":                         {plain, status(401, "Unauthorized"), "", ErrDenied},
		"a user without the right":        {plain, status(403, `{"kind":"Status"}`), "", ErrDenied},
		"a path that is none":             {plain, status(404, "404 page not found"), "", ErrElsewhere},
		"a page for people":               {plain, status(200, "<html>"), "", ErrElsewhere},
		"https where http is spoken":      {plain, status(200, ""), "https", ErrElsewhere},
		"http where https is spoken":      {secured, status(200, ""), "http", ErrElsewhere},
		"a query that it does not accept": {plain, status(400, `{"status":"error","errorType":"bad_data","error":"parse error"}`), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := tc.start(tc.handler)
			defer server.Close()
			address, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if tc.scheme != "" {
				address.Scheme = tc.scheme
			}
			api, err := Connect(Connection{URL: address.String()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = Run(t.Context(), api, options(3)); err == nil {
				t.Fatal("no error")
			}
			for _, why := range []error{ErrUnreachable, ErrUntrusted, ErrDenied, ErrElsewhere} {
				if want := errors.Is(tc.want, why); errors.Is(err, why) != want {
					t.Errorf("%v; is it %q: want %v", err, why, want)
				}
			}
			if query := "rate from"; strings.Contains(err.Error(), query) != (tc.want == nil) {
				t.Errorf("%v; names the query: want %v", err, tc.want == nil)
			}
		})
	}
}

func TestRecordIsBoundedInTime(t *testing.T) {
	over := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer slow.Close()
	defer close(over)
	api, err := Connect(Connection{URL: slow.URL})
	if err != nil {
		t.Fatal(err)
	}
	o := options(3)
	o.Timeout = 50 * time.Millisecond
	if _, err := Run(t.Context(), api, o); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("a server that does not answer: %v", err)
	}
}

func TestTokenIsReadForEachQueryAndSentToItsHostOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	p := &prometheus{token: "second", answers: map[string][]func(time.Time) float64{"rate": {constant(1)}}}
	api := connect(t, p, Connection{TokenFile: file})
	o := options(3)
	o.Queries = Queries{Rate: "rate"}
	if _, err := Run(t.Context(), api, o); err == nil {
		t.Error("the wrong token was taken")
	}
	write("second")
	if _, err := Run(t.Context(), api, o); err != nil {
		t.Errorf("after rotation: %v", err)
	}
	var leaked string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked = r.Header.Get("Authorization") }))
	defer other.Close()
	redirect := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	api, err := Connect(Connection{URL: redirect.URL, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), api, o); err == nil || leaked != "" {
		t.Errorf("a redirect got the token %q (%v)", leaked, err)
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(&prometheus{answers: map[string][]func(time.Time) float64{"rate": {constant(1)}}})
	defer server.Close()
	o := options(3)
	o.Queries = Queries{Rate: "rate"}
	for name, tc := range map[string]struct {
		connection Connection
		ok         bool
	}{
		"an unknown authority":       {Connection{}, false},
		"its certificate in a file":  {Connection{CAFile: certificate(t, server)}, true},
		"any certificate when asked": {Connection{Insecure: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tc.connection.URL = server.URL
			api, err := Connect(tc.connection)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Run(t.Context(), api, o); (err == nil) != tc.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestConnectRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		c    Connection
		want string
	}{
		"no address":           {Connection{}, "want http://"},
		"no scheme":            {Connection{URL: "prometheus:9090"}, "want http://"},
		"no token in the file": {Connection{URL: "http://x", TokenFile: empty}, "is empty"},
		"no token file":        {Connection{URL: "http://x", TokenFile: "nowhere"}, "token file"},
		"no certificate":       {Connection{URL: "http://x", CAFile: empty}, "no certificate"},
	} {
		if _, err := Connect(tc.c); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v does not say %q", name, err, tc.want)
		}
	}
	if _, err := Connect(Connection{URL: "ftp://me:secret@host"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an error shows the password: %v", err)
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	err := Options{From: start, To: start, Step: time.Minute}.Validate()
	for _, want := range []string{"no query", "0 periods", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if err := (Options{Step: time.Millisecond}).Validate(); err == nil || !strings.Contains(err.Error(), "at least 1s") {
		t.Errorf("a step of a millisecond: %v", err)
	}
}
