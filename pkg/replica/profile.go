package replica

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Profile says how fast one replica of a model is on given GPUs, and how its
// engine is configured.
//
// One engine step, with B sequences decoding, C tokens of context between
// them, and prefill chunks of n tokens that follow ctx tokens already
// computed, takes
//
//	StepBase + StepPerSequence·B + StepPerContextToken·C
//	  + PrefillPerToken·Σn + PrefillPerTokenPair·Σ n·(ctx + n/2)
//	  + ExpertStep·(1 - (1-ExpertShare)^(B+Σn))
//
// milliseconds, the last line for mixtures of experts only. Worked example
// (llama-3.1-70b-h100x4): 28 sequences of 671 tokens decode in
// 16.61 + 28·0.0044 + 18788·0.0000476 = 17.6 ms.
type Profile struct {
	// Name is the key of the profile, for example "llama-3.1-8b-h100".
	Name string `json:"name"`
	// Model is the served model name as the engine reports it.
	Model string `json:"model"`
	// Source says where the figures come from.
	Source string `json:"source"`
	// GPUs is the number of GPUs one replica occupies.
	GPUs int `json:"gpus"`

	// StepBase is the fixed cost of a step (reading the weights, launching
	// kernels), in milliseconds.
	StepBase float64 `json:"step_base_ms"`
	// StepPerSequence is the cost of one decoding sequence, in milliseconds.
	StepPerSequence float64 `json:"step_per_sequence_ms"`
	// StepPerContextToken is the cost of reading one token of KV cache of a
	// decoding sequence, in milliseconds.
	StepPerContextToken float64 `json:"step_per_context_token_ms"`
	// PrefillPerToken is the cost of one prompt token, in milliseconds.
	PrefillPerToken float64 `json:"prefill_per_token_ms"`
	// PrefillPerTokenPair is the attention cost of one (token, earlier token)
	// pair of a prompt, in milliseconds.
	PrefillPerTokenPair float64 `json:"prefill_per_token_pair_ms"`
	// ExpertStep is the cost of reading every expert of a mixture of experts in
	// one step, in milliseconds; zero for a dense model.
	ExpertStep float64 `json:"expert_step_ms,omitempty"`
	// ExpertShare is the share of a layer's experts that one token is routed to,
	// 0 to 1: n tokens touch 1 - (1-ExpertShare)^n of them.
	ExpertShare float64 `json:"expert_share,omitempty"`
	// APIOverhead is the time in milliseconds between a request's arrival at
	// the server and its arrival in the engine's queue (HTTP, tokenisation),
	// and back. It is part of TTFT and E2E but not of the queue time.
	APIOverhead float64 `json:"api_overhead_ms"`

	// KVTokens is the capacity of the KV cache in tokens.
	KVTokens int `json:"kv_tokens"`
	// BlockSize is the number of tokens in one KV block, a power of two.
	BlockSize int `json:"block_size"`
	// MaxNumSeqs bounds the sequences in the running batch.
	MaxNumSeqs int `json:"max_num_seqs"`
	// MaxNumBatchedTokens bounds the tokens computed in one step.
	MaxNumBatchedTokens int `json:"max_num_batched_tokens"`
	// MaxModelLen bounds prompt plus output of one request, in tokens.
	MaxModelLen int `json:"max_model_len"`
	// StepsAhead is 1 where the engine puts a step together while the one before
	// it runs (vLLM's asynchronous scheduling, the default since 0.14), so that a
	// request that arrives during a step misses the next one too; else 0.
	StepsAhead int `json:"steps_ahead"`
	// StreamInterval is the number of tokens between two Progress events of a
	// request; zero asks for none, which is fastest.
	StreamInterval int `json:"-"`
}

// Validate reports every fault of p at once, by the names of the fields in YAML.
func (p Profile) Validate() error {
	var f faults
	f.positive("step_base_ms", p.StepBase)
	f.notNegative("step_per_sequence_ms", p.StepPerSequence)
	f.notNegative("step_per_context_token_ms", p.StepPerContextToken)
	f.notNegative("prefill_per_token_ms", p.PrefillPerToken)
	f.notNegative("prefill_per_token_pair_ms", p.PrefillPerTokenPair)
	f.notNegative("expert_step_ms", p.ExpertStep)
	f.notNegative("expert_share", p.ExpertShare)
	f.notNegative("api_overhead_ms", p.APIOverhead)
	f.positive("gpus", float64(p.GPUs))
	f.positive("block_size", float64(p.BlockSize))
	f.positive("max_num_seqs", float64(p.MaxNumSeqs))
	f.positive("max_model_len", float64(p.MaxModelLen))
	f.notNegative("stream interval", float64(p.StreamInterval))
	f.atMost("block_size", p.BlockSize, 8192)
	f.atMost("max_num_batched_tokens", p.MaxNumBatchedTokens, 1e8)
	f.atMost("max_model_len", p.MaxModelLen, 1e8)
	f.check(p.BlockSize&(p.BlockSize-1) == 0, "block_size is %d, must be a power of two", p.BlockSize)
	f.check(p.ExpertShare <= 1, "expert_share is %v, must be a share from 0 to 1", p.ExpertShare)
	f.check(p.StepsAhead == 0 || p.StepsAhead == 1, "steps_ahead is %d, must be 0, or 1 for asynchronous scheduling", p.StepsAhead)
	f.check(p.KVTokens >= p.BlockSize, "kv_tokens is %d, must hold one block of %d", p.KVTokens, p.BlockSize)
	f.check(p.MaxNumBatchedTokens > p.MaxNumSeqs,
		"max_num_batched_tokens is %d, must exceed max_num_seqs %d so that a full batch leaves room for prefill", p.MaxNumBatchedTokens, p.MaxNumSeqs)
	longest := p.longestStep()
	f.check(!(longest > time.Hour.Seconds()*1e3), "a full step would take %.0f s; costs are in milliseconds", longest/1e3)
	return errors.Join(f...)
}

// longestStep is a bound on the milliseconds of a step.
func (p Profile) longestStep() float64 {
	tokens := float64(p.MaxNumBatchedTokens)
	return p.StepBase + p.ExpertStep + p.APIOverhead + p.StepPerSequence*float64(p.MaxNumSeqs) +
		p.StepPerContextToken*float64(max(p.KVTokens, p.MaxNumSeqs)) +
		p.PrefillPerToken*tokens + p.PrefillPerTokenPair*tokens*float64(p.MaxModelLen)
}

// faults are what is wrong with a profile.
type faults []error

func (f *faults) check(holds bool, format string, args ...any) {
	if !holds {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

func (f *faults) positive(name string, v float64) {
	f.check(v > 0 && !math.IsInf(v, 0), "%s is %v, must be a positive number", name, v)
}

func (f *faults) notNegative(name string, v float64) {
	f.check(v >= 0 && !math.IsInf(v, 0), "%s is %v, must be zero or a positive number", name, v)
}

func (f *faults) atMost(name string, v, most int) {
	f.check(v <= most, "%s is %d, must be at most %d", name, v, most)
}
