package activator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; it is no part of what is proved.
const patience = 2 * time.Minute

// rig is an Activator behind a real server.
type rig struct {
	*Activator
	t      *testing.T
	url    string
	client *http.Client
	woken  chan string
}

// newRig serves an Activator that takes the first label of the path for the target.
func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, woken: make(chan string, 1000)}
	opts := Default()
	opts.Resolve = byPath
	opts.Wake = func(_ context.Context, target string) { r.woken <- target }
	if change != nil {
		change(&opts)
	}
	a, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Activator = a
	r.url = serve(t, NewServer(a))
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = a.Shutdown(ctx)
	})
	return r
}

func byPath(r *http.Request) (string, error) {
	target, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if target == "unknown" {
		return "", ErrUnknownTarget
	}
	return target, nil
}

// serve runs a server on loopback until the test ends, and returns its URL.
func serve(t testing.TB, s *http.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(listener) })
	t.Cleanup(func() {
		_ = s.Close()
		running.Wait()
	})
	return "http://" + listener.Addr().String()
}

// engine serves a handler and is an endpoint.
func engine(t testing.TB, h http.HandlerFunc) Endpoint {
	t.Helper()
	return Endpoint{Address: strings.TrimPrefix(serve(t, NewServer(h)), "http://")}
}

// nobody is an address at which nothing listens.
func nobody(t *testing.T) Endpoint {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return Endpoint{Address: listener.Addr().String()}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // HTTP/1.1 servers stop reading when they begin to answer
	_, _ = w.Write(body)
}

// answer is what a client got.
type answer struct {
	code   int
	header http.Header
	body   string
	err    error
}

// reason is the code in an error's body, which must have OpenAI's shape.
func (a answer) reason(t *testing.T) Reason {
	t.Helper()
	var body struct {
		Error struct {
			Message, Type string
			Code          Reason
		}
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Error.Message == "" || body.Error.Type == "" {
		t.Fatalf("%d %q (%v) is not an error in OpenAI's shape: %v", a.code, a.body, a.err, err)
	}
	return body.Error.Code
}

func (r *rig) post(ctx context.Context, path, body string) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	return r.do(req)
}

func (r *rig) do(req *http.Request) answer {
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// start posts in the background, and returns when the request is held.
func (r *rig) start(path, body string) <-chan answer {
	r.t.Helper()
	before := r.state(targetOf(path)).Arrivals
	answers := make(chan answer, 1)
	go func() { answers <- r.post(context.Background(), path, body) }()
	r.eventually("the request has arrived", func() bool { return r.state(targetOf(path)).Arrivals > before })
	return answers
}

func targetOf(path string) string {
	target, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return target
}

// state is what the snapshot says of one target.
func (r *rig) state(target string) TargetSnapshot {
	for _, t := range r.Snapshot().Targets {
		if t.Target == target {
			return t
		}
	}
	return TargetSnapshot{}
}

func (r *rig) eventually(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not within %s: %s; %+v", patience, what, r.Snapshot())
		}
	}
}

func (r *rig) holds(target string, n int) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%d requests are held for %s", n, target), func() bool { return r.state(target).Held == n })
}

// quiet waits until nothing is left of any request: no place, no bytes, nothing in flight.
func (r *rig) quiet() {
	r.t.Helper()
	r.eventually("nothing is held or in flight", func() bool {
		s := r.Snapshot()
		inFlight := 0
		for _, t := range s.Targets {
			inFlight += t.InFlight
		}
		return s.Held == 0 && s.HeldBytes == 0 && inFlight == 0
	})
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("not within %s: %s", patience, what)
		panic("unreachable")
	}
}

// events reads a stream's lines that are not empty.
func events(t *testing.T, body io.Reader) <-chan string {
	t.Helper()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(body); s.Scan(); {
			if s.Text() != "" {
				lines <- s.Text()
			}
		}
	}()
	return lines
}
