// Package switchover leads the traffic of a Service to the activators while its target has no ready replica, and back again:
// by EndpointSlices of the Service that name the activators, beside those that Kubernetes keeps of the pods.
//
// Its Keeper runs in each activator and writes that activator's own slices alone, so that none needs another, nor a leader.
// Its Watch runs in the service: it knows the activators and whether they stand in, and clears away what dead ones left.
// It must not decide on replicas. DESIGN.md has the order in which things happen, and why nothing is lost between.
package switchover
