package trace

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// file writes a text to a file.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "load.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// endOf reads a trace to its end and returns when it ends, as known before and after.
func endOf(t *testing.T, spec string, o Options) (before, after time.Duration, length time.Duration) {
	t.Helper()
	tr, err := Open(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	before, _ = tr.End()
	for err == nil {
		_, err = tr.Next()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	after, _ = tr.End()
	return before, after, tr.Facts().Length
}

func TestATraceTellsItsEnd(t *testing.T) {
	idle := "timestamp,rate_rps\n0,2\n60,2\n120,0\n180,0\n"
	requests := "arrival_s,input_tokens,output_tokens\n0,1,2\n10,1,2\n100,1,2\n"
	clients := map[string]string{"chunk-0-trace.csv": "0,2,1,,,\n600,0,1,,,\n"}
	for name, tc := range map[string]struct {
		spec                  string
		o                     Options
		before, after, length time.Duration
	}{
		"rates, to the end of their last period though nothing arrives in it": {
			file(t, idle), Options{}, 4 * time.Minute, 4 * time.Minute, 4 * time.Minute,
		},
		"a window of rates, whose times are changed": {
			file(t, idle), Options{From: time.Minute, For: 2 * time.Minute, Compress: 2, Offset: 7 * s}, 67 * s, 67 * s, 67 * s,
		},
		"a window of rates that reaches beyond their end": {
			file(t, idle), Options{From: time.Minute, For: time.Hour}, 3 * time.Minute, 3 * time.Minute, 3 * time.Minute,
		},
		"a workload, with its night": {
			"business-hours:hours=24,high=1", Options{Rate: 0.1}, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour,
		},
		"clients, to the end of their last window": {
			writeFolder(t, clients), Options{Compress: 10}, 2 * time.Minute, 2 * time.Minute, 2 * time.Minute,
		},
		"a window of requests, once a later one was read": {
			file(t, requests), Options{For: 50 * s, Compress: 0.5, Offset: 3 * s}, 0, 103 * s, 103 * s,
		},
		"a window of requests that reaches beyond the last one tells nothing": {
			file(t, requests), Options{For: time.Hour}, 0, 0, 100 * s,
		},
		"requests tell nothing": {file(t, requests), Options{}, 0, 0, 100 * s},
	} {
		before, after, length := endOf(t, tc.spec, tc.o)
		if before != tc.before || after != tc.after || length != tc.length {
			t.Errorf("%s: ends at %v, afterwards %v, and is %v long; want %v, %v and %v",
				name, before, after, length, tc.before, tc.after, tc.length)
		}
	}
}

func TestReshapingKeepsTheEnd(t *testing.T) {
	rates := Rates{Period: time.Minute, PerSecond: []float64{1, 1, 0}}
	mix, err := Options{}.mix()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		stream Stream
		want   time.Duration
		known  bool
	}{
		"of a load that knows it": {rates.Draw(mix, Options{}), 2 * time.Minute, true},
		"of a window":             {FromSlice(every(s, 300)), 3 * time.Minute, true},
		"where nobody knows it":   {FromSlice(every(s, 90)), 0, false},
	} {
		out, err := Reshape(tc.stream, Options{From: time.Minute, For: 3 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Collect(out); err != nil {
			t.Fatal(err)
		}
		if end, known := EndOf(out); end != tc.want || known != tc.known {
			t.Errorf("the end %s: %v, %v; want %v, %v", name, end, known, tc.want, tc.known)
		}
	}
}
