package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// fakePrometheus answers every range query with one series of the value.
func fakePrometheus(t *testing.T, value func(query string) float64) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, to, step := number(t, r.FormValue("start")), number(t, r.FormValue("end")), number(t, r.FormValue("step"))
		samples := [][]any{}
		for at := from; at <= to; at += step {
			samples = append(samples, []any{at, strconv.FormatFloat(value(r.FormValue("query")), 'f', -1, 64)})
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{
			"resultType": "matrix", "result": []any{map[string]any{"metric": map[string]string{}, "values": samples}},
		}})
	}))
	t.Cleanup(server.Close)
	return server
}

func number(t *testing.T, s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Error(err)
	}
	return v
}

// vllmValues are two requests a second of 800 and 100 tokens.
func vllmValues(query string) float64 {
	switch {
	case strings.Contains(query, "time_to_first_token"):
		return 2
	case strings.Contains(query, "request_prompt_tokens"):
		return 800
	default:
		return 100
	}
}

func runRecord(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, notes bytes.Buffer
	cmd := newRecord(streams{Out: &out, Err: &notes})
	cmd.SetArgs(append([]string{}, args...)) // cobra takes the test's own where there are none
	cmd.SetOut(&out)
	cmd.SetErr(&notes)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), notes.String(), err
}

func TestWhatIsRecordedCanBeReplayed(t *testing.T) {
	server := fakePrometheus(t, vllmValues)
	for _, name := range []string{"load.csv", "load.csv.gz"} {
		path := filepath.Join(t.TempDir(), name)
		_, notes, err := runRecord(t, "--prometheus", server.URL, "-o", path, "--from", "2h", "--selector", `namespace="llm"`)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(notes, "120 periods of 1m0s") || !strings.Contains(notes, "mean 2 and peak 2") {
			t.Errorf("the summary does not say what was recorded: %q", notes)
		}
		facts, err := trace.Survey(path, trace.Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		prompt, output := facts.MeanTokens()
		if math.Abs(facts.Rate()-2) > 0.2 || math.Abs(prompt/800-1) > 0.05 || math.Abs(output/100-1) > 0.08 {
			t.Errorf("%s: %.2f requests/s of %.0f and %.0f tokens, want 2 of 800 and 100", name, facts.Rate(), prompt, output)
		}
		if facts.Start.IsZero() || facts.Length != 2*time.Hour {
			t.Errorf("%s: starts %v, lasts %v", name, facts.Start, facts.Length)
		}
	}
}

func TestRecordToStandardOutput(t *testing.T) {
	server := fakePrometheus(t, func(string) float64 { return 3 })
	out, _, err := runRecord(t, "--prometheus", server.URL, "-o", "-", "--query", "sum(rate(x[1m]))",
		"--from", "2026-11-01T00:00:00Z", "--to", "2026-11-01T00:02:00Z")
	if err != nil {
		t.Fatal(err)
	}
	want := "timestamp,rate_rps\n2026-11-01T00:00:00Z,3\n2026-11-01T00:01:00Z,3\n"
	if out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestRecordRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"nothing given":        {nil, []string{"--prometheus is required", "-o is required"}},
		"an unknown engine":    {[]string{"--prometheus", "http://x", "-o", "-", "--engine", "triton"}, []string{"triton", "vllm, sglang"}},
		"dates it cannot read": {[]string{"--prometheus", "http://x", "-o", "-", "--from", "yesterday", "--to", "soon"}, []string{"--from", "--to", "14d"}},
		"an empty range":       {[]string{"--prometheus", "http://x", "-o", "-", "--from", "0s"}, []string{"0 periods"}},
		"one size alone":       {[]string{"--prometheus", "http://x", "-o", "-", "--query", "q", "--input-tokens-query", "q"}, []string{"go together"}},
		"a window that leaves load unseen": {
			[]string{"--prometheus", "http://x", "-o", "-", "--step", "5m", "--window", "1m"}, []string{"--window 1m0s", "step, 5m0s"},
		},
		"a window of one's own query":    {[]string{"--prometheus", "http://x", "-o", "-", "--query", "q", "--window", "5m"}, []string{"--window 5m0s", "--query"}},
		"a file that is there":           {[]string{"--prometheus", "http://x", "-o", "record_test.go"}, []string{"-o record_test.go", "--force"}},
		"an address that is none":        {[]string{"--prometheus", "prometheus:9090", "-o", "-"}, []string{"--prometheus", "http://HOST:PORT"}},
		"a step that is none, and so on": {[]string{"--prometheus", "http://x", "-o", "-", "--step", "0s", "--timeout", "0s"}, []string{"step 0s", "timeout 0s"}},
	} {
		_, _, err := runRecord(t, tc.args...)
		if _, usage := errors.AsType[usageError](err); !usage {
			t.Errorf("%s: %v is no error of usage", name, err)
		}
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

// TestRecordTakesNoArguments is cobra's own error, of usage as any that comes before a command begins.
func TestRecordTakesNoArguments(t *testing.T) {
	if _, _, err := runRecord(t, "x"); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Error(err)
	}
}

func TestRecordReplacesAFileByForceOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "load.csv")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := fakePrometheus(t, vllmValues)
	for _, tc := range []struct {
		args []string
		want string
	}{{nil, "old"}, {[]string{"--force"}, "timestamp,rate_rps"}} {
		_, _, err := runRecord(t, append(tc.args, "--prometheus", server.URL, "-o", path)...)
		text, readErr := os.ReadFile(path)
		if (err == nil) != (tc.args != nil) || readErr != nil || !strings.HasPrefix(string(text), tc.want) {
			t.Errorf("with %v: %v; the file begins with %.20q, want %q (%v)", tc.args, err, text, tc.want, readErr)
		}
	}
}

func TestTheWindowOfARecordHoldsFourScrapes(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "[2m]"}, {[]string{"--step", "15s"}, "[2m]"}, {[]string{"--step", "5m"}, "[5m]"}, {[]string{"--window", "8m"}, "[8m]"},
	} {
		var mu sync.Mutex
		asked := ""
		server := fakePrometheus(t, func(query string) float64 {
			mu.Lock()
			defer mu.Unlock()
			asked = query
			return 1
		})
		if _, _, err := runRecord(t, append(tc.args, "--prometheus", server.URL, "-o", "-", "--from", "1h")...); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(asked, tc.want) {
			t.Errorf("%v asks %q, want the window %s", tc.args, asked, tc.want)
		}
	}
}

func TestARecordWithoutDataSaysWhatToLookAt(t *testing.T) {
	server := fakePrometheus(t, func(string) float64 { return math.NaN() })
	for _, tc := range []struct {
		args   []string
		window bool
	}{{nil, true}, {[]string{"--query", "q"}, false}} {
		_, _, err := runRecord(t, append(tc.args, "--prometheus", server.URL, "-o", "-")...)
		if err == nil || !strings.Contains(err.Error(), "the labels") || strings.Contains(err.Error(), "every 30s, give --window") != tc.window {
			t.Errorf("%v: %v; want it to tell of the window: %v", tc.args, err, tc.window)
		}
		if _, usage := errors.AsType[usageError](err); usage {
			t.Errorf("%v: %v is an error of usage", tc.args, err)
		}
	}
}

func TestAPrometheusThatDoesNotAnswerSaysWhatToDo(t *testing.T) {
	answer := func(code int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	}
	gone, denied, absent := answer(200), answer(401), answer(404)
	gone.Close()
	defer denied.Close()
	defer absent.Close()
	over := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer slow.Close()
	defer close(over)
	for name, tc := range map[string]struct {
		server *httptest.Server
		want   []string
	}{
		"nobody listens":    {gone, []string{"connection refused", "--prometheus", "kubectl port-forward"}},
		"it wants a user":   {denied, []string{"--bearer-token-file", "USER:PASSWORD@"}},
		"it is not there":   {absent, []string{"http://HOST:PORT/PREFIX"}},
		"it takes its time": {slow, []string{"--timeout", "--step"}},
	} {
		_, _, err := runRecord(t, "--prometheus", tc.server.URL, "-o", "-", "--timeout", "200ms")
		for _, part := range tc.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v does not say %q", name, err, part)
			}
		}
	}
}

func TestAFailedRecordLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "load.csv")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := fakePrometheus(t, func(string) float64 { return math.NaN() })
	if _, _, err := runRecord(t, "--prometheus", server.URL, "-o", path, "--force"); err == nil || !strings.Contains(err.Error(), "no data") {
		t.Errorf("no data: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "old" {
		t.Errorf("the old file is now %q (%v)", text, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}
