//go:build unix

package trace

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

// cpuSeconds is the time that the process had a core, so that figures hold on a machine that others use too.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// BenchmarkRead reads a trace that lies in memory, in rows per second of one core.
func BenchmarkRead(b *testing.B) {
	const rows = 300_000
	for _, format := range []Format{Plain, AzureLLM, BurstGPT, Mooncake} {
		text := csvText(format, rows)
		b.Run(string(format), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			before := cpuSeconds(b)
			for b.Loop() {
				f := &opened{path: "bench", read: &counter{in: bytes.NewReader(text)}, file: io.NopCloser(nil)}
				if err := f.tell(); err != nil {
					b.Fatal(err)
				}
				in, err := f.requests(Options{})
				if err != nil {
					b.Fatal(err)
				}
				drain(b, in, rows)
			}
			b.ReportMetric(rows*float64(b.N)/(cpuSeconds(b)-before), "rows/cpu-s")
		})
	}
}

// drain reads a stream to its end.
func drain(b *testing.B, s Stream, want int) {
	b.Helper()
	n := 0
	for {
		_, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
	if want > 0 && n != want {
		b.Fatalf("%d requests, want %d", n, want)
	}
}

// BenchmarkDraw generates requests from rates.
func BenchmarkDraw(b *testing.B) {
	for _, spec := range []string{
		"steady:rate=100,hours=1", "steady:rate=100,hours=1,process=gamma,cv=2", "steady:rate=100,hours=1,process=weibull,cv=2",
	} {
		b.Run(spec, func(b *testing.B) {
			n := int64(0)
			before := cpuSeconds(b)
			for b.Loop() {
				in, err := Open(spec, Options{})
				if err != nil {
					b.Fatal(err)
				}
				drain(b, in, 0)
				n += in.Facts().Requests
			}
			b.ReportMetric(float64(n)/(cpuSeconds(b)-before), "requests/cpu-s")
		})
	}
}
