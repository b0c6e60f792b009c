package replica

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// What a profile has that does not say otherwise: vLLM's own defaults.
const (
	defaultBlockSize           = 16
	defaultMaxNumSeqs          = 256
	defaultMaxNumBatchedTokens = 8192
	defaultMaxModelLen         = 131072
	defaultAPIOverhead         = 5
	defaultStepsAhead          = 1
)

// profileFiles are the built-in profiles, each named as its profile.
//
//go:embed profiles/*.yaml
var profileFiles embed.FS

// ReadProfile reads a profile in YAML; name is of the file, for errors and for
// a profile without a name of its own.
//
// The fields, with the step-time formula that Profile tells:
//
//	name                       string  the name under which results show it; default: the name of the file
//	model                      string  the model as the engine reports it; default: the name
//	source                     string  where the figures come from; default: unknown
//	gpus                       GPUs of one replica; default 1
//	step_base_ms               fixed cost of a step, ms; required
//	step_per_sequence_ms       each decoding sequence in a step, ms; default 0
//	step_per_context_token_ms  each KV token read in a step, ms; default 0
//	prefill_per_token_ms       each prompt token, ms; required
//	prefill_per_token_pair_ms  each pair of a prompt token and an earlier one, ms; default 0
//	expert_step_ms             reading all experts in a step, ms; default 0, a dense model
//	expert_share               share of the experts that a token is routed to, 0 to 1; default 0
//	api_overhead_ms            from the server to the engine's queue and back, ms; default 5
//	kv_tokens                  capacity of the KV cache, tokens; required
//	block_size                 tokens of a KV block, a power of two; default 16
//	max_num_seqs               sequences in the batch; default 256
//	max_num_batched_tokens     tokens computed in a step; default 8192
//	max_model_len              tokens of a request, prompt and output; default 131072
//	steps_ahead                1 with asynchronous scheduling, else 0; default 1
//
// The defaults of the engine's settings are vLLM's. Unknown fields are refused. Fields has the same as data, Assumed says
// which defaults a file relies on, and WriteYAML writes a file with all of them explained.
func ReadProfile(r io.Reader, name string) (Profile, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Profile{}, fmt.Errorf("read profile %s: %w", name, err)
	}
	return parse(data, name)
}

func parse(data []byte, name string) (Profile, error) {
	key := strings.TrimSuffix(path.Base(name), path.Ext(name))
	p := Profile{
		Name: key, Source: "unknown", GPUs: 1, APIOverhead: defaultAPIOverhead, BlockSize: defaultBlockSize,
		MaxNumSeqs: defaultMaxNumSeqs, MaxNumBatchedTokens: defaultMaxNumBatchedTokens, MaxModelLen: defaultMaxModelLen,
		StepsAhead: defaultStepsAhead,
	}
	if err := yaml.UnmarshalStrict(data, &p); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, seeExample(err))
	}
	if p.Model == "" {
		p.Model = p.Name
	}
	if err := p.complete(); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, seeExample(err))
	}
	return p, nil
}

// complete is Validate for what a file must say too.
func (p Profile) complete() error {
	var missing []error
	for field, v := range map[string]float64{"prefill_per_token_ms": p.PrefillPerToken, "kv_tokens": float64(p.KVTokens)} {
		if v == 0 {
			missing = append(missing, fmt.Errorf("%s is missing, give a positive number", field))
		}
	}
	slices.SortFunc(missing, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(append(missing, p.Validate())...)
}

func builtinNames() []string {
	entries, err := profileFiles.ReadDir("profiles")
	if err != nil {
		panic(err) // embedded: it is there
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// ProfileNames lists the built-in profiles in alphabetical order.
func ProfileNames() []string { return builtinNames() }

// ProfileNamed returns a built-in profile.
func ProfileNamed(name string) (Profile, error) {
	data, err := profileFiles.ReadFile("profiles/" + name + ".yaml")
	if err != nil {
		return Profile{}, fmt.Errorf("no serving profile %q; known are %v", name, ProfileNames())
	}
	return parse(data, name+".yaml")
}
