// Package loadgen is the load driver: it sends a trace in real time to the
// ready replicas of a service and records what every request got.
//
// The load is open loop: a request is sent when the trace says so, however slow
// the service is. A Router plays the gateway: it picks the replica with the
// fewest outstanding requests and holds requests while there is none, and that
// wait is part of TTFT.
//
// It must not know what scales the service, and nothing of Preheat's service
// may import it.
package loadgen
