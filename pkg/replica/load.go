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
// The fields are those of Profile, by the names of their JSON tags; the built-in
// profiles are examples. step_base_ms, prefill_per_token_ms and kv_tokens must
// be there. What else is missing is zero for costs, "unknown" for the source,
// the name for the model, and as with vLLM for the rest: gpus 1,
// api_overhead_ms 5, block_size 16, max_num_seqs 256, max_num_batched_tokens
// 8192, max_model_len 131072, steps_ahead 1. Unknown fields are refused.
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
		return Profile{}, fmt.Errorf("profile %s: %w; the fields are those of the built-in profiles, for example of %s", name, err, builtinNames()[0])
	}
	if p.Model == "" {
		p.Model = p.Name
	}
	if err := p.complete(); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, err)
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
