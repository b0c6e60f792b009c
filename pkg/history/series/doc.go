// Package series keeps what was demanded of each target, and what was learned of it, as time series on disk: each tick for
// a day, and each minute for five weeks, over any restart. It is made of the parts of Prometheus' tsdb (log, chunks,
// blocks), not of its database; DESIGN.md in the folder above says why.
//
// A batch that Store.Append has returned from without an error outlives a kill at any later instant. What cannot be
// written is kept in memory for some hours and is written once the folder can be again. Nothing here stops a decision, and
// what is missing stays missing: no sample is made up.
package series
