// Package activator is an HTTP reverse proxy that stands in a target's path while the target has no ready replica. It holds
// requests within bounds, says at once that a target is to be woken, and hands the held requests on, in order of arrival, at
// the pace that the replicas which become ready can take. DESIGN.md beside this file says why it does so as it does.
//
// It knows nothing of Kubernetes and decides nothing about scaling: who a request is for is told by a Resolver, where it may
// go by SetEndpoints, and that a target cannot be woken by Refuse. What it tells in return is the demand: Wake and Snapshot.
package activator
