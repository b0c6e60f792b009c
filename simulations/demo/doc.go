// Command demo shows what Preheat is worth: on a real control plane it creates equal Deployments of an emulated engine, one
// for each way to scale, drives all of them with the same trace at the same time, and reports what each attained and cost.
//
// It must not decide anything about scaling and must not look into the service under test: Preheat is the built binary,
// run as a child process, and is seen only through the API server. DESIGN.md argues what compressing time means.
package main
