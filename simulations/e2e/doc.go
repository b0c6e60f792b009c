// Package e2e holds the end-to-end tests: the built service against a real control plane with the real HPA controller,
// emulated engines on simulated nodes, and, where the machine allows it, the shipped manifests on a real node.
//
// They run with the build tag e2e (make e2e) and must not reach into the service: it is a child process, known by its
// flags, its API objects and its metrics alone. Two tests are of no service: one sets a real Prometheus beside scrapes of
// emulated engines, one has the reader of gateways read a real endpoint picker.
package e2e
