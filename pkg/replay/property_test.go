package replay_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// anything draws a cluster with all its faults, and two targets in it.
func anything(seed uint64) (replay.Config, []replay.Target, int) {
	r := rand.New(rand.NewPCG(seed, 99))
	seconds := func(most int) time.Duration { return time.Duration(r.IntN(most*1000)) * time.Millisecond }
	c := replay.Config{
		Seed: seed, GPUs: r.IntN(3) * 6, NodeGPUs: r.IntN(2) * 3,
		Lead: replay.Lead{
			Node: replay.Phase{Median: seconds(60), Sigma: 0.3}, Pull: replay.Phase{Median: seconds(20), Sigma: 0.3},
			Load: replay.Phase{Median: seconds(40), Sigma: 0.5}, WarmUp: fixed(seconds(10)),
		},
		Router: replay.Router(r.IntN(3)), MaxOutstanding: r.IntN(2) * (2 + r.IntN(30)),
		QueueLimit: r.IntN(2) * (1 + r.IntN(50)), Timeout: time.Duration(r.IntN(2)) * seconds(30), APILag: seconds(3),
		LostScrapes: r.Float64() * 0.5, CrashesPerHour: float64(r.IntN(2)) * 60 * r.Float64(),
	}
	for at := seconds(60); at < 5*time.Minute; at += seconds(60) {
		kind := replay.EventKind(1 + r.IntN(5))
		c.Events = append(c.Events, replay.Event{At: at, Kind: kind, Value: float64(1 + r.IntN(6))})
	}
	var targets []replay.Target
	requests := 0
	for i := range 2 {
		n := 200 + r.IntN(800)
		requests += n
		l := load(seed+uint64(i), 2+20*r.Float64(), n)
		l.shared = r.IntN(4)
		p := engine()
		if r.IntN(2) == 0 {
			p.KVTokens, p.MaxModelLen = 8000+r.IntN(20_000), 4500 // a few requests fill it: evictions
		}
		targets = append(targets, replay.Target{
			Name: fmt.Sprintf("t%d", i), Profile: p, Load: l,
			Policy: wanderer(seed*2 + uint64(i)), Initial: int32(r.IntN(4)), Min: int32(r.IntN(2)), Max: 8,
		})
	}
	return c, targets, requests
}

// wanderer asks for any number from 0 to 10.
func wanderer(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 7))
	path := baseline.Path{Interval: time.Duration(1+r.IntN(20)) * time.Second, Scrape: time.Duration(r.IntN(3)) * 3 * time.Second, Lag: time.Duration(r.IntN(5)) * time.Second}
	return &plan{path: path, want: func(time.Duration) int32 { return int32(r.IntN(11)) }}
}

func TestWhateverHappensTheBooksBalance(t *testing.T) {
	seen := map[replay.Outcome]int{}
	for seed := range uint64(60) {
		c, targets, requests := anything(seed)
		j, totals := run(t, c, targets...)
		for o, n := range j.outcomes() {
			seen[o] += n
		}
		endEachOnce(t, seed, j, requests)
		if j.backwards > 0 {
			t.Errorf("seed %d: time ran backwards %d times", seed, j.backwards)
		}
		for i, total := range totals {
			if held := integral(j, total.Target); held != total.Held {
				t.Errorf("seed %d: %s held GPUs for %v, by the census for %v", seed, total.Target, total.Held, held)
			}
			if last := lastCensus(j, total.Target); last.At != total.End {
				t.Errorf("seed %d: %s: last census at %v, the end is %v", seed, total.Target, last.At, total.End)
			}
			if total.Idle < 0 || total.Idle > total.Held {
				t.Errorf("seed %d: idle %v of %v", seed, total.Idle, total.Held)
			}
			bounded(t, seed, j, targets[i])
		}
		withinStock(t, seed, c, j)
	}
	for _, o := range []replay.Outcome{replay.Completed, replay.TimedOut, replay.Rejected, replay.Lost} {
		if seen[o] < 20 {
			t.Errorf("only %d requests were %s: the test tests little", seen[o], o)
		}
	}
	t.Log(seen)
}

func endEachOnce(t *testing.T, seed uint64, j *journal, want int) {
	t.Helper()
	ended := map[string]int{}
	for _, r := range j.requests {
		ended[fmt.Sprint(r.Target, r.ID)]++
		switch ok := r.Outcome == replay.Completed; {
		case r.E2E < 0 || r.TTFT > r.E2E:
			t.Errorf("seed %d: impossible times: %+v", seed, r)
		case ok && (r.TTFT <= 0 || r.TPOT < 0 || r.Replica < 0):
			t.Errorf("seed %d: completed without a replica or a token: %+v", seed, r)
		case !ok && r.TPOT >= 0:
			t.Errorf("seed %d: TPOT of a request that did not complete: %+v", seed, r)
		}
	}
	if len(ended) != want || len(j.requests) != want {
		t.Errorf("seed %d: %d requests ended %d times, %d arrived", seed, len(ended), len(j.requests), want)
	}
}

// integral is the time that replicas held GPUs by the census.
func integral(j *journal, target string) time.Duration {
	var sum time.Duration
	var last replay.Census
	for _, c := range j.censuses {
		if c.Target != target {
			continue
		}
		sum += time.Duration(last.Starting+last.Ready+last.Draining) * (c.At - last.At)
		last = c
	}
	return sum
}

func lastCensus(j *journal, target string) replay.Census {
	var last replay.Census
	for _, c := range j.censuses {
		if c.Target == target {
			last = c
		}
	}
	return last
}

func bounded(t *testing.T, seed uint64, j *journal, target replay.Target) {
	t.Helper()
	first := true
	for _, c := range j.censuses {
		if c.Target != target.Name {
			continue
		}
		if n := c.Starting + c.Ready + c.Unschedulable; n != c.Desired {
			t.Fatalf("seed %d: %d replicas exist that do not drain, %d are asked for: %+v", seed, n, c.Desired, c)
		}
		if !first && c.Desired != target.Initial && (c.Desired < target.Min || c.Desired > target.Max) {
			t.Fatalf("seed %d: %+v is beyond %d to %d", seed, c, target.Min, target.Max)
		}
		first = false
	}
}

// withinStock checks that nothing is placed while more GPUs are held than there are.
func withinStock(t *testing.T, seed uint64, c replay.Config, j *journal) {
	t.Helper()
	held := map[string]int32{}
	sum := func() (n int32) {
		for _, h := range held {
			n += h
		}
		return n
	}
	limit, limited, events := int32(c.GPUs), c.GPUs > 0, c.Events
	for i, x := range j.censuses {
		before := sum()
		held[x.Target] = x.Starting + x.Ready + x.Draining
		if i+1 < len(j.censuses) && j.censuses[i+1].At == x.At {
			continue // another target's change at the same instant belongs to it
		}
		for len(events) > 0 && events[0].At <= x.At {
			if events[0].Kind == replay.StockChanges {
				limit, limited = int32(events[0].Value), true
			}
			events = events[1:]
		}
		if after := sum(); limited && after > max(limit, before) {
			t.Fatalf("seed %d: at %v %d GPUs are held, %d before, of %d", seed, x.At, after, before, limit)
		}
	}
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	for seed := range uint64(10) {
		var first string
		for i := range 3 {
			c, targets, _ := anything(seed)
			j, totals := run(t, c, targets...)
			text := j.text.String() + fmt.Sprint(totals)
			if i == 0 {
				first = text
			}
			if diff := cmp.Diff(first, text); diff != "" {
				t.Fatalf("seed %d, run %d (-first +this):\n%s", seed, i, diff)
			}
		}
		if len(first) < 10_000 {
			t.Fatalf("seed %d: only %d bytes to compare", seed, len(first))
		}
	}
}
