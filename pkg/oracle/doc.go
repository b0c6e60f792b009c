// Package oracle looks for the cheapest schedule of replicas that meets an objective on a load that is known from its
// first request to its last: the yardstick beside which every policy is set. Loading is paid ahead, and a dip is bridged
// where idling through it costs less than loading anew. Whatever it claims has been run through pkg/replay. Below it
// stands a physical bound: work over capacity.
//
// The search is a heuristic: what it finds is reachable, not proved to be the least. DESIGN.md has the argument and
// the figures.
//
// It must not know a policy by name or model a replica's speed beside pkg/replica's Profile, it reads no clock, starts
// no goroutine and draws no random number: the same problem and options give the same schedule.
package oracle
