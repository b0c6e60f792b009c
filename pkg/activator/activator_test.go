package activator

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWhatIsHeldIsHandedOnOnceThereIsAnEndpoint(t *testing.T) {
	r := newRig(t, nil)
	begun := time.Now()
	held := r.start("/m/chat?a=b;c", "hello")
	if got := receive(t, "the wake", r.woken); got != "m" {
		t.Errorf("woke %q, want m", got)
	}
	t.Logf("woken %s after the request was begun", time.Since(begun))
	r.eventually("the body is buffered", func() bool { return r.state("m").HeldBytes == 5 })
	if s := r.state("m"); s.Held != 1 || s.OldestAge <= 0 || s.Arrivals != 1 || s.Wakes != 1 {
		t.Errorf("while held: %+v", s)
	}
	r.SetEndpoints("m", []Endpoint{engine(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v from %s", r.Method, r.RequestURI, body, err, r.Header.Get("X-Forwarded-For"))
	})})
	if got := receive(t, "the answer", held); got.code != 200 || got.body != "POST /m/chat?a=b;c hello <nil> from 127.0.0.1" {
		t.Errorf("got %+v", got)
	}
	if got := r.post(t.Context(), "/m/", "direct"); !strings.Contains(got.body, "direct") {
		t.Errorf("past the hold: %+v", got)
	}
	r.quiet()
}

// TestCyclesLoseAndDoubleNothing lets streaming clients run while the target goes to zero and comes back elsewhere.
func TestCyclesLoseAndDoubleNothing(t *testing.T) {
	const cycles, clients = 20, 8
	r := newRig(t, nil)
	var mu sync.Mutex
	seen := map[string]int{}
	engines := make([]Endpoint, 3)
	for i := range engines {
		engines[i] = engine(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			seen[string(body)]++
			mu.Unlock()
			w.Header().Set("Content-Type", "text/event-stream")
			for token := range 5 {
				fmt.Fprintf(w, "data: %s-%d\n\n", body, token)
				_ = http.NewResponseController(w).Flush()
			}
		})
		engines[i].MaxConcurrency = 2
	}
	var stop atomic.Bool
	var running sync.WaitGroup
	var served atomic.Int64
	for c := range clients {
		running.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("%d/%d", c, n)
				want := ""
				for token := range 5 {
					want += fmt.Sprintf("data: %s-%d\n\n", id, token)
				}
				if got := r.post(context.Background(), "/m/", id); got.code != 200 || got.body != want {
					t.Errorf("request %s: %+v", id, got)
					return
				}
				served.Add(1)
			}
		})
	}
	for cycle := range cycles {
		r.SetEndpoints("m", nil)
		r.holds("m", clients)
		before := served.Load()
		r.SetEndpoints("m", []Endpoint{engines[cycle%3], engines[(cycle+1)%3]})
		r.eventually("requests are served", func() bool { return served.Load() >= before+2*clients || t.Failed() })
	}
	stop.Store(true)
	running.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("request %s reached engines %d times", id, n)
		}
	}
	if int64(len(seen)) != served.Load() {
		t.Errorf("%d requests served, %d seen by engines", served.Load(), len(seen))
	}
	r.quiet()
	t.Logf("%d requests over %d cycles", served.Load(), cycles)
}

func TestReleaseIsInOrderOfArrivalAtTheEndpointsPace(t *testing.T) {
	const requests, pace = 50, 3
	for name, endpoint := range map[string]Endpoint{"the endpoint's": {MaxConcurrency: pace}, "the default": {}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.MaxConcurrency = pace })
			var answers []<-chan answer
			for i := range requests {
				answers = append(answers, r.start("/m/", fmt.Sprint(i)))
				r.holds("m", i+1)
			}
			r.eventually("all are buffered", func() bool { return r.state("m").HeldBytes == 10+2*(requests-10) })
			arrived, proceed := make(chan string, requests), make(chan struct{})
			endpoint.Address = engine(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				arrived <- string(body)
				<-proceed
				_, _ = w.Write(body)
			}).Address
			r.SetEndpoints("m", []Endpoint{endpoint})
			waiting := map[string]bool{}
			for i := range requests {
				got := receive(t, "the next request", arrived)
				waiting[got] = true
				// Those in flight race to the engine, so that each may be as early as it is in the queue, less the pace.
				var place int
				_, _ = fmt.Sscan(got, &place)
				if place > i+pace-1 || place < i-pace+1 {
					t.Errorf("request %d came as the %dth", place, i)
				}
				if n := r.state("m").InFlight; n > pace {
					t.Errorf("%d in flight, want at most %d", n, pace)
				}
				if i >= pace-1 {
					proceed <- struct{}{}
				}
			}
			close(proceed)
			for i, a := range answers {
				if got := receive(t, "an answer", a); got.body != fmt.Sprint(i) {
					t.Errorf("request %d: %+v", i, got)
				}
			}
			r.quiet()
		})
	}
}

func TestTheLeastLoadedEndpointIsChosen(t *testing.T) {
	r := newRig(t, nil)
	proceed := make(chan struct{})
	var load [2]atomic.Int64
	var endpoints []Endpoint
	for i := range load {
		endpoints = append(endpoints, engine(t, func(http.ResponseWriter, *http.Request) {
			load[i].Add(1)
			<-proceed
		}))
	}
	r.SetEndpoints("m", endpoints)
	var answers []<-chan answer
	for range 10 {
		answers = append(answers, r.start("/m/", ""))
		r.eventually("it is in flight", func() bool { return r.state("m").InFlight == len(answers) })
	}
	r.eventually("all are there", func() bool { return load[0].Load()+load[1].Load() == 10 })
	if a, b := load[0].Load(), load[1].Load(); a != b {
		t.Errorf("%d and %d in flight, want the same", a, b)
	}
	close(proceed)
	for _, a := range answers {
		receive(t, "an answer", a)
	}
}

func TestManyTargetsAreWokenAtOnce(t *testing.T) {
	const targets, each = 100, 3
	r := newRig(t, nil)
	answers := make(chan answer, targets*each)
	for i := range targets {
		for range each {
			go func() { answers <- r.post(context.Background(), fmt.Sprintf("/m%d/", i), "x") }()
		}
	}
	woken := map[string]bool{}
	for len(woken) < targets {
		woken[receive(t, "a wake", r.woken)] = true
	}
	r.eventually("all are held", func() bool { return r.Snapshot().Held == targets*each })
	e := engine(t, echo)
	for target := range woken {
		r.SetEndpoints(target, []Endpoint{e})
	}
	for range targets * each {
		if got := receive(t, "an answer", answers); got.code != 200 || got.body != "x" {
			t.Errorf("got %+v", got)
		}
	}
	r.quiet()
}

func TestTargetsAreToldApartByTheModelInTheBody(t *testing.T) {
	models := func(model string) (string, bool) { return "target-" + model, model != "none" }
	r := newRig(t, func(o *Options) { o.Resolve = ByModel(1<<10, models) })
	r.SetEndpoints("target-a", []Endpoint{engine(t, echo)})
	long := strings.Repeat("x", 10<<10)
	for body, want := range map[string]struct {
		code int
		body string
	}{
		`{"model":"a"}`: {200, `{"model":"a"}`},
		`{"messages":[{"model":"b"}], "n":1, "model" : "a", "prompt":"` + long + `"}`: {200, ""},
		`{"model":"none"}`:                  {404, ""},
		`{"prompt":"no model"}`:             {400, ""},
		`{"model":7}`:                       {400, ""},
		`not JSON`:                          {400, ""},
		``:                                  {400, ""},
		`{"prompt":"` + long + `","model":`: {413, ""},
	} {
		got := r.post(t.Context(), "/", body)
		if got.code != want.code {
			t.Errorf("%.40q: %+v, want %d", body, got, want.code)
		}
		if got.code == 200 && got.body != body {
			t.Errorf("%.40q came as %.40q", body, got.body)
		}
		if got.code != 200 {
			got.reason(t)
		}
	}
}

func TestBodiesArriveWholeHoweverTheyAreSent(t *testing.T) {
	body := strings.Repeat("0123456789", 30_000)
	for name, request := range map[string]func(url string) (*http.Request, error){
		"with its length": func(url string) (*http.Request, error) {
			return http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		},
		"in chunks": func(url string) (*http.Request, error) {
			return http.NewRequest(http.MethodPost, url, io.MultiReader(strings.NewReader(body)))
		},
		"expecting to continue": func(url string) (*http.Request, error) {
			req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
			req.Header.Set("Expect", "100-continue")
			return req, err
		},
	} {
		for _, held := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, held %v", name, held), func(t *testing.T) {
				r := newRig(t, nil)
				e := []Endpoint{engine(t, echo)}
				if !held {
					r.SetEndpoints("m", e)
				}
				req, err := request(r.url + "/m/")
				if err != nil {
					t.Fatal(err)
				}
				answers := make(chan answer, 1)
				go func() { answers <- r.do(req) }()
				if held {
					r.eventually("it is buffered", func() bool { return r.state("m").HeldBytes >= int64(len(body)) })
					r.SetEndpoints("m", e)
				}
				if got := receive(t, "the answer", answers); got.code != 200 || got.body != body {
					t.Errorf("%d, %d bytes, want %d; %v", got.code, len(got.body), len(body), got.err)
				}
				r.quiet()
			})
		}
	}
}

func TestAClientThatLeavesIsGivenUpAtOnce(t *testing.T) {
	r := newRig(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan answer, 1)
	go func() { gone <- r.post(ctx, "/m/", "bytes") }()
	r.eventually("it is held", func() bool { return r.state("m").HeldBytes == 5 })
	stays := r.start("/m/", "stays")
	r.holds("m", 2)
	leave()
	receive(t, "the client's end", gone)
	r.holds("m", 1)
	r.eventually("it is counted", func() bool { return r.state("m").Refused[ClientGone] == 1 })
	r.SetEndpoints("m", []Endpoint{engine(t, echo)})
	if got := receive(t, "the other's answer", stays); got.body != "stays" {
		t.Errorf("got %+v", got)
	}
	r.quiet()
}

// TestASlowClientDoesNotKeepOthersWaiting has one that sends half of its body and stops.
func TestASlowClientDoesNotKeepOthersWaiting(t *testing.T) {
	r := newRig(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /m/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf.")
	r.holds("m", 1)
	held := r.start("/m/", "quick")
	r.holds("m", 2)
	r.SetEndpoints("m", []Endpoint{engine(t, echo)})
	if got := receive(t, "the held one's answer", held); got.body != "quick" {
		t.Errorf("got %+v", got)
	}
	if got := r.post(t.Context(), "/m/", "direct"); got.body != "direct" {
		t.Errorf("got %+v", got)
	}
	fmt.Fprint(conn, "whole")
	answer := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(answer); err != nil || !strings.Contains(string(answer[:n]), "200 OK") {
		t.Errorf("the slow one got %q, %v", answer[:n], err)
	}
	r.quiet()
}

// TestTenThousandHeldRequestsFit measures what the process uses, clients within it included, so that the bound that
// benchmarks/activator shows in a process of its own is not to be missed here.
func TestTenThousandHeldRequestsFit(t *testing.T) {
	const requests, size = 10_000, 8 << 10
	opts := Default()
	opts.Resolve = byPath
	opts.Wake = func(context.Context, string) {}
	a, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	before := heapInUse()
	ctx, leave := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range requests {
		running.Go(func() {
			body := io.LimitReader(zeros{}, size)
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://x/m/", body)
			req.ContentLength = size
			a.ServeHTTP(discard{}, req)
		})
	}
	for end := time.Now().Add(patience); a.Snapshot().HeldBytes < requests*size && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	used := heapInUse() - before
	if s := a.Snapshot(); s.Held != requests {
		t.Fatalf("%d held, want %d", s.Held, requests)
	}
	t.Logf("%d MiB of heap and stacks", used>>20)
	if used > 256<<20 {
		t.Errorf("%d MiB for %d held requests, want less than 256", used>>20, requests)
	}
	leave()
	running.Wait()
	if s := a.Snapshot(); s.Held != 0 || s.HeldBytes != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
