package oracle

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// plain is a profile with figures that one can reckon with: steps of 10 ms, 1 ms for a prompt token, 10 sequences.
func plain() replica.Profile {
	return replica.Profile{
		Name: "plain", GPUs: 2, StepBase: 10, PrefillPerToken: 1,
		KVTokens: 1e6, BlockSize: 16, MaxNumSeqs: 10, MaxNumBatchedTokens: 1e6, MaxModelLen: 10000,
	}
}

func TestPriced(t *testing.T) {
	slo := score.SLO{TTFT: time.Second, TPOT: 20 * time.Millisecond}
	for name, tc := range map[string]struct {
		q        trace.Request
		cached   int
		work     float64 // steps charged by sequence
		first    float64
		alive    float64
		hopeless bool
	}{
		// 100 ms of prompt, and a tenth of 20 steps of 10 ms.
		"prompt and its share of the steps": {trace.Request{PromptTokens: 100, OutputTokens: 21}, 0, 0.12, 0.11, 0.31, false},
		"one token needs no decoding":       {trace.Request{PromptTokens: 100, OutputTokens: 1}, 0, 0.1, 0.11, 0.11, false},
		"what is cached costs nothing":      {trace.Request{PromptTokens: 100, OutputTokens: 1}, 60, 0.04, 0.05, 0.05, false},
		"a prompt beyond the TTFT objective": {
			trace.Request{PromptTokens: 1000, OutputTokens: 1}, 0, 1, 1.01, 1.01, true,
		},
		"longer than the model takes": {trace.Request{PromptTokens: 9, OutputTokens: 10000}, 0, 10.008, 0.019, 100.009, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := priced(plain(), slo, tc.q, tc.cached)
			near := func(what string, got, want float64) {
				if math.Abs(got-want) > 1e-9 {
					t.Errorf("%s is %v, want %v", what, got, want)
				}
			}
			near("work", x.work[bySequence], tc.work)
			near("first token", x.first, tc.first)
			near("last token", x.alive, tc.alive)
			if x.hopeless != tc.hopeless {
				t.Errorf("hopeless is %v", x.hopeless)
			}
		})
	}
}

func TestPricedTPOTBeyondReach(t *testing.T) {
	x := priced(plain(), score.SLO{TTFT: time.Hour, TPOT: 9 * time.Millisecond}, trace.Request{PromptTokens: 1, OutputTokens: 2}, 0)
	if !x.hopeless {
		t.Error("a step of 10 ms cannot make a token in 9 ms")
	}
}

func TestCachedTokens(t *testing.T) {
	var c cached
	for i, tc := range []struct {
		q    trace.Request
		want int
	}{
		{trace.Request{PromptTokens: 1024, Blocks: []uint64{1, 2}}, 0},
		{trace.Request{PromptTokens: 1500, Blocks: []uint64{1, 2, 3}}, 1024},
		{trace.Request{PromptTokens: 1024, Blocks: []uint64{1, 2}}, 1023}, // one token is always computed
		{trace.Request{PromptTokens: 1024, Blocks: []uint64{9, 2}}, 0},    // a prefix begins at the beginning
		{trace.Request{PromptTokens: 1024}, 0},
	} {
		if got := c.tokens(tc.q); got != tc.want {
			t.Errorf("request %d: %d tokens cached, want %d", i, got, tc.want)
		}
	}
}

func TestBound(t *testing.T) {
	second := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	within := func(ttft time.Duration, share float64) score.SLO {
		return score.SLO{TTFT: ttft, TPOT: time.Hour, Attainment: share}
	}
	bound := func(slo score.SLO, requests ...trace.Request) (float64, bool) {
		b := NewBounder(plain(), slo)
		for _, q := range requests {
			b.Add(q)
		}
		return b.GPUSeconds()
	}
	one := trace.Request{PromptTokens: 100, OutputTokens: 21}
	long := trace.Request{PromptTokens: 200, OutputTokens: 501} // 0.21 s until the first token, 5 s after it
	for name, tc := range map[string]struct {
		slo      score.SLO
		requests []trace.Request
		want     float64
		ok       bool
	}{
		"no load":                          {within(time.Hour, 0.99), nil, 0, true},
		"work: two GPUs for 0.12 s each":   {within(time.Hour, 0.99), []trace.Request{one, one}, 0.48, true},
		"half may be missed":               {within(time.Hour, 0.5), []trace.Request{one, one}, 0.24, true},
		"present from 1 s until 5.21 s":    {within(second(1), 1), []trace.Request{long}, 2 * 4.21, true},
		"presence that two need is shared": {within(second(1), 0.5), []trace.Request{long, long}, 4.21, true},
		"what cannot be met by any":        {within(second(0.1), 1), []trace.Request{one}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := bound(tc.slo, tc.requests...)
			if ok != tc.ok || math.Abs(got-tc.want) > 0.01*tc.want || got > tc.want {
				t.Errorf("bound %v, %v, want just below %v, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

// TestTail compares with sorting.
func TestTail(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var sum tail
		all := make([]float64, 300)
		for i := range all {
			all[i] = math.Exp(4 * r.NormFloat64())
			sum.add(all[i])
		}
		slices.Sort(all)
		for _, n := range []int{0, 1, 7, 150, 299, 300, 400} {
			want := 0.0
			for _, x := range all[:max(0, len(all)-n)] {
				want += x
			}
			if got := sum.least(int64(n)); got > want*(1+1e-12) || got < want*0.97-0.02*all[max(0, 299-n)] {
				t.Fatalf("without the %d largest: %v, want at most and nearly %v", n, got, want)
			}
		}
	}
}

// TestPresence compares with dropping every set of two out of a few random intervals.
func TestPresence(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var p presence
		type span struct{ from, to float64 }
		all := make([]span, 8)
		for i := range all {
			all[i].from = float64(r.IntN(30))
			all[i].to = all[i].from + float64(r.IntN(8))
		}
		slices.SortFunc(all, func(a, b span) int { return int(a.from - b.from) })
		for _, s := range all {
			p.add(s.from, s.to)
		}
		covered := func(without ...int) float64 {
			n := 0.0
			for at := range 40 {
				for i, s := range all {
					if !slices.Contains(without, i) && s.from <= float64(at) && float64(at) < s.to {
						n++
						break
					}
				}
			}
			return n
		}
		least := covered()
		if got := p.least(0); math.Abs(got-least) > 1e-9 {
			t.Fatalf("%v cover %v, want %v", all, got, least)
		}
		for i := range all {
			for j := range i {
				least = min(least, covered(i, j))
			}
		}
		if got := p.least(2); got > least+1e-9 {
			t.Fatalf("%v: without the worst two at least %v is covered, but the bound is %v", all, least, got)
		}
	}
}
