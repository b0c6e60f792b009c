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
	if err := decode(data, &p); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, seeExample(err))
	}
	if p.Model == "" {
		p.Model = p.Name
	}
	if err := p.complete(data); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, seeExample(err))
	}
	return p, nil
}

// decode reads the one document that a profile is.
func decode(data []byte, p *Profile) error {
	if line := secondDocument(data); line > 0 {
		return fmt.Errorf("line %d: a second document begins here; a file holds one profile: put the other one into a file of its own", line)
	}
	if err := yaml.UnmarshalStrict(data, p); err != nil {
		return explain(data, err)
	}
	return nil
}

// complete is Validate for what a file must say too, with the lines of the faults.
func (p Profile) complete(data []byte) error {
	var said struct {
		StepBase        *float64 `json:"step_base_ms"`
		PrefillPerToken *float64 `json:"prefill_per_token_ms"`
		KVTokens        *float64 `json:"kv_tokens"`
	}
	if err := yaml.Unmarshal(data, &said); err != nil {
		return fmt.Errorf("what the file says: %w", err)
	}
	var f faults
	if said.StepBase == nil {
		f.missing("step_base_ms")
		p.StepBase = 1 // so that Validate looks at the rest
	}
	if said.PrefillPerToken == nil {
		f.missing("prefill_per_token_ms")
	} else if p.PrefillPerToken == 0 {
		f.positive("prefill_per_token_ms", 0)
	}
	if said.KVTokens == nil {
		f.missing("kv_tokens")
		p.KVTokens = p.BlockSize
	}
	return placed(data, errors.Join(append(f, p.Validate())...))
}

// missing says that a required field is absent.
func (f *faults) missing(name string) {
	f.check(false, "%s is missing, give a positive number", name)
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
