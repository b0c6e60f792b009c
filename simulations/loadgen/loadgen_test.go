package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
)

// startReplica serves an emulated engine, loaded, on loopback.
func startReplica(t *testing.T) (*emulator.PodServer, string) {
	t.Helper()
	pod, err := emulator.New(emulator.Options{Profile: replica.Profile{
		Name: "swift", Model: "test/model", GPUs: 1,
		StepBase: 2, PrefillPerToken: 0.01, APIOverhead: 1,
		KVTokens: 160000, BlockSize: 16, MaxNumSeqs: 64, MaxNumBatchedTokens: 4096, MaxModelLen: 8192,
	}})
	if err != nil {
		t.Fatal(err)
	}
	pod.MarkLoaded()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- pod.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = pod.Shutdown(ctx) // streams a test left open are cut
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return pod, listener.Addr().String()
}

func newDriver(t *testing.T, o Options) *Driver {
	t.Helper()
	o.Model = "test/model"
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDriverMeasuresWhatTheEngineDoes(t *testing.T) {
	_, a := startReplica(t)
	_, b := startReplica(t)
	router := NewRouter()
	router.SetEndpoints([]string{a, b})
	rng := rand.New(rand.NewSource(1))
	var requests []trace.Request
	for i := range 60 {
		requests = append(requests, trace.Request{At: time.Duration(i) * 10 * time.Millisecond, PromptTokens: 100, OutputTokens: 1 + rng.Intn(80)})
	}
	driver := newDriver(t, Options{Router: router})
	if err := driver.Run(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
	records := driver.Records()
	if len(records) != len(requests) {
		t.Fatalf("%d records of %d requests", len(records), len(requests))
	}
	served := map[string]int{}
	var paces []time.Duration
	for _, r := range records {
		served[r.Endpoint]++
		// A first token takes at least 1 ms of overhead and a step of 3 ms; a
		// further one 2 ms.
		if r.Err != "" || r.Received != r.OutputTokens || r.TTFT < 4*time.Millisecond || r.TTFT > r.E2E || r.Attempts != 1 {
			t.Errorf("record %+v", r)
		}
		if r.OutputTokens > 20 {
			paces = append(paces, r.TPOT)
		}
	}
	// On a busy machine single streams may be late or come in one go.
	slices.Sort(paces)
	if median := quantile(paces, 0.5); median < 1500*time.Microsecond || median > 8*time.Millisecond {
		t.Errorf("median TPOT %v, the engine gives 2 ms", median)
	}
	if served[a] < 20 || served[b] < 20 {
		t.Errorf("unevenly spread: %v", served)
	}
	if s := router.Stats(); s != (RouterStats{Endpoints: 2}) {
		t.Errorf("router at the end: %+v", s)
	}
	if l := driver.Live(); l != (Live{Arrived: 60, Ended: 60}) {
		t.Errorf("driver at the end: %+v", l)
	}
}

func TestDialReachesReplicasOfAnotherNetwork(t *testing.T) {
	_, address := startReplica(t)
	const inside = "10.1.2.3:8000" // nobody's here
	router := NewRouter()
	router.SetEndpoints([]string{inside})
	driver := newDriver(t, Options{Router: router, Dial: func(ctx context.Context, network, wanted string) (net.Conn, error) {
		if network != "tcp" || wanted != inside {
			t.Errorf("dialled %s %s, want tcp %s", network, wanted, inside)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	if err := driver.Run(t.Context(), []trace.Request{{PromptTokens: 10, OutputTokens: 3}}); err != nil {
		t.Fatal(err)
	}
	if records := driver.Records(); len(records) != 1 || records[0].Err != "" || records[0].Received != 3 || records[0].Endpoint != inside {
		t.Errorf("records %+v, want one of three tokens from %s", records, inside)
	}
}

func TestRequestsWaitForTheFirstEndpoint(t *testing.T) {
	_, address := startReplica(t)
	router := NewRouter()
	time.AfterFunc(200*time.Millisecond, func() { router.SetEndpoints([]string{address}) })
	driver := newDriver(t, Options{Router: router})
	if err := driver.Run(t.Context(), []trace.Request{{PromptTokens: 1, OutputTokens: 2}, {PromptTokens: 1, OutputTokens: 2}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range driver.Records() {
		if r.Err != "" || r.TTFT < 190*time.Millisecond {
			t.Errorf("the wait is not in TTFT: %+v", r)
		}
	}
}

func TestRequestsWithoutEndpointFailAfterTheTimeout(t *testing.T) {
	driver := newDriver(t, Options{Router: NewRouter(), Timeout: 50 * time.Millisecond})
	if err := driver.Run(t.Context(), []trace.Request{{PromptTokens: 1, OutputTokens: 2}}); err != nil {
		t.Fatal(err)
	}
	got := driver.Records()
	if len(got) != 1 || !strings.Contains(got[0].Err, ErrNoEndpoint.Error()) || got[0].E2E < 50*time.Millisecond {
		t.Errorf("records %+v", got)
	}
}

func TestRefusedRequestsGoElsewhere(t *testing.T) {
	_, good := startReplica(t)
	draining, closing := startReplica(t)
	if err := draining.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	router := NewRouter()
	router.SetEndpoints([]string{dead, closing, good})
	driver := newDriver(t, Options{Router: router})
	requests := make([]trace.Request, 10)
	for i := range requests {
		requests[i] = trace.Request{PromptTokens: 1, OutputTokens: 5}
	}
	if err := driver.Run(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
	retried := false
	for _, r := range driver.Records() {
		if r.Err != "" || r.Endpoint != good {
			t.Errorf("record %+v", r)
		}
		retried = retried || r.Attempts > 1
	}
	if !retried {
		t.Error("no request met a refusal: the test shows nothing")
	}
}

func TestABrokenStreamIsAFailure(t *testing.T) {
	pod, address := startReplica(t)
	router := NewRouter()
	router.SetEndpoints([]string{address})
	driver := newDriver(t, Options{Router: router})
	time.AfterFunc(150*time.Millisecond, func() {
		if err := pod.Restart(); err != nil {
			t.Error(err)
		}
	})
	if err := driver.Run(t.Context(), []trace.Request{{PromptTokens: 1, OutputTokens: 8000}}); err != nil {
		t.Fatal(err)
	}
	if got := driver.Records(); len(got) != 1 || got[0].Err == "" || got[0].TTFT == 0 {
		t.Errorf("records %+v", got)
	}
}

func TestRunEndsWithItsContextAndItsBound(t *testing.T) {
	_, address := startReplica(t)
	long := []trace.Request{{PromptTokens: 1, OutputTokens: 8000}, {At: time.Hour, PromptTokens: 1, OutputTokens: 1}}
	for name, tc := range map[string]struct {
		bound, cancel time.Duration
		want          error
	}{
		"cancelled":            {0, 100 * time.Millisecond, context.Canceled},
		"the maximum duration": {100 * time.Millisecond, time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			router := NewRouter()
			router.SetEndpoints([]string{address})
			driver := newDriver(t, Options{Router: router, MaxDuration: tc.bound})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer time.AfterFunc(tc.cancel, cancel).Stop()
			began := time.Now()
			if err := driver.Run(ctx, long); !errors.Is(err, tc.want) {
				t.Errorf("Run = %v, want %v", err, tc.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if got := driver.Records(); len(got) != 1 || got[0].Err == "" {
				t.Errorf("the request under way must be a failure: %+v", got)
			}
		})
	}
}

func TestLeastOutstandingWins(t *testing.T) {
	router := NewRouter()
	router.SetEndpoints([]string{"a", "b", "c"})
	pick := func() *endpoint {
		e, err := router.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first, second, third := pick(), pick(), pick()
	if got := map[string]bool{first.address: true, second.address: true, third.address: true}; len(got) != 3 {
		t.Fatalf("equals must take turns: %v", got)
	}
	router.release(second)
	if again := pick(); again != second {
		t.Errorf("picked %s, want the idle %s", again.address, second.address)
	}
	router.release(first)
	router.refused(first)
	if e := pick(); e == first {
		t.Error("an endpoint that has just refused is passed over")
	}
	router.SetEndpoints([]string{first.address})
	if e := pick(); e != first {
		t.Error("the only endpoint is used even if suspect")
	}
}

func TestFollowKnowsReadyPods(t *testing.T) {
	pod := func(name, ip string, ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, Labels: map[string]string{"app": "x"}},
			Status:     corev1.PodStatus{PodIP: ip, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	terminating := pod("terminating", "10.0.0.3", "True")
	terminating.DeletionTimestamp, terminating.Finalizers = &metav1.Time{Time: time.Now()}, []string{"x/y"}
	loading := pod("loading", "10.0.0.2", "False")
	client := fake.NewClientset(pod("ready", "10.0.0.1", "True"), loading, terminating)
	router := NewRouter()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Follow(ctx, client, Pods{Namespace: "demo", Selector: "app=x", Port: 8000}, router) }()
	addresses := func() string {
		router.mu.Lock()
		defer router.mu.Unlock()
		var out []string
		for _, e := range router.endpoints {
			out = append(out, e.address)
		}
		return strings.Join(out, " ")
	}
	eventually(t, "one pod is known", func() bool { return addresses() == "10.0.0.1:8000" })
	loading.Status.Conditions[0].Status = corev1.ConditionTrue
	if _, err := client.CoreV1().Pods("demo").Update(ctx, loading, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second is known", func() bool { return addresses() == "10.0.0.1:8000 10.0.0.2:8000" })
	if err := client.CoreV1().Pods("demo").Delete(ctx, "ready", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first is forgotten", func() bool { return addresses() == "10.0.0.2:8000" })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// eventually waits up to five seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within five seconds: %s", what)
}

func TestReceive(t *testing.T) {
	long := strings.Repeat("tok ", 3000)
	tests := map[string]struct {
		stream   string
		received int
		err      string
	}{
		"tokens, usage, end": {"data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"usage\":{\"completion_tokens\": 7}}\n\ndata: [DONE]\n\n", 7, ""},
		"a chunk longer than the buffer": {
			"data: {\"choices\":[{\"text\":\"" + long + "\"}]}\n\ndata: {\"usage\":{\"completion_tokens\":7}}\n\ndata: [DONE]\n\n", 7, "",
		},
		"a first chunk whose tail looks like another line": {
			"data: {\"choices\":[{\"text\":\"" + strings.Repeat("t", 4096) + "data: [DONE]\"}]}\n\ndata: {\"usage\":{\"completion_tokens\":7}}\n\ndata: [DONE]\n\n", 7, "",
		},
		"comments and other fields are passed over": {": ping\n\nevent: x\ndata: {\"usage\":{\"completion_tokens\":1}}\n\ndata: [DONE]\n\n", 1, ""},
		"an end without usage":                      {"data: {}\n\ndata: [DONE]\n\n", 0, "usage"},
		"a cut":                                     {"data: {\"usage\":{\"completion_tokens\":7}}\n\n", 7, "broke off"},
		"an error in the stream":                    {"data: {\"error\":{\"message\":\"no memory\"}}\n\n", 0, "no memory"},
		"nothing":                                   {"", 0, "broke off"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var r Record
			err := receive(strings.NewReader(tc.stream), time.Now(), &r)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if strings.Contains(tc.stream, "choices") && r.TTFT == 0 {
				t.Error("the first token was not seen")
			}
			if r.Received != tc.received {
				t.Errorf("received %d, want %d", r.Received, tc.received)
			}
		})
	}
}

func TestOtherAnswersAreFailuresWithTheirReason(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such model", http.StatusNotFound)
	}))
	defer server.Close()
	router := NewRouter()
	router.SetEndpoints([]string{strings.TrimPrefix(server.URL, "http://")})
	driver := newDriver(t, Options{Router: router, Prompt: func(n int) string { return strings.Repeat("tok ", n) }})
	if err := driver.Run(t.Context(), []trace.Request{{PromptTokens: 3, OutputTokens: 1}}); err != nil {
		t.Fatal(err)
	}
	if got := driver.Records(); len(got) != 1 || !strings.Contains(got[0].Err, "no such model") {
		t.Errorf("records %+v", got)
	}
}

func TestSummarize(t *testing.T) {
	slo := SLO{TTFT: time.Second, TPOT: 50 * time.Millisecond}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	var records []Record
	for i := 1; i <= 97; i++ {
		records = append(records, Record{TTFT: ms(i), TPOT: ms(50), E2E: ms(2000)})
	}
	records = append(records,
		Record{TTFT: ms(1001), TPOT: ms(1)},       // too late
		Record{TTFT: ms(500), TPOT: ms(51)},       // too slow
		Record{E2E: ms(9000), Err: "no endpoint"}, // failed after nine seconds
	)
	got, err := Summarize(records, slo)
	want := Summary{Requests: 100, Errors: 1, Attained: 97, Attainment: 0.97, TTFTP50: ms(50), TTFTP90: ms(90), TTFTP99: ms(1001)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("(-want +got), %v:\n%s", err, diff)
	}
	if _, err := Summarize(nil, slo); !errors.Is(err, ErrNoRequests) {
		t.Errorf("no records: %v", err)
	}
	one, err := Summarize(records[:1], slo)
	if err != nil || one.TTFTP99 != ms(1) || one.TTFTP50 != ms(1) {
		t.Errorf("one record: %+v, %v", one, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{"no router": {}, "a negative timeout": {Router: NewRouter(), Timeout: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func ExampleSummarize() {
	s, err := Summarize([]Record{{TTFT: time.Second}, {Err: "refused"}}, SLO{TTFT: 2 * time.Second})
	fmt.Println(s.Attainment, s.Errors, err)
	// Output: 0.5 1 <nil>
}

func TestAnEndpointThatJoinsOthersIsNotFlooded(t *testing.T) {
	router := NewRouter()
	router.SetEndpoints([]string{"a", "b"})
	picks := func(n int) map[string]int {
		got := map[string]int{}
		for range n {
			e, err := router.acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got[e.address]++
		}
		return got
	}
	picks(40)
	router.SetEndpoints([]string{"a", "b", "c"})
	if got := picks(30); got["c"] < 5 || got["c"] > 15 {
		t.Errorf("of 30 requests right after c joined it got %d, want about its third", got["c"])
	}
	router.endpoints[2].joined = router.endpoints[2].joined.Add(-slowStart)
	if got := picks(15); got["c"] != 15 {
		t.Errorf("of 15 requests after the slow start c, which has the fewest, got %d", got["c"])
	}
}
