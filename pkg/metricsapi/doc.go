// Package metricsapi serves custom.metrics.k8s.io (v1beta1, v1beta2) and external.metrics.k8s.io (v1beta1) to the HPA
// controller, KEDA and kubectl, from what the scrapes have left in memory and from the control loop's last decisions.
//
// A read never leaves the process: objects come from informers, values from the store. What is not known, or older than
// its bound, is answered by a status error that says what was sought, how old the last value is and what to do; it
// is never answered by 0, and the error's text is what the HPA shows in its conditions.
//
// # Custom metrics
//
// Pods answer for themselves, Deployments, StatefulSets, Services and InferenceAutoscalers for their ready pods taken
// together. Pods that are not ready have no sample: the HPA counts a starting pod as loaded as soon as it has one.
// A pod that has just become ready adds nothing to a sum until it has been scraped.
// metricLabelSelector is matched against the object's labels and, where the metric is a quantile, "quantile".
//
// # External metrics
//
// There is one item for every InferenceAutoscaler of the namespace whose labels match the selector, and the HPA adds
// the items up. Labels of an item are those of the pods it scales (of their template), those of the
// InferenceAutoscaler, and, stronger than either, "inferenceautoscaler" and "target" (both its name) and the kind and name
// of the workload, for example deployment=llama. Ratios, latencies and quantiles cannot be added up: a selector that
// matches several is refused. If one of several targets is not known, neither is the sum.
//
// # Quantiles
//
// A latency is served as NAME_avg, NAME_p50, NAME_p90, NAME_p95 and NAME_p99, and as NAME for a selector with
// quantile=0.5, 0.9, 0.95 or 0.99.
package metricsapi
