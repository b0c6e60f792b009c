// Package replica is an iteration-level model of one serving replica, a
// continuous-batching inference engine: what stands in for it when there is no
// GPU.
//
// The engine emulator runs it against the real clock and the offline replay
// against a virtual one; both get the same answer, because the model takes time
// as an argument. How fast it is, what bounds that, and how far it is from
// measured engines, is told in DESIGN.md.
//
// Profiles, which say how fast a model is on given GPUs, are YAML files, of
// which many are built in; Derive estimates one from a model's architecture.
//
// The package must not read a clock, open a file, log, start a goroutine or draw a
// random number. Beside the standard library it imports a YAML decoder, for
// profiles alone.
package replica
