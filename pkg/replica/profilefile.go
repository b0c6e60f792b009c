package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Field is one line of a profile's YAML.
type Field struct {
	// Name is its key.
	Name string
	// Doc says what it means and in which unit, Default what a file without it has; "required" where it must be there.
	Doc, Default string
}

// required is the Default of a field without one.
const required = "required"

// Fields are those of a profile's YAML, in the order in which they are best read. A test keeps them and Profile together.
func Fields() []Field {
	number := func(n int) string { return fmt.Sprint(n) }
	return []Field{
		{"name", "name under which results show it", "the name of the file"},
		{"model", "model that is served, as the engine reports it", "the name"},
		{"source", "where the figures come from", "unknown"},
		{"gpus", "GPUs that one replica occupies; what it costs is counted by them", "1"},
		{"step_base_ms", "fixed cost of a step in milliseconds: reading the weights, launching kernels", required},
		{"step_per_sequence_ms", "cost of each decoding sequence in a step, in milliseconds", "0, which makes a large batch as fast as a small one"},
		{"step_per_context_token_ms", "cost of reading one token of KV cache of a decoding sequence, in milliseconds", "0, which makes long contexts free"},
		{"prefill_per_token_ms", "cost of computing one prompt token, in milliseconds", required},
		{"prefill_per_token_pair_ms", "attention cost of one pair of a prompt token and an earlier one, in milliseconds", "0, which makes long prompts too fast"},
		{"expert_step_ms", "cost of reading all experts of a mixture of experts in one step, in milliseconds", "0, a dense model"},
		{"expert_share", "share of a layer's experts that one token is routed to, from 0 to 1", "0, a dense model"},
		{"api_overhead_ms", "time between a request's arrival at the server and in the engine's queue, and back, in milliseconds", number(defaultAPIOverhead)},
		{"kv_tokens", "capacity of the KV cache in tokens; vLLM logs it at its start as \"GPU KV cache size\"", required},
		{"block_size", "tokens in one block of the KV cache, a power of two", number(defaultBlockSize)},
		{"max_num_seqs", "sequences that may run at once in one batch", number(defaultMaxNumSeqs)},
		{"max_num_batched_tokens", "tokens that may be computed in one step; above max_num_seqs", number(defaultMaxNumBatchedTokens)},
		{"max_model_len", "most tokens of a request, prompt and output together; what is longer is rejected", number(defaultMaxModelLen)},
		{"steps_ahead", "1 where the engine schedules asynchronously (vLLM since 0.14), else 0", number(defaultStepsAhead)},
	}
}

// fileHead explains the whole of a profile's YAML.
const fileHead = `# How fast one replica of a model is, and how its engine is configured. One engine step, with B sequences decoding that
# have C tokens of context between them, and prefill chunks of n tokens that follow ctx tokens already computed, takes
#   step_base_ms + step_per_sequence_ms*B + step_per_context_token_ms*C
#     + prefill_per_token_ms*sum(n) + prefill_per_token_pair_ms*sum(n*(ctx + n/2))
#     + expert_step_ms*(1 - (1-expert_share)^(B+sum(n)))
# milliseconds.
`

// WriteYAML writes the profile as a file that ReadProfile reads back as it was, with a comment for every field.
func (p Profile) WriteYAML(w io.Writer) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profile %s: %w", p.Name, err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("encode profile %s: %w", p.Name, err)
	}
	var b strings.Builder
	b.WriteString(fileHead)
	for _, f := range Fields() {
		v, ok := values[f.Name]
		if !ok {
			v = json.RawMessage("0") // only what is zero is left out
		}
		fmt.Fprintf(&b, "\n# %s (%s)\n%s: %s\n", f.Doc, f.absence(), f.Name, v)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write profile %s: %w", p.Name, err)
	}
	return nil
}

// absence says what a file has that leaves the field out.
func (f Field) absence() string {
	if f.Default == required {
		return required
	}
	return "default: " + f.Default
}

// Assumed says, field by field, what ReadProfile took for what the YAML leaves out where that changes how fast replicas
// are or what they cost; nil where nothing is left out, or where the data are no profile.
func Assumed(data []byte) []string {
	var said struct {
		GPUs                *int     `json:"gpus"`
		StepPerSequence     *float64 `json:"step_per_sequence_ms"`
		StepPerContextToken *float64 `json:"step_per_context_token_ms"`
		PrefillPerTokenPair *float64 `json:"prefill_per_token_pair_ms"`
	}
	if yaml.Unmarshal(data, &said) != nil {
		return nil
	}
	absent := map[string]bool{
		"gpus": said.GPUs == nil, "step_per_sequence_ms": said.StepPerSequence == nil,
		"step_per_context_token_ms": said.StepPerContextToken == nil, "prefill_per_token_pair_ms": said.PrefillPerTokenPair == nil,
	}
	var notes []string
	for _, f := range Fields() {
		if absent[f.Name] {
			notes = append(notes, f.Name+" "+f.Default)
		}
	}
	return notes
}

// explain says, field by field with its line, why a YAML is no profile; err is the decoder's own word, and stands where
// there is nothing to add.
func explain(data []byte, err error) error {
	text, broken := yaml.YAMLToJSON(data)
	if broken != nil {
		return err
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(text, &said) != nil {
		return errors.New("it is no mapping of fields; want lines like kv_tokens: 400000")
	}
	var f faults
	for _, field := range slices.Sorted(maps.Keys(said)) {
		f.check(false, "%s", unfit(field, said[field]))
	}
	f = slices.DeleteFunc(f, func(e error) bool { return e.Error() == "" })
	if len(f) == 0 {
		return err
	}
	return placed(data, errors.Join(f...))
}

// unfit says what is wrong with a field's value, nothing where it is sound.
func unfit(field string, value json.RawMessage) string {
	line, err := json.Marshal(map[string]json.RawMessage{field: value})
	if err == nil {
		err = yaml.UnmarshalStrict(line, &Profile{})
	}
	if err == nil {
		return ""
	}
	kind, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return field + " is no field of a profile"
	}
	return fmt.Sprintf("%s is %.80s, must be %s", field, value, kindWord(kind.Type.Kind()))
}

// kindWord names what a field can be.
func kindWord(k reflect.Kind) string {
	switch k {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	default:
		return "text"
	}
}

// placed puts before each fault the line of the field that it begins with, where the file has such a line, and the faults
// in the order of the lines.
func placed(data []byte, err error) error {
	type fault struct {
		line int
		err  error
	}
	var found []fault
	for _, e := range leaves(err) {
		field, _, _ := strings.Cut(e.Error(), " ")
		line := lineOf(data, field)
		if line > 0 {
			e = fmt.Errorf("line %d: %w", line, e)
		}
		found = append(found, fault{line, e})
	}
	slices.SortStableFunc(found, func(a, b fault) int { return a.line - b.line })
	var out []error
	for _, f := range found {
		out = append(out, f.err)
	}
	return errors.Join(out...)
}

// leaves takes joined errors apart; there are none of nil.
func leaves(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, leaves(e)...)
	}
	return out
}

// lineOf is the line that begins with a field, counted from one; zero where none does, as in YAML on one line.
func lineOf(data []byte, field string) int {
	for i, line := range strings.Split(string(data), "\n") {
		key, _, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.Trim(key, "\"' \t"), field) && !strings.HasPrefix(key, " ") {
			return i + 1
		}
	}
	return 0
}

// secondDocument is the line at which a document begins that is not the first, zero where there is one only.
func secondDocument(data []byte) int {
	content, ended := false, 0
	for i, line := range strings.Split(string(data), "\n") {
		rest, marker := documentMark(line)
		if marker && content {
			ended = i + 1
		}
		switch rest = strings.TrimSpace(rest); {
		case rest == "", rest[0] == '#', rest[0] == '%' && !content:
		case ended > 0:
			return ended
		default:
			content = true
		}
	}
	return 0
}

// documentMark says whether a line begins or ends a document of YAML, and what of the line belongs to its text.
func documentMark(line string) (rest string, ok bool) {
	if !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "...") {
		return line, false
	}
	rest = line[3:]
	if rest != "" && !strings.ContainsAny(rest[:1], " \t\r") {
		return line, false
	}
	return rest, true
}

// seeExample adds to a fault of a profile where its fields are explained.
func seeExample(err error) error {
	return errors.Join(err, fmt.Errorf("'preheatctl profiles %s' prints a profile with every field explained", exampleProfile))
}

// exampleProfile is a built-in one with all that a dense model has.
const exampleProfile = "llama-3.1-70b-h100x4"
