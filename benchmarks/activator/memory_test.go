//go:build linux

package activator

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
)

const (
	// held is the number of requests that wait.
	held = 10_000
	// senderEnv has the address to which a process of this test binary sends, which makes it the clients.
	senderEnv = "PREHEAT_BENCH_SENDER"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(senderEnv); address != "" {
		if err := send(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkHeldMemory has a process of clients send 10,000 requests over as many connections, and reports what the
// activator's process, this one, has resident when all are held: at most, and more than before.
func BenchmarkHeldMemory(b *testing.B) {
	if err := allow(held + 1000); err != nil {
		b.Fatalf("allow %d open files, or raise the limit (ulimit -n): %v", held+1000, err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(activator.GCPercent))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(450 << 20)) // as deploy/components/activator has it
	a := newActivator(b)
	address := strings.TrimPrefix(serve(b, a), "http://")
	before := status(b, "VmRSS")
	clients := exec.Command(os.Args[0])
	clients.Env = append(os.Environ(), senderEnv+"="+address)
	clients.Stderr = os.Stderr
	stay, err := clients.StdinPipe() // its end tells the clients to leave
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	for a.Snapshot().HeldBytes < held*bodySize {
		if time.Since(start) > time.Minute {
			b.Fatalf("not all held after a minute: %+v", a.Snapshot())
		}
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(start)
	resident := status(b, "VmRSS")
	b.ReportMetric(resident, "rss-MiB")
	b.ReportMetric(status(b, "VmHWM"), "peak-rss-MiB")
	b.ReportMetric((resident-before)*1024/held, "KiB/held")
	b.ReportMetric(took.Seconds(), "s-to-hold")
	leaving := time.Now()
	stay.Close()
	if err := clients.Wait(); err != nil {
		b.Fatal(err)
	}
	for a.Snapshot().Held > 0 && time.Since(leaving) < time.Minute {
		time.Sleep(time.Millisecond)
	}
	if s := a.Snapshot(); s.Held > 0 || s.HeldBytes > 0 {
		b.Fatalf("clients have left, and %d requests are held", s.Held)
	}
	b.ReportMetric(time.Since(leaving).Seconds(), "s-to-let-go")
	b.ReportMetric(0, "ns/op")
}

// send opens connections and posts on each, and leaves when its input ends.
func send(address string) error {
	if err := allow(held + 1000); err != nil {
		return err
	}
	request := fmt.Appendf(nil, "POST /v1/completions HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", bodySize, body)
	var fault error
	var once sync.Once
	var senders sync.WaitGroup
	conns := make([]net.Conn, held)
	for worker := range 16 {
		senders.Go(func() {
			for i := worker; i < held; i += 16 {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conns[i] = conn
					_, err = conn.Write(request)
				}
				if err != nil {
					once.Do(func() { fault = err })
					return
				}
			}
		})
	}
	senders.Wait()
	if fault != nil {
		return fault
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	for _, conn := range conns {
		conn.Close()
	}
	return nil
}

// allow raises the limit of open files.
func allow(files uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= files {
		return err
	}
	limit.Cur, limit.Max = files, max(limit.Max, files)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// status is a figure of this process in MiB, from /proc/self/status.
func status(b *testing.B, field string) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.Atoi(strings.Fields(kib)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(n) / 1024
		}
	}
	b.Fatalf("no %s in /proc/self/status", field)
	return 0
}
