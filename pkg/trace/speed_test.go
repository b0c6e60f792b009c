package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"
)

// csvText is a trace of n rows in a format.
func csvText(format Format, n int) []byte {
	var b bytes.Buffer
	day := time.Date(2024, 5, 12, 0, 0, 0, 0, time.UTC)
	switch format {
	case Plain:
		fmt.Fprintln(&b, plainHeader)
	case AzureLLM:
		fmt.Fprintln(&b, "TIMESTAMP,ContextTokens,GeneratedTokens")
	case BurstGPT:
		fmt.Fprintln(&b, "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type")
	}
	for i := range n {
		at, prompt, output := time.Duration(i)*23*time.Millisecond, 100+i%4000, 1+i%600
		switch format {
		case Plain:
			fmt.Fprintf(&b, "%.3f,%d,%d\n", at.Seconds(), prompt, output)
		case AzureLLM:
			fmt.Fprintf(&b, "%s,%d,%d\n", day.Add(at).Format("2006-01-02 15:04:05.000000-07:00"), prompt, output)
		case BurstGPT:
			fmt.Fprintf(&b, "%d,%d,1.5,ChatGPT,%d,%d,%d,Conversation log\n", i/40, i, prompt, output, prompt+output)
		case Mooncake:
			fmt.Fprintf(&b, `{"timestamp": %d, "input_length": %d, "output_length": %d, "hash_ids": [0, 1, 2, 3, %d, %d, %d, %d]}`+"\n",
				i/100*3000, prompt, output, 4*i+4, 4*i+5, 4*i+6, 4*i+7)
		}
	}
	return b.Bytes()
}

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
