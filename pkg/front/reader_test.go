package front

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
)

// patience is how long a test waits for what must happen; it is no part of what is proved.
const patience = time.Minute

// source is a process that streams the lines that it is given.
type source struct {
	*httptest.Server
	lines chan activator.Demand
	// broken ends the stream that is open.
	broken chan struct{}
	open   atomic.Int32
}

func newSource(t *testing.T) *source {
	s := &source{lines: make(chan activator.Demand), broken: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.open.Add(1)
		defer s.open.Add(-1)
		out := json.NewEncoder(w)
		for {
			select {
			case d := <-s.lines:
				_ = out.Encode(d)
				_ = http.NewResponseController(w).Flush()
			case <-s.broken:
				return
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *source) say(target string, held int, arrivals uint64) {
	s.lines <- activator.Demand{Targets: []activator.TargetDemand{{Target: target, Held: held, Arrivals: arrivals}}}
}

// rig is a Reader with its sources.
type rig struct {
	*Reader
	t *testing.T

	mu      sync.Mutex
	sources []Source
	held    []string
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t}
	r.Reader = New(Options{
		Sources: func() []Source {
			r.mu.Lock()
			defer r.mu.Unlock()
			return slices.Clone(r.sources)
		},
		Held: func(target string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.held = append(r.held, target)
		},
		Client: &http.Client{}, Log: slog.New(slog.DiscardHandler),
	})
	var running sync.WaitGroup
	running.Go(func() { r.Run(t.Context()) })
	t.Cleanup(running.Wait)
	return r
}

func (r *rig) list(sources ...Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources = sources
}

func (r *rig) await(what string, held, arrived float64) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		f := r.Of("ml/a")
		if f.Held == held && f.Arrived == arrived {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s: %+v, want %v held and %v arrived", what, f, held, arrived)
		}
	}
}

func TestReaderAddsUpWhatAllHold(t *testing.T) {
	r := newRig(t)
	if f := r.Of("ml/a"); !f.Time.IsZero() {
		t.Errorf("without a source the reading is of %v, want none", f.Time)
	}
	a, b := newSource(t), newSource(t)
	r.list(Source{ID: "a", URL: a.URL}, Source{ID: "b", URL: b.URL})
	a.say("ml/a", 2, 5)
	b.say("ml/a", 1, 1)
	r.await("both: of what came before only what waits is new", 3, 3)
	b.say("ml/b", 0, 7)
	a.say("ml/a", 0, 9)
	r.await("what has changed", 1, 7)

	a.broken <- struct{}{}
	a.say("ml/a", 1, 2) // the process began anew: two have come since
	r.await("a counter that began anew", 2, 9)

	r.list(Source{ID: "b", URL: b.URL})
	r.await("one that is gone holds nothing, and what came by it has come", 1, 9)
	for end := time.Now().Add(patience); a.open.Load() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	} // a line that it still took would be lost
	r.list(Source{ID: "a", URL: a.URL}, Source{ID: "b", URL: b.URL})
	a.say("ml/a", 0, 3)
	r.await("one that is listed again goes on where it was", 1, 10)
	r.list()
	r.await("none", 0, 10)
	if f := r.Of("ml/a"); !f.Time.IsZero() {
		t.Errorf("with the last source gone the reading is of %v, want none", f.Time)
	}
}

func TestReaderTellsAsLongAsRequestsAreHeld(t *testing.T) {
	r := newRig(t)
	a := newSource(t)
	r.list(Source{ID: "a", URL: a.URL})
	a.say("ml/a", 1, 1)
	a.say("ml/b", 0, 1)
	a.lines <- activator.Demand{}
	a.say("ml/a", 0, 1)
	a.lines <- activator.Demand{}
	r.await("nothing held", 0, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := len(r.held); got != 3 || slices.Contains(r.held, "ml/b") {
		t.Errorf("told of %v, want ml/a once for each of the three lines while something was held", r.held)
	}
}

// silence has nothing been heard of a source for a while.
func (r *rig) silence(id string, since time.Duration) (heard time.Time) {
	r.Reader.mu.Lock()
	defer r.Reader.mu.Unlock()
	v := r.voices[id]
	if v.heard.IsZero() {
		v.known = v.known.Add(-since)
		return v.known
	}
	v.heard = v.heard.Add(-since)
	return v.heard
}

func TestReaderLetsOthersSpeakForASilentSourceUntilTheVerdict(t *testing.T) {
	for name, everHeard := range map[string]bool{"that was heard": true, "that was never heard": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a, b := newSource(t), newSource(t)
			r.list(Source{ID: "a", URL: a.URL}, Source{ID: "b", URL: b.URL})
			a.say("ml/a", 1, 1)
			held := 1.0
			if everHeard {
				b.say("ml/a", 1, 1)
				held = 2
			}
			r.await("who speaks", held, held)
			r.silence("b", verdict/2)
			a.say("ml/b", 0, 1)
			a.say("ml/a", 1, 2)
			r.await("only one", held, held+1)
			if age := time.Since(r.Of("ml/a").Time); age > verdict/4 {
				t.Errorf("the reading is %v old while Kubernetes may still find the node lost", age)
			}
			want := r.silence("b", verdict).Add(verdict)
			if got := r.Of("ml/a").Time; !got.Equal(want) {
				t.Errorf("the reading is of %v, want %v: it grows old from the verdict on", got, want)
			}
			r.list(Source{ID: "a", URL: a.URL}, Source{ID: "b", URL: b.URL, Leaving: true})
			for end := time.Now().Add(patience); time.Since(r.Of("ml/a").Time) > verdict/4; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("a silent source that is not ready any more makes the reading old")
				}
			}
		})
	}
}

func TestReaderIsOldWhereAllAreSilent(t *testing.T) {
	r := newRig(t)
	a, b := newSource(t), newSource(t)
	r.list(Source{ID: "a", URL: a.URL}, Source{ID: "b", URL: b.URL})
	a.say("ml/a", 1, 1)
	b.say("ml/a", 1, 1)
	r.await("both", 2, 2)
	r.silence("b", verdict/2)
	want := r.silence("a", verdict/3)
	if got := r.Of("ml/a").Time; !got.Equal(want) {
		t.Errorf("the reading is of %v, want %v, when the last of them was heard", got, want)
	}
}

func TestReaderKnowsNothingBeforeASourceIsHeard(t *testing.T) {
	r := newRig(t)
	a := newSource(t)
	r.list(Source{ID: "a", URL: a.URL})
	for end := time.Now().Add(patience); a.open.Load() == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if f := r.Of("ml/a"); !f.Time.IsZero() {
		t.Errorf("a source that is listed and was never heard gives a reading of %v, want none", f.Time)
	}
	a.lines <- activator.Demand{}
	for end := time.Now().Add(patience); r.Of("ml/a").Time.IsZero(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a line without news is no reading")
		}
	}
}
