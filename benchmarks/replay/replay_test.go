// Package replay measures how fast whole clusters are replayed, in simulated requests a second of one core.
//
//	go test -run '^$' -bench . ./benchmarks/replay
package replay

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

var start = time.Date(2024, 5, 13, 0, 0, 0, 0, time.UTC) // a Monday

// sizes are token lengths as chat has them, about 1150 in and 210 out in the mean, and gaps between arrivals in units of
// their mean. They are drawn once, so that the time of a run is that of the simulation and not of its load.
type sizes [1 << 12]struct {
	prompt, output int
	gap            float64
}

func chatSizes() *sizes {
	var s sizes
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range s {
		s[i].gap = rng.ExpFloat64()
		s[i].prompt = 50 + int(math.Min(4000, 1100*math.Exp(0.7*rng.NormFloat64()-0.25)))
		s[i].output = 5 + int(math.Min(1000, 205*math.Exp(0.8*rng.NormFloat64()-0.32)))
	}
	return &s
}

// stream is a Poisson stream of n requests at a rate that depends on the time.
type stream struct {
	rng   *rand.PCG // says where in sizes to look
	sizes *sizes
	left  int
	at    time.Duration
	gap   float64 // mean gap in nanoseconds
	rate  func(at time.Duration) float64
	until time.Duration // when the rate is asked again
	end   time.Duration // of the load, zero where left says it
}

func newStream(n int, rate func(time.Duration) float64) *stream {
	return &stream{rng: rand.NewPCG(3, 4), sizes: chatSizes(), left: n, rate: rate}
}

func (s *stream) Next() (trace.Request, error) {
	if s.left == 0 || s.end > 0 && s.at >= s.end {
		return trace.Request{}, io.EOF
	}
	s.left--
	if s.at >= s.until {
		s.gap = float64(time.Second) / s.rate(s.at)
		s.until = s.at + time.Second
	}
	draw := s.rng.Uint64()
	s.at += time.Duration(s.sizes[draw%uint64(len(s.sizes))].gap * s.gap)
	x := &s.sizes[(draw>>32)%uint64(len(s.sizes))]
	return trace.Request{At: s.at, PromptTokens: x.prompt, OutputTokens: x.output}, nil
}

func constant(perSecond float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return perSecond }
}

// static keeps the replicas that there are, and looks at nothing.
type static struct{}

func (static) Path() baseline.Path { return baseline.Path{Interval: 15 * time.Second} }

func (static) Decide(o baseline.Observation) scaling.Decision {
	return scaling.Decision{Time: o.Time, Current: o.Desired, Replicas: o.Desired, Reason: scaling.DemandMet}
}

// tally is the least that a sink does.
type tally struct {
	requests, good int
	replicaSeconds float64
	last           replay.Census
}

func (t *tally) Ended(r replay.Request) {
	t.requests++
	if r.Outcome == replay.Completed && r.TTFT <= 2*time.Second && r.TPOT <= 100*time.Millisecond {
		t.good++
	}
}

func (t *tally) Counted(c replay.Census) {
	t.replicaSeconds += float64(t.last.Starting+t.last.Ready+t.last.Draining) * (c.At - t.last.At).Seconds()
	t.last = c
}

func (*tally) Decided(string, scaling.Decision, baseline.Gateway) {}

func profile(b *testing.B) replica.Profile {
	b.Helper()
	p, err := replica.ProfileNamed("llama-3.1-8b-h100")
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func run(b *testing.B, target replay.Target) tally {
	b.Helper()
	var t tally
	c := replay.Config{Start: start, Seed: 1, Lead: replay.Lead{
		Pull: replay.Phase{Median: 10 * time.Second, Sigma: 0.25}, Load: replay.Phase{Median: 60 * time.Second, Sigma: 0.25},
		WarmUp: replay.Phase{Median: 20 * time.Second, Sigma: 0.25},
	}}
	if _, err := replay.Run(context.Background(), c, []replay.Target{target}, &t); err != nil {
		b.Fatal(err)
	}
	return t
}

// BenchmarkModerateLoad is four replicas of an 8B model at half of what they sustain, each operation one request:
// requests/s is the speed of one core, requests/cpu-s the same where others use the machine too. "stepping" computes each decode step by itself, as a simulator does that cannot
// jump over those in which nothing can be seen.
func BenchmarkModerateLoad(b *testing.B) {
	const perReplica, replicas = 7.4, 4
	for name, interval := range map[string]int{"jumping": 0, "stepping": 1} {
		b.Run(name, func(b *testing.B) {
			p := profile(b)
			p.StreamInterval = interval
			b.ReportAllocs()
			load := newStream(b.N, constant(perReplica*replicas))
			began := processorTime()
			b.ResetTimer()
			t := run(b, replay.Target{
				Name: "chat", Profile: p, Load: load, Policy: static{}, Initial: replicas,
			})
			b.ReportMetric(float64(t.requests)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(float64(t.requests)/(processorTime()-began).Seconds(), "requests/cpu-s")
			b.ReportMetric(float64(t.good)/float64(t.requests), "attainment")
		})
	}
}
