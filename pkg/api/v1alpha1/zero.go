package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Activator says which requests the activator holds while the target has no ready replica, and how it hands them on.
type Activator struct {
	// service is the Service, in the namespace of this object, by which clients reach the target: while none of its
	// endpoints is ready, the activator stands in for them. It must have a cluster IP. Example: vllm
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="service must be the name of a Service in this namespace: lower-case letters, digits and '-', beginning with a letter"
	// +required
	Service string `json:"service"`

	// port is the name of the Service's port whose requests are held. Default: the Service's only port, else the one
	// named http, else the first. Example: http
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="port must be the name of a port of the Service: lower-case letters, digits and '-'"
	// +optional
	Port string `json:"port,omitempty"`

	// models are the values of "model" in the bodies of requests that are for this target, for gateways that send
	// everything to the activator's own Service. No two targets may have the same. At most 64.
	// Example: [llama-3-70b]
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Models []string `json:"models,omitempty"`

	// maxConcurrency is the number of requests that one replica is given at once while others are held (vLLM:
	// --max-num-seqs). When none is held there is no limit. Unit: requests. Default: 100.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	MaxConcurrency *int32 `json:"maxConcurrency,omitempty"`
}

// Gateway names a gateway in front of the target. What it holds and sees is read from the metric pages of all ready endpoints of
// its Service, every 250 ms where it holds requests and the target has no ready replica, else every 5 s.
type Gateway struct {
	// kind says which series tell what, and what they prove. EndpointPicker (with its flow control on), Knative and
	// KEDAHTTPAddOn hold requests while there is no replica and say how many: they take the place of the activator, and allow
	// zero replicas. The others only see requests pass: they add to what is known of demand, and go together with an activator.
	// EndpointPicker: an endpoint picker of the Gateway API inference extension, such as that of llm-d.
	// Knative: the activator of Knative Serving 1.22 or later.
	// KEDAHTTPAddOn: the interceptor of KEDA's HTTP add-on.
	// Envoy, Istio, EnvoyAIGateway, Agentgateway, LiteLLM: the products of these names.
	// ProductionStack: the router of vLLM's production stack.
	// +required
	Kind GatewayKind `json:"kind"`

	// service is the Service whose endpoints are the gateway. Where it holds requests all of them must be heard before the last
	// replica goes.
	// Example: qwen-epp (Knative: activator-service)
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="service must be the name of a Service: lower-case letters, digits and '-', beginning with a letter"
	// +required
	Service string `json:"service"`

	// namespace is where the Service is. Default: the namespace of this object. Example: knative-serving
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="namespace must be the name of a namespace: lower-case letters, digits and '-'"
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// port is the port of the endpoints' pods that serves their metric page, over HTTP and without authentication.
	// Default: by kind, EndpointPicker and Knative 9090, KEDAHTTPAddOn 2223, Envoy 19001, Istio and Agentgateway 15020,
	// EnvoyAIGateway 1064, LiteLLM 4000, ProductionStack 8001.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`

	// pool is what the gateway calls the target. EndpointPicker: the name of the InferencePool. Knative: of the revision.
	// KEDAHTTPAddOn: of the InterceptorRoute or HTTPScaledObject. Envoy: of the Service, the HTTPRoute or the cluster.
	// Istio: of the Service. Agentgateway: of the backend, the route or the model. EnvoyAIGateway, LiteLLM, ProductionStack:
	// of the model, as requests have it. What is in a namespace is in that of this object. Example: qwen
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Pool string `json:"pool"`
}

// GatewayKind is a kind of gateway.
//
// +kubebuilder:validation:Enum=EndpointPicker;Knative;KEDAHTTPAddOn;Envoy;Istio;EnvoyAIGateway;Agentgateway;LiteLLM;ProductionStack
type GatewayKind string

const (
	// GatewayEndpointPicker is an endpoint picker with flow control.
	GatewayEndpointPicker GatewayKind = "EndpointPicker"
	// GatewayKnative is the activator of Knative Serving.
	GatewayKnative GatewayKind = "Knative"
	// GatewayKEDAHTTPAddOn is the interceptor of KEDA's HTTP add-on.
	GatewayKEDAHTTPAddOn GatewayKind = "KEDAHTTPAddOn"
	// GatewayEnvoy is Envoy, whoever configures it.
	GatewayEnvoy GatewayKind = "Envoy"
	// GatewayIstio is a proxy of Istio.
	GatewayIstio GatewayKind = "Istio"
	// GatewayEnvoyAIGateway is the external processor of Envoy AI Gateway.
	GatewayEnvoyAIGateway GatewayKind = "EnvoyAIGateway"
	// GatewayAgentgateway is agentgateway.
	GatewayAgentgateway GatewayKind = "Agentgateway"
	// GatewayLiteLLM is LiteLLM's proxy.
	GatewayLiteLLM GatewayKind = "LiteLLM"
	// GatewayProductionStack is the router of vLLM's production stack.
	GatewayProductionStack GatewayKind = "ProductionStack"
)

// Holds reports whether the gateway keeps requests waiting while there is no replica, and says how many. Others only see
// requests pass, and do not allow zero replicas.
func (g *Gateway) Holds() bool {
	return g != nil && (g.Kind == GatewayEndpointPicker || g.Kind == GatewayKnative || g.Kind == GatewayKEDAHTTPAddOn)
}

// Drain says how replicas are let go.
type Drain struct {
	// timeout is how long a replica that is out of its endpoints may finish what it has before it is deleted all the same.
	// It needs the readiness gate preheat.dev/serving in the target's pod template; without it, pods are deleted at once and
	// have their terminationGracePeriodSeconds. 0s: they are deleted at once. Default: 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="timeout must be a duration from 0s to 24h; write for example 5m"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// Warm allows replicas that are loaded and do not serve. How many of each there are, up to these bounds, is planned from the
// forecast, from how long each takes to serve, and from what it costs. All need the readiness gate preheat.dev/serving in
// the target's pod template. They count towards spec.maxGPUs as far as they hold GPUs, and not towards spec.maxReplicas.
type Warm struct {
	// standby replicas are loaded and ready, and kept out of the endpoints: they serve at once, and cost as much as one that does.
	// +optional
	Standby *StandbyTier `json:"standby,omitempty"`

	// asleep replicas have given up their GPU memory through the engine's sleep mode and wake within seconds.
	// +optional
	Asleep *AsleepTier `json:"asleep,omitempty"`
}

// StandbyTier bounds the replicas that are loaded and kept out of the endpoints.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",fieldPath=".minReplicas",message="minReplicas of a warm tier must not be above its maxReplicas; lower minReplicas or raise maxReplicas"
type StandbyTier struct {
	// minReplicas are always kept, whatever they are worth: a buffer for the request that nobody foresees, at the price of a
	// serving replica each. Default: 0.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicas int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the most of them.
	// +kubebuilder:validation:Minimum=1
	// +required
	MaxReplicas int32 `json:"maxReplicas"`
}

// AsleepTier bounds the replicas whose engine sleeps.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",fieldPath=".minReplicas",message="minReplicas of a warm tier must not be above its maxReplicas; lower minReplicas or raise maxReplicas"
type AsleepTier struct {
	// minReplicas are always kept, whatever they are worth. Default: 0.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicas int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the most of them: what the host memory of the nodes can take where weights are kept there.
	// +kubebuilder:validation:Minimum=1
	// +required
	MaxReplicas int32 `json:"maxReplicas"`

	// level is how deeply they sleep. Offload keeps the weights in host memory (vLLM's level 1, SGLang's memory saver);
	// Discard reads them from disk again (vLLM's level 2). Default: Offload.
	// +kubebuilder:default=Offload
	// +optional
	Level SleepLevel `json:"level,omitempty"`

	// gpuPercent is how much of a GPU a sleeping replica keeps others from using: 100 where nobody else may use it
	// meanwhile, 0 where targets share GPUs and only one of them is awake. Unit: percent. Default: 100.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	GPUPercent *int32 `json:"gpuPercent,omitempty"`
}

// SleepLevel is how deeply an engine sleeps.
//
// +kubebuilder:validation:Enum=Offload;Discard
type SleepLevel string

const (
	// SleepOffload keeps the weights in host memory.
	SleepOffload SleepLevel = "Offload"
	// SleepDiscard drops the weights.
	SleepDiscard SleepLevel = "Discard"
)

const (
	// ServingGate is the readiness gate by which a pod is kept out of its endpoints: True lets it serve.
	ServingGate = "preheat.dev/serving"
	// ActivatorManager is the value of the label endpointslice.kubernetes.io/managed-by of the EndpointSlices by which
	// activators stand in for a Service's endpoints.
	ActivatorManager = "activator.preheat.dev"
)
