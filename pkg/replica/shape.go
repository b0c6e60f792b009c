package replica

import (
	_ "embed" // for shapes.yaml
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Shape is the architecture of a transformer, as far as its speed depends on
// it: the figures of its published configuration.
type Shape struct {
	// Layers is the number of transformer layers, Hidden the width between them.
	Layers int `json:"layers"`
	Hidden int `json:"hidden"`
	// FFN is the inner width of the gated feed-forward network of a layer
	// without experts.
	FFN int `json:"ffn"`
	// Heads, KVHeads and HeadDim are the query heads, the key-value heads, and
	// the width of one.
	Heads   int `json:"heads"`
	KVHeads int `json:"kv_heads"`
	HeadDim int `json:"head_dim"`
	// Vocab is the number of tokens; Tied models use one matrix for input and
	// output.
	Vocab int  `json:"vocab"`
	Tied  bool `json:"tied"`

	// Experts is the number of routed experts of a layer, zero in dense models;
	// ExpertsPerToken of them, of inner width ExpertFFN, compute each token, and
	// one more of width SharedFFN computes all. DenseLayers of the layers have
	// no experts.
	Experts         int `json:"experts"`
	ExpertsPerToken int `json:"experts_per_token"`
	ExpertFFN       int `json:"expert_ffn"`
	SharedFFN       int `json:"shared_ffn"`
	DenseLayers     int `json:"dense_layers"`

	// AttentionWeights of one layer, where they are not those of grouped-query
	// attention, and KVWidth, the numbers that one token has in the KV cache of
	// one layer, where it is not 2·KVHeads·HeadDim (latent attention).
	AttentionWeights float64 `json:"attention_weights"`
	KVWidth          int     `json:"kv_width"`

	// WeightSize and AttentionSize are the bytes of one weight in feed-forward
	// networks and in attention; 2 where zero. Embeddings have 2.
	WeightSize    float64 `json:"weight_size"`
	AttentionSize float64 `json:"attention_size"`
	// WideAttention says that quantised versions leave attention at 16 bits.
	WideAttention bool `json:"wide_attention"`
}

// weights are numbers of weights.
type weights struct{ attention, dense, routed, active, embedding float64 }

// weights counts: attention and feed-forward networks that every token passes,
// all routed experts, those of them that one token passes, and embeddings.
func (s Shape) weights() weights {
	hidden, layers := float64(s.Hidden), float64(s.Layers)
	attention := s.AttentionWeights
	if attention == 0 {
		attention = hidden * float64(s.HeadDim) * float64(2*s.Heads+2*s.KVHeads)
	}
	sparse := 0.0
	if s.Experts > 0 {
		sparse = layers - float64(s.DenseLayers)
	}
	embedding := hidden * float64(s.Vocab)
	if !s.Tied {
		embedding *= 2
	}
	expert := sparse * 3 * hidden * float64(s.ExpertFFN)
	return weights{
		attention: layers * attention,
		dense:     3 * hidden * ((layers-sparse)*float64(s.FFN) + sparse*float64(s.SharedFFN)),
		routed:    expert * float64(s.Experts),
		active:    expert * float64(s.ExpertsPerToken),
		embedding: embedding,
	}
}

// Params is the number of weights.
func (s Shape) Params() float64 {
	w := s.weights()
	return w.attention + w.dense + w.routed + w.embedding
}

// sizes are the bytes of one weight in feed-forward networks and in attention.
func (s Shape) sizes() (ffn, attention float64) {
	ffn, attention = s.WeightSize, s.AttentionSize
	if ffn == 0 {
		ffn = 2
	}
	if attention == 0 {
		attention = 2
	}
	return ffn, attention
}

// bytes is the memory that the weights take.
func (s Shape) bytes() float64 {
	w := s.weights()
	ffn, attention := s.sizes()
	return attention*w.attention + ffn*(w.dense+w.routed) + 2*w.embedding
}

// kvBytes is the size of one token in the KV cache, in bytes, at 16 bits, where
// tp GPUs share the heads; with more GPUs than heads each has a copy.
func (s Shape) kvBytes(tp int) float64 {
	if s.KVWidth > 0 {
		return 2 * float64(s.Layers*s.KVWidth*tp)
	}
	return 2 * 2 * float64(s.Layers*max(s.KVHeads, tp)*s.HeadDim)
}

//go:embed shapes.yaml
var shapesFile []byte

func shapes() (map[string]Shape, error) {
	var out map[string]Shape
	if err := yaml.UnmarshalStrict(shapesFile, &out); err != nil {
		return nil, fmt.Errorf("shapes.yaml: %w", err)
	}
	return out, nil
}

// ShapeOf finds the architecture of a model by the name under which it is
// published, for example "meta-llama/Llama-3.1-70B-Instruct" or
// "Qwen2.5-7B-Instruct-AWQ": the longest known name that it begins with,
// whatever its owner, and its quantisation.
func ShapeOf(model string) (Shape, error) {
	known, err := shapes()
	if err != nil {
		return Shape{}, err
	}
	name := plainName(model)
	best := ""
	for candidate := range known {
		if begins(name, candidate) && len(candidate) > len(best) {
			best = candidate
		}
	}
	if best == "" {
		return Shape{}, fmt.Errorf("no known shape for the model %q: known are %s; name one of these, or give a profile of measured figures",
			model, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return known[best].quantised(name), nil
}

// splitVersion is a version written with a dash, as in "llama-3-1-8b".
var splitVersion = regexp.MustCompile(`([0-9])-([0-9])-`)

// plainName strips the owner and the variants that do not change the shape.
func plainName(model string) string {
	name := strings.ToLower(model[strings.LastIndex(model, "/")+1:])
	name = strings.NewReplacer("_", "-", "-coder", "", "-math", "", "llama2-", "llama-2-", "llama3", "llama-3").Replace(name)
	name = splitVersion.ReplaceAllString(name, "$1.$2-")
	for _, owner := range []string{"meta-", "mistralai-", "microsoft-", "google-"} {
		name = strings.TrimPrefix(name, owner)
	}
	return name
}

// begins says whether name is prefix or continues it with another word.
func begins(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (rest == "" || strings.ContainsRune("-.:@", rune(rest[0])))
}

// quantised applies the quantisation that a name tells of.
func (s Shape) quantised(name string) Shape {
	size := 0.0
	for mark, bytes := range map[string]float64{
		"fp8": 1, "w8a8": 1, "int8": 1, "w8a16": 1,
		// Four bits, and a 16-bit scale and zero for each 128 weights.
		"awq": 0.53, "gptq": 0.53, "w4a16": 0.53, "int4": 0.53, "nvfp4": 0.56, "mxfp4": 0.53,
	} {
		if strings.Contains(name, mark) && (size == 0 || bytes > size) {
			size = bytes
		}
	}
	if size == 0 {
		return s
	}
	s.WeightSize = size
	if !s.WideAttention {
		s.AttentionSize = size
	}
	return s
}
