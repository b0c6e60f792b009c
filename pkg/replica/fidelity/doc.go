// Package fidelity compares the replica model with measured runs of real
// engines: it derives a profile from model, GPU and degree of tensor parallelism,
// serves the load of each run, and says how far TTFT, ITL and E2E are off.
//
// It must not fit anything to a single run: what is calibrated at all is a
// handful of replica.Coefficients for every model, and each model is also
// predicted with coefficients that have not seen it.
package fidelity
