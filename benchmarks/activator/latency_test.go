//go:build unix

// Package activator measures what the activator adds to requests that pass it, beside a direct run and a bare
// httputil.ReverseProxy in the same process and run, and what requests cost that it holds. DESIGN.md says how.
package activator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
)

const (
	// rate is the number of requests a second.
	rate = 2000
	// bodySize is that of a prompt of some 2,000 tokens.
	bodySize = 8 << 10
	// turn is how long one way is measured before the next has its turn; rounds is how often each has one.
	turn   = 500 * time.Millisecond
	rounds = 11
	// clients bounds how many requests are under way; a request that is due later than a client is free waits for it, and
	// its latency counts from when it was due.
	clients = 64
)

var body = bytes.Repeat([]byte("x"), bodySize)

// BenchmarkLatency posts at a fixed rate to an engine that answers at once: directly, through a bare
// httputil.ReverseProxy, and through the activator, in turns. It always takes rounds × turn for each, whatever b.N.
func BenchmarkLatency(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(activator.GCPercent))
	engine := serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"choices":[]}`)
	}))
	ways := []struct{ name, url string }{
		{"direct", engine},
		{"reverseproxy", serve(b, bare(b, engine))},
		{"activator", serve(b, passing(b, engine))},
	}
	turns := make([][]figures, len(ways))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	for round := range rounds + 1 {
		for i, way := range ways {
			got := load(b, client, way.url)
			if round > 0 { // the first opens connections
				turns[i] = append(turns[i], got)
			}
		}
	}
	for f, name := range []string{"p50", "p99", "cpu"} {
		at := make([]float64, len(ways))
		for i, way := range ways {
			at[i] = quietest(turns[i], f)
			b.ReportMetric(at[i], fmt.Sprintf("%s-%s-µs", way.name, name))
		}
		b.ReportMetric(at[2]-at[0], "added-"+name+"-µs")
		b.ReportMetric(at[2]/at[0], "to-direct-"+name)
		b.ReportMetric(at[2]/at[1], "to-reverseproxy-"+name)
	}
	b.ReportMetric(0, "ns/op")
}

// figures are one turn's latencies at p50 and p99, and the processor time of a request, client and engine included, in µs.
type figures [3]float64

// quietest is a figure of the turn in which it was least: what others on the machine do only adds to it.
func quietest(turns []figures, f int) float64 {
	least := turns[0][f]
	for _, t := range turns {
		least = min(least, t[f])
	}
	return least
}

// load posts at the rate for one turn. A request's latency counts from when it was due.
func load(b *testing.B, client *http.Client, url string) figures {
	b.Helper()
	latencies := make([]time.Duration, int(rate*turn.Seconds()))
	var next atomic.Int64
	var failure atomic.Value
	var running sync.WaitGroup
	start, computed := time.Now(), processorTime()
	for range clients {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(latencies)); i = next.Add(1) - 1 {
				due := start.Add(time.Duration(i) * time.Second / rate)
				time.Sleep(time.Until(due))
				if err := post(client, url); err != nil {
					failure.Store(err)
					return
				}
				latencies[i] = time.Since(due)
			}
		})
	}
	running.Wait()
	if err, ok := failure.Load().(error); ok {
		b.Fatal(err)
	}
	computed = processorTime() - computed
	slices.Sort(latencies)
	µs := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	n := len(latencies)
	return figures{µs(latencies[n/2]), µs(latencies[n*99/100]), µs(computed) / float64(n)}
}

// processorTime is what this process has computed so far: on a machine that others use too it says more than latencies.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func post(client *http.Client, url string) error {
	resp, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	return nil
}

// bare is a proxy with nothing but a transport that keeps enough connections.
func bare(b *testing.B, engine string) http.Handler {
	b.Helper()
	target, err := url.Parse(engine)
	if err != nil {
		b.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024},
	}
}

// passing is an activator whose only target is ready.
func passing(b *testing.B, engine string) http.Handler {
	b.Helper()
	a := newActivator(b)
	a.SetEndpoints("m", []activator.Endpoint{{Address: strings.TrimPrefix(engine, "http://")}})
	return a
}

func newActivator(b *testing.B) *activator.Activator {
	b.Helper()
	opts := activator.Default()
	opts.Resolve = func(*http.Request) (string, error) { return "m", nil }
	opts.Wake = func(context.Context, string) {}
	a, err := activator.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			b.Error(err)
		}
	})
	return a
}

// serve runs a server on loopback until the benchmark ends, and returns its URL.
func serve(b *testing.B, handler http.Handler) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := activator.NewServer(handler)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	b.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
	return "http://" + listener.Addr().String()
}
