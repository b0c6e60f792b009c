package exposition

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Hint says what a page shows that is not the page of an engine as it should be.
type Hint struct {
	// Kind is what else it is the page of, a gateway for example; empty where that is not known.
	Kind string
	// Nearest is the profile that knows most of the page's names, nil where none knows any. Known are those names, of
	// samples and of families that are declared without a sample.
	Nearest *Profile
	Known   []string
	// Relevant are the other names that read as if they told an engine's load, at most maxRelevant.
	Relevant []string
	// Idle says that the names known are declared (# TYPE), and none of them has a sample.
	Idle bool
}

// maxRelevant bounds Hint.Relevant.
const maxRelevant = 12

// others are pages that are known, and not of an engine, by a pattern of their own; the first that is shown counts.
var others = []struct{ pattern, kind string }{
	{"vllm:current_qps", "the production-stack router, which repeats its engines' samples: inspect the engines' own pages"},
	{"vllm:healthy_pods_total", "the production-stack router, which repeats its engines' samples: inspect the engines' own pages"},
	{"vllm:*{server}", "a router, which repeats its engines' samples (label server): inspect the engines' own pages"},
	{"llm_d_epp_*", "an llm-d endpoint picker: a gateway, see spec.gateway"},
	{"inference_extension_*", "an endpoint picker of the Gateway API inference extension: a gateway, see spec.gateway"},
	{"inference_pool_*", "an endpoint picker of the Gateway API inference extension: a gateway, see spec.gateway"},
	{"inference_objective_*", "an endpoint picker of the Gateway API inference extension: a gateway, see spec.gateway"},
	{"inference_model_*", "an endpoint picker of the Gateway API inference extension: a gateway, see spec.gateway"},
	{"kn_revision_*", "a Knative activator: a gateway, see spec.gateway"},
	{"activator_*", "a Knative activator: a gateway, see spec.gateway"},
	{"interceptor_request_*", "a KEDA HTTP interceptor: a gateway"},
	{"litellm_*", "a LiteLLM proxy: a gateway"},
	{"agentgateway_*", "agentgateway: a gateway"},
	{"envoy_*", "Envoy: a gateway or sidecar"},
	{"istio_*", "Istio's proxy: a gateway or sidecar"},
	{"gen_ai_client_*", "an AI gateway (OpenTelemetry's gen_ai_client names)"},
	{"DCGM_*", "a GPU exporter (DCGM), which does not know requests"},
}

// telling are words in the names of samples that tell an engine's load.
var telling = regexp.MustCompile(`(?i)(waiting|running|queue|pending|in_?flight|in_progress|concurren|batch|token|kv_?cache|cache_usage|ttft|time_to_first|request|infer|prompt|generat)`)

// Hint looks at a page that has no engine. The error wraps ErrNotExposition or ErrTorn.
func (ps *Profiles) Hint(text []byte) (Hint, error) {
	var set patternSet
	for _, o := range others {
		set.add([]string{o.pattern})
	}
	l, err := look(text, set.patterns)
	if err != nil && !errors.Is(err, ErrNoEngine) {
		return Hint{}, err
	}
	h := Hint{}
	if l != nil {
		if i := slices.Index(l.seen, true); i >= 0 {
			h.Kind = others[i].kind
		}
	}
	names, sampled := namesOn(text)
	h.Nearest, h.Known = ps.nearest(names)
	h.Idle = h.Nearest != nil && !slices.ContainsFunc(h.Known, func(name string) bool { return sampled[name] })
	for _, name := range names {
		if telling.MatchString(name) && !slices.Contains(h.Known, name) && len(h.Relevant) < maxRelevant {
			h.Relevant = append(h.Relevant, name)
		}
	}
	return h, nil
}

// nearest is the profile that knows most of the names, nil where none knows any; of a profile and one that extends it, where
// they know as many, the former.
func (ps *Profiles) nearest(names []string) (nearest *Profile, most []string) {
	for _, p := range ps.all {
		known := p.known(names)
		if n := len(known) - len(most); n > 0 || n == 0 && nearest != nil && nearest.spec.Extends == p.Name() {
			nearest, most = p, known
		}
	}
	return nearest, most
}

// String says what there is to know, in one sentence; empty where that is nothing.
func (h Hint) String() string {
	switch {
	case h.Kind != "":
		return "it is the page of " + h.Kind
	case h.Idle:
		return fmt.Sprintf("it declares %s, as %s does, without a sample: the engine has nothing to tell yet", listed(h.Known), h.Nearest.Name())
	case h.Nearest != nil:
		return fmt.Sprintf("the nearest profile is %s, which knows %s", h.Nearest.Name(), listed(h.Known))
	}
	return ""
}

// known are the names that a profile asks for, by themselves or as the samples of a family.
func (p *Profile) known(names []string) []string {
	var known []string
	for _, name := range names {
		if p.asksFor(name) {
			known = append(known, name)
		}
	}
	return known
}

// asksFor says whether a profile asks for a sample name, or for one of a family of that name. What tells the time of a
// start is of no engine.
func (p *Profile) asksFor(name string) bool {
	if strings.HasPrefix(name, "process_") {
		return false
	}
	return slices.ContainsFunc([]string{"", "_total", "_count", "_sum"}, func(suffix string) bool {
		_, ok := p.program.families[name+suffix]
		return ok
	})
}

// partOf are the samples of a family that has others too, suffixed all that have another name than it.
var (
	partOf   = regexp.MustCompile(`_(bucket|created|sum)$`)
	suffixed = regexp.MustCompile(`_(bucket|created|sum|count|total)$`)
)

// listed writes a list, shortened where it is long.
func listed(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// namesOn are the names of a page's samples and declared families (# TYPE) in the page's order, each once, without parts
// of histograms; sampled are those that stand at a sample, as it stands there or as the name of its family.
func namesOn(text []byte) (names []string, sampled map[string]bool) {
	seen, sampled := map[string]bool{}, map[string]bool{}
	for len(text) > 0 {
		var line []byte
		line, text, _ = cutLine(text)
		name, isSample := nameOf(line)
		if isSample {
			sampled[name], sampled[suffixed.ReplaceAllString(name, "")] = true, true
		}
		if name != "" && !seen[name] && !partOf.MatchString(name) {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, sampled
}

// nameOf is the name that a line is of, empty where it is of none.
func nameOf(line []byte) (name string, isSample bool) {
	if len(line) == 0 {
		return "", false
	}
	if f := bytes.Fields(line); line[0] == '#' {
		if len(f) > 2 && string(f[1]) == "TYPE" {
			return string(f[2]), false
		}
		return "", false
	}
	sample, _, _, err := splitName(line)
	return string(sample), err == nil
}
