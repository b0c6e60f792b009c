package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// InferenceAutoscalerSpec is what a person asks for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.maxGPUs) || self.maxGPUs >= self.minReplicas",fieldPath=".maxGPUs",message="maxGPUs must be at least minReplicas, since a replica takes one GPU or more; raise maxGPUs or lower minReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.maxGPUs) || !has(self.schedules) || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas <= self.maxGPUs)",fieldPath=".schedules",message="the minReplicas of a schedule must not be above spec.maxGPUs, since a replica takes one GPU or more; lower the schedule's minReplicas or raise spec.maxGPUs"
// +kubebuilder:validation:XValidation:rule="self.maxReplicas >= self.minReplicas",fieldPath=".maxReplicas",message="maxReplicas must be at least minReplicas; raise maxReplicas or lower minReplicas"
// +kubebuilder:validation:XValidation:rule="self.mode == 'Own' || self.minReplicas > 0",fieldPath=".minReplicas",message="minReplicas 0 needs mode Own, because a HorizontalPodAutoscaler takes 0 replicas set by someone else as paused and never starts the target again; write minReplicas: 1 or mode: Own"
// +kubebuilder:validation:XValidation:rule="!has(self.schedules) || self.mode == 'Own' || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas > 0)",fieldPath=".schedules",message="a schedule with minReplicas 0 needs mode Own, because a HorizontalPodAutoscaler takes 0 replicas set by someone else as paused; write minReplicas: 1 in the schedule or mode: Own"
// +kubebuilder:validation:XValidation:rule="!has(self.schedules) || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas <= self.maxReplicas)",fieldPath=".schedules",message="the minReplicas of a schedule must not be above spec.maxReplicas; lower the schedule's minReplicas or raise spec.maxReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.schedules) || self.schedules.all(s, !has(s.maxReplicas) || s.maxReplicas <= self.maxReplicas)",fieldPath=".schedules",message="the maxReplicas of a schedule must not be above spec.maxReplicas: a schedule can only lower the ceiling; raise spec.maxReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.schedules) || self.schedules.all(s, !has(s.maxReplicas) || has(s.minReplicas) || s.maxReplicas >= self.minReplicas)",fieldPath=".schedules",message="the maxReplicas of a schedule must not be below spec.minReplicas unless the schedule has its own minReplicas; add minReplicas to the schedule or raise its maxReplicas"
// +kubebuilder:validation:XValidation:rule="self.mode == 'Own' || !has(self.warm)",fieldPath=".warm",message="warm needs mode Own, because replicas that do not serve would count as replicas to any other autoscaler; write mode: Own or leave warm out"
// +kubebuilder:validation:XValidation:rule="!has(self.activator) || !has(self.gateway) || !(self.gateway.kind in ['EndpointPicker', 'Knative', 'KEDAHTTPAddOn'])",fieldPath=".gateway",message="write activator or gateway, not both: either Preheat's activator holds the requests or the gateway does; a gateway of a kind that holds none may stand beside the activator"
type InferenceAutoscalerSpec struct {
	// scaleTargetRef names the workload to scale, in the namespace of this object: anything with a scale subresource,
	// such as a Deployment, a StatefulSet or a LeaderWorkerSet.
	// Example: {apiVersion: apps/v1, kind: Deployment, name: vllm}
	// +required
	ScaleTargetRef ScaleTargetRef `json:"scaleTargetRef"`

	// mode says who moves the replicas.
	// Advise (the default): nobody is touched; decisions appear in status and in the metrics API, for a
	// HorizontalPodAutoscaler or a person to use.
	// Floor: the minimum of the HorizontalPodAutoscaler or ScaledObject that scales the target is raised ahead of load.
	// Own: Preheat alone sets the replicas of the target; needed for 0 replicas.
	// +kubebuilder:default=Advise
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// paused holds everything: while true, nothing outside this object is written, and the replicas stay as they are.
	// Observation, status and metrics go on. Default: false.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// minReplicas is the fewest replicas ever asked for. 0 is allowed in mode Own only. Default: 1.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the most replicas ever asked for, whatever the demand: the hard limit of the cost. Example: 8
	// +kubebuilder:validation:Minimum=1
	// +required
	MaxReplicas int32 `json:"maxReplicas"`

	// maxGPUs is the most GPUs that all replicas together may hold. It goes before minReplicas, but leaves one replica, since
	// 0 would mean paused. How many one replica takes is what its pods request of nvidia.com/gpu, amd.com/gpu,
	// gpu.intel.com/i915, gpu.intel.com/xe and google.com/tpu, times the pods of a group of a LeaderWorkerSet; while no
	// pod tells, only maxReplicas holds, and the decision says so. Unit: GPUs. Absent: no limit. Example: 16
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxGPUs *int32 `json:"maxGPUs,omitempty"`

	// slo is the latency that users are to get. With learned capacity it decides how much work one replica may be given.
	// Example: {ttft: 2s, tpot: 80ms, attainment: 99%}
	// +kubebuilder:default={}
	// +optional
	SLO SLO `json:"slo,omitzero"`

	// capacity declares how much one replica can serve within the SLO, from a load test of yours.
	// Absent: it is learned from what the replicas show.
	// Example: {requestsPerSecond: "2.5"}
	// +optional
	Capacity Capacity `json:"capacity,omitzero"`

	// leadTime is the time from ordering a replica until it serves: schedule, pull, load the model, warm up. It is how
	// far ahead the forecast looks. Absent: it is learned from the target's own pods, starting from 5 minutes.
	// Example: {prior: 8m}
	// +optional
	LeadTime LeadTime `json:"leadTime,omitzero"`

	// metrics says where the engine's metric page is found on the target's pods. Mostly not needed.
	// Example: {engine: vllm, port: 8000}
	// +kubebuilder:default={}
	// +optional
	Metrics MetricsSource `json:"metrics,omitzero"`

	// forecast tunes the prediction of demand.
	// Example: {quantile: 95%}
	// +kubebuilder:default={}
	// +optional
	Forecast Forecast `json:"forecast,omitzero"`

	// behavior limits how fast the replicas may change, in the words of the HorizontalPodAutoscaler (autoscaling/v2).
	// Example: {scaleDown: {stabilizationWindowSeconds: 600}}
	// +optional
	Behavior Behavior `json:"behavior,omitzero"`

	// activator says where requests are held while the target has no ready replica: it, or a gateway that holds them, is
	// needed for 0 replicas. Without either, one replica always stays.
	// Example: {service: vllm}
	// +optional
	Activator *Activator `json:"activator,omitempty"`

	// gateway names a gateway in front of the target: one that holds requests itself while the target has no ready replica, in
	// place of the activator, or one that only sees requests pass, which is one more source of demand.
	// Example: {kind: EndpointPicker, service: qwen-epp, pool: qwen}
	// +optional
	Gateway *Gateway `json:"gateway,omitempty"`

	// drain says how long a replica that is let go may finish what it has, in mode Own.
	// Example: {timeout: 10m}
	// +optional
	Drain Drain `json:"drain,omitzero"`

	// warm allows replicas that are loaded and do not serve, in mode Own. Absent: there are none.
	// Example: {standby: {maxReplicas: 1}, asleep: {maxReplicas: 4}}
	// +optional
	Warm *Warm `json:"warm,omitempty"`

	// schedules set other bounds at certain hours, such as a floor before the working day or a ceiling at night.
	// Where several hold at once, the highest minReplicas and the lowest maxReplicas count; if they contradict each
	// other, maxReplicas wins. At most 16.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Schedules []Schedule `json:"schedules,omitempty"`
}

// Mode says who moves the replicas.
//
// +kubebuilder:validation:Enum=Advise;Floor;Own
type Mode string

const (
	// ModeAdvise writes status and metrics only.
	ModeAdvise Mode = "Advise"
	// ModeFloor raises the minimum of the autoscaler that owns the target.
	ModeFloor Mode = "Floor"
	// ModeOwn sets the replicas of the target itself.
	ModeOwn Mode = "Own"
)

// ScaleTargetRef names an object with a scale subresource in the namespace of the referrer.
//
// +kubebuilder:validation:XValidation:rule="!(self.kind in ['InferenceAutoscaler', 'HorizontalPodAutoscaler', 'ScaledObject'])",fieldPath=".kind",message="the scale target must be a workload, not an autoscaler; name the workload that it scales, such as kind: Deployment"
// +kubebuilder:validation:XValidation:rule="!(self.kind in ['Pod', 'DaemonSet', 'Job', 'CronJob', 'Service'])",fieldPath=".kind",message="the scale target must have a scale subresource, and this kind has none; name a Deployment, a StatefulSet or another kind that can be scaled"
type ScaleTargetRef struct {
	// apiVersion is the group and version of the target. Example: apps/v1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$')",message="apiVersion must be group/version; write for example apps/v1"
	// +required
	APIVersion string `json:"apiVersion"`

	// kind is the kind of the target. Example: Deployment
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z][A-Za-z0-9]*$')",message="kind must be written in CamelCase without a group; write for example Deployment"
	// +required
	Kind string `json:"kind"`

	// name is the name of the target. Example: vllm
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="name must be the name of an object in this namespace: lower-case letters, digits, '-' and '.'"
	// +required
	Name string `json:"name"`
}

// Percent is a percentage with its sign, such as "99%" or "99.5%": API conventions forbid floats, and the sign keeps
// 0.99 and 99 from being mistaken for each other. Percent.Fraction gives its value.
//
// +kubebuilder:validation:MaxLength=8
type Percent string

// SLO is the latency objective of the served requests.
type SLO struct {
	// ttft is the longest time to first token of a request that counts as good. Unit: a duration with its unit.
	// Absent: the time to first token is not part of the objective. Example: 2s
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s') && duration(self) <= duration('1h')",message="ttft must be a duration above 0 and at most 1h; write for example 800ms or 2s"
	// +optional
	TTFT *metav1.Duration `json:"ttft,omitempty"`

	// tpot is the longest mean time per output token, after the first, of a request that counts as good.
	// Absent: the time per output token is not part of the objective. Example: 80ms
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s') && duration(self) <= duration('1m')",message="tpot must be a duration above 0 and at most 1m; write for example 80ms"
	// +optional
	TPOT *metav1.Duration `json:"tpot,omitempty"`

	// attainment is the share of requests that must be good, above 50% and below 100%. Default: 99%. Example: 99.5%
	// +kubebuilder:default="99%"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,2}([.][0-9]{1,3})?%$') && double(self.replace('%', '')) > 50.0",message="attainment must be a percentage above 50% and below 100%; write for example 99% or 99.5%"
	// +optional
	Attainment Percent `json:"attainment,omitempty"`
}

// Capacity is what one replica can serve within the SLO.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.requestsPerSecond) && has(self.tokensPerSecond))",message="capacity takes requestsPerSecond or tokensPerSecond, not both; remove one"
type Capacity struct {
	// requestsPerSecond is how many requests one replica can complete per second. Fits when requests are much alike.
	// Unit: requests per second and replica. Example: "2.5"
	// +kubebuilder:validation:XValidation:rule="string(self).matches('^[0-9]{1,9}([.][0-9]{1,6})?[numkMG]?$') && quantity(string(self)).isGreaterThan(quantity('0'))",message="requestsPerSecond must be above 0, a plain number or one with a suffix such as k or m; write for example \"2.5\""
	// +optional
	RequestsPerSecond *resource.Quantity `json:"requestsPerSecond,omitempty"`

	// tokensPerSecond is how many tokens, prompt and generation together, one replica can process per second.
	// Fits when the lengths of requests differ. Unit: tokens per second and replica. Example: 6k
	// +kubebuilder:validation:XValidation:rule="string(self).matches('^[0-9]{1,9}([.][0-9]{1,6})?[numkMG]?$') && quantity(string(self)).isGreaterThan(quantity('0'))",message="tokensPerSecond must be above 0, a plain number or one with a suffix such as k or m; write for example 6000 or 6k"
	// +optional
	TokensPerSecond *resource.Quantity `json:"tokensPerSecond,omitempty"`
}

// LeadTime says what to take as the time from ordering a replica until it serves.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.override) && has(self.prior))",message="leadTime takes override or prior, not both: override switches learning off, prior is where learning starts; remove one"
type LeadTime struct {
	// override fixes the lead time and switches learning off. Use it where you know better than the pods show.
	// Example: 4m
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s') && duration(self) <= duration('24h')",message="override must be a duration above 0 and at most 24h; write for example 4m"
	// +optional
	Override *metav1.Duration `json:"override,omitempty"`

	// prior is the lead time assumed until enough starts of replicas have been seen. Default: 5m. Example: 8m
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s') && duration(self) <= duration('24h')",message="prior must be a duration above 0 and at most 24h; write for example 8m"
	// +optional
	Prior *metav1.Duration `json:"prior,omitempty"`
}

// MetricsSource says where the metric page of an engine is found on a pod. Each absent field is taken from the pod's
// annotations, and then from what the engine does by itself.
type MetricsSource struct {
	// engine is the inference engine: auto, vllm, sglang, or the name of another engine profile.
	// auto tells the engine by the names of its metrics. Default: auto.
	// +kubebuilder:default=auto
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="engine must be the name of an engine profile in lower case; write for example auto, vllm or sglang"
	// +optional
	Engine string `json:"engine,omitempty"`

	// port is the number or the name of the container port that serves the metric page.
	// Default: the pod's annotation preheat.dev/metrics-port or prometheus.io/port, then a container port named metrics or
	// http, then the engine's own port (vLLM 8000, SGLang 30000).
	// Example: 8000
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? (self >= 1 && self <= 65535) : self.matches('^([a-z0-9]|[a-z0-9][-a-z0-9]{0,13}[a-z0-9])$') && self.matches('[a-z]')",message="port must be a number from 1 to 65535 without quotes, or the name of a container port of at most 15 lower-case letters, digits and '-'; write for example 8000 or http"
	// +optional
	Port *intstr.IntOrString `json:"port,omitempty"`

	// path is the path of the metric page.
	// Default: the pod's annotation preheat.dev/metrics-path or prometheus.io/path, then /metrics.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[^ ?#]*$')",message="path must start with '/' and have no query; write for example /metrics"
	// +optional
	Path string `json:"path,omitempty"`

	// scheme is http or https. Certificates of pods are not verified, since pods have none that could be.
	// Default: the pod's annotation preheat.dev/metrics-scheme or prometheus.io/scheme, then http.
	// +optional
	Scheme Scheme `json:"scheme,omitempty"`

	// stalenessBound is the age beyond which a sample is worth nothing. When every sample of the target is older, the
	// autoscaler is blind: it holds the replicas and says so. From 5s to 10m. Default: 30s.
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('5s') && duration(self) <= duration('10m')",message="stalenessBound must be a duration from 5s to 10m; write for example 30s"
	// +optional
	StalenessBound *metav1.Duration `json:"stalenessBound,omitempty"`

	// prometheus reads what the engine reports out of Prometheus, in place of the pods' pages: for where these may not be
	// reached. The address and what it takes to get in are the service's, see its flag --prometheus-url. port, path and
	// scheme are not used then. stalenessBound should be three times the interval at which Prometheus scrapes.
	// Example: {} or {labels: {pod: kubernetes_pod_name}}
	// +optional
	Prometheus *PrometheusSource `json:"prometheus,omitempty"`
}

// PrometheusSource says how Prometheus has what an engine reports.
type PrometheusSource struct {
	// labels are the names of the labels by which Prometheus tells pods apart.
	// +kubebuilder:default={}
	// +optional
	Labels PodLabels `json:"labels,omitzero"`

	// expressions are PromQL by normalised metric, for what Prometheus has under names of its own, such as recording rules.
	// Each must give one value for each pod, with the label of the pod; it is added to each selector that it is of this
	// target's namespace and pods. Counters (_total) are counters, not rates. A pod without a value is not read at all.
	// Example: {inference_requests_waiting: "sum by (pod) (my_engine_queue)"}
	// +kubebuilder:validation:MaxProperties=21
	// +kubebuilder:validation:XValidation:rule="self.all(name, name in ['inference_requests_waiting', 'inference_requests_waiting_capacity', 'inference_requests_running', 'inference_requests_inflight', 'inference_requests_max', 'inference_kv_cache_utilization_ratio', 'inference_kv_cache_capacity_tokens', 'inference_requests_total', 'inference_prompt_tokens_total', 'inference_prompt_tokens_cached_total', 'inference_prefill_tokens_total', 'inference_generation_tokens_total', 'inference_prefix_cache_queries_total', 'inference_prefix_cache_hits_total', 'inference_prefix_cache_hit_ratio', 'inference_preemptions_total', 'inference_engines', 'inference_engines_awake', 'inference_lora_adapters_running', 'inference_lora_adapters_waiting', 'inference_lora_adapters_max'])",message="expressions are by normalised metric; write for example inference_requests_waiting, see preheatctl promql for all of them"
	// +optional
	Expressions map[string]PromQL `json:"expressions,omitempty"`
}

// PromQL is an expression of Prometheus' query language.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
type PromQL string

// PodLabels are the names of the labels by which Prometheus tells pods apart.
type PodLabels struct {
	// namespace is the label with the pod's namespace. Default: namespace. Example: kubernetes_namespace
	// +kubebuilder:default=namespace
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_][a-zA-Z0-9_]*$') && !self.startsWith('__')",message="namespace must be the name of a label in Prometheus: letters, digits and '_'; write for example namespace"
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// pod is the label with the pod's name. Default: pod. Example: kubernetes_pod_name
	// +kubebuilder:default=pod
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_][a-zA-Z0-9_]*$') && !self.startsWith('__')",message="pod must be the name of a label in Prometheus: letters, digits and '_'; write for example pod"
	// +optional
	Pod string `json:"pod,omitempty"`
}

// Scheme is the protocol of a metric page.
//
// +kubebuilder:validation:Enum=http;https
type Scheme string

const (
	// SchemeHTTP is plain HTTP.
	SchemeHTTP Scheme = "http"
	// SchemeHTTPS is HTTP over TLS.
	SchemeHTTPS Scheme = "https"
)

// Forecast tunes the prediction of demand. A forecast can only raise what the present demand needs, never lower it.
type Forecast struct {
	// quantile is the share of cases in which the replicas should be enough for the demand that comes, at the least: higher
	// costs more and is late less often. From 50% to 99.9%. Default: none; as high as slo.attainment and its error budget
	// ask for, and the status tells the 90% quantile. Example: 95%
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,2}([.][0-9]{1,3})?%$') && double(self.replace('%', '')) >= 50.0 && double(self.replace('%', '')) <= 99.9",message="quantile must be a percentage from 50% to 99.9%; write for example 90% or 97.5%"
	// +optional
	Quantile Percent `json:"quantile,omitempty"`

	// disabled switches prediction off: replicas then follow the present demand alone. Default: false.
	// +optional
	Disabled bool `json:"disabled,omitempty"`

	// timeZone is the IANA name of the zone in which the users of the target live: the forecast learns what is usual at an
	// hour of the day and on a day of the week, and keeps to their clock over the changes of daylight saving.
	// Default: Etc/UTC. Example: Europe/Berlin
	// +kubebuilder:default="Etc/UTC"
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$') && self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",message="timeZone must be an IANA time zone; write for example Europe/Berlin or Etc/UTC"
	// +optional
	TimeZone string `json:"timeZone,omitempty"`

	// holidays are dates, in timeZone, on which demand behaves as on a Sunday. Past ones help too: they are not mistaken
	// for working days that the forecast learns from. At most 128. Example: ["2026-12-25", "2026-12-26", "2027-01-01"]
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +optional
	Holidays []Date `json:"holidays,omitempty"`
}

// Date is a day of the calendar, such as 2026-12-25. Date.Start gives its first instant.
//
// +kubebuilder:validation:MaxLength=10
// +kubebuilder:validation:XValidation:rule="self.matches('^2[0-9]{3}-[0-9]{2}-[0-9]{2}$') && timestamp(self + 'T12:00:00Z').getFullYear() >= 2000",message="a date must be a day that exists, as year-month-day; write for example \"2026-12-25\""
type Date string
