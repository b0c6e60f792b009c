package score_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// whim is a policy that asks for any number of replicas, every now and then.
type whim struct{ rng *rand.Rand }

func (w whim) Path() baseline.Path {
	return baseline.Path{Interval: 7 * time.Second, Scrape: 5 * time.Second}
}

func (w whim) Decide(o baseline.Observation) scaling.Decision {
	d := scaling.Decision{Time: o.Time, Current: o.Desired, Replicas: o.Desired, Reason: scaling.DemandMet}
	if w.rng.IntN(4) == 0 {
		d.Replicas, d.Reason = w.rng.Int32N(7), scaling.ReactiveDemand
	}
	return d
}

// troubled is a cluster in which all that costs or loses something happens, with one target.
func troubled(t *testing.T, seed uint64) (replay.Config, replay.Target) {
	t.Helper()
	p, err := replica.ProfileNamed("llama-3.1-8b-h100")
	if err != nil {
		t.Fatal(err)
	}
	phase := replay.Phase{Median: 20 * time.Second, Sigma: 0.5}
	c := replay.Config{
		Start: t0, Seed: seed, GPUs: 5, NodeGPUs: 2, Lead: replay.Lead{Node: phase, Load: phase}, MaxOutstanding: 50,
		QueueLimit: 100, Timeout: 20 * time.Second, LostScrapes: 0.1, CrashesPerHour: 20, APILag: time.Second,
	}
	rates := trace.Rates{Start: t0, Period: time.Minute, PerSecond: []float64{5, 30, 2, 0, 0, 60, 10, 1}}
	return c, replay.Target{
		Name: "chat", Profile: p, Load: rates.Draw(trace.ChatMix(), trace.Options{Seed: int64(seed)}),
		Policy: whim{rand.New(rand.NewPCG(seed, 9))}, Initial: 2,
	}
}

// Requests end once, replicas are paid for as long as they hold GPUs, and files, score and simulation agree on it.
func TestARunIsConservedInScoreAndFiles(t *testing.T) {
	outcomes := score.Requests{}
	for seed := range uint64(15) {
		config, target := troubled(t, seed)
		var timeline, requests bytes.Buffer
		w := score.NewWriter("whim", "", t0, score.Streams{Timeline: &timeline, Requests: &requests})
		o := options("whim")
		o.GPUs = target.Profile.GPUs
		c := score.NewCollector(o)
		totals, err := replay.Run(context.Background(), config, []replay.Target{target}, pair{c, w})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		s, total := c.Score(totals[0]), totals[0]
		if want := total.Held.Seconds() * float64(o.GPUs); s.GPUSeconds != want {
			t.Errorf("seed %d: %v GPU-seconds scored, %v held", seed, s.GPUSeconds, want)
		}
		if got := gpuSeconds(t, score.TimelineHeader+timeline.String(), float64(o.GPUs)); got != s.GPUSeconds {
			t.Errorf("seed %d: %v GPU-seconds in the timeline, %v scored", seed, got, s.GPUSeconds)
		}
		if s.GPUHours.Running < 0 || s.GPUHours.Idle < 0 {
			t.Errorf("seed %d: %+v", seed, s.GPUHours)
		}
		if s.Requests.Arrived != total.Requests || rowsOnce(t, requests.String()) != total.Requests {
			t.Errorf("seed %d: %d requests scored, %d written, %d ended", seed, s.Requests.Arrived, rowsOnce(t, requests.String()), total.Requests)
		}
		outcomes.Completed += s.Requests.Completed
		outcomes.TimedOut += s.Requests.TimedOut
		outcomes.Rejected += s.Requests.Rejected
		outcomes.Lost += s.Requests.Lost
	}
	if outcomes.Completed == 0 || outcomes.TimedOut == 0 || outcomes.Rejected == 0 || outcomes.Lost == 0 {
		t.Errorf("not everything has happened: %+v", outcomes)
	}
}

// rowsOnce counts the rows of the requests, each of another id.
func rowsOnce(t *testing.T, rows string) uint64 {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(rows)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range records {
		if seen[r[1]] {
			t.Fatalf("request %s ended twice", r[1])
		}
		seen[r[1]] = true
	}
	return uint64(len(seen))
}

// pair tells two sinks.
type pair [2]replay.Sink

func (p pair) Ended(r replay.Request) {
	p[0].Ended(r)
	p[1].Ended(r)
}

func (p pair) Counted(c replay.Census) {
	p[0].Counted(c)
	p[1].Counted(c)
}

func (p pair) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	p[0].Decided(target, d, g)
	p[1].Decided(target, d, g)
}
