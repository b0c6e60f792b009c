package compare_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// start is the date of every trace here: midnight UTC, at which cron's schedule begins.
var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// hump is a load of some minutes that needs one replica, then three, then one.
func hump() compare.Load {
	return compare.Load{Name: "hump", Open: func(seed uint64) (trace.Stream, error) {
		return trace.Open("flash-crowd:length=8m,low=2,high=12,at=2m", trace.Options{Seed: int64(seed), Mix: "fixed:1000/200"})
	}}
}

// experiment is a small one that has everything.
func experiment(t *testing.T) compare.Experiment {
	t.Helper()
	profile, err := replica.ProfileNamed("llama-3.1-70b-h100x4")
	if err != nil {
		t.Fatal(err)
	}
	return compare.Experiment{
		Load: hump(), Profile: profile, Cluster: replay.Config{Start: start, Timeout: time.Minute},
		SLO:        score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.9},
		Autoscaler: compare.PlainAutoscaler(), Policies: []string{"preheat", "hpa-running", "static-peak"},
		Seeds: []uint64{7, 8}, Leads: []compare.Lead{lead(30 * time.Second), lead(2 * time.Minute)},
		Initial: -1, Min: 1, Workers: 2, Search: 30,
	}
}

func lead(d time.Duration) compare.Lead {
	return compare.Lead{Whole: d, Phases: replay.Lead{Load: replay.Phase{Median: d, Sigma: 0.2}}}
}

// watched is a load whose streams are counted, and fail or wait where a test wants it.
type watched struct {
	trace.Stream
	open *atomic.Int64
	most *atomic.Int64
}

// Close implements io.Closer.
func (w watched) Close() error {
	w.open.Add(-1)
	return nil
}

// watch counts the streams of a load that are open at once.
func watch(load compare.Load) (_ compare.Load, open, most *atomic.Int64) {
	open, most = &atomic.Int64{}, &atomic.Int64{}
	return compare.Load{Name: load.Name, Open: func(seed uint64) (trace.Stream, error) {
		s, err := load.Open(seed)
		n := open.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			continue
		}
		return watched{s, open, most}, err
	}}, open, most
}

// broken fails after so many requests.
type broken struct {
	trace.Stream
	left int
}

var errBroken = errors.New("line 12, column 2: no number")

// Next implements trace.Stream.
func (b *broken) Next() (trace.Request, error) {
	if b.left--; b.left < 0 {
		return trace.Request{}, errBroken
	}
	return b.Stream.Next()
}

// slice is a load of given requests.
func slice(requests ...trace.Request) compare.Load {
	return compare.Load{Name: "slice", Open: func(uint64) (trace.Stream, error) { return trace.FromSlice(slices.Clone(requests)), nil }}
}

// at is n requests in the second that begins at t.
func at(t time.Duration, n int) []trace.Request {
	var out []trace.Request
	for i := range n {
		out = append(out, trace.Request{At: t + time.Duration(i)*time.Second/time.Duration(n), PromptTokens: 100, OutputTokens: 10})
	}
	return out
}
