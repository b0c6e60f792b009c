package replica

import (
	"math"
	"time"
)

// Mix is a load in the mean: tokens of prompt and output of a request, and how
// many of the prompt's the prefix cache supplies.
type Mix struct {
	PromptTokens, OutputTokens, CachedTokens float64
}

// Sustainable is the rate in requests/s that one replica takes while mean TTFT
// and mean TPOT stay within ttft and tpot: a closed form in place of a
// simulation, zero where even a lone request misses an objective.
//
// It is a mean-field estimate for lengths that vary like exponential ones, as those of chats do: prompts cost twice the
// square of their mean in attention, and a sequence that one meets decoding is twice as long as the mean one, so that it
// has all of OutputTokens behind it on average. At rate λ, prompts take the share λ·w of the time, w being the prefill of one; what is
// left goes to decode steps, so a token takes
//
//	τ = (StepBase + experts(B) + B·d) / (1 - λ·w),  d = StepPerSequence + StepPerContextToken·context
//
// and by Little's law B = λ·OutputTokens·τ sequences decode. TPOT τ grows with λ, and so does TTFT: overhead, what is
// left of the step in flight and those scheduled ahead, the prefill step, the prompts before it as in an M/G/1 queue whose service times vary like
// exponential ones, and those behind it that share its step. B is bounded by MaxNumSeqs and the KV cache.
//
// Worked example, llama-3.1-70b-h100x4 with 1000 prompt and 200 output tokens and 50 ms TPOT: w = 1000·0.0769 +
// 10⁶·1.47e-6 = 78 ms, d = 0.0044 + 1200·4.76e-5 = 0.062 ms; without experts τ = 16.61/(1 - λ·w - λ·200·d) gives
// λ = (1 - 16.61/50)/(0.078 + 200·0.000062) = 7.4 requests/s, where B = 7.4·200·0.05 = 74 sequences decode.
func Sustainable(p Profile, mix Mix, ttft, tpot time.Duration) float64 {
	f := newField(p, mix)
	meets := func(rate float64) bool {
		token := f.perToken(rate)
		return token <= millis(tpot) && rate*mix.OutputTokens*token/1e3 <= f.most && f.firstToken(rate, token) <= millis(ttft)
	}
	if !meets(0) {
		return 0
	}
	low, high := 0.0, f.saturation()
	for range 50 {
		if middle := (low + high) / 2; meets(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// field is a replica under a mean load; times are in milliseconds, rates in
// requests/s.
type field struct {
	profile Profile
	output  float64
	prompt  float64 // prefill of one request
	decode  float64 // what one decoding sequence adds to a step
	most    float64 // sequences that the batch and the KV cache hold
}

func newField(p Profile, mix Mix) field {
	fresh := max(1, mix.PromptTokens-mix.CachedTokens)
	context := mix.PromptTokens + mix.OutputTokens
	return field{
		profile: p,
		output:  mix.OutputTokens,
		prompt:  p.PrefillPerToken*fresh + 2*p.PrefillPerTokenPair*fresh*(mix.PromptTokens-fresh/2),
		decode:  p.StepPerSequence + p.StepPerContextToken*context,
		most:    min(float64(p.MaxNumSeqs), float64(p.KVTokens)/max(1, context)),
	}
}

// saturation is the rate at which prompts and sequences take all the time, even
// with steps of no fixed cost.
func (f field) saturation() float64 { return 1e3 / (f.prompt + f.output*f.decode) }

// perToken is τ: the fixed point where the batch that a step time brings about
// takes that step time. Experts make it grow with the batch, so it is iterated
// from below; infinite where it runs away.
func (f field) perToken(rate float64) float64 {
	left := 1 - rate*(f.prompt+f.output*f.decode)/1e3
	if left <= 0 {
		return math.Inf(1)
	}
	token := f.profile.StepBase / left
	for range 100 {
		batch := max(1, rate*f.output*token/1e3)
		next := (f.profile.StepBase + f.experts(batch)) / left
		if math.Abs(next-token) <= 1e-9*token {
			break
		}
		token = next
	}
	return token
}

func (f field) experts(tokens float64) float64 {
	return f.profile.ExpertStep * (1 - math.Pow(1-f.profile.ExpertShare, tokens))
}

// firstToken is the mean TTFT at a rate where a token takes so long.
func (f field) firstToken(rate, token float64) float64 {
	busy := rate * f.prompt / 1e3
	if busy >= 1 {
		return math.Inf(1)
	}
	step := token * (1 - busy) // without prompts
	missed := token/2 + token*float64(f.profile.StepsAhead)
	return f.profile.APIOverhead + missed + step + f.prompt + f.prompt*busy/(1-busy)*(1+busy)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
