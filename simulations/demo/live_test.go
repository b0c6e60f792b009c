package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
)

// driving is a demo 20 s after its first request, at 2 requests/s until half a minute.
func driving(t *testing.T) *demo {
	t.Helper()
	d := staged(t)
	d.started = time.Now().Add(-20 * time.Second)
	for i := range 61 {
		d.requests = append(d.requests, trace.Request{At: time.Duration(i) * time.Second / 2})
	}
	for _, name := range []string{"hpa-queue", "preheat"} {
		l, err := newLane(policyNamed(name), d.profile)
		if err != nil {
			t.Fatal(err)
		}
		l.books.Asked(4, d.started)
		l.books.Pod("a", ledger.Serving, d.started)
		l.books.Pod("b", ledger.Starting, d.started.Add(10*time.Second))
		d.lanes = append(d.lanes, l)
	}
	d.lanes[1].diary.queued(3, true)
	d.lanes[1].diary.decided(decided(4, 4, "ForecastVeto", "held"), time.Now())
	return d
}

func TestLiveTable(t *testing.T) {
	want := "\n20s of 30s, 2.0 requests/s offered to each\n" +
		"policy     asked  ready  waiting  attained  GPU-seconds  reason\n" +
		"hpa-queue  4      1      ?        -         120          \n" +
		"preheat    4      1      3        -         120          ForecastVeto\n"
	if diff := cmp.Diff(want, driving(t).table(20*time.Second)); diff != "" {
		t.Error(diff)
	}
}

func TestPlainLine(t *testing.T) {
	want := "20s: 2.0 requests/s | hpa-queue 1/4 ready, ? waiting, -, 120 GPU-s | preheat 1/4 ready, 3 waiting, -, 120 GPU-s ForecastVeto"
	if diff := cmp.Diff(want, driving(t).plain(20*time.Second)); diff != "" {
		t.Error(diff)
	}
}

func TestCostStopsWithTheLastRequest(t *testing.T) {
	d := driving(t)
	during, after := d.status(d.lanes[0], 30*time.Second).cost, d.status(d.lanes[0], 50*time.Second).cost
	if during != after || during != "200" {
		t.Errorf("got %s GPU-seconds at the last request and %s later, want 200 both times", during, after)
	}
}

func TestRedrawReplacesWhatItDrew(t *testing.T) {
	var out bytes.Buffer
	c := &console{out: &out}
	c.redraw("a\nb\n")
	c.redraw("c\n")
	c.redraw("d\n")
	if diff := cmp.Diff("a\nb\n\x1b[2A\x1b[Jc\n\x1b[1A\x1b[Jd\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestExitCodes(t *testing.T) {
	tests := map[string]struct {
		args []string
		code int
		want string // in what it says
	}{
		"help is no failure":           {[]string{"--help"}, 0, "--compress"},
		"a bad flag":                   {[]string{"--scale=-1"}, 2, "--scale is -1"},
		"a service that was not built": {[]string{"--service=/nonexistent"}, 1, "run `make build` first"},
		"a trace that is not there":    {[]string{"--trace=/nonexistent.csv"}, 1, "/nonexistent.csv"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			said, err := os.Create(filepath.Join(dir, "said"))
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			if code := run(append(test.args, "--out="+filepath.Join(dir, "out")), said, said); code != test.code {
				t.Errorf("got exit code %d, want %d", code, test.code)
			}
			text, err := os.ReadFile(said.Name())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), test.want) {
				t.Errorf("it said %q, want %q in it", text, test.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
				t.Error("a run that could not start made the folder of results")
			}
		})
	}
}
