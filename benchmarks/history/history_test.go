// Package history_test measures what it costs to keep the history of targets on disk:
//
//	go test -run '^$' -bench . -benchtime 1x ./benchmarks/history
//
// BenchmarkFiveWeeks fills a folder with five weeks of one target, at 10 s, and reports its bytes: as the files say, as
// the disk is used, and of the log in it. BenchmarkTick appends 1,000 targets a tick, written and synced, and reports the
// mean and the slowest, and the heap that is held at the end of two hours, when it is largest.
package history_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
)

// start is at no boundary of hours, days or weeks.
var start = time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)

const tick = 10 * time.Second

// rows are those of a tick: demand with a day's shape and noise in every value, and what was learned, which seldom changes.
func rows(rng *rand.Rand, now time.Time, targets int) []series.Row {
	day := math.Sin(2 * math.Pi * float64(now.Unix()%86400) / 86400)
	hour := float64(now.Unix() / 3600)
	out := make([]series.Row, targets)
	for i := range out {
		r := &out[i]
		r.Target = controlloop.TargetID{Namespace: "models", Name: fmt.Sprintf("llama-%04d", i)}
		demand := (20 + 12*day) * (1 + 0.2*rng.Float64())
		replicas := math.Round(demand / 3)
		r.Set(series.Demand, demand)
		r.Set(series.PromptTokens, demand*900*(1+0.1*rng.Float64()))
		r.Set(series.GenerationTokens, demand*250*(1+0.1*rng.Float64()))
		r.Set(series.Waiting, float64(max(0, rng.IntN(9)-6)))
		r.Set(series.Running, math.Round(demand*4*(1+0.1*rng.Float64())))
		r.Set(series.Held, 0)
		r.Set(series.LeadTimeP50, 95+math.Mod(hour, 7)/3)
		r.Set(series.LeadTimeP90, 140+math.Mod(hour, 5)/3)
		r.Set(series.Capacity, 4.1+0.01*math.Mod(float64(now.Unix()/300), 13))
		r.Set(series.Desired, replicas)
		r.Set(series.Ready, replicas)
	}
	return out
}

func attach(b *testing.B, limits series.Limits) (*series.Store, string) {
	b.Helper()
	dir := b.TempDir()
	s := series.NewStore(dir, limits, slog.New(slog.DiscardHandler))
	if err := s.Attach(start); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Detach() })
	return s, dir
}

func append1(b *testing.B, s *series.Store, now time.Time, r []series.Row) {
	b.Helper()
	if err := s.Append(now, r); err != nil {
		b.Fatal(err)
	}
	if !s.Due() {
		return
	}
	if err := s.Maintain(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkFiveWeeks(b *testing.B) {
	for b.Loop() {
		rng := rand.New(rand.NewPCG(1, 1))
		s, dir := attach(b, series.Limits{})
		var most, mostUsed, log int64
		for now := start; now.Before(start.Add(5 * 7 * 24 * time.Hour)); now = now.Add(tick) {
			append1(b, s, now, rows(rng, now, 1))
			if now.Unix()%3600 == 0 && now.Sub(start) > 34*24*time.Hour {
				size, used := usage(b, dir)
				if size > most {
					most = size
					log, _ = s.Bytes()
				}
				mostUsed = max(mostUsed, used)
			}
		}
		b.ReportMetric(float64(most), "B")
		b.ReportMetric(float64(mostUsed), "B-on-disk")
		b.ReportMetric(float64(log), "B-of-log")
	}
}

// usage returns the bytes in all files, and those that the disk gives for them.
func usage(b *testing.B, dir string) (size, used int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		used += 512 * info.Sys().(*syscall.Stat_t).Blocks
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return size, used
}

func BenchmarkTick(b *testing.B) {
	const targets, ticks = 1000, 721 // two hours, and the first tick of the next
	for b.Loop() {
		rng := rand.New(rand.NewPCG(1, 1))
		before := heap()
		s, _ := attach(b, series.Limits{})
		begin := start.Truncate(2 * time.Hour)
		var sum, slowest time.Duration
		var held uint64
		for n := range ticks {
			now := begin.Add(time.Duration(n) * tick)
			r := rows(rng, now, targets)
			if n == ticks-1 {
				held = heap() - before
			}
			began := time.Now()
			if err := s.Append(now, r); err != nil {
				b.Fatal(err)
			}
			took := time.Since(began)
			sum, slowest = sum+took, max(slowest, took)
		}
		began := time.Now()
		if err := s.Maintain(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/block")
		b.ReportMetric(float64(sum.Microseconds())/1000/ticks, "ms/tick")
		b.ReportMetric(float64(slowest.Microseconds())/1000, "ms/slowest")
		b.ReportMetric(float64(held)/(1<<20), "MiB-heap")
		if sum/ticks > 50*time.Millisecond {
			b.Errorf("a tick of %d targets takes %v, want at most 50 ms", targets, sum/ticks)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
