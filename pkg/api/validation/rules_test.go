package validation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
)

// manifest is an InferenceAutoscaler whose spec ends in the given lines, two spaces of indent being added to each.
func manifest(spec string) []byte {
	const head = `apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: chat, namespace: default}
spec:
`
	return []byte(head + indent(spec))
}

func indent(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n  ") + "\n"
}

const target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: vllm}\n"

// bounded is a valid start of a spec, to which a case adds what it is about.
const bounded = target + "maxReplicas: 8\n"

var goodSpecs = map[string]string{
	"the smallest spec":                bounded,
	"minReplicas equal to maxReplicas": bounded + "minReplicas: 8",
	"no replicas in mode Own":          bounded + "mode: Own\nminReplicas: 0",
	"a budget of GPUs":                 bounded + "minReplicas: 2\nmaxGPUs: 2",
	"mode Floor":                       bounded + "mode: Floor",
	"paused":                           bounded + "paused: true",
	"a StatefulSet": `
scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: vllm}
maxReplicas: 1`,
	"a custom kind in a group of its own": `
scaleTargetRef: {apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, name: llama-405b}
maxReplicas: 1`,
	"a kind of the core group": `
scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: old.one}
maxReplicas: 1`,
	"a whole SLO":                                  bounded + "slo: {ttft: 800ms, tpot: 0.08s, attainment: 99.5%}",
	"the largest SLO":                              bounded + "slo: {ttft: 1h, tpot: 1m, attainment: 99.999%}",
	"the smallest attainment":                      bounded + "slo: {attainment: 50.1%}",
	"a duration as Go writes it":                   bounded + "slo: {ttft: 1m0s, tpot: 1m0.0s}",
	"capacity in requests":                         bounded + `capacity: {requestsPerSecond: "2.5"}`,
	"capacity in tokens":                           bounded + "capacity: {tokensPerSecond: 6k}",
	"capacity as a whole number":                   bounded + "capacity: {tokensPerSecond: 6000}",
	"capacity below one":                           bounded + "capacity: {requestsPerSecond: 250m}",
	"an activator":                                 bounded + "mode: Own\nminReplicas: 0\nactivator: {service: vllm, port: http, models: [a, b], maxConcurrency: 256}",
	"an endpoint picker that holds requests":       bounded + "mode: Own\nminReplicas: 0\ngateway: {kind: EndpointPicker, service: qwen-epp, pool: qwen}",
	"an activator beside a gateway that only sees": bounded + "mode: Own\nminReplicas: 0\nactivator: {service: vllm}\ngateway: {kind: Envoy, service: envoy, namespace: infra, pool: vllm}",
	"KEDA's interceptor":                           bounded + "mode: Own\nminReplicas: 0\ngateway: {kind: KEDAHTTPAddOn, service: keda-add-ons-http-interceptor-proxy, namespace: keda, pool: vllm}",
	"Istio":                                        bounded + "gateway: {kind: Istio, service: gateway-istio, namespace: infra, pool: vllm}",
	"Envoy AI Gateway":                             bounded + "gateway: {kind: EnvoyAIGateway, service: a, pool: qwen3-32b}",
	"agentgateway":                                 bounded + "gateway: {kind: Agentgateway, service: a, port: 15021, pool: llm}",
	"LiteLLM":                                      bounded + "gateway: {kind: LiteLLM, service: litellm, pool: qwen3-32b}",
	"a production-stack router":                    bounded + "gateway: {kind: ProductionStack, service: router, pool: qwen3-32b}",
	"a Knative activator":                          bounded + "mode: Own\nminReplicas: 0\ngateway: {kind: Knative, service: activator-service, namespace: knative-serving, port: 9090, pool: chat-00001}",
	"drain and warm tiers":                         bounded + "mode: Own\ndrain: {timeout: 0s}\nwarm: {standby: {maxReplicas: 1}, asleep: {maxReplicas: 4, level: Discard, gpuPercent: 0}}",
	"a fixed lead time":                            bounded + "leadTime: {override: 4m30s}",
	"a prior lead time of a day":                   bounded + "leadTime: {prior: 24h}",
	"an engine profile unknown to us":              bounded + "metrics: {engine: tensorrt-llm}",
	"a port by number":                             bounded + "metrics: {port: 8000, path: /metrics, scheme: https, stalenessBound: 10m}",
	"Prometheus as the source":                     bounded + "metrics: {prometheus: {}}",
	"Prometheus with labels of its own":            bounded + "metrics: {prometheus: {labels: {namespace: kubernetes_namespace, pod: kubernetes_pod_name}}}",
	"Prometheus with expressions":                  bounded + "metrics: {stalenessBound: 90s, prometheus: {expressions: {inference_requests_waiting: 'sum by (pod) (my_queue)'}}}",
	"a port by name":                               bounded + "metrics: {port: http-metrics, stalenessBound: 5s}",
	"the lowest quantile":                          bounded + "forecast: {quantile: 50%}",
	"the highest quantile":                         bounded + "forecast: {quantile: 99.9%, disabled: true}",
	"the zone of the users":                        bounded + "forecast: {timeZone: America/Sao_Paulo}",
	"holidays":                                     bounded + `forecast: {timeZone: Europe/Berlin, holidays: ["2026-12-25", 2027-01-01, "2028-02-29"]}`,
	"as many holidays as there may be":             manyHolidays(128),
	"behavior as in a HorizontalPodAutoscaler":     bounded + "behavior:\n" + indent(fullBehavior),
	"a tolerance of nothing":                       bounded + "behavior: {scaleUp: {tolerance: 0}}",
	"a schedule with a floor":                      scheduled(`{name: day, timeZone: Europe/Berlin, days: [Monday, Friday], start: "08:30", end: "18:00", minReplicas: 4}`),
	"a schedule over midnight":                     scheduled(`{name: night, start: "22:00", end: "06:00", maxReplicas: 2}`),
	"a schedule of a whole day":                    scheduled(`{name: sunday, days: [Sunday], start: "00:00", end: "24:00", maxReplicas: 1}`),
	"a schedule with equal bounds":                 scheduled(`{name: fixed, start: "08:00", end: "09:00", minReplicas: 3, maxReplicas: 3}`),
	"a schedule at the ceiling of the spec":        scheduled(`{name: peak, start: "08:00", end: "09:00", minReplicas: 8, maxReplicas: 8}`),
	"a schedule to nothing in mode Own":            scheduled(`{name: closed, start: "08:00", end: "09:00", minReplicas: 0}`) + "mode: Own",
	"a schedule's floor at the budget":             scheduled(`{name: a, start: "08:00", end: "09:00", minReplicas: 4}`) + "maxGPUs: 4",
	"a ceiling below spec.minReplicas where the schedule has its own floor": scheduled(`{name: low, start: "08:00", end: "09:00", minReplicas: 1, maxReplicas: 1}`) + "minReplicas: 2",
}

func TestGoodSpecsAreAdmitted(t *testing.T) {
	for name, spec := range goodSpecs {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(manifest(spec)); err != nil {
				t.Errorf("refused: %v\n%s", err, manifest(spec))
			}
		})
	}
}

const fullBehavior = `
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  tolerance: 50m
  policies: [{type: Pods, value: 4, periodSeconds: 15}, {type: Percent, value: 100, periodSeconds: 1800}]
scaleDown:
  stabilizationWindowSeconds: 3600
  selectPolicy: Disabled
  tolerance: "0.99"
  policies: [{type: Pods, value: 1, periodSeconds: 1}]
`

func scheduled(schedule string) string {
	return bounded + "schedules:\n- " + schedule + "\n"
}

// badSpec is a spec that one rule refuses.
type badSpec struct {
	spec  string
	field string // the field that the fault names
	says  string // part of the message, by which the rule is known
}

var badSpecs = map[string]badSpec{
	"no target":                       {"maxReplicas: 8", "spec.scaleTargetRef", "Required value"},
	"no maxReplicas":                  {target, "spec.maxReplicas", "Required value"},
	"maxReplicas 0":                   {target + "maxReplicas: 0", "spec.maxReplicas", "greater than or equal to 1"},
	"minReplicas below 0":             {bounded + "minReplicas: -1", "spec.minReplicas", "greater than or equal to 0"},
	"minReplicas above maxReplicas":   {bounded + "minReplicas: 9", "spec.maxReplicas", "maxReplicas must be at least minReplicas"},
	"minReplicas 0 in mode Advise":    {bounded + "mode: Advise\nminReplicas: 0", "spec.minReplicas", "minReplicas 0 needs mode Own"},
	"minReplicas 0 in mode Floor":     {bounded + "mode: Floor\nminReplicas: 0", "spec.minReplicas", "minReplicas 0 needs mode Own"},
	"a budget of no GPUs":             {bounded + "maxGPUs: 0", "spec.maxGPUs", "greater than or equal to 1"},
	"a budget below the minimum":      {bounded + "minReplicas: 5\nmaxGPUs: 4", "spec.maxGPUs", "maxGPUs must be at least minReplicas"},
	"a mode in lower case":            {bounded + "mode: own", "spec.mode", `supported values: "Advise", "Floor", "Own"`},
	"a field that does not exist":     {bounded + "minimumReplicas: 2", "spec.minimumReplicas", "unknown field"},
	"a field deep down that does not": {bounded + "slo: {ttfs: 2s}", "spec.slo.ttfs", "unknown field"},

	"an autoscaler as target":       {"scaleTargetRef: {apiVersion: preheat.dev/v1alpha1, kind: InferenceAutoscaler, name: chat}\nmaxReplicas: 8", "spec.scaleTargetRef.kind", "not an autoscaler"},
	"an HPA as target":              {"scaleTargetRef: {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, name: chat}\nmaxReplicas: 8", "spec.scaleTargetRef.kind", "not an autoscaler"},
	"a target without scale":        {"scaleTargetRef: {apiVersion: apps/v1, kind: DaemonSet, name: chat}\nmaxReplicas: 8", "spec.scaleTargetRef.kind", "must have a scale subresource"},
	"a target without version":      {"scaleTargetRef: {apiVersion: apps, kind: Deployment, name: chat}\nmaxReplicas: 8", "spec.scaleTargetRef.apiVersion", "write for example apps/v1"},
	"a kind with its group":         {"scaleTargetRef: {apiVersion: apps/v1, kind: deployments.apps, name: chat}\nmaxReplicas: 8", "spec.scaleTargetRef.kind", "CamelCase"},
	"a target in another namespace": {"scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: other/chat}\nmaxReplicas: 8", "spec.scaleTargetRef.name", "an object in this namespace"},

	"a ttft without unit":      {bounded + `slo: {ttft: "2"}`, "spec.slo.ttft", "ttft must be a duration"},
	"a ttft of nothing":        {bounded + "slo: {ttft: 0s}", "spec.slo.ttft", "ttft must be a duration above 0"},
	"a negative ttft":          {bounded + "slo: {ttft: -2s}", "spec.slo.ttft", "ttft must be a duration above 0"},
	"a ttft beyond an hour":    {bounded + "slo: {ttft: 61m}", "spec.slo.ttft", "at most 1h"},
	"a ttft in days":           {bounded + "slo: {ttft: 2 days}", "spec.slo.ttft", "ttft must be a duration"},
	"a ttft beyond any clock":  {bounded + "slo: {ttft: 99999999999h}", "spec.slo.ttft", "ttft must be a duration"},
	"a tpot of nothing":        {bounded + "slo: {tpot: 0ms}", "spec.slo.tpot", "tpot must be a duration above 0"},
	"a tpot beyond a minute":   {bounded + "slo: {tpot: 61s}", "spec.slo.tpot", "at most 1m"},
	"an attainment of half":    {bounded + "slo: {attainment: 50%}", "spec.slo.attainment", "above 50% and below 100%"},
	"an attainment of all":     {bounded + "slo: {attainment: 100%}", "spec.slo.attainment", "above 50% and below 100%"},
	"an attainment as a ratio": {bounded + `slo: {attainment: "0.99"}`, "spec.slo.attainment", "write for example 99%"},
	"an attainment as a float": {bounded + "slo: {attainment: 0.99}", "spec.slo.attainment", "must be of type string"},

	"two capacities":                             {bounded + "capacity: {requestsPerSecond: 2, tokensPerSecond: 6k}", "spec.capacity", "not both"},
	"a capacity of no requests":                  {bounded + "capacity: {requestsPerSecond: 0}", "spec.capacity.requestsPerSecond", "requestsPerSecond must be above 0"},
	"a capacity of no tokens":                    {bounded + `capacity: {tokensPerSecond: "-5"}`, "spec.capacity.tokensPerSecond", "tokensPerSecond must be above 0"},
	"a capacity in words":                        {bounded + "capacity: {tokensPerSecond: many}", "spec.capacity.tokensPerSecond", "should match"},
	"a capacity of astronomical size":            {bounded + `capacity: {tokensPerSecond: "1E99999999"}`, "spec.capacity.tokensPerSecond", "a plain number"},
	"a tolerance of astronomical smallness":      {bounded + `behavior: {scaleUp: {tolerance: "1e-99999999"}}`, "spec.behavior.scaleUp.tolerance", "ratio from 0 to below 1"},
	"a capacity that only looks like a quantity": {bounded + "capacity: {tokensPerSecond: 1e1.5}", "spec.capacity.tokensPerSecond", "tokensPerSecond must be above 0"},

	"an activator without a Service":     {bounded + "activator: {models: [a]}", "spec.activator.service", "Required value"},
	"a Service in capitals":              {bounded + "activator: {service: VLLM}", "spec.activator.service", "service must be the name of a Service"},
	"a port that is no name":             {bounded + "activator: {service: vllm, port: HTTP}", "spec.activator.port", "port must be the name of a port of the Service"},
	"a model twice":                      {bounded + "activator: {service: vllm, models: [a, a]}", "spec.activator.models[1]", "Duplicate value"},
	"an activator and a gateway":         {bounded + "activator: {service: vllm}\ngateway: {kind: Knative, service: a, pool: b}", "spec.gateway", "write activator or gateway, not both"},
	"a gateway of another kind":          {bounded + "gateway: {kind: Nginx, service: a, pool: b}", "spec.gateway.kind", "Unsupported value"},
	"a gateway without a Service":        {bounded + "gateway: {kind: Knative, pool: b}", "spec.gateway.service", "Required value"},
	"a gateway's Service in capitals":    {bounded + "gateway: {kind: Knative, service: A, pool: b}", "spec.gateway.service", "service must be the name of a Service"},
	"a gateway's namespace in capitals":  {bounded + "gateway: {kind: Knative, service: a, namespace: B, pool: b}", "spec.gateway.namespace", "namespace must be the name of a namespace"},
	"a gateway without a pool":           {bounded + "gateway: {kind: Knative, service: a}", "spec.gateway.pool", "Required value"},
	"a pool without a name":              {bounded + "gateway: {kind: Knative, service: a, pool: ''}", "spec.gateway.pool", "at least 1"},
	"a gateway's port beyond all":        {bounded + "gateway: {kind: Knative, service: a, pool: b, port: 65536}", "spec.gateway.port", "less than or equal to 65535"},
	"an endless drain":                   {bounded + "drain: {timeout: 25h}", "spec.drain.timeout", "timeout must be a duration from 0s to 24h"},
	"a warm replica of an HPA's":         {bounded + "mode: Floor\nwarm: {standby: {maxReplicas: 1}}", "spec.warm", "warm needs mode Own"},
	"a standby that must be and may not": {bounded + "mode: Own\nwarm: {standby: {minReplicas: 2, maxReplicas: 1}}", "spec.warm.standby.minReplicas", "must not be above its maxReplicas"},
	"sleepers that must be and may not":  {bounded + "mode: Own\nwarm: {asleep: {minReplicas: 2, maxReplicas: 1}}", "spec.warm.asleep.minReplicas", "must not be above its maxReplicas"},
	"a sleep that no engine has":         {bounded + "mode: Own\nwarm: {asleep: {maxReplicas: 1, level: Deep}}", "spec.warm.asleep.level", "Unsupported value"},
	"a fixed and a prior lead time":      {bounded + "leadTime: {override: 4m, prior: 5m}", "spec.leadTime", "not both"},
	"a fixed lead time of nothing":       {bounded + "leadTime: {override: 0s}", "spec.leadTime.override", "override must be a duration above 0"},
	"a prior beyond a day":               {bounded + "leadTime: {prior: 25h}", "spec.leadTime.prior", "prior must be a duration above 0 and at most 24h"},

	"an engine in capitals":       {bounded + "metrics: {engine: vLLM}", "spec.metrics.engine", "in lower case"},
	"port 0":                      {bounded + "metrics: {port: 0}", "spec.metrics.port", "from 1 to 65535"},
	"a port too high":             {bounded + "metrics: {port: 65536}", "spec.metrics.port", "from 1 to 65535"},
	"a port in quotes":            {bounded + `metrics: {port: "8000"}`, "spec.metrics.port", "without quotes"},
	"a port name too long":        {bounded + "metrics: {port: http-metrics-port}", "spec.metrics.port", "at most 15"},
	"a path without a slash":      {bounded + "metrics: {path: metrics}", "spec.metrics.path", "start with '/'"},
	"a path with a query":         {bounded + `metrics: {path: "/metrics?a=b"}`, "spec.metrics.path", "no query"},
	"a scheme that is none":       {bounded + "metrics: {scheme: HTTPS}", "spec.metrics.scheme", `supported values: "http", "https"`},
	"a label that is none":        {bounded + "metrics: {prometheus: {labels: {pod: k8s.pod.name}}}", "spec.metrics.prometheus.labels.pod", "the name of a label"},
	"a namespace label of none":   {bounded + "metrics: {prometheus: {labels: {namespace: __ns}}}", "spec.metrics.prometheus.labels.namespace", "the name of a label"},
	"an expression of no metric":  {bounded + "metrics: {prometheus: {expressions: {queue: x}}}", "spec.metrics.prometheus.expressions", "by normalised metric"},
	"an empty expression":         {bounded + "metrics: {prometheus: {expressions: {inference_engines: ''}}}", "spec.metrics.prometheus.expressions.inference_engines", "should be at least 1"},
	"an address in the spec":      {bounded + "metrics: {prometheus: {url: 'http://x'}}", "spec.metrics.prometheus.url", "unknown field"},
	"staleness below two scrapes": {bounded + "metrics: {stalenessBound: 4s}", "spec.metrics.stalenessBound", "from 5s to 10m"},
	"staleness beyond use":        {bounded + "metrics: {stalenessBound: 1h}", "spec.metrics.stalenessBound", "from 5s to 10m"},

	"a quantile below the middle": {bounded + "forecast: {quantile: 49%}", "spec.forecast.quantile", "from 50% to 99.9%"},
	"a quantile of all":           {bounded + "forecast: {quantile: 99.95%}", "spec.forecast.quantile", "from 50% to 99.9%"},
	"a quantile as p90":           {bounded + "forecast: {quantile: p90}", "spec.forecast.quantile", "write for example 90%"},

	"a stabilization beyond an hour":  {bounded + "behavior: {scaleDown: {stabilizationWindowSeconds: 3601}}", "spec.behavior.scaleDown.stabilizationWindowSeconds", "from 0 to 3600"},
	"a stabilization below 0":         {bounded + "behavior: {scaleUp: {stabilizationWindowSeconds: -1}}", "spec.behavior.scaleUp.stabilizationWindowSeconds", "from 0 to 3600"},
	"a tolerance of all":              {bounded + "behavior: {scaleUp: {tolerance: 1}}", "spec.behavior.scaleUp.tolerance", "ratio from 0 to below 1"},
	"a tolerance below 0":             {bounded + `behavior: {scaleDown: {tolerance: "-0.1"}}`, "spec.behavior.scaleDown.tolerance", "ratio from 0 to below 1"},
	"a policy of nothing":             {bounded + "behavior: {scaleDown: {policies: [{type: Pods, value: 0, periodSeconds: 15}]}}", "spec.behavior.scaleDown.policies[0].value", "selectPolicy: Disabled"},
	"a policy without end":            {bounded + "behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}}", "spec.behavior.scaleDown.policies[0].periodSeconds", "from 1 to 1800"},
	"a policy of an unknown type":     {bounded + "behavior: {scaleDown: {policies: [{type: Pod, value: 1, periodSeconds: 1}]}}", "spec.behavior.scaleDown.policies[0].type", `"Pods", "Percent"`},
	"an empty list of policies":       {bounded + "behavior: {scaleDown: {policies: []}}", "spec.behavior.scaleDown.policies", "at least 1 items"},
	"a select policy that is unknown": {bounded + "behavior: {scaleUp: {selectPolicy: Most}}", "spec.behavior.scaleUp.selectPolicy", `"Max", "Min", "Disabled"`},

	"a zone of the forecast that does not exist": {bounded + "forecast: {timeZone: Europe/Atlantis}", "spec.forecast.timeZone", "timeZone must be an IANA time zone"},
	"the forecast in the zone of the machine":    {bounded + "forecast: {timeZone: Local}", "spec.forecast.timeZone", "timeZone must be an IANA time zone"},
	"a holiday that does not exist":              {bounded + `forecast: {holidays: ["2027-02-29"]}`, "spec.forecast.holidays[0]", "a date must be a day that exists"},
	"a holiday without its year":                 {bounded + `forecast: {holidays: ["12-25"]}`, "spec.forecast.holidays[0]", "a date must be a day that exists"},
	"a holiday with its time":                    {bounded + `forecast: {holidays: ["2026-12-25T00:00"]}`, "spec.forecast.holidays[0]", "Too long"},
	"a holiday twice":                            {bounded + `forecast: {holidays: ["2026-12-25", "2026-12-25"]}`, "spec.forecast.holidays[1]", "Duplicate value"},
	"too many holidays":                          {manyHolidays(129), "spec.forecast.holidays", "at most 128"},

	"a schedule of no length":                {scheduled(`{name: a, start: "08:00", end: "08:00", minReplicas: 2}`), "spec.schedules[0].end", "start and end must differ"},
	"a schedule without bounds":              {scheduled(`{name: a, start: "08:00", end: "09:00"}`), "spec.schedules[0]", "must set minReplicas, maxReplicas or both"},
	"a schedule upside down":                 {scheduled(`{name: a, start: "08:00", end: "09:00", minReplicas: 4, maxReplicas: 2}`), "spec.schedules[0].minReplicas", "must not be above its maxReplicas"},
	"a schedule's floor above the ceiling":   {scheduled(`{name: a, start: "08:00", end: "09:00", minReplicas: 9}`), "spec.schedules", "minReplicas of a schedule must not be above spec.maxReplicas"},
	"a schedule's floor above the budget":    {scheduled(`{name: a, start: "08:00", end: "09:00", minReplicas: 5}`) + "maxGPUs: 4", "spec.schedules", "must not be above spec.maxGPUs"},
	"a schedule's ceiling above the ceiling": {scheduled(`{name: a, start: "08:00", end: "09:00", maxReplicas: 9}`), "spec.schedules", "a schedule can only lower the ceiling"},
	"a schedule's ceiling below the floor":   {scheduled(`{name: a, start: "08:00", end: "09:00", maxReplicas: 1}`) + "minReplicas: 2", "spec.schedules", "must not be below spec.minReplicas"},
	"a schedule to nothing under an HPA":     {scheduled(`{name: a, start: "08:00", end: "09:00", minReplicas: 0}`), "spec.schedules", "a schedule with minReplicas 0 needs mode Own"},
	"a schedule with a name in capitals":     {scheduled(`{name: Day, start: "08:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].name", "lower-case letters"},
	"a zone that does not exist":             {scheduled(`{name: a, timeZone: Europe/Atlantis, start: "08:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].timeZone", "timeZone must be an IANA time zone"},
	"the zone of the machine":                {scheduled(`{name: a, timeZone: Local, start: "08:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].timeZone", "timeZone must be an IANA time zone"},
	"a zone as an offset":                    {scheduled(`{name: a, timeZone: "+02:00", start: "08:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].timeZone", "timeZone must be an IANA time zone"},
	"a day in short":                         {scheduled(`{name: a, days: [Mon], start: "08:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].days[0]", `"Monday"`},
	"a day twice":                            {scheduled(`{name: a, days: [Monday, Monday], start: "08:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].days[1]", "Duplicate value"},
	"a start after the last minute":          {scheduled(`{name: a, start: "24:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].start", "start must be a time of day"},
	"a start with one digit":                 {scheduled(`{name: a, start: "8:00", end: "09:00", minReplicas: 2}`), "spec.schedules[0].start", "two digits each"},
	"an end with minute 60":                  {scheduled(`{name: a, start: "08:00", end: "08:60", minReplicas: 2}`), "spec.schedules[0].end", "end must be a time of day"},
	"two schedules of one name":              {scheduled("{name: a, start: \"08:00\", end: \"09:00\", minReplicas: 2}\n- {name: a, start: \"10:00\", end: \"11:00\", minReplicas: 2}"), "spec.schedules[1]", "Duplicate value"},
	"seventeen schedules":                    {manySchedules(17), "spec.schedules", "at most 16"},
}

func manyHolidays(n int) string {
	var b strings.Builder
	b.WriteString(bounded + "forecast:\n  holidays:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - %q\n", time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	return b.String()
}

func manySchedules(n int) string {
	var b strings.Builder
	b.WriteString(bounded + "schedules:\n")
	for i := range n {
		fmt.Fprintf(&b, "- {name: s%d, start: \"08:00\", end: \"09:00\", minReplicas: 2}\n", i)
	}
	return b.String()
}

func TestBadSpecsAreRefusedWithAMessageToActOn(t *testing.T) {
	for name, bad := range badSpecs {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(manifest(bad.spec))
			if err == nil {
				t.Fatalf("admitted:\n%s", manifest(bad.spec))
			}
			if !strings.Contains(err.Error(), bad.field+": ") || !strings.Contains(err.Error(), bad.says) {
				t.Errorf("got %v\nwant a fault at %s that says %q", err, bad.field, bad.says)
			}
		})
	}
}

func TestEveryRuleHasABadSpec(t *testing.T) {
	unmet := ruleMessages(t, autoscalers)
	if len(unmet) < 25 {
		t.Fatalf("found %d rules in the CustomResourceDefinition, want at least 25", len(unmet))
	}
	for _, bad := range badSpecs {
		_, err := Parse(manifest(bad.spec))
		maps.DeleteFunc(unmet, func(message string, _ bool) bool { return err != nil && strings.Contains(err.Error(), message) })
	}
	_, err := Parse([]byte(strings.Replace(string(manifest(bounded)), "chat", strings.Repeat("x", 64), 1)))
	maps.DeleteFunc(unmet, func(message string, _ bool) bool { return err != nil && strings.Contains(err.Error(), message) })
	for message := range unmet {
		t.Errorf("no bad spec meets the rule %q", message)
	}
}

func ruleMessages(t *testing.T, k kind) map[string]bool {
	t.Helper()
	rules, err := k.rules()
	if err != nil {
		t.Fatal(err)
	}
	messages := map[string]bool{}
	walk("", rules.structural, func(path string, s *structuralschema.Structural) {
		for _, rule := range s.XValidations {
			if rule.Message == "" {
				t.Errorf("%s: rule %s has no message", path, rule.Rule)
			}
			messages[rule.Message] = true
		}
	})
	return messages
}

// walk calls visit for every schema below s, with its path.
func walk(path string, s *structuralschema.Structural, visit func(string, *structuralschema.Structural)) {
	visit(path, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		walk(path+"."+name, new(s.Properties[name]), visit)
	}
	if s.Items != nil {
		walk(path+"[]", s.Items, visit)
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	fields := 0
	for _, k := range []kind{autoscalers, pools} {
		rules, err := k.rules()
		if err != nil {
			t.Fatal(err)
		}
		walk(k.name, rules.structural, func(path string, s *structuralschema.Structural) {
			isField := path != k.name && path != k.name+".metadata" && !strings.HasSuffix(path, "[]")
			if !isField {
				return
			}
			fields++
			if len(s.Description) < 20 {
				t.Errorf("%s: description %q tells too little for kubectl explain", path, s.Description)
			}
		})
	}
	if fields < 100 {
		t.Errorf("walked %d fields, want at least 100", fields)
	}
}

func TestDescriptionsStateTheDefaultsOfTheSchema(t *testing.T) {
	rules, err := autoscalers.rules()
	if err != nil {
		t.Fatal(err)
	}
	scalars := 0
	walk("", rules.structural, func(path string, s *structuralschema.Structural) {
		value := s.Default.Object
		if value == nil || s.Type == "object" || path == ".spec.mode" { // mode marks its default in the list of modes
			return
		}
		scalars++
		if want := fmt.Sprintf("Default: %v", value); !strings.Contains(s.Description, want) {
			t.Errorf("%s: description %q does not say %q", path, s.Description, want)
		}
	})
	if scalars < 6 {
		t.Errorf("found %d scalar defaults, want at least 6", scalars)
	}
}

func TestTheAPIServerAcceptsTheDefinition(t *testing.T) {
	for _, definition := range []string{crds.InferenceAutoscaler, crds.WarmPool} {
		var external apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(definition), &external); err != nil {
			t.Fatal(err)
		}
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&external.Spec)
		var internal apiextensions.CustomResourceDefinition
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&external, &internal, nil); err != nil {
			t.Fatal(err)
		}
		internal.Status.StoredVersions = []string{"v1alpha1"}
		// This includes the estimate of what each CEL rule may cost at worst.
		if faults := crdvalidation.ValidateCustomResourceDefinition(context.Background(), &internal); len(faults) > 0 {
			t.Errorf("%s: %v", external.Name, faults.ToAggregate())
		}
	}
}
