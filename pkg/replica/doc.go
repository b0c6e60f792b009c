// Package replica is an iteration-level model of one serving replica, a
// continuous-batching inference engine: what stands in for it when there is no
// GPU.
//
// The engine emulator runs it against the real clock and the offline replay
// against a virtual one; both get the same answer, because the model takes time
// as an argument.
//
// The package must not read a clock, do I/O, log, start a goroutine or draw a
// random number, and it imports nothing but the standard library.
package replica
