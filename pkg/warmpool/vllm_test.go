package warmpool_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/warmpool"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
)

var (
	awake     = warmpool.State{Phase: warmpool.Awake}
	partial   = warmpool.State{Phase: warmpool.Partial}
	offloaded = warmpool.State{Phase: warmpool.Asleep, Level: warmpool.Offload}
	discarded = warmpool.State{Phase: warmpool.Asleep, Level: warmpool.Discard}
)

// swift is a profile with a token every 2 ms.
func swift() replica.Profile {
	return replica.Profile{
		Name: "swift", Model: "test/model", GPUs: 1,
		StepBase: 2, PrefillPerToken: 0.001, APIOverhead: 1,
		KVTokens: 16000, BlockSize: 16, MaxNumSeqs: 8, MaxNumBatchedTokens: 2048, MaxModelLen: 8192,
	}
}

// quick are sleeps that take next to no time.
var quick = emulator.SleepTimes{Copy: 1, Map: 1, Reload: 1}

// engine is the emulated vLLM, with a record of the calls it got.
type engine struct {
	*emulator.PodServer
	url string

	mu    sync.Mutex
	calls []string
	// answer, where it is set, takes a call over and says so.
	answer func(http.ResponseWriter, *http.Request) bool
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	if r.Method == http.MethodPost {
		e.calls = append(e.calls, r.URL.RequestURI())
	}
	answer := e.answer
	e.mu.Unlock()
	if answer == nil || !answer(w, r) {
		e.Handler().ServeHTTP(w, r)
	}
}

// took returns the calls since the last look.
func (e *engine) took() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.calls
	e.calls = nil
	return out
}

func (e *engine) intercept(f func(http.ResponseWriter, *http.Request) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = f
}

// start serves a loaded engine until the test ends.
func start(t *testing.T, times emulator.SleepTimes) *engine {
	t.Helper()
	return startWith(t, emulator.Options{Profile: swift(), SleepMode: true, SleepTimes: times})
}

func startWith(t *testing.T, o emulator.Options) *engine {
	t.Helper()
	pod, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	pod.MarkLoaded()
	e := &engine{PodServer: pod}
	server := httptest.NewServer(e)
	e.url = server.URL
	t.Cleanup(func() {
		if err := pod.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return e
}

// hands are a client with bounds that no test should reach.
func hands(t *testing.T, e *engine) *warmpool.VLLM {
	t.Helper()
	return handsWith(t, warmpool.Options{URL: e.url, Poll: time.Millisecond})
}

func handsWith(t *testing.T, o warmpool.Options) *warmpool.VLLM {
	t.Helper()
	v, err := warmpool.NewVLLM(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantState(t *testing.T, s warmpool.Sleeper, want warmpool.State) {
	t.Helper()
	got, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks the sentinel and that the message names endpoint and remedy.
func wantError(t *testing.T, err, want error, parts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	var call *warmpool.CallError
	if !errors.As(err, &call) || call.Remedy == "" || !strings.Contains(call.Endpoint, " http://") {
		t.Fatalf("no endpoint or remedy: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

const probe = "/v1/completions"

func TestASleepAndItsWake(t *testing.T) {
	reload := []string{"/wake_up?tags=weights", "/collective_rpc", "/wake_up?tags=kv_cache", probe}
	for level, want := range map[warmpool.Level]struct {
		asleep warmpool.State
		wake   []string
	}{
		warmpool.Offload: {offloaded, []string{"/wake_up", probe}},
		warmpool.Discard: {discarded, reload},
	} {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			e := start(t, quick)
			v := hands(t, e)
			wantState(t, v, awake)
			must(t, v.Sleep(t.Context(), level))
			must(t, v.Sleep(t.Context(), level)) // changes nothing
			wantState(t, v, want.asleep)
			if diff := cmp.Diff([]string{fmt.Sprintf("/sleep?level=%d", level)}, e.took()); diff != "" {
				t.Errorf("calls of two sleeps (-want +got):\n%s", diff)
			}
			must(t, v.Wake(t.Context()))
			wantState(t, v, awake)
			if diff := cmp.Diff(want.wake, e.took()); diff != "" {
				t.Errorf("calls of the wake (-want +got):\n%s", diff)
			}
			must(t, v.Wake(t.Context())) // only proves it again
			if diff := cmp.Diff([]string{probe}, e.took()); diff != "" {
				t.Errorf("calls of a second wake (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPartialWake(t *testing.T) {
	for level, first := range map[warmpool.Level][]string{
		warmpool.Offload: {"/wake_up?tags=weights"},
		warmpool.Discard: {"/wake_up?tags=weights", "/collective_rpc"},
	} {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			e := start(t, quick)
			v := hands(t, e)
			must(t, v.Sleep(t.Context(), level))
			wantError(t, v.Wake(t.Context(), warmpool.KVCache), warmpool.ErrOrder, "wake the weights first")
			e.took()
			must(t, v.Wake(t.Context(), warmpool.Weights))
			must(t, v.Wake(t.Context(), warmpool.Weights)) // changes nothing
			wantState(t, v, partial)
			if diff := cmp.Diff(first, e.took()); diff != "" {
				t.Errorf("calls for the weights (-want +got):\n%s", diff)
			}
			must(t, v.Wake(t.Context(), warmpool.KVCache))
			if diff := cmp.Diff([]string{"/wake_up?tags=kv_cache", probe}, e.took()); diff != "" {
				t.Errorf("calls for the rest (-want +got):\n%s", diff)
			}
			wantState(t, v, awake)
		})
	}
}

// Whoever finds an engine half awake cannot know its weights: they are read again.
func TestAPartialWakeThatSomebodyElseBegan(t *testing.T) {
	e := start(t, quick)
	must(t, hands(t, e).Sleep(t.Context(), warmpool.Discard))
	must(t, hands(t, e).Wake(t.Context(), warmpool.Weights))
	e.took()
	must(t, hands(t, e).Wake(t.Context(), warmpool.KVCache))
	want := []string{"/wake_up?tags=weights", "/collective_rpc", "/wake_up?tags=kv_cache", probe}
	if diff := cmp.Diff(want, e.took()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestAHalfAwakeEngineGoesBackToSleep(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	must(t, v.Sleep(t.Context(), warmpool.Offload))
	must(t, v.Wake(t.Context(), warmpool.Weights))
	must(t, v.Sleep(t.Context(), warmpool.Discard))
	wantState(t, v, discarded)
}

func TestAWakeThatFailsHalfWay(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	must(t, v.Sleep(t.Context(), warmpool.Offload))
	must(t, e.SetFault(emulator.WakeErrorFault))
	err := v.Wake(t.Context())
	if err == nil || !strings.Contains(err.Error(), "POST "+e.url+"/wake_up: HTTP 500") || !strings.Contains(err.Error(), "put another engine of the GPU to sleep") {
		t.Fatalf("error %v", err)
	}
	wantState(t, v, partial)
	must(t, e.SetFault(emulator.NoFault))
	must(t, v.Wake(t.Context()))
	wantState(t, v, awake)
}

func TestAReloadThatFailsDoesNotWakeTheCache(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	must(t, v.Sleep(t.Context(), warmpool.Discard))
	e.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/collective_rpc" {
			http.Error(w, "no such file", http.StatusInternalServerError)
			return true
		}
		return false
	})
	if err := v.Wake(t.Context()); err == nil || !strings.Contains(err.Error(), "/collective_rpc: HTTP 500 no such file") {
		t.Fatalf("error %v", err)
	}
	wantState(t, v, partial)
	e.intercept(nil)
	must(t, v.Wake(t.Context()))
	wantState(t, v, awake)
}

func TestAnEngineThatLiesAboutBeingAwake(t *testing.T) {
	t.Run("and serves a little later is waited for", func(t *testing.T) {
		const late = 50 * time.Millisecond
		e := start(t, emulator.SleepTimes{Copy: late, Map: 1, Reload: 1})
		v := hands(t, e)
		must(t, v.Sleep(t.Context(), warmpool.Offload))
		must(t, e.SetFault(emulator.LieFault))
		before := time.Now()
		must(t, v.Wake(t.Context()))
		if took := time.Since(before); took < late {
			t.Errorf("believed after %v; the wake takes %v", took, late)
		}
	})
	t.Run("and never serves is told", func(t *testing.T) {
		e := start(t, quick)
		must(t, hands(t, e).Sleep(t.Context(), warmpool.Offload))
		// It answers and says it is awake, and its requests go on waiting.
		e.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case "/is_sleeping":
				fmt.Fprint(w, `{"is_sleeping":false}`)
			case "/wake_up":
			default:
				return false
			}
			return true
		})
		v := handsWith(t, warmpool.Options{URL: e.url, ServeTimeout: 50 * time.Millisecond})
		err := v.Wake(t.Context())
		wantError(t, err, warmpool.ErrNotServing, "probe: POST "+e.url+probe, "no token within 50ms", "restart it")
	})
	t.Run("and refuses at first is asked again", func(t *testing.T) {
		e := start(t, quick)
		v := hands(t, e)
		must(t, v.Sleep(t.Context(), warmpool.Offload))
		refusals := []string{
			`503`, `500`, `{"choices":[]}`, `{"choices":[{"finish_reason":"abort"}]}`, `no JSON`,
		}
		e.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != probe || len(refusals) == 0 {
				return false
			}
			switch refusals[0] {
			case "503":
				w.WriteHeader(http.StatusServiceUnavailable)
			case "500":
				w.WriteHeader(http.StatusInternalServerError)
			default:
				fmt.Fprint(w, refusals[0])
			}
			refusals = refusals[1:]
			return true
		})
		must(t, v.Wake(t.Context()))
		if len(refusals) != 0 {
			t.Errorf("%d refusals left", len(refusals))
		}
	})
	t.Run("and does not know the model is told at once", func(t *testing.T) {
		e := start(t, quick)
		v := handsWith(t, warmpool.Options{URL: e.url, Model: "other"})
		if err := v.Wake(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTP 404") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAnEngineWhoseStateDoesNotFollow(t *testing.T) {
	e := start(t, quick)
	e.intercept(func(_ http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/sleep" })
	v := handsWith(t, warmpool.Options{URL: e.url, CallTimeout: 50 * time.Millisecond, Poll: time.Millisecond})
	err := v.Sleep(t.Context(), warmpool.Offload)
	if !errors.Is(err, warmpool.ErrNotSettled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	wantError(t, err, err, "GET "+e.url+"/is_sleeping")
}

func TestAnEngineWithoutSleepMode(t *testing.T) {
	e := startWith(t, emulator.Options{Profile: swift()})
	v := hands(t, e)
	_, err := v.State(t.Context())
	wantError(t, err, warmpool.ErrNoSleepAPI, "state: GET "+e.url+"/is_sleeping", "VLLM_SERVER_DEV_MODE=1", "--enable-sleep-mode")
	wantError(t, v.Sleep(t.Context(), warmpool.Offload), warmpool.ErrNoSleepAPI)
	wantError(t, v.Wake(t.Context()), warmpool.ErrNoSleepAPI)
}

func TestABusyEngineIsLeftAlone(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+probe, strings.NewReader(`{"prompt":"x","max_tokens":8000,"ignore_eos":true,"stream":true}`))
	must(t, err)
	response, err := http.DefaultClient.Do(request) // returns with the first token
	must(t, err)
	defer response.Body.Close()
	wantError(t, v.Sleep(t.Context(), warmpool.Offload), warmpool.ErrBusy, "vllm:num_requests_running is 1", "let its requests finish")
	wantState(t, v, awake)
	leave()
}

func TestALoadThatCannotBeToldIsBusy(t *testing.T) {
	for fault, want := range map[emulator.Fault]string{
		emulator.NaNFault:     "vllm:num_requests_running is NaN",
		emulator.GarbageFault: "not a metric page",
		emulator.ErrorFault:   "HTTP 500",
	} {
		t.Run(string(fault), func(t *testing.T) {
			e := start(t, quick)
			must(t, e.SetFault(fault))
			if err := hands(t, e).Sleep(t.Context(), warmpool.Offload); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %s", err, want)
			}
			if got := e.took(); len(got) != 0 {
				t.Errorf("calls %v", got)
			}
		})
	}
	t.Run("no series", func(t *testing.T) {
		e := start(t, quick)
		e.intercept(func(_ http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/metrics" })
		wantError(t, hands(t, e).Sleep(t.Context(), warmpool.Offload), warmpool.ErrBusy, "no vllm:num_requests_running")
	})
}

func TestALevelThatCannotBeReached(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	wantError(t, v.Sleep(t.Context(), 3), warmpool.ErrLevel)
	must(t, v.Sleep(t.Context(), warmpool.Offload))
	wantError(t, v.Sleep(t.Context(), warmpool.Discard), warmpool.ErrLevel, "wake it first")
	wantState(t, v, offloaded)
	if err := v.Wake(t.Context(), "weight"); err == nil || !strings.Contains(err.Error(), "weights, kv_cache or none") {
		t.Errorf("error %v", err)
	}
}

// A vLLM before 0.11.1 does not tell its level: its weights are read from disk to be sure.
func TestAnEngineThatDoesNotTellItsLevel(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	must(t, v.Sleep(t.Context(), warmpool.Offload))
	e.intercept(func(_ http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/metrics" })
	wantState(t, v, warmpool.State{Phase: warmpool.Asleep})
	must(t, v.Sleep(t.Context(), warmpool.Discard)) // asleep is all that can be told
	e.took()
	must(t, v.Wake(t.Context()))
	want := []string{"/wake_up?tags=weights", "/collective_rpc", "/wake_up?tags=kv_cache", probe}
	if diff := cmp.Diff(want, e.took()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestAHangingEngineIsGivenUp(t *testing.T) {
	e := start(t, emulator.SleepTimes{Copy: time.Hour, Map: 1, Reload: 1})
	v := handsWith(t, warmpool.Options{URL: e.url, CallTimeout: 50 * time.Millisecond})
	err := v.Sleep(t.Context(), warmpool.Offload)
	wantError(t, err, context.DeadlineExceeded, "sleep: POST "+e.url+"/sleep?level=1", "raise the timeout (50ms")
	_, err = v.State(t.Context()) // the engine answers nothing in the middle of a sleep
	wantError(t, err, context.DeadlineExceeded)
}

func TestACallerThatGivesUp(t *testing.T) {
	e := start(t, emulator.SleepTimes{Copy: time.Hour, Map: 1, Reload: 1})
	v := hands(t, e)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Sleep(ctx, warmpool.Offload) }()
	for len(e.took()) == 0 { // the sleep has reached the engine
		time.Sleep(time.Millisecond)
	}
	queued, stop := context.WithCancel(t.Context())
	stop()
	if err := v.Wake(queued); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that waits for its turn: %v", err)
	}
	leave()
	wantError(t, <-ended, context.Canceled, "the caller gave up")
}

func TestAnEngineThatIsGone(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	_, err := handsWith(t, warmpool.Options{URL: url}).State(t.Context())
	wantError(t, err, err, "connection refused", "its port is open")
}

func TestAnAnswerThatSaysNothing(t *testing.T) {
	for _, answer := range []string{"", "[]", "{}", `{"is_sleeping":null}`} {
		e := start(t, quick)
		e.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, answer)
			return true
		})
		if state, err := hands(t, e).State(t.Context()); err == nil || state.Phase != warmpool.Unknown {
			t.Errorf("%q: %v, %v", answer, state, err)
		}
	}
}

func TestTheKeyIsSent(t *testing.T) {
	e := start(t, quick)
	e.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer secret" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	must(t, handsWith(t, warmpool.Options{URL: e.url + "/", APIKey: "secret"}).Wake(t.Context()))
	err := hands(t, e).Wake(t.Context())
	wantError(t, err, err, "give the engine's API key")
}

func TestCallsOnOneEngineTakeTurns(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			var err error
			switch i % 4 {
			case 0, 1:
				err = v.Sleep(t.Context(), warmpool.Offload)
			case 2:
				err = v.Wake(t.Context())
			default:
				_, err = v.State(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	must(t, v.Wake(t.Context()))
	wantState(t, v, awake)
}

func TestARestartedEngineIsAwake(t *testing.T) {
	e := start(t, quick)
	v := hands(t, e)
	must(t, v.Sleep(t.Context(), warmpool.Discard))
	must(t, e.Restart())
	wantState(t, v, awake)
	e.took()
	must(t, v.Wake(t.Context()))
	if diff := cmp.Diff([]string{probe}, e.took()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestFaultyOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]warmpool.Options{
		"no URL":           {},
		"no scheme":        {URL: "10.0.0.7:8000"},
		"another scheme":   {URL: "ftp://10.0.0.7"},
		"negative timeout": {URL: "http://a", CallTimeout: -1},
		"negative poll":    {URL: "http://a", Poll: -1},
	} {
		if _, err := warmpool.NewVLLM(o); err == nil {
			t.Errorf("%s: taken by vLLM's", name)
		}
		if _, err := warmpool.NewSGLang(o, awake); err == nil {
			t.Errorf("%s: taken by SGLang's", name)
		}
	}
}
