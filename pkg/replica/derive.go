package replica

import "math"

// GPU is one accelerator, as far as speed depends on it.
type GPU struct {
	Bandwidth float64 // memory bandwidth, bytes per second
	Peak      float64 // dense 16-bit peak, floating-point operations per second
	Peak8     float64 // dense 8-bit peak; zero: none faster than 16-bit
	MFU, MFU8 float64 // share of the peaks that prefill reaches
	Memory    float64 // bytes
	// Link is the bandwidth between GPUs without NVLink, bytes per second, and
	// LinkLatency what a collective over it takes at least, in seconds. Zero: by
	// NVLink, whose cost is in the other figures.
	Link, LinkLatency float64
	// PerLayer replaces that of Coefficients where it was measured to be another,
	// in microseconds.
	PerLayer float64
}

// Accelerators that Derive knows figures for: vendor data sheets for bandwidth
// and peaks, memory as the driver reports it; MFU from published prefill
// measurements, 8-bit from the sweep of an FP8 model on H200 and, for L40S, by
// the ratio at 16 bits. The links are PCIe 4.0 as collectives get it. The cost of
// a layer on A100 is what published ITLs leave beside the bytes: 108 µs of
// Phi-4-mini (kaito-project/kaito@056b828), 116 and 121 µs of Llama-3.1-8B and
// 3.2-3B on two GPUs (SageServe).
var (
	H200 = GPU{Bandwidth: 4.8e12, Peak: 989e12, Peak8: 1979e12, MFU: 0.45, MFU8: 0.57, Memory: 150.8e9}
	H100 = GPU{Bandwidth: 3.35e12, Peak: 989e12, Peak8: 1979e12, MFU: 0.45, MFU8: 0.57, Memory: 85.9e9}
	A100 = GPU{Bandwidth: 2.039e12, Peak: 312e12, MFU: 0.38, Memory: 85.9e9, PerLayer: 115}
	L40S = GPU{Bandwidth: 0.864e12, Peak: 362e12, Peak8: 733e12, MFU: 0.32, MFU8: 0.40, Memory: 48.3e9, Link: 20e9, LinkLatency: 25e-6}
	A10  = GPU{Bandwidth: 0.6e12, Peak: 125e12, MFU: 0.32, Memory: 24.1e9, Link: 20e9, LinkLatency: 25e-6}
)

// Coefficients correct the physics of Derive for what engines reach. The zero
// value is of no use; DefaultCoefficients has what was measured.
type Coefficients struct {
	// Weights, Experts and KV are the time to read those bytes, in multiples of
	// what the bandwidth allows.
	Weights, Experts, KV float64
	// PerLayer is what each layer costs beside, PerMoELayer what routing and
	// the separate kernels of a layer with experts add, PerStep what a step
	// costs once, PerSequence each sequence in it: microseconds.
	PerLayer, PerMoELayer, PerStep, PerSequence float64
	// APIOverhead is as in Profile, milliseconds.
	APIOverhead float64
}

// DefaultCoefficients are those for vLLM 0.15 on H100. Weights, KV, PerLayer,
// PerStep and PerSequence are BLIS's trained-physics coefficients
// (inference-sim/inference-sim@0e28870, sim/latency). Experts, PerMoELayer and
// APIOverhead were set here on the published measurements that the table of
// DESIGN.md compares with.
func DefaultCoefficients() Coefficients {
	return Coefficients{
		Weights: 1.363, Experts: 1.05, KV: 1.947,
		PerLayer: 32, PerMoELayer: 90, PerStep: 126, PerSequence: 4.4,
		APIOverhead: 5,
	}
}

// Derive estimates the speed of a model on tp GPUs of a kind without profiling,
// with DefaultCoefficients.
func Derive(s Shape, g GPU, tp int) Profile { return DefaultCoefficients().Derive(s, g, tp) }

// Derive estimates the speed of a model on tp GPUs of a kind.
//
// A decode step is bound by memory: it reads the weights of all layers (without
// embeddings, as the coefficients were fitted), of the experts those that its
// tokens touch, and the KV cache; launching kernels costs a fixed time a layer.
// Prefill is bound by compute: two operations a weight that a token passes. KV
// capacity leaves 10 % of the memory unused, as vLLM does, and 3 GB per GPU for
// activations and graphs. Worked example, Llama-3.1-70B on four H100: 136.9 GB
// of weights at 1/1.363 of 13.4 TB/s take 13.9 ms, 80 layers 2.6 ms, and the
// step 16.6 ms in all.
func (c Coefficients) Derive(s Shape, g GPU, tp int) Profile {
	const ms, perMicro = 1e3, 1e-3
	if g.PerLayer > 0 {
		c.PerLayer = g.PerLayer
	}
	bandwidth := g.Bandwidth * float64(tp)
	ffn, attention := s.sizes()
	w := s.weights()
	read := attention*w.attention + ffn*w.dense
	layers := float64(s.Layers)
	p := Profile{
		GPUs:                tp,
		StepBase:            ms*c.Weights*read/bandwidth + perMicro*(c.PerLayer*layers+c.PerStep) + ms*g.collectives(s, tp),
		StepPerSequence:     perMicro * c.PerSequence,
		StepPerContextToken: ms * c.KV * s.kvBytes(tp) / bandwidth,
		PrefillPerToken:     ms * (g.prefill(s) + g.exchange(s, tp)) / float64(tp),
		PrefillPerTokenPair: ms * 4 * float64(s.Layers*s.Heads*s.HeadDim) / (g.Peak * g.MFU * float64(tp)),
		APIOverhead:         c.APIOverhead,
		KVTokens:            int((float64(tp)*(0.9*g.Memory-3e9) - s.bytes()) / s.kvBytes(tp)),
		BlockSize:           defaultBlockSize,
		MaxNumSeqs:          defaultMaxNumSeqs,
		MaxNumBatchedTokens: defaultMaxNumBatchedTokens,
		MaxModelLen:         defaultMaxModelLen,
		StepsAhead:          defaultStepsAhead,
	}
	if s.Experts > 0 {
		p.StepBase += perMicro * c.PerMoELayer * (layers - float64(s.DenseLayers))
		p.ExpertStep = ms * c.Experts * ffn * w.routed / bandwidth
		p.ExpertShare = float64(s.ExpertsPerToken) / float64(s.Experts)
	}
	return p
}

// prefill is the compute time of one prompt token on one GPU, in seconds.
func (g GPU) prefill(s Shape) float64 {
	w := s.weights()
	ffn, attention := s.sizes()
	rate := func(size float64) float64 {
		if size == 1 && g.Peak8 > 0 {
			return g.Peak8 * g.MFU8
		}
		return g.Peak * g.MFU
	}
	return 2 * (w.attention/rate(attention) + (w.dense+w.active)/rate(ffn))
}

// collectives is the latency of the two all-reduces a layer, in seconds.
func (g GPU) collectives(s Shape, tp int) float64 {
	if tp == 1 {
		return 0
	}
	return 2 * float64(s.Layers) * g.LinkLatency * math.Log2(float64(tp))
}

// exchange is the time that the all-reduces of one prompt token take on the
// link, in seconds, times tp, for every GPU sends at once: each sends and
// receives 2(tp-1)/tp of the token's 16-bit activations, twice a layer.
func (g GPU) exchange(s Shape, tp int) float64 {
	if g.Link == 0 {
		return 0
	}
	return 2 * float64(s.Layers*s.Hidden) * 2 * 2 * float64(tp-1) / g.Link
}
