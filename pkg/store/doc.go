// Package store keeps the last window of readings of every pod and answers from memory what an autoscaler asks:
// gauges as they were last seen, rates and latency quantiles over the window, for one pod or a group of them.
//
// A value that is unknown, or older than the staleness bound, is absent and never zero. Rates survive counter resets.
// The package is safe for concurrent use and reads no clock: whoever asks says what time it is. It does not fetch,
// parse or decide anything.
package store
