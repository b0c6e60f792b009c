// Package scaling decides how many replicas a target should have. The decision is one pure function,
// Planner.Plan: (State, Observation) → (State, Decision).
//
// It is part of the core: no clock (Observation.Time is the only one), no I/O, no log, no goroutine, no global
// randomness, so that the very code that scales production is what a replay measures.
package scaling
