package scenarios_test

import (
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/api/validation"
	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// newPolicy makes the target's policy afresh.
func (t *target) newPolicy(slo score.SLO) baseline.Policy {
	make := t.baseline
	if t.policy == "preheat" {
		make = t.preheat
	}
	p, err := make(slo)
	if err != nil {
		fail("%v", err)
	}
	return p
}

// pooled makes the target's policy a member of a pool, where there is one.
func (t *target) pooled(l *pool.Ledger, slo score.SLO) baseline.Policy {
	p := t.newPolicy(slo)
	if l == nil {
		return p
	}
	terms := assemble.Terms{Name: t.name, Priority: t.priority, GPUs: int32(t.profile.GPUs), Memory: 64 << 30, Min: t.min}
	if err := replay.Pool(p, l, terms); err != nil {
		fail("%v", err)
	}
	return p
}

func (t *target) baseline(slo score.SLO) (baseline.Policy, error) {
	s := baseline.Setup{
		Min: t.min, Max: t.max, SLO: baseline.SLO{TTFT: slo.TTFT, TPOT: slo.TPOT}, Settings: map[string]float64{},
	}
	for key, v := range t.settings {
		s.Settings[key] = number(v)
	}
	return baseline.New(t.policy, s)
}

// preheat is the production planner under the InferenceAutoscaler that the settings make, read as an API server would.
func (t *target) preheat(slo score.SLO) (baseline.Policy, error) {
	spec := map[string]any{
		"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": t.name},
		"mode":           "Own",
		"minReplicas":    t.min,
		"maxReplicas":    t.max,
		"slo":            map[string]any{"ttft": slo.TTFT.String(), "tpot": slo.TPOT.String()},
	}
	for _, path := range slices.Sorted(maps.Keys(t.settings)) {
		set(spec, strings.Split(path, "."), t.settings[path])
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "preheat.dev/v1alpha1", "kind": "InferenceAutoscaler",
		"metadata": map[string]any{"name": t.name, "namespace": "default"}, "spec": spec,
	})
	if err != nil {
		return nil, err
	}
	ia, err := validation.Parse(text)
	if err != nil {
		return nil, err
	}
	return replay.Preheat(ia, replay.DefaultPath())
}

// set puts a value, as YAML would read it, at a path of a tree.
func set(tree map[string]any, path []string, value string) {
	for _, key := range path[:len(path)-1] {
		next, ok := tree[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			tree[key] = next
		}
		tree = next
	}
	var v any
	if err := yaml.Unmarshal([]byte(value), &v); err != nil {
		fail("%q: %v", value, err)
	}
	tree[path[len(path)-1]] = v
}
