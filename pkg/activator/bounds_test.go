package activator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a ResponseRecorder that may be read while it is written.
type recorder struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ResponseRecorder.Write(p)
}

func (r *recorder) WriteHeader(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ResponseRecorder.WriteHeader(code)
}

func (r *recorder) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ResponseRecorder.Flush()
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Body.String()
}

// bubble is an Activator within a synctest bubble, whose requests come by calls and are never handed on.
type bubble struct {
	*Activator
	t *testing.T
}

func newBubble(t *testing.T, change func(*Options)) bubble {
	t.Helper()
	opts := Default()
	opts.Resolve = byPath
	opts.Wake = func(context.Context, string) {}
	if change != nil {
		change(&opts)
	}
	a, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return bubble{a, t}
}

// send begins a request, and returns when it waits or has its answer.
func (b bubble) send(target, body string) *recorder {
	return b.sendRequest(httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/"+target+"/", strings.NewReader(body)))
}

func (b bubble) sendRequest(req *http.Request) *recorder {
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	w.Code = 0 // until there is an answer
	go b.ServeHTTP(w, req)
	synctest.Wait()
	return w
}

func (b bubble) end() {
	if err := b.Shutdown(context.Background()); err != nil {
		b.t.Error(err)
	}
}

// held is the number of requests that wait for each target.
func (b bubble) held() string {
	var held []string
	for _, t := range b.Snapshot().Targets {
		held = append(held, fmt.Sprintf("%s %d", t.Target, t.Held))
	}
	return strings.Join(held, ", ")
}

func reasonOf(t *testing.T, w *recorder) Reason {
	t.Helper()
	if w.Code == 0 {
		return "waits"
	}
	return answer{code: w.Code, body: w.Body.String()}.reason(t)
}

func TestBoundsOfOneTarget(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		bodies []string
		want   []Reason
	}{
		"requests": {
			func(o *Options) { o.PerTarget.Requests = 2 },
			[]string{"a", "b", "c"},
			[]Reason{"waits", "waits", QueueFull},
		},
		"bytes": {
			func(o *Options) { o.PerTarget.Bytes = 10 },
			[]string{"12345678", "123", "", "12"},
			[]Reason{"waits", QueueFull, "waits", "waits"},
		},
		"a body that can never be held": {
			func(o *Options) { o.PerTarget.Bytes = 10 },
			[]string{"12345678901"},
			[]Reason{QueueFull},
		},
		"requests in total": {
			func(o *Options) { o.Total.Requests = 1 },
			[]string{"a", "b"},
			[]Reason{"waits", QueueFull},
		},
		"bytes in total": {
			func(o *Options) { o.Total.Bytes = 10 },
			[]string{"12345678", "123"},
			[]Reason{"waits", QueueFull},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, c.change)
				defer b.end()
				for i, body := range c.bodies {
					w := b.send("m", body)
					got := reasonOf(t, w)
					if got != c.want[i] {
						t.Errorf("%q: %s, want %s", body, got, c.want[i])
					}
					if got == QueueFull && (w.Code != 429 || w.Header().Get("Retry-After") != "10") {
						t.Errorf("%q: %d, Retry-After %q", body, w.Code, w.Header().Get("Retry-After"))
					}
				}
			})
		})
	}
}

func TestChunkedBodiesAreBoundedAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(o *Options) { o.PerTarget.Bytes = 16 << 10 })
		defer b.end()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/m/", zeros{})
		req.ContentLength = -1
		w := b.sendRequest(req)
		if got := reasonOf(t, w); got != QueueFull || w.Code != 429 {
			t.Errorf("%d %s, want a 429", w.Code, got)
		}
		if s := b.Snapshot(); s.Held != 0 || s.HeldBytes != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

// TestNoTargetTakesTheWholeTotal has one target fill the total before others come.
func TestNoTargetTakesTheWholeTotal(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"requests": func(o *Options) { o.Total.Requests = 12 },
		"bytes":    func(o *Options) { o.Total.Bytes = 12 * 4 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, change)
				defer b.end()
				var greedy []*recorder
				for range 12 {
					greedy = append(greedy, b.send("greedy", "body"))
				}
				if w := b.send("greedy", "more"); reasonOf(t, w) != QueueFull {
					t.Errorf("beyond the total: %s", reasonOf(t, w))
				}
				for range 10 {
					b.send("other", "body")
					b.send("third", "body")
				}
				if got, want := b.held(), "greedy 4, other 4, third 4"; got != want {
					t.Errorf("held: %s, want %s", got, want)
				}
				for i, w := range greedy {
					want := Reason("waits") // the first keep their places
					if i >= 4 {
						want = Displaced
					}
					if got := reasonOf(t, w); got != want {
						t.Errorf("greedy's %dth: %s, want %s", i, got, want)
					}
				}
				if w := greedy[11]; w.Code != 429 || w.Header().Get("Retry-After") == "" {
					t.Errorf("displaced: %d %v", w.Code, w.Header())
				}
			})
		})
	}
}

func TestNothingIsHeldForLongerThanItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(o *Options) { o.MaxAge = time.Minute })
		defer b.end()
		first := b.send("m", "a")
		time.Sleep(30 * time.Second)
		second := b.send("m", "b")
		if age := b.Snapshot().Targets[0].OldestAge; age != 30*time.Second {
			t.Errorf("the oldest is %s old, want 30s", age)
		}
		time.Sleep(30*time.Second + time.Nanosecond)
		synctest.Wait()
		if got := reasonOf(t, first); got != HeldTooLong || first.Code != 503 || first.Header().Get("Retry-After") != "10" {
			t.Errorf("the first: %d %s %v", first.Code, got, first.Header())
		}
		if got := reasonOf(t, second); got != "waits" {
			t.Errorf("the second: %s", got)
		}
	})
}

func TestATargetThatCannotBeWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, nil)
		defer b.end()
		held := b.send("m", "a")
		b.Refuse("m", "no GPU of this kind is to be had")
		synctest.Wait()
		for name, w := range map[string]*recorder{"held": held, "new": b.send("m", "b")} {
			if reasonOf(t, w) != Unavailable || w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "no GPU of this kind") {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		b.SetEndpoints("m", nil)
		if got := reasonOf(t, b.send("m", "c")); got != "waits" {
			t.Errorf("after it may be woken again: %s", got)
		}
		removed := b.send("old", "d")
		b.Remove("old")
		synctest.Wait()
		if reasonOf(t, removed) != Unavailable || b.held() != "m 1" {
			t.Errorf("removed: %s; held: %s", reasonOf(t, removed), b.held())
		}
		if w := b.send("unknown", ""); w.Code != 404 {
			t.Errorf("an unknown target: %d", w.Code)
		}
	})
}

func TestWakesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wakes, proceed := 0, make(chan struct{})
		b := newBubble(t, func(o *Options) {
			o.Wake = func(ctx context.Context, _ string) {
				wakes++
				select {
				case <-proceed:
				case <-ctx.Done():
				}
			}
		})
		defer b.end()
		expect := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if wakes != want {
				t.Errorf("%s: %d wakes, want %d", when, wakes, want)
			}
		}
		begun := time.Now()
		b.send("m", "a")
		expect(1, "the first request")
		if since := time.Since(begun); since != 0 {
			t.Errorf("woken after %s, want at once", since)
		}
		b.send("m", "b")
		time.Sleep(time.Minute)
		b.send("m", "c")
		expect(1, "while the call goes on")
		proceed <- struct{}{}
		time.Sleep(time.Second)
		b.send("m", "d")
		expect(2, "a later request")
		proceed <- struct{}{}
		synctest.Wait()
		b.send("m", "e")
		expect(2, "within the second")
		ctx, leave := context.WithCancel(t.Context())
		b.sendRequest(httptest.NewRequestWithContext(ctx, http.MethodGet, "/n/", nil))
		expect(3, "another target")
		leave()
		proceed <- struct{}{}
		synctest.Wait()
		b.send("n", "f")
		expect(4, "after all have left")
	})
}

func TestKeepAliveForEventStreams(t *testing.T) {
	for name, c := range map[string]struct {
		accept, body string
		want         bool
	}{
		"asked for by header": {"text/event-stream", "{}", true},
		"asked for by body":   {"*/*", `{"model":"m","stream":true}`, true},
		"not asked for":       {"*/*", `{"model":"m","stream":false}`, false},
		"no JSON":             {"*/*", `"stream":true`, false},
		"asked for elsewhere": {"*/*", `{"prompt":{"stream":true}}`, false},
		"no body and no ask":  {"*/*", ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, func(o *Options) { o.KeepAlive, o.MaxAge = 15*time.Second, time.Minute })
				defer b.end()
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/m/", strings.NewReader(c.body))
				req.Header.Set("Accept", c.accept)
				w := b.sendRequest(req)
				time.Sleep(50 * time.Second)
				synctest.Wait()
				if got := strings.Count(w.text(), ": the model is loading\n\n"); (got == 3) != c.want || (got == 0) == c.want {
					t.Errorf("%d comments in 50 s", got)
				}
				time.Sleep(11 * time.Second)
				synctest.Wait()
				body := w.text()
				switch {
				case c.want && (w.Code != 200 || !strings.Contains(body, `data: {"error":{"message":"the model was not ready`)):
					t.Errorf("in the end: %d %s", w.Code, body)
				case !c.want && (w.Code != 503 || reasonOf(t, w) != HeldTooLong):
					t.Errorf("in the end: %d %s", w.Code, body)
				}
			})
		})
	}
}

func TestOptionsThatCannotBeAreAllNamed(t *testing.T) {
	err := Options{KeepAlive: -1}.Validate()
	for _, field := range []string{
		"PerTarget.Requests", "PerTarget.Bytes", "Total.Requests", "Total.Bytes", "MaxAge", "MaxConcurrency", "ConnectTimeout",
		"ResponseHeaderTimeout", "RetryPause", "Resolve", "Logger", "RetryAfter", "KeepAlive",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
	if _, err := New(Default()); err == nil {
		t.Error("New takes options without Resolve")
	}
}
