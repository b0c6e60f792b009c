package compare

import "github.com/preheat-autoscaler/preheat/pkg/baseline"

// Description says what a policy is.
type Description struct {
	Name string
	// Summary is one line; Source says where its rule and its constants come from.
	Summary, Source string
}

// Descriptions lists the policies that can be compared, in the order in which they are best read.
func Descriptions() []Description {
	var out []Description
	for _, p := range own() {
		out = append(out, p.Description)
	}
	for _, name := range baseline.Names() {
		out = append(out, Description{name, summaries[name][0], summaries[name][1]})
	}
	return append(out, Description{
		Name: Oracle, Summary: "cheapest schedule found with perfect foresight: the yardstick, not a policy",
		Source: "a search through the same simulator that begins with what the other policies did",
	})
}

// summaries are those of other systems' policies with their sources, by name. The files that restate them have the commits.
var summaries = map[string][2]string{
	"hpa-queue":   {"HorizontalPodAutoscaler on 5 waiting requests a replica", "kubernetes pkg/controller/podautoscaler"},
	"hpa-running": {"HorizontalPodAutoscaler on 16 running requests a replica", "kubernetes pkg/controller/podautoscaler; target of llm-d's guides"},
	"keda":        {"KEDA with llm-d's laws: queue and running requests at the gateway", "llm-d guides/workload-autoscaling"},
	"slo-aware":   {"llm-d's SLO-aware law: P90 latency over objective", "llm-d guides/workload-autoscaling/README.slo-aware.md"},
	"kpa":         {"Knative's KPA on 70 concurrent requests a replica", "knative/serving pkg/autoscaler"},
	"apa":         {"AIBrix's APA on half of the KV cache", "vllm-project/aibrix pkg/controller/podautoscaler/algorithm/apa.go"},
	"wva":         {"llm-d's workload variant autoscaler, saturation V1; keeps one replica: its scaling to zero, off by default, is not modelled", "llm-d-workload-variant-autoscaler internal/saturation"},
	"wva-v2":      {"llm-d's workload variant autoscaler, saturation V2: tokens in demand; keeps one replica, as wva", "llm-d-workload-variant-autoscaler internal/engines/analyzers/saturation_v2"},
	"dynamo":      {"NVIDIA Dynamo's SLA planner, told the exact profile of the engine", "ai-dynamo/dynamo components/src/dynamo/planner"},
	"ray-serve":   {"Ray Serve on 2 ongoing requests a replica", "ray-project/ray python/ray/serve/autoscaling_policy.py"},
	"static-peak": {"a bound: always what the busiest minute needs, which it knows in hindsight; beyond what is ready at the start it loads first", "closed-form capacity and square-root staffing"},
	"static-mean": {"a bound: always what the mean rate needs, which it knows in hindsight; beyond what is ready at the start it loads first", "closed-form capacity and square-root staffing"},
	"cron":        {"hourly envelope of the first day or week; of the trace itself where it has not two days", "closed-form capacity and square-root staffing"},
}
