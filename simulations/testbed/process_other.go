//go:build !linux

package testbed

import "os/exec"

// onMainThread matters only where a thread's end has a meaning.
func onMainThread() bool { return false }

// bindLife has no counterpart here: a process may outlive a program that was killed.
func bindLife(*exec.Cmd) {}
