package replica

import (
	"math"
	"math/rand"
	"testing"
	"time"
)

// TestSustainableAgreesWithSimulation offers Poisson arrivals of a mix whose
// lengths vary like exponential ones, and looks for the rate at which the means
// leave the objectives.
func TestSustainableAgreesWithSimulation(t *testing.T) {
	tests := map[string]struct {
		profile    string
		mix        Mix
		ttft, tpot time.Duration
	}{
		"chat on 70B, held by TPOT":        {"llama-3.1-70b-h100x4", Mix{1000, 200, 0}, 2 * time.Second, 50 * time.Millisecond},
		"chat on 8B, held by TPOT":         {"llama-3.1-8b-h100", Mix{1155, 211, 0}, 2 * time.Second, 40 * time.Millisecond},
		"chat on 8B, a loose TPOT":         {"llama-3.1-8b-h100", Mix{1155, 211, 0}, 2 * time.Second, 100 * time.Millisecond},
		"long answers, held by the batch":  {"llama-3.1-8b-a100", Mix{200, 1000, 0}, 2 * time.Second, 200 * time.Millisecond},
		"long prompts, most of them known": {"llama-3.1-8b-fp8-h200", Mix{6000, 300, 5000}, 2 * time.Second, 50 * time.Millisecond},
		"a mixture of experts":             {"llama-4-scout-fp8-h100x2", Mix{600, 250, 0}, 2 * time.Second, 40 * time.Millisecond},
		"few experts a token":              {"qwen3-30b-a3b-h100", Mix{600, 250, 0}, 2 * time.Second, 30 * time.Millisecond},
		"long prompts, held by TTFT":       {"llama-3.1-70b-h100x4", Mix{4000, 50, 0}, 800 * time.Millisecond, time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := ProfileNamed(tc.profile)
			if err != nil {
				t.Fatal(err)
			}
			want := simulated(t, p, tc.mix, tc.ttft, tc.tpot)
			got := Sustainable(p, tc.mix, tc.ttft, tc.tpot)
			t.Logf("%.2f requests/s, simulated %.2f (%+.0f %%)", got, want, 100*(got/want-1))
			if math.Abs(got/want-1) > 0.1 {
				t.Errorf("%.2f requests/s is more than 20 %% off the simulated %.2f", got, want)
			}
		})
	}
}

// simulated bisects for the rate at which mean TTFT or TPOT leaves its objective.
func simulated(t *testing.T, p Profile, mix Mix, ttft, tpot time.Duration) float64 {
	low, high := 0.0, newField(p, mix).saturation()*1.2
	for range 9 {
		if middle := (low + high) / 2; within(t, p, mix, middle, ttft, tpot) {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

func within(t *testing.T, p Profile, mix Mix, rate float64, ttft, tpot time.Duration) bool {
	t.Helper()
	rng := rand.New(rand.NewSource(7))
	r := newReplica(t, p)
	vary := func(mean float64) int { return 1 + int(rng.ExpFloat64()*(mean-1)) }
	now := time.Duration(0)
	for id := range uint64(6000) {
		now += time.Duration(rng.ExpFloat64() / rate * 1e9)
		prompt := min(vary(mix.PromptTokens), p.MaxModelLen/2)
		q := Request{ID: id, PromptTokens: prompt, OutputTokens: min(vary(mix.OutputTokens), p.MaxModelLen/4)}
		q.CachedTokens = int(float64(prompt) * mix.CachedTokens / mix.PromptTokens)
		submit(t, r, now, q)
	}
	r.Advance(now + 24*time.Hour)
	s := r.Stats()
	mean := func(h Histogram) float64 { return h.Sum / float64(h.Count()) }
	return mean(s.TTFT) <= ttft.Seconds() && mean(s.TPOT) <= tpot.Seconds()
}

func TestSustainableIsZeroWhereALoneRequestMisses(t *testing.T) {
	p, err := ProfileNamed("llama-3.1-70b-h100x4")
	if err != nil {
		t.Fatal(err)
	}
	mix := Mix{PromptTokens: 1000, OutputTokens: 200}
	if got := Sustainable(p, mix, time.Second, 10*time.Millisecond); got != 0 {
		t.Errorf("TPOT of 10 ms with steps of 17: %v requests/s", got)
	}
	if got := Sustainable(p, mix, 50*time.Millisecond, time.Second); got != 0 {
		t.Errorf("TTFT of 50 ms with a prefill of 80: %v requests/s", got)
	}
}

// The worked example of Sustainable's comment.
func TestSustainableByHand(t *testing.T) {
	p, err := ProfileNamed("llama-3.1-70b-h100x4")
	if err != nil {
		t.Fatal(err)
	}
	got := Sustainable(p, Mix{PromptTokens: 1000, OutputTokens: 200}, 2*time.Second, 50*time.Millisecond)
	if math.Abs(got-7.4) > 0.05 {
		t.Errorf("%.2f requests/s, by hand 7.4", got)
	}
}

func TestSustainableGrowsWithTheObjectives(t *testing.T) {
	p, err := ProfileNamed("llama-3.1-8b-h100")
	if err != nil {
		t.Fatal(err)
	}
	last := 0.0
	for tpot := 10 * time.Millisecond; tpot < 200*time.Millisecond; tpot += 10 * time.Millisecond {
		got := Sustainable(p, Mix{PromptTokens: 1155, OutputTokens: 211}, 2*time.Second, tpot)
		if got < last {
			t.Errorf("TPOT %v: %v requests/s, less than %v with a tighter one", tpot, got, last)
		}
		last = got
	}
	if last < 5 {
		t.Errorf("only %v requests/s at the loosest TPOT", last)
	}
}
