// Package backfill finds out of Prometheus what was demanded of targets before Preheat watched them, or while it did not, so
// that forecasts need not begin with nothing.
//
// It asks slowly, in the background and in bounded pieces, for times of which the history knows nothing itself; whatever
// fails is tried again some times and then left. What Prometheus does not know stays missing. The package decides nothing.
package backfill
