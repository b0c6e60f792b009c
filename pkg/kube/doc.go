// Package kube is the live side of the control loop's ports, on plain client-go: the Observer that reads scale
// subresources and pods, the Actuator that writes replicas or minimums, the Recorder that writes status and events, the
// source of scrape endpoints, the list of targets, and the lease that says which of several processes may write.
//
// It must not decide: how many replicas there should be comes from pkg/scaling, through pkg/controlloop, and is carried
// out or, where somebody else owns the target, left. It owns no ticker for decisions and reads time from its `now`
// arguments; only the lease, the status writers, the opening of gates and the calls to engines live by the wall clock.
//
// DESIGN.md in this folder argues how rivals and foreign writes are told from our own, and how pods are drained and kept
// warm.
package kube
