package scrape

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	rtmetrics "runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// hostilePages are engines that do what none should, each without end where it can.
var hostilePages = map[string]http.HandlerFunc{
	"an endless line": func(w http.ResponseWriter, r *http.Request) {
		pour(w, r, `vllm:num_requests_waiting{engine="`, strings.Repeat("a", 64<<10))
	},
	"100 MB": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000000")
		pour(w, r, "", strings.Repeat("vllm:num_requests_waiting 1\n", 2000))
	},
	"a million series": func(w http.ResponseWriter, r *http.Request) {
		for n := 0; n < 1_000_000 && r.Context().Err() == nil; n++ {
			if _, err := fmt.Fprintf(w, "vllm:num_requests_waiting{engine=\"%d\"} 1\n", n); err != nil {
				return
			}
		}
	},
	"as many series as the limit lets in":  answer(filled("vllm:num_requests_waiting{engine=\"%d\"} 1\n")),
	"as many buckets as the limit lets in": answer(filled("vllm:time_to_first_token_seconds_bucket{le=\"%[1]d\"} %[1]d\n")),
	"a slow drip": func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "v")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	},
	"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"redirects in a circle": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	},
	"a gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb())
	},
	"endless headers": func(w http.ResponseWriter, _ *http.Request) {
		for n := range 10_000 {
			w.Header().Set(fmt.Sprintf("X-%d", n), strings.Repeat("a", 1000))
		}
		_, _ = io.WriteString(w, goodPage)
	},
}

// filled is a page of such lines, numbered, just within the limit.
func filled(line string) string {
	var page strings.Builder
	for n := 1; page.Len() < defaultBodyLimit-100; n++ {
		fmt.Fprintf(&page, line, n)
	}
	return page.String()
}

// bomb is 100 MB of zeros in 100 KB.
var bomb = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range 100 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	return packed.Bytes()
})

// pour writes first and then, until the reader leaves, more.
func pour(w http.ResponseWriter, r *http.Request, first, more string) {
	_, err := io.WriteString(w, first)
	for err == nil && r.Context().Err() == nil {
		_, err = io.WriteString(w, more)
	}
}

// A page that does harm costs bounded memory and time, and the pods beside it are read in the same round.
func TestHostilePagesCostBoundedMemoryAndTime(t *testing.T) {
	const (
		timeout = time.Second
		// mostTime is the fetch's timeout, and what it takes to read 4 MiB and say what they lack: 0.3 s, with the race
		// detector on a busy machine thirty times as much. What has no bound takes for ever.
		mostTime = timeout + 30*time.Second
		// mostMemory is 16 times the largest page: its buffer and the table of what it says, and what both leave as they grow.
		mostMemory = 16 * defaultBodyLimit
		neighbours = 20
	)
	bomb()
	for name, hostile := range hostilePages {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Timeout: timeout})
			good := serve(t, answer(goodPage))
			all := []Endpoint{{Pod: podID(0), URL: serve(t, hostile)}}
			for n := range neighbours {
				all = append(all, Endpoint{Pod: podID(n + 1), URL: good})
			}
			r.source.set(all...)
			began := time.Now()
			peak := peakHeap(func() { r.Tick(t.Context(), start) })
			took := time.Since(began)
			_, problem := r.store.Problem(podID(0))
			text := "read as a page"
			if problem != nil {
				text = string(reasonOf(problem))
			}
			t.Logf("%v, %.1f MiB at most beyond what was there: %s", took.Round(time.Millisecond), float64(peak)/(1<<20), text)
			if took > mostTime {
				t.Errorf("took %v, want at most %v", took, mostTime)
			}
			if peak > mostMemory {
				t.Errorf("took %d bytes, want at most %d", peak, mostMemory)
			}
			for n := range neighbours {
				if got, ok := r.store.Pod(podID(n+1), store.RequestsWaiting, start); !ok || got.Value != 3 {
					t.Errorf("pod %d beside it was not read: %+v %v", n+1, got, ok)
				}
			}
		})
	}
}

// peakHeap is by how much the heap grew at most while f ran, what has become garbage meanwhile included.
func peakHeap(f func()) uint64 {
	sample := []rtmetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 {
		rtmetrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := read()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		for {
			most = max(most, read())
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	return <-peak - before
}
