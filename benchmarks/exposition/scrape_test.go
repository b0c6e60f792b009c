//go:build linux

package exposition_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

const (
	// scrapedPods is how many pods are scraped, scrapedEvery how often in the time that the benchmark makes up.
	scrapedPods  = 2000
	scrapedEvery = 5 * time.Second
	// fleetEnv makes a process of this test binary the pods.
	fleetEnv = "PREHEAT_BENCH_FLEET"
)

func TestMain(m *testing.M) {
	if os.Getenv(fleetEnv) != "" {
		if err := serveFleet(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkScrape fetches, reads and stores the pages of 2,000 pods, each with an address of its own, on one processor.
// The pods are another process. Reported are the processor's time for one round of all, what part of one core that is
// where a round is every 5 s, and what a pod that has been scraped for a window costs: memory in use with its connection's,
// and resident memory, in which there is room for garbage.
func BenchmarkScrape(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	port := startFleet(b)
	profiles, err := exposition.Load()
	if err != nil {
		b.Fatal(err)
	}
	vllmPage(1) // what the benchmark itself needs is there before it counts
	used, resident := memoryInUse(), residentBytes(b)
	fleet := make(fleet, scrapedPods)
	for n := range fleet {
		fleet[n] = scrape.Endpoint{
			Pod: store.PodID{Namespace: "ns", Name: fmt.Sprintf("pod-%d", n), UID: fmt.Sprintf("uid-%d", n)},
			URL: "http://" + net.JoinHostPort(podAddress(n), port) + "/metrics",
		}
	}
	var now time.Time
	s := store.New(store.Options{})
	scraper, err := scrape.New(scrape.Options{Clock: func() time.Time { return now }}, fleet, s, profiles, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	round := func() {
		now = now.Add(scrapedEvery)
		scraper.Tick(context.Background(), now)
	}
	now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 14 { // a window, so that old readings go as new ones come
		round()
	}
	before, rounds := processorTime(), 0
	for b.Loop() {
		round()
		rounds++
	}
	perRound := (processorTime() - before) / time.Duration(rounds)
	for _, e := range fleet {
		if got, ok := s.Pod(e.Pod, store.RequestsWaiting, now); !ok || !got.Time.Equal(now) {
			_, err := s.Problem(e.Pod)
			b.Fatalf("%s was not read in the last round: %v", e.Pod.Name, err)
		}
	}
	b.ReportMetric(perRound.Seconds(), "cpu-s/round")
	b.ReportMetric(100*perRound.Seconds()/scrapedEvery.Seconds(), "%core")
	b.ReportMetric(float64(perRound.Microseconds())/scrapedPods, "cpu-µs/page")
	b.ReportMetric((memoryInUse()-used)/scrapedPods, "B/pod")
	b.ReportMetric((residentBytes(b)-resident)/scrapedPods, "rss-B/pod")
	runtime.KeepAlive(scraper)
}

// fleet is a Source of endpoints that stay.
type fleet []scrape.Endpoint

func (f fleet) Endpoints() []scrape.Endpoint { return f }

// startFleet starts the pods and returns the port at which all listen.
func startFleet(b *testing.B) string {
	b.Helper()
	if err := allow(2*scrapedPods + 1000); err != nil {
		b.Fatalf("allow %d open files, or raise the limit (ulimit -n): %v", 2*scrapedPods+1000, err)
	}
	pods := exec.Command(os.Args[0])
	pods.Env = append(os.Environ(), fleetEnv+"=1")
	pods.Stderr = os.Stderr
	stay, err := pods.StdinPipe() // its end tells the pods to end
	if err != nil {
		b.Fatal(err)
	}
	out, err := pods.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := pods.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stay.Close()
		if err := pods.Wait(); err != nil {
			b.Error(err)
		}
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(port)
}

// serveFleet serves at each pod's address a page that moves on with each request there, until the input ends.
func serveFleet() error {
	if err := allow(2*scrapedPods + 1000); err != nil {
		return err
	}
	pages := make([][]byte, 500)
	for i := range pages {
		pages[i] = vllmPage(1000 + 10*i)
	}
	var mu sync.Mutex
	visits := map[string]int{}
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		visit := visits[r.Host]
		visits[r.Host]++
		mu.Unlock()
		_, _ = w.Write(pages[visit%len(pages)])
	})}
	port := "0"
	for n := range scrapedPods {
		l, err := net.Listen("tcp4", net.JoinHostPort(podAddress(n), port))
		if err != nil {
			return err
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		go func() { _ = server.Serve(l) }() // until the process ends
	}
	fmt.Println(port)
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return server.Close()
}

// podAddress is a loopback address for each pod.
func podAddress(n int) string { return fmt.Sprintf("127.1.%d.%d", n/250, n%250+1) }

// allow raises the limit of open files.
func allow(files uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= files {
		return err
	}
	limit.Cur, limit.Max = files, max(limit.Max, files)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// processorTime is what this process has computed so far, its part in the kernel included.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryInUse is what heap and stacks have in use after a collection, in bytes.
func memoryInUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// residentBytes is the memory that this process has resident.
func residentBytes(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var all, resident float64
	if _, err := fmt.Sscan(string(text), &all, &resident); err != nil {
		b.Fatal(err)
	}
	return resident * float64(os.Getpagesize())
}
