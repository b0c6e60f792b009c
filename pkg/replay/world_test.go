package replay_test

import (
	"bytes"
	"context"
	"fmt"
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

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// poisson is a stream of n requests at a mean rate, with tokens like those of chat.
type poisson struct {
	rng    *rand.Rand
	rate   float64
	left   int
	at     time.Duration
	shared int // leading blocks that requests have in common with one of eight others; zero: none
}

func load(seed uint64, rate float64, n int) *poisson {
	return &poisson{rng: rand.New(rand.NewPCG(seed, 1)), rate: rate, left: n}
}

func (p *poisson) Next() (trace.Request, error) {
	if p.left == 0 {
		return trace.Request{}, io.EOF
	}
	p.left--
	p.at += time.Duration(p.rng.ExpFloat64() / p.rate * float64(time.Second))
	r := trace.Request{
		At:           p.at,
		PromptTokens: 50 + int(math.Min(4000, 1100*math.Exp(0.7*p.rng.NormFloat64()-0.25))),
		OutputTokens: 1 + int(math.Min(1000, 205*math.Exp(0.8*p.rng.NormFloat64()-0.32))),
	}
	if p.shared > 0 {
		family := p.rng.Uint64N(8) + 1
		for i := range min(p.shared, r.PromptTokens/trace.BlockTokens) {
			r.Blocks = append(r.Blocks, family<<32|uint64(i))
		}
	}
	return r, nil
}

// listed is a load that is written down.
type listed []trace.Request

func (l *listed) Next() (trace.Request, error) {
	if len(*l) == 0 {
		return trace.Request{}, io.EOF
	}
	r := (*l)[0]
	*l = (*l)[1:]
	return r, nil
}

// plan is a policy that asks for numbers of replicas by the clock, and keeps what it saw.
type plan struct {
	path baseline.Path
	want func(at time.Duration) int32
	saw  func(o baseline.Observation)
}

func (p *plan) Path() baseline.Path { return p.path }

func (p *plan) Decide(o baseline.Observation) scaling.Decision {
	if p.saw != nil {
		p.saw(o)
	}
	n := p.want(o.Time.Sub(start))
	return scaling.Decision{Time: o.Time, Current: o.Desired, Replicas: n, Reason: scaling.DemandMet}
}

// always asks for n replicas every 15 s.
func always(n int32) *plan {
	return &plan{path: baseline.Path{Interval: 15 * time.Second}, want: func(time.Duration) int32 { return n }}
}

// steps asks for each number from its second on.
func steps(at map[int]int32, interval time.Duration) *plan {
	return &plan{path: baseline.Path{Interval: interval}, want: func(now time.Duration) int32 {
		best, n := -1, int32(0)
		for second, want := range at {
			if second > best && now >= time.Duration(second)*time.Second {
				best, n = second, want
			}
		}
		return n
	}}
}

// journal is a sink that keeps everything, in words too.
type journal struct {
	text      bytes.Buffer
	requests  []replay.Request
	censuses  []replay.Census
	decisions []scaling.Decision
	gateways  []baseline.Gateway
	last      time.Duration
	backwards int
}

func (j *journal) pass(at time.Duration) {
	if at < j.last {
		j.backwards++
	}
	j.last = at
}

func (j *journal) Ended(r replay.Request) {
	j.pass(r.Arrival + r.E2E)
	j.requests = append(j.requests, r)
	fmt.Fprintf(&j.text, "%+v\n", r)
}

func (j *journal) Counted(c replay.Census) {
	j.pass(c.At)
	j.censuses = append(j.censuses, c)
	fmt.Fprintf(&j.text, "%+v\n", c)
}

func (j *journal) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	j.pass(d.Time.Sub(start))
	j.decisions = append(j.decisions, d)
	j.gateways = append(j.gateways, g)
	fmt.Fprintf(&j.text, "%s %+v %+v %+v\n", target, d, g.Queued, g.Concurrency)
}

// engine is about an 8B model on an H100, written down here so that better figures of it elsewhere move no test.
func engine() replica.Profile {
	return replica.Profile{
		Name: "about-8b-h100", Model: "test", GPUs: 1,
		StepBase: 7.7, StepPerSequence: 0.0044, StepPerContextToken: 7.6e-5, PrefillPerToken: 0.036, PrefillPerTokenPair: 1.2e-6,
		APIOverhead: 15, KVTokens: 440_000, BlockSize: 16, MaxNumSeqs: 256, MaxNumBatchedTokens: 8192, MaxModelLen: 131_072,
	}
}

func run(t testing.TB, c replay.Config, targets ...replay.Target) (*journal, []replay.Total) {
	t.Helper()
	c.Start = start
	var j journal
	totals, err := replay.Run(context.Background(), c, targets, &j)
	if err != nil {
		t.Fatal(err)
	}
	return &j, totals
}

// outcomes counts the requests by how they ended.
func (j *journal) outcomes() map[replay.Outcome]int {
	n := map[replay.Outcome]int{}
	for _, r := range j.requests {
		n[r.Outcome]++
	}
	return n
}

func fixed(d time.Duration) replay.Phase { return replay.Phase{Median: d} }

// inPhase makes decisions fall on whole intervals: it swallows the sync phase by asking again at every 100 ms, and
// changes its mind at the plan's interval only.
type inPhase struct{ *plan }

func (p inPhase) Path() baseline.Path {
	path := p.path
	path.Interval = 100 * time.Millisecond
	return path
}

func (p inPhase) Decide(o baseline.Observation) scaling.Decision {
	d := p.plan.Decide(o)
	d.Replicas = p.want(o.Time.Sub(start).Truncate(p.path.Interval))
	return d
}
