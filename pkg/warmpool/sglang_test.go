package warmpool_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/warmpool"
)

// scheduler is what matters of SGLang here: a release or resume of a tag that
// is released or there already, and a request in between, end it.
type scheduler struct {
	mu       sync.Mutex
	released []string
	dead     bool
	running  int
	refuse   int // status of the next release or resume
}

func (s *scheduler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	switch r.URL.Path {
	case "/metrics":
		fmt.Fprintf(w, "sglang:num_running_reqs{tp_rank=\"0\"} %d\nsglang:num_queue_reqs{tp_rank=\"0\"} 0\n", s.running)
	case "/v1/models":
		fmt.Fprint(w, `{"data":[{"id":"m"}]}`)
	case "/v1/completions":
		s.dead = len(s.released) > 0
		fmt.Fprint(w, `{"choices":[{"finish_reason":"length"}]}`)
	case "/release_memory_occupation", "/resume_memory_occupation":
		s.move(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *scheduler) move(w http.ResponseWriter, r *http.Request) {
	if s.refuse != 0 {
		w.WriteHeader(s.refuse)
		return
	}
	var body struct{ Tags []string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	if body.Tags == nil {
		body.Tags = []string{"weights", "kv_cache"}
	}
	release := r.URL.Path == "/release_memory_occupation"
	for _, tag := range body.Tags {
		if slices.Contains(s.released, tag) == release {
			s.dead = true
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if release {
			s.released = append(s.released, tag)
		} else {
			s.released = slices.DeleteFunc(s.released, func(t string) bool { return t == tag })
		}
	}
}

func sglang(t *testing.T, s *scheduler, known warmpool.State) *warmpool.SGLang {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	out, err := warmpool.NewSGLang(warmpool.Options{URL: server.URL, Poll: time.Millisecond}, known)
	must(t, err)
	return out
}

func (s *scheduler) wantReleased(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		t.Fatal("the engine is dead")
	}
	if diff := cmp.Diff(append([]string{}, want...), append([]string{}, s.released...)); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
}

func TestSGLangNeverGetsACallTooMany(t *testing.T) {
	engine := &scheduler{}
	s := sglang(t, engine, awake)
	for range 2 {
		must(t, s.Sleep(t.Context(), warmpool.Offload))
		engine.wantReleased(t, "weights", "kv_cache")
		wantState(t, s, offloaded)
	}
	wantError(t, s.Wake(t.Context(), warmpool.KVCache), warmpool.ErrOrder)
	for range 2 {
		must(t, s.Wake(t.Context(), warmpool.Weights))
		engine.wantReleased(t, "kv_cache")
		wantState(t, s, partial)
	}
	must(t, s.Sleep(t.Context(), warmpool.Offload))
	engine.wantReleased(t, "kv_cache", "weights")
	must(t, s.Wake(t.Context(), warmpool.Weights))
	for range 2 {
		must(t, s.Wake(t.Context()))
		engine.wantReleased(t)
		wantState(t, s, awake)
	}
	must(t, s.Sleep(t.Context(), warmpool.Offload))
	must(t, s.Wake(t.Context()))
	engine.wantReleased(t)
}

func TestSGLangGoesOnFromTheStateItIsTold(t *testing.T) {
	engine := &scheduler{released: []string{"weights", "kv_cache"}}
	s := sglang(t, engine, offloaded)
	must(t, s.Wake(t.Context()))
	engine.wantReleased(t)
}

func TestSGLangLeftAlone(t *testing.T) {
	engine := &scheduler{running: 1}
	s := sglang(t, engine, awake)
	wantError(t, s.Sleep(t.Context(), warmpool.Offload), warmpool.ErrBusy, "sglang:num_running_reqs is 1")
	wantError(t, s.Sleep(t.Context(), warmpool.Discard), warmpool.ErrLevel)
	if err := s.Wake(t.Context(), "cuda_graph"); err == nil {
		t.Error("a foreign tag was taken")
	}
	wantState(t, s, awake)

	unknown := sglang(t, engine, warmpool.State{})
	_, err := unknown.State(t.Context())
	wantError(t, err, warmpool.ErrUnknownState, "restart the engine")
	wantError(t, unknown.Sleep(t.Context(), warmpool.Offload), warmpool.ErrUnknownState)
	wantError(t, unknown.Wake(t.Context()), warmpool.ErrUnknownState)
	engine.wantReleased(t)
}

func TestSGLangAfterACallThatFailed(t *testing.T) {
	engine := &scheduler{refuse: http.StatusNotFound}
	s := sglang(t, engine, awake)
	wantError(t, s.Sleep(t.Context(), warmpool.Offload), warmpool.ErrNoSleepAPI, "--enable-memory-saver")
	wantState(t, s, awake)
	engine.refuse = http.StatusInternalServerError
	if err := s.Sleep(t.Context(), warmpool.Offload); err == nil {
		t.Fatal("a failed release was taken for done")
	}
	_, err := s.State(t.Context())
	wantError(t, err, warmpool.ErrUnknownState)
}
