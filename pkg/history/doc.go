// Package history keeps on disk what Preheat has learned of its targets, so that a restart, a crash or another leader
// goes on from there: one checkpoint a target, saved every few minutes and at the end.
//
// A checkpoint is written whole or not at all, and one that cannot be trusted (cut short, corrupted, of another version
// or of another target) is put aside, never believed and never fatal. What guards scale-downs is not kept: after a restart
// a full window has to be seen again. The package decides nothing, and the loop never waits for its writes.
package history
