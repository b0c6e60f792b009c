package report

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// BenchmarkRecorder takes in the requests of a day at 45 requests/s.
func BenchmarkRecorder(b *testing.B) {
	r := NewRecorder(Options{Policy: "p", GPUs: 1})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		at := time.Duration(i%4_000_000) * 22 * time.Millisecond
		ttft := time.Duration(50+i%1000) * time.Millisecond
		r.Ended(replay.Request{Arrival: at, TTFT: ttft, TPOT: 1, E2E: 2 * ttft, Outcome: replay.Completed})
		i++
	}
}
