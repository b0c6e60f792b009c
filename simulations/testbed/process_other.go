//go:build !linux

package testbed

import "os/exec"

// bindLife has no counterpart here: a process may outlive a program that was killed.
func bindLife(*exec.Cmd) {}
