// Package replay holds the simulated side of Preheat: what stands in for a
// serving replica when there is no GPU.
//
// Replica is an iteration-level model of a continuous-batching inference
// engine. The engine emulator runs it against the real clock and the offline
// replay against a virtual one; both get the same answer, because the model
// takes time as an argument.
//
// The package must not read a clock, do I/O, log, start a goroutine or draw a
// random number, and it imports nothing but the standard library.
package replay
