package activator

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestEventsAreFlushedOneByOne(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("held %v", held), func(t *testing.T) {
			r := newRig(t, nil)
			next := make(chan struct{})
			e := []Endpoint{engine(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 3 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					_ = http.NewResponseController(w).Flush()
					<-next
				}
			})}
			if !held {
				r.SetEndpoints("m", e)
			}
			responses := make(chan *http.Response, 1)
			go func() {
				resp, err := r.client.Post(r.url+"/m/", "application/json", strings.NewReader(`{"stream":true}`))
				if err != nil {
					t.Error(err)
				}
				responses <- resp
			}()
			if held {
				r.holds("m", 1)
				r.SetEndpoints("m", e)
			}
			resp := receive(t, "the response", responses)
			defer resp.Body.Close()
			lines := events(t, resp.Body)
			for i := range 3 { // the engine goes on only after the client has the event
				if got := receive(t, "an event", lines); got != fmt.Sprint("data: ", i) {
					t.Errorf("event %d: %q", i, got)
				}
				next <- struct{}{}
			}
			r.quiet()
		})
	}
}

func TestAnswersAfterAKeepAliveAreEvents(t *testing.T) {
	for name, c := range map[string]struct {
		engine http.HandlerFunc
		want   string
	}{
		"a stream": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: encoding %q\n\n", r.Header.Get("Accept-Encoding"))
		}, `data: encoding ""`},
		"an error":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "too\nlong", http.StatusBadRequest) }, "data: too\ndata: long"},
		"a broken one": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, `data: {"error":{"message":"the connection`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.KeepAlive = time.Millisecond })
			req, _ := http.NewRequest(http.MethodPost, r.url+"/m/", strings.NewReader(`{"stream":true}`))
			req.Header.Set("Accept-Encoding", "gzip")
			resp, err := r.client.Do(req) // returns with the first comment
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			r.SetEndpoints("m", []Endpoint{engine(t, c.engine)})
			body, err := io.ReadAll(resp.Body)
			comment := ": the model is loading\n\n"
			rest := strings.ReplaceAll(string(body), comment, "")
			if err != nil || !strings.HasPrefix(string(body), comment) || !strings.HasPrefix(rest, c.want) || !strings.HasSuffix(rest, "\n\n") {
				t.Errorf("got %q, %v, want comments and %q", rest, err, c.want)
			}
			r.quiet()
		})
	}
}

// h2cClient speaks HTTP/2 without TLS, as gRPC clients do.
func h2cClient(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestHTTP2ClientsReachHTTP1Engines(t *testing.T) {
	r := newRig(t, nil)
	r.client = h2cClient(t)
	held := r.start("/m/", "body")
	r.eventually("it is buffered", func() bool { return r.state("m").HeldBytes == 4 })
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan answer, 1)
	go func() { gone <- r.post(ctx, "/m/", "gone") }()
	r.holds("m", 2)
	leave()
	receive(t, "the other client's end", gone)
	r.holds("m", 1)
	r.SetEndpoints("m", []Endpoint{engine(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Proto, body)
	})})
	if got := receive(t, "the answer", held); got.body != "HTTP/1.1 body" {
		t.Errorf("got %+v", got)
	}
	r.quiet()
}

// TestGRPC talks both ways at once, as streaming calls do, and ends with trailers.
func TestGRPC(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("held %v", held), func(t *testing.T) {
			r := newRig(t, nil)
			e := []Endpoint{engine(t, func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
					t.Errorf("%s, te %q", r.Proto, r.Header.Get("Te"))
				}
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set("Trailer", "Grpc-Status")
				message := make([]byte, 5)
				for {
					if _, err := io.ReadFull(r.Body, message); err != nil {
						break
					}
					_, _ = w.Write(bytes.ToUpper(message))
					_ = http.NewResponseController(w).Flush()
				}
				w.Header().Set("Grpc-Status", "0")
				w.Header().Set(http.TrailerPrefix+"Grpc-Message", "unannounced")
			})}
			if !held {
				r.SetEndpoints("m", e)
			}
			body, send := io.Pipe()
			req, _ := http.NewRequest(http.MethodPost, r.url+"/m/", body)
			req.Header.Set("Content-Type", "application/grpc")
			req.Header.Set("Te", "trailers")
			responses := make(chan *http.Response, 1)
			go func() {
				resp, err := h2cClient(t).Do(req)
				if err != nil {
					t.Error(err)
				}
				responses <- resp
			}()
			_, _ = io.WriteString(send, "first") // while the call is not at its end
			if held {
				r.holds("m", 1)
				r.SetEndpoints("m", e)
			}
			resp := receive(t, "the response", responses)
			defer resp.Body.Close()
			message := make([]byte, 5)
			for _, want := range []string{"FIRST", "SECND"} {
				if _, err := io.ReadFull(resp.Body, message); err != nil || string(message) != want {
					t.Errorf("got %q, %v, want %q", message, err, want)
				}
				if want == "FIRST" {
					_, _ = io.WriteString(send, "secnd")
				}
			}
			send.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
			if resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "unannounced" {
				t.Errorf("trailers %v", resp.Trailer)
			}
			r.quiet()
		})
	}
}

// TestAGRPCServerThatIsStillLoadingGetsTheCallAgain where all of the call was kept, and only where nothing was answered.
func TestAGRPCServerThatIsStillLoadingGetsTheCallAgain(t *testing.T) {
	unavailable := func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "14") } // and no body: trailers-only
	for name, c := range map[string]struct {
		refuse func(w http.ResponseWriter)
		held   bool
		change func(*Options)
		unread bool // the server does not read the call, which has no end
		again  bool
	}{
		"held":               {refuse: unavailable, held: true, again: true},
		"passing":            {refuse: unavailable},
		"held without room":  {refuse: unavailable, held: true, change: func(o *Options) { o.PerTarget.Bytes = 3 }},
		"a call without end": {refuse: unavailable, held: true, unread: true},
		"some other status":  {refuse: func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "13") }, held: true},
		"after first bytes":  {refuse: func(w http.ResponseWriter) { _, _ = io.WriteString(w, "first"); unavailableAfter(w) }, held: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				o.RetryPause = time.Millisecond
				if c.change != nil {
					c.change(o)
				}
			})
			var calls atomic.Int64
			e := []Endpoint{engine(t, func(w http.ResponseWriter, req *http.Request) {
				n := calls.Add(1)
				var body []byte
				if !c.unread {
					body, _ = io.ReadAll(req.Body)
				}
				w.Header().Set("Content-Type", "application/grpc")
				if n <= 3 {
					c.refuse(w)
					return
				}
				w.Header().Set("Trailer", "Grpc-Status")
				_, _ = w.Write(bytes.ToUpper(body))
				w.Header().Set("Grpc-Status", "0")
			})}
			if !c.held {
				r.SetEndpoints("m", e)
			}
			body, send := io.Pipe()
			defer send.Close()
			req, _ := http.NewRequest(http.MethodPost, r.url+"/m/", body)
			req.Header.Set("Content-Type", "application/grpc")
			r.client = h2cClient(t)
			answers := make(chan answer, 1)
			go func() { answers <- r.do(req) }()
			go func() {
				_, _ = io.WriteString(send, "message")
				if !c.unread {
					send.Close()
				}
			}()
			if c.held {
				r.holds("m", 1)
				r.SetEndpoints("m", e)
			}
			got := receive(t, "the answer", answers)
			want := int64(1)
			if c.again {
				want = 4
				if got.code != 200 || got.body != "MESSAGE" {
					t.Errorf("got %+v, want it answered in the end", got)
				}
			}
			if n := calls.Load(); n != want {
				t.Errorf("sent %d times, want %d; got %+v", n, want, got)
			}
			r.quiet()
		})
	}
}

// unavailableAfter ends an answer that has begun.
func unavailableAfter(w http.ResponseWriter) { w.Header().Set(http.TrailerPrefix+"Grpc-Status", "14") }

func TestMetrics(t *testing.T) {
	r := newRig(t, nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Activator)
	held := r.start("/m/", "held")
	r.eventually("it is buffered", func() bool { return r.state("m").HeldBytes == 4 })
	r.Refuse("n", "none")
	r.post(t.Context(), "/n/", "refused")
	want := `
# HELP preheat_activator_errors_total Requests that were answered with an error here, by reason.
# TYPE preheat_activator_errors_total counter
preheat_activator_errors_total{reason="unavailable",target="n"} 1
# HELP preheat_activator_held_requests Requests that wait for an endpoint.
# TYPE preheat_activator_held_requests gauge
preheat_activator_held_requests{target="m"} 1
preheat_activator_held_requests{target="n"} 0
# HELP preheat_activator_requests_total Requests, whatever became of them.
# TYPE preheat_activator_requests_total counter
preheat_activator_requests_total{target="m"} 1
preheat_activator_requests_total{target="n"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"preheat_activator_errors_total", "preheat_activator_held_requests", "preheat_activator_requests_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	r.SetEndpoints("m", []Endpoint{engine(t, echo)})
	receive(t, "the answer", held)
}

func TestAnUpgradeIsHeldAndThenItsBytesPassBothWays(t *testing.T) {
	r := newRig(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET /m/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r.holds("m", 1)
	r.SetEndpoints("m", []Endpoint{engine(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		upgraded, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer upgraded.Close()
		line, _ := rw.ReadString('\n')
		fmt.Fprintf(upgraded, "echo %s", line)
	})})
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", resp, err)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := reader.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
	conn.Close()
	r.quiet()
}
