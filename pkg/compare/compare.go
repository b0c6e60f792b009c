// Package compare runs one load under several policies, with several seeds and lead times, and gathers what each of them
// made of it in an order that does not depend on how many ran at once.
//
// It starts goroutines, each bounded by the context of its caller, but reads no clock: how fast it is, is for the caller to
// measure. It must not decide, simulate or score by itself, and it holds no request: every run reads the load anew.
package compare
