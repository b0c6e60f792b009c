package emulator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sleepyPod is a loaded replica with sleep mode; its sleeps take no time unless said.
func sleepyPod(t *testing.T, times SleepTimes) (*PodServer, string) {
	t.Helper()
	if times == (SleepTimes{}) {
		times = SleepTimes{Copy: 1, Map: 1, Reload: 1}
	}
	pod, err := New(Options{Profile: swift(), SleepMode: true, SleepTimes: times})
	if err != nil {
		t.Fatal(err)
	}
	pod.MarkLoaded()
	server := httptest.NewServer(pod.Handler())
	t.Cleanup(func() {
		if err := pod.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return pod, server.URL
}

func mustPost(t *testing.T, url, body string) string {
	t.Helper()
	status, text := post(t, url, body, nil)
	if status != http.StatusOK {
		t.Fatalf("%s: %d: %s", url, status, text)
	}
	return text
}

// told is what the page and /is_sleeping say.
type told struct {
	Awake, Offloaded, Discarded float64
	Sleeping                    bool
}

func tell(t *testing.T, url string) told {
	t.Helper()
	_, page := get(t, url+"/metrics")
	status, answer := get(t, url+"/is_sleeping")
	if status != http.StatusOK {
		t.Fatalf("is_sleeping: %d: %s", status, answer)
	}
	state := func(s string) float64 {
		return value(t, page, "vllm:engine_sleep_state", `sleep_state="`+s+`"`)
	}
	return told{state("awake"), state("weights_offloaded"), state("discard_all"), strings.Contains(answer, "true")}
}

// answered is one request's end.
type answered struct {
	status int
	text   string
	err    error
}

// ask sends a completion and returns at once.
func ask(url, body string) <-chan answered {
	out := make(chan answered, 1)
	go func() {
		response, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(body))
		if err != nil {
			out <- answered{err: err}
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		out <- answered{response.StatusCode, string(text), err}
	}()
	return out
}

// until looks at the page again and again until a series has the value.
func until(t *testing.T, url, name, labels string, want float64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		_, page := get(t, url+"/metrics")
		got := value(t, page, name, labels)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %s is %v, want %v", name, labels, got, want)
		}
	}
}

func TestWithoutSleepModeItsEndpointsDoNotExist(t *testing.T) {
	_, url := loadedPod(t, swift())
	for _, path := range []string{"/sleep", "/wake_up", "/collective_rpc"} {
		if status, _ := post(t, url+path, "{}", nil); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := get(t, url+"/is_sleeping"); status != http.StatusNotFound {
		t.Errorf("is_sleeping: %d", status)
	}
}

func TestWhatTheEngineTellsOfItsSleep(t *testing.T) {
	type step struct {
		path string
		want told
	}
	awake := told{Awake: 1}
	for name, steps := range map[string][]step{
		"level 1 is the default": {{"/sleep", told{Offloaded: 1, Sleeping: true}}, {"/wake_up", awake}},
		"level 2":                {{"/sleep?level=2", told{Discarded: 1, Sleeping: true}}, {"/wake_up", awake}},
		"after a partial wake the gauge says awake already": {
			{"/sleep?level=1", told{Offloaded: 1, Sleeping: true}},
			{"/wake_up?tags=weights", told{Awake: 1, Sleeping: true}},
			{"/wake_up?tags=kv_cache", awake},
		},
		"a second sleep is ignored": {{"/sleep?level=1", told{Offloaded: 1, Sleeping: true}}, {"/sleep?level=2", told{Offloaded: 1, Sleeping: true}}},
		"a tag that is awake leaves all as they are": {
			{"/sleep", told{Offloaded: 1, Sleeping: true}},
			{"/wake_up?tags=weights", told{Awake: 1, Sleeping: true}},
			{"/wake_up?tags=weights&tags=kv_cache", told{Awake: 1, Sleeping: true}},
			{"/wake_up", awake},
		},
		"a wake of an engine that is awake": {{"/wake_up", awake}},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := sleepyPod(t, SleepTimes{})
			if diff := cmp.Diff(awake, tell(t, url)); diff != "" {
				t.Fatal(diff)
			}
			for _, s := range steps {
				mustPost(t, url+s.path, "")
				if diff := cmp.Diff(s.want, tell(t, url)); diff != "" {
					t.Errorf("after %s (-want +got):\n%s", s.path, diff)
				}
			}
		})
	}
}

func TestWrongCallsAreRefused(t *testing.T) {
	_, url := sleepyPod(t, SleepTimes{})
	for path, body := range map[string]string{
		"/sleep?level=3": "", "/sleep?level=x": "", "/wake_up?tags=weight": "",
		"/collective_rpc": `{"method":"save"}`, "/collective_rpc?": "no JSON",
	} {
		if status, text := post(t, url+path, body, nil); status != http.StatusBadRequest {
			t.Errorf("%s %s: %d: %s", path, body, status, text)
		}
	}
	if _, err := New(Options{Profile: swift(), SleepTimes: SleepTimes{Copy: -1}}); err == nil {
		t.Error("a negative time was taken")
	}
}

func TestRequestsOfASleepingEngineWaitForItsWake(t *testing.T) {
	_, url := sleepyPod(t, SleepTimes{})
	mustPost(t, url+"/sleep", "")
	if status, _ := get(t, url+"/health"); status != http.StatusOK {
		t.Errorf("health in its sleep: %d", status)
	}
	held := ask(url, `{"prompt":"x","max_tokens":3}`)
	until(t, url, "vllm:num_requests_waiting", "", 1)
	mustPost(t, url+"/wake_up?tags=weights", "")
	select {
	case a := <-held:
		t.Fatalf("served with its KV cache asleep: %+v", a)
	default:
	}
	mustPost(t, url+"/wake_up?tags=kv_cache", "")
	if a := <-held; a.err != nil || a.status != http.StatusOK || !strings.Contains(a.text, `"text":" tok tok tok"`) {
		t.Errorf("held request: %+v", a)
	}
	until(t, url, "vllm:num_requests_waiting", "", 0)
}

func TestAClientThatLeavesASleepingEngineIsForgotten(t *testing.T) {
	_, url := sleepyPod(t, SleepTimes{})
	mustPost(t, url+"/sleep", "")
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", strings.NewReader(`{"prompt":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(request)
		gone <- err
	}()
	until(t, url, "vllm:num_requests_waiting", "", 1)
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	until(t, url, "vllm:num_requests_waiting", "", 0)
	until(t, url, "vllm:request_success_total", `finished_reason="abort"`, 1)
}

func TestASleepAbortsWhatRuns(t *testing.T) {
	for name, body := range map[string]string{
		"whole":  `{"prompt":"x","max_tokens":8000,"ignore_eos":true}`,
		"stream": `{"prompt":"x","max_tokens":8000,"ignore_eos":true,"stream":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, url := sleepyPod(t, SleepTimes{})
			running := ask(url, body)
			until(t, url, "vllm:num_requests_running", "", 1)
			mustPost(t, url+"/sleep", "")
			if a := <-running; a.err != nil || !strings.Contains(a.text, `"finish_reason":"abort"`) {
				t.Errorf("ended with %v and %.300q", a.err, a.text)
			}
			_, page := get(t, url+"/metrics")
			if got := value(t, page, "vllm:kv_cache_usage_perc", ""); got != 0 {
				t.Errorf("KV cache %v full in its sleep", got)
			}
		})
	}
}

func TestLevelTwoServesGarbageUntilItsWeightsAreReloaded(t *testing.T) {
	_, url := sleepyPod(t, SleepTimes{})
	mustPost(t, url+"/sleep?level=2", "")
	if status, _ := post(t, url+"/collective_rpc", `{"method":"reload_weights"}`, nil); status != http.StatusInternalServerError {
		t.Errorf("reload without memory: %d", status)
	}
	mustPost(t, url+"/wake_up", "")
	const request = `{"prompt":"x","max_tokens":3}`
	if text := mustPost(t, url+"/v1/completions", request); !strings.Contains(text, `"text":"!!!"`) {
		t.Errorf("before the reload: %s", text)
	}
	mustPost(t, url+"/collective_rpc", `{"method":"reload_weights"}`)
	if text := mustPost(t, url+"/v1/completions", request); !strings.Contains(text, `"text":" tok tok tok"`) {
		t.Errorf("after the reload: %s", text)
	}
}

func TestALieSaysAwakeBeforeTheWakeIsDone(t *testing.T) {
	pod, url := sleepyPod(t, SleepTimes{Copy: time.Hour, Map: 1, Reload: 1})
	mustPost(t, url+"/sleep?level=2", "")
	pod.sleeper.mu.Lock()
	pod.sleeper.state.level = 1 // asleep at level 1 without the hour that the copy takes
	pod.sleeper.mu.Unlock()
	if err := pod.SetFault(LieFault); err != nil {
		t.Fatal(err)
	}
	mustPost(t, url+"/wake_up", "")
	if diff := cmp.Diff(told{Awake: 1}, tell(t, url)); diff != "" {
		t.Error(diff)
	}
	held := ask(url, `{"prompt":"x"}`)
	until(t, url, "vllm:num_requests_waiting", "", 1)
	if err := pod.Restart(); err != nil {
		t.Fatal(err)
	}
	if a := <-held; a.err == nil {
		t.Errorf("a restart answered a request that had been queued: %+v", a)
	}
	if diff := cmp.Diff("awake", pod.Status().Sleep); diff != "" {
		t.Error(diff)
	}
}

func TestAWakeThatFailsLeavesTheEngineHalfAwake(t *testing.T) {
	pod, url := sleepyPod(t, SleepTimes{})
	mustPost(t, url+"/sleep", "")
	if err := pod.SetFault(WakeErrorFault); err != nil {
		t.Fatal(err)
	}
	if status, text := post(t, url+"/wake_up", "", nil); status != http.StatusInternalServerError || !strings.Contains(text, "out of memory") {
		t.Errorf("%d: %s", status, text)
	}
	if diff := cmp.Diff(told{Awake: 1, Sleeping: true}, tell(t, url)); diff != "" {
		t.Error(diff)
	}
	if got := pod.Status().Sleep; got != "level 1, kv_cache still asleep" {
		t.Errorf("status %q", got)
	}
}

func TestSleepsAndWakesTakeTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := newEngine(Options{Profile: swift()})
		if err != nil {
			t.Fatal(err)
		}
		s := newSleeper(DefaultSleepTimes, e, nil)
		both := []string{weightsTag, kvCacheTag}
		for _, step := range []struct {
			name string
			do   func() error
			want time.Duration
		}{
			{"sleep 1", func() error { return s.sleep(1) }, 1100 * time.Millisecond},
			{"wake from 1", func() error { return s.wake(both, NoFault) }, 1100 * time.Millisecond},
			{"wake again", func() error { return s.wake(both, NoFault) }, 0},
			{"sleep 2", func() error { return s.sleep(2) }, 200 * time.Millisecond},
			{"weights from 2", func() error { return s.wake([]string{weightsTag}, NoFault) }, 100 * time.Millisecond},
			{"reload", s.reload, 1500 * time.Millisecond},
			{"cache", func() error { return s.wake([]string{kvCacheTag}, NoFault) }, 100 * time.Millisecond},
		} {
			start := time.Now()
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if took := time.Since(start); took != step.want {
				t.Errorf("%s took %v, want %v", step.name, took, step.want)
			}
		}
	})
}

func TestAShutdownOrRestartEndsACallUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := newEngine(Options{Profile: swift()})
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		s := newSleeper(DefaultSleepTimes, e, closed)
		ended := make(chan error, 1)
		go func() { ended <- s.sleep(1) }()
		synctest.Wait()
		s.reset()
		if err := <-ended; !errors.Is(err, errGone) {
			t.Errorf("restarted: %v", err)
		}
		if got := s.current(); got.level != 0 {
			t.Errorf("asleep after a restart: %+v", got)
		}
		go func() { ended <- s.sleep(1) }()
		synctest.Wait()
		close(closed)
		if err := <-ended; !errors.Is(err, errGone) {
			t.Errorf("closed: %v", err)
		}
	})
}
