package capacity_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	ttft = 2 * time.Second
	tpot = 100 * time.Millisecond
)

// pool is one simulated replica under even arrivals of a chat-like mix, and what it reports.
type pool struct {
	engine    *replica.Replica
	rng       *rand.Rand
	now, next time.Time
	id        uint64
	asked     map[uint64]time.Time
	first     map[uint64]time.Time
	outputs   map[uint64]int
	good, all float64
}

func newPool(t testing.TB, profile string) *pool {
	t.Helper()
	p, err := replica.ProfileNamed(profile)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := replica.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return &pool{
		engine: engine, rng: rand.New(rand.NewPCG(11, 12)), now: start, next: start,
		asked: map[uint64]time.Time{}, first: map[uint64]time.Time{}, outputs: map[uint64]int{},
	}
}

// advance lets time pass with rate requests/s; every one counts as good that is within both objectives.
func (p *pool) advance(t testing.TB, d time.Duration, rate float64) {
	t.Helper()
	p.now = p.now.Add(d)
	for !p.next.After(p.now) {
		p.collect(p.engine.Advance(p.next.Sub(start)))
		p.id++
		q := replica.Request{
			ID:           p.id,
			PromptTokens: 50 + int(math.Min(4000, 1100*math.Exp(0.7*p.rng.NormFloat64()-0.25))),
			OutputTokens: 5 + int(math.Min(1000, 205*math.Exp(0.8*p.rng.NormFloat64()-0.32))),
		}
		if err := p.engine.Submit(p.next.Sub(start), q); err != nil {
			t.Fatal(err)
		}
		p.asked[q.ID], p.outputs[q.ID] = p.next, q.OutputTokens
		p.next = p.next.Add(time.Duration(float64(time.Second) / rate))
	}
	p.collect(p.engine.Advance(p.now.Sub(start)))
}

func (p *pool) collect(events []replica.Event) {
	for _, e := range events {
		if _, ok := p.first[e.ID]; !ok {
			p.first[e.ID] = start.Add(e.At)
		}
		if e.Kind != replica.Finished {
			continue
		}
		p.all++
		if p.first[e.ID].Sub(p.asked[e.ID]) <= ttft && start.Add(e.At).Sub(p.first[e.ID]) <= time.Duration(p.outputs[e.ID]-1)*tpot {
			p.good++
		}
	}
}

// sustains finds by bisection the even rate at which 99 % of the requests are good.
func sustains(t testing.TB, profile string) float64 {
	low, high := 0.1, 60.0
	for high/low > 1.02 {
		rate := math.Sqrt(low * high)
		p := newPool(t, profile)
		p.advance(t, 4*time.Minute, rate)
		if late := p.engine.Inflight(); p.good >= 0.99*p.all && float64(late) < 30*rate+20 {
			low = rate
		} else {
			high = rate
		}
	}
	return low
}

// interval is what two sets of statistics teach.
func interval(a, b replica.Stats, seconds float64) capacity.Interval {
	diff := func(x, y replica.Histogram) *signals.Histogram {
		h := &signals.Histogram{Bounds: y.Bounds, Sum: y.Sum - x.Sum}
		var sum float64
		for i := range y.Counts {
			sum += float64(y.Counts[i] - x.Counts[i])
			h.Counts = append(h.Counts, sum)
		}
		return h
	}
	itl := diff(a.ITL, b.ITL)
	mean, _ := itl.Mean()
	return capacity.Interval{
		Seconds: seconds, Running: float64(a.Running+b.Running) / 2, Waiting: float64(min(a.Waiting, b.Waiting)),
		Grown: float64(b.Running - a.Running), Finished: float64(b.Finished - a.Finished),
		Prompt: float64(b.PromptTokens - a.PromptTokens), Generated: float64(b.GenerationTokens - a.GenerationTokens),
		ITL: mean, Tokens: itl.Count(), TPOT: diff(a.TPOT, b.TPOT), KV: (a.KVUsage + b.KVUsage) / 2,
	}
}

// The capacity learned at loads that a replica bears easily lies within a stated band of what it is found to sustain.
func TestLearnedCapacityAgainstWhatTheSimulatedReplicaSustains(t *testing.T) {
	cases := map[string]struct {
		profile string
		loads   []float64 // shares of the true capacity, half an hour in all
		low     float64
		high    float64
	}{
		"a large model, light load":   {"llama-3.1-70b-h100x4", []float64{0.1, 0.2, 0.3, 0.2}, 0.45, 1.1}, // half more than 0.3 is believed
		"a large model, medium load":  {"llama-3.1-70b-h100x4", []float64{0.3, 0.5, 0.7, 0.5}, 0.85, 1.1},
		"a large model, heavy load":   {"llama-3.1-70b-h100x4", []float64{0.6, 0.8, 0.95, 0.8}, 0.85, 1.1},
		"a large model, overloaded":   {"llama-3.1-70b-h100x4", []float64{0.5, 1.0, 1.4, 1.4}, 0.85, 1.1},
		"a small model, light load":   {"llama-3.1-8b-a100", []float64{0.1, 0.2, 0.3, 0.2}, 0.45, 1.1}, // half more than 0.3 is believed
		"a small model, medium load":  {"llama-3.1-8b-a100", []float64{0.3, 0.5, 0.7, 0.5}, 0.85, 1.1},
		"a small model, heavy load":   {"llama-3.1-8b-a100", []float64{0.6, 0.8, 0.95, 0.8}, 0.85, 1.1},
		"a small model, overloaded":   {"llama-3.1-8b-a100", []float64{0.5, 1.0, 1.4, 1.4}, 0.85, 1.1},
		"a large model, drowned":      {"llama-3.1-70b-h100x4", []float64{2, 2, 2, 2}, 0.5, 1.1},
		"a small model, drowned":      {"llama-3.1-8b-a100", []float64{2, 2, 2, 2}, 0.5, 1.1},
		"a small model, one load all": {"llama-3.1-8b-a100", []float64{0.5, 0.5, 0.5, 0.5}, 0.8, 1.1},
	}
	true99 := map[string]float64{}
	for _, c := range cases {
		if true99[c.profile] == 0 {
			true99[c.profile] = sustains(t, c.profile)
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			truth := true99[c.profile]
			p := newPool(t, c.profile)
			var s capacity.State
			before := p.engine.Stats()
			for i := range 120 {
				p.advance(t, 15*time.Second, truth*c.loads[i/30])
				after := p.engine.Stats()
				s.Decay(p.now)
				s.Learn(interval(before, after, 15))
				before = after
			}
			got := s.Estimate(capacity.Config{TPOT: tpot, Attainment: 0.99})
			t.Logf("%.2f of the %.2f requests/s it sustains: %s", got.PerReplica/truth, truth, got.Text)
			if share := got.PerReplica / truth; share < c.low || share > c.high {
				t.Errorf("learned %.2f of the true %.2f, want %.2f to %.2f", share, truth, c.low, c.high)
			}
		})
	}
}
