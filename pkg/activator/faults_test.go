package activator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnEngineThatIsStillLoadingGetsTheRequestAgain(t *testing.T) {
	r := newRig(t, func(o *Options) { o.RetryPause = time.Millisecond })
	var refused, together, most atomic.Int64
	loading := engine(t, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), together.Add(1)))
		defer together.Add(-1)
		body, _ := io.ReadAll(r.Body)
		if refused.Add(1) <= 20 {
			http.Error(w, "loading", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(body)
	})
	loading.MaxConcurrency = 4
	var answers []<-chan answer
	for i := range 10 {
		answers = append(answers, r.start("/m/", fmt.Sprint("request ", i)))
	}
	r.eventually("all are buffered", func() bool { return r.state("m").HeldBytes == 10*9 })
	r.SetEndpoints("m", []Endpoint{loading})
	for i, a := range answers {
		if got := receive(t, "an answer", a); got.code != 200 || got.body != fmt.Sprint("request ", i) {
			t.Errorf("request %d: %+v", i, got)
		}
	}
	if n := most.Load(); n > 4 {
		t.Errorf("%d at the engine at once, want at most its 4", n)
	}
	r.quiet()
}

func TestWhatWasNotBufferedIsNotSentTwice(t *testing.T) {
	r := newRig(t, nil)
	var calls atomic.Int64
	r.SetEndpoints("m", []Endpoint{engine(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
	})})
	if got := r.post(t.Context(), "/m/", "body"); got.code != 503 || got.body != "overloaded\n" {
		t.Errorf("got %+v, want the engine's own answer", got)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

func TestAnEndpointThatCannotBeDialledIsPassedBy(t *testing.T) {
	r := newRig(t, func(o *Options) { o.RetryPause = 10 * time.Millisecond })
	dead, alive := nobody(t), engine(t, echo)
	r.SetEndpoints("m", []Endpoint{dead, alive})
	for i := range 20 {
		if got := r.post(t.Context(), "/m/", fmt.Sprint(i)); got.code != 200 || got.body != fmt.Sprint(i) {
			t.Errorf("request %d: %+v", i, got)
		}
	}
	r.SetEndpoints("m", []Endpoint{dead})
	held := r.start("/m/", "waits")
	r.eventually("it is held again", func() bool { return r.state("m").HeldBytes == 5 })
	r.SetEndpoints("m", []Endpoint{dead, alive})
	if got := receive(t, "the answer", held); got.body != "waits" {
		t.Errorf("got %+v", got)
	}
	r.quiet()
}

func TestAnEndpointThatHangsIsBounded(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, endpoint := range map[string]Endpoint{
		"after it took the request": engine(t, func(http.ResponseWriter, *http.Request) { <-hang }),
		"without reading":           deaf(t),
	} {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, held %v", name, held), func(t *testing.T) {
				r := newRig(t, func(o *Options) { o.ResponseHeaderTimeout = 50 * time.Millisecond })
				var answers <-chan answer
				body := strings.Repeat("x", 20<<20) // more than the connection's buffers take
				if held {
					answers = r.start("/m/", body)
					r.eventually("it is buffered", func() bool { return r.state("m").HeldBytes == 20<<20 })
					r.SetEndpoints("m", []Endpoint{endpoint})
				} else {
					r.SetEndpoints("m", []Endpoint{endpoint})
					answers = r.start("/m/", "small")
				}
				got := receive(t, "the answer", answers)
				if got.code != 504 || got.reason(t) != EndpointTimeout {
					t.Errorf("got %+v, want a 504", got)
				}
				r.quiet()
			})
		}
	}
}

// deaf accepts connections, and neither reads nor answers.
func deaf(t *testing.T) Endpoint {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return Endpoint{Address: listener.Addr().String()}
}

func TestAnEngineThatDiesIsNotAskedTwice(t *testing.T) {
	r := newRig(t, nil)
	var calls atomic.Int64
	dies := engine(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.ReadAll(r.Body)
		panic(http.ErrAbortHandler)
	})
	held := r.start("/m/", "x")
	r.holds("m", 1)
	r.SetEndpoints("m", []Endpoint{dies, engine(t, echo), dies})
	first := receive(t, "the answer", held)
	r.SetEndpoints("m", []Endpoint{dies})
	second := r.post(t.Context(), "/m/", "y")
	if second.code != 502 || second.reason(t) != EndpointFailed {
		t.Errorf("got %+v, want a 502", second)
	}
	if first.code == 502 && calls.Load() != 2 || first.code == 200 && calls.Load() != 1 {
		t.Errorf("first %+v, second %+v, and the dying engine was asked %d times", first, second, calls.Load())
	}
	r.quiet()
}

func TestAStreamThatBreaksIsSeenToBreak(t *testing.T) {
	r := newRig(t, nil)
	r.SetEndpoints("m", []Endpoint{engine(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})})
	if got := r.post(t.Context(), "/m/", ""); got.err == nil {
		t.Errorf("got %+v, want a broken stream", got)
	}
	r.quiet()
}

func TestAClientThatLeavesItsStreamFreesTheEndpoint(t *testing.T) {
	r := newRig(t, nil)
	reached, left := make(chan struct{}), make(chan struct{})
	r.SetEndpoints("m", []Endpoint{engine(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		close(reached)
		<-r.Context().Done()
		close(left)
	})})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan answer, 1)
	go func() { gone <- r.post(ctx, "/m/", "") }()
	receive(t, "the engine has the request", reached)
	leave()
	receive(t, "the client's end", gone)
	receive(t, "the engine hears of it", left)
	r.quiet()
}

func TestShutdown(t *testing.T) {
	r := newRig(t, nil)
	proceed := make(chan struct{})
	r.SetEndpoints("busy", []Endpoint{engine(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-proceed
		fmt.Fprint(w, "data: last\n\n")
	})})
	stream := r.start("/busy/", "")
	r.eventually("the stream goes", func() bool { return r.state("busy").InFlight == 1 })
	held := r.start("/m/", "held")
	r.holds("m", 1)

	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a stream in flight: %v, want the bound's end", err)
	}
	refused := receive(t, "the held one's answer", held)
	for name, got := range map[string]answer{"held": refused, "new": r.post(t.Context(), "/busy/", "")} {
		if got.code != 503 || got.reason(t) != ShuttingDown || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v, want a 503 that may be retried", name, got)
		}
	}
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(context.Background()) }()
	close(proceed)
	if got := receive(t, "the stream's end", stream); got.body != "data: first\n\ndata: last\n\n" {
		t.Errorf("the stream: %+v", got)
	}
	if err := receive(t, "the end", done); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	r.quiet()
}

// TestASlowUploadEndsWithItsAge has a client that never sends the end of its body.
func TestASlowUploadEndsWithItsAge(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"too old":     func(*rig) {},
		"given up":    func(r *rig) { r.Refuse("m", "none to be had") },
		"client gone": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				if name == "too old" {
					o.MaxAge = 50 * time.Millisecond
				}
			})
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "POST /m/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf.")
			r.eventually("it has arrived", func() bool { return r.state("m").Arrivals == 1 })
			if end == nil {
				r.holds("m", 1)
				conn.Close()
				r.quiet()
				return
			}
			if name == "given up" {
				r.holds("m", 1)
			}
			end(r)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(conn) // the connection cannot be used again
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503") {
				t.Errorf("got %q, %v, want a 503", answer, err)
			}
			r.quiet()
		})
	}
}
