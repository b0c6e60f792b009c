//go:build unix

package main

import (
	"syscall"
	"time"
)

// processorTime is what this process has computed so far: on a machine that others use too it says more than the time
// that has passed.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
