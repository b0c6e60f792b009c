package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

func TestGeneratedWorkloadIsOfThePublicTracesKind(t *testing.T) {
	requests, err := generate(Default())
	if err != nil {
		t.Fatal(err)
	}
	perSecond := float64(len(requests)) / length(requests).Seconds()
	if perSecond < 4 || perSecond > 8 {
		t.Errorf("got %.1f requests/s, the public trace has 5.5", perSecond)
	}
	if got, want := length(requests), 10*Default().Duration; got > want || got < want-time.Minute {
		t.Errorf("it lasts %v, want about %v", got, want)
	}
}

func TestTraceIsCutThinnedAndCompressed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.csv")
	var text strings.Builder
	text.WriteString("arrived_at,num_prefill_tokens,num_decode_tokens\n")
	for second := range 2000 {
		fmt.Fprintf(&text, "%d,100,10\n", second)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &demo{options: Default()}
	d.options.Trace, d.options.Duration, d.options.Compress, d.options.Scale = file, time.Minute, 20, 0.5
	if err := d.loadRequests(); err != nil {
		t.Fatal(err)
	}
	if n := len(d.requests); n < 500 || n > 700 {
		t.Errorf("got %d requests, want about half of the 1200 in the first 20 minutes", n)
	}
	if l := length(d.requests); l > time.Minute || l < 59*time.Second {
		t.Errorf("it lasts %v, want a minute", l)
	}
	if d.source != "trace.csv" {
		t.Errorf("got source %q, want the file's name without its folder", d.source)
	}
}

func TestFitCutsWhatDoesNotEndInTime(t *testing.T) {
	tests := map[string]struct {
		left time.Duration
		want int
	}{
		"enough time":   {time.Minute, 4},
		"half the time": {25 * time.Second, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			d := &demo{console: &console{out: &said}}
			for _, at := range []int{0, 10, 20, 40} {
				d.requests = append(d.requests, trace.Request{At: time.Duration(at) * time.Second})
			}
			d.fit(time.Now().Add(test.left))
			if len(d.requests) != test.want {
				t.Errorf("got %d requests, want %d", len(d.requests), test.want)
			}
			if cut := test.want < 4; cut != strings.Contains(said.String(), "cut from 40s") {
				t.Errorf("it said %q", said.String())
			}
		})
	}
}

func TestLateness(t *testing.T) {
	requests := make([]trace.Request, 100)
	records := make([]loadgen.Record, 100)
	for i := range requests {
		requests[i].At = time.Duration(i) * time.Second
		// Records come in the order of ending, here the reverse of sending.
		records[99-i].Arrival = requests[i].At + 5*time.Millisecond
	}
	records[0].Arrival += 100 * time.Millisecond // only one: the 99th percentile does not see it
	if got := lateness(records, requests); got != 5*time.Millisecond {
		t.Errorf("got %v, want 5ms", got)
	}
	records[1].Arrival += 100 * time.Millisecond
	if got := lateness(records, requests); got != 105*time.Millisecond {
		t.Errorf("got %v with two late of a hundred, want 105ms", got)
	}
	if got := lateness(nil, requests); got != 0 {
		t.Errorf("got %v where nothing was sent", got)
	}
}
