// Package e2e holds the end-to-end tests: the built service against a real control plane with the real HPA controller,
// emulated engines on simulated nodes, and, where the machine allows it, the shipped manifests on a real node.
//
// They run with the build tag e2e (make e2e) and must not reach into the service: it is a child process, known by its
// flags, its API objects and its metrics alone. One test is of no service: it sets a real Prometheus beside scrapes of
// emulated engines.
package e2e
