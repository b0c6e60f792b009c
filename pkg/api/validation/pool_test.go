package validation

import (
	"maps"
	"strings"
	"testing"
)

// poolManifest is a WarmPool whose spec ends in the given lines.
func poolManifest(spec string) []byte {
	return []byte("apiVersion: preheat.dev/v1alpha1\nkind: WarmPool\nmetadata: {name: shared, namespace: default}\nspec:\n" + indent(spec))
}

var goodPools = map[string]string{
	"the smallest spec":         "gpus: 8\nmembers: [{name: chat}]",
	"with all there is":         "gpus: 8\nhostMemory: 640Gi\nmembers: [{name: chat, priority: -3, gpusPerReplica: 4, hostMemoryPerReplica: 140Gi}, {name: code, hostMemoryPerReplica: 512000M}]",
	"memory that nobody bounds": "gpus: 8\nmembers: [{name: chat, hostMemoryPerReplica: 140Gi}]",
}

var badPools = map[string]badSpec{
	"no GPUs":                     {"gpus: 0\nmembers: [{name: chat}]", "spec.gpus", "greater than or equal to 1"},
	"no members":                  {"gpus: 8\nmembers: []", "spec.members", "at least 1"},
	"a member twice":              {"gpus: 8\nmembers: [{name: chat}, {name: chat}]", "spec.members[1]", "Duplicate value"},
	"a member without its memory": {"gpus: 8\nhostMemory: 1Ti\nmembers: [{name: chat, hostMemoryPerReplica: 1Gi}, {name: code}]", "spec.members", "every member needs hostMemoryPerReplica"},
	"half a byte":                 {"gpus: 8\nhostMemory: 500m\nmembers: [{name: chat, hostMemoryPerReplica: 1Gi}]", "spec.hostMemory", "write an amount of memory as a whole number"},
	"a member with half a byte":   {"gpus: 8\nmembers: [{name: chat, hostMemoryPerReplica: 500m}]", "spec.members[0].hostMemoryPerReplica", "write an amount of memory as a whole number"},
	"replicas without a GPU":      {"gpus: 8\nmembers: [{name: chat, gpusPerReplica: 0}]", "spec.members[0].gpusPerReplica", "greater than or equal to 1"},
	"a word that does not exist":  {"gpus: 8\nmembers: [{name: chat, weight: 3}]", "spec.members[0].weight", "see kubectl explain warmpool"},
}

func TestGoodPoolsAreAdmitted(t *testing.T) {
	for name, spec := range goodPools {
		p, err := ParsePool(poolManifest(spec))
		if err != nil || p.Spec.GPUs != 8 || p.Spec.Members[0].Name != "chat" {
			t.Errorf("%s: %v, %+v", name, err, p)
		}
	}
}

func TestBadPoolsAreRefusedWithAMessageToActOn(t *testing.T) {
	unmet := ruleMessages(t, pools)
	if len(unmet) < 2 {
		t.Fatalf("found %d rules, want at least 2", len(unmet))
	}
	for name, bad := range badPools {
		_, err := ParsePool(poolManifest(bad.spec))
		if err == nil || !strings.Contains(err.Error(), bad.field+": ") || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s: got %v\nwant a fault at %s that says %q", name, err, bad.field, bad.says)
			continue
		}
		maps.DeleteFunc(unmet, func(message string, _ bool) bool { return strings.Contains(err.Error(), message) })
	}
	for message := range unmet {
		t.Errorf("no bad pool meets the rule %q", message)
	}
	if _, err := ParsePool(manifest(bounded)); err == nil || !strings.Contains(err.Error(), `kind: Unsupported value: "InferenceAutoscaler": supported values: "WarmPool"`) {
		t.Errorf("an InferenceAutoscaler is taken for a WarmPool: %v", err)
	}
}
