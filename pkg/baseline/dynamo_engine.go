package baseline

import (
	"math"
	"time"
)

// planned is the planner's model of one engine that prefills and decodes: its profile, and the factor by which it errs.
// It restates ai-dynamo/dynamo@518a702 components/src/dynamo/planner/core/perf_model/agg.py, with the engine's own step
// times where upstream fits a plane through measured ones.
type planned struct {
	engine Engine
	factor float64
}

// step is how long a step is believed to take, in seconds.
func (p planned) step(s Step) float64 {
	return max(1e-6, p.engine.StepTime(s).Seconds()*p.factor)
}

// traffic is the mean request: prompt and output tokens and the share of prompts found in the prefix cache.
type traffic struct{ input, output, hit float64 }

// computed is the share of prompt tokens that are prefilled; a hit rate of more than 95 % is not believed.
func (t traffic) computed() float64 { return 1 - min(max(finite(t.hit), 0), 0.95) }

// prefillPerStep is how many prompt tokens a step carries when so many sequences decode and as many requests come as go.
func (p planned) prefillPerStep(sequences float64, t traffic) float64 {
	return min(sequences*t.input*t.computed()/max(1, t.output), float64(p.engine.MaxBatchedTokens))
}

// ttft estimates the next request's time to first token, in seconds: what is queued and itself, in chunks, beside what
// decodes.
func (p planned) ttft(queued, sequences, context float64, t traffic) float64 {
	left := (queued + t.input) * t.computed()
	var sum float64
	for left > 0 {
		chunk := min(left, float64(p.engine.MaxBatchedTokens))
		sum += p.step(Step{PrefillTokens: chunk, Sequences: sequences, ContextTokens: context})
		left -= chunk
	}
	return sum
}

// itl estimates the time between two tokens, in seconds, with one more request of mean length.
func (p planned) itl(sequences, context float64, t traffic) float64 {
	length := t.input + t.output/2
	if sequences > 0 && context > 0 {
		length = context / sequences
	}
	return p.step(Step{
		PrefillTokens: p.prefillPerStep(sequences, t), Sequences: sequences + 1, ContextTokens: context + length,
	})
}

// mostSequences bounds the batch: by the KV cache, by the engine, and by the balance of prefill and decode.
func (p planned) mostSequences(t traffic) int {
	length := max(1, t.input+t.output/2)
	most := 1024
	if p.engine.KVTokens > 0 {
		most = max(1, int(float64(p.engine.KVTokens)/length))
	}
	if p.engine.MaxSequences > 0 {
		most = min(most, p.engine.MaxSequences)
	}
	most = min(most, p.engine.MaxBatchedTokens-1)
	balanced := math.Floor(float64(p.engine.MaxBatchedTokens) - t.input/t.output)
	return max(1, min(most, int(balanced)))
}

// capacity is the highest rate in requests per second at which one engine meets both objectives, by Little's law over
// batch sizes; where not even one request does, what it does alone. Zero where the traffic is not known.
func (p planned) capacity(t traffic, slo SLO) float64 {
	if !(t.input > 0 && t.output > 0) {
		return 0
	}
	length := t.input + t.output/2
	var best float64
	for n := 1; n <= p.mostSequences(t); n++ {
		sequences, context := float64(n), float64(n)*length
		prefill := p.prefillPerStep(sequences, t)
		step := p.step(Step{PrefillTokens: prefill, Sequences: sequences, ContextTokens: context})
		met := within(step, slo.TPOT) && within(p.ttft(math.Floor(prefill), sequences, context, t), slo.TTFT)
		if !met && n > 1 {
			break
		}
		best = sequences / (t.output * step)
		if !met {
			break
		}
	}
	return best
}

func within(seconds float64, bound time.Duration) bool { return seconds <= bound.Seconds() }
