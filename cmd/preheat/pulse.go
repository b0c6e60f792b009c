package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// pulse tells whether the control loop is alive: a service whose API answers while its loop hangs is silently blind.
type pulse struct {
	interval time.Duration
	last     atomic.Int64 // Unix nanoseconds of the last sign of life, 0 before the start
}

// beat is a sign of life.
func (p *pulse) beat(now time.Time) { p.last.Store(now.UnixNano()) }

// check fails where the loop has not ended a tick for three intervals and half a minute (the first tick waits for the
// caches, and /readyz tells of those).
func (p *pulse) check(*http.Request) error {
	last := p.last.Load()
	if last == 0 {
		return nil
	}
	bound := 3*p.interval + 30*time.Second
	if silence := time.Since(time.Unix(0, last)); silence > bound {
		return fmt.Errorf("no tick of the control loop for %v, bound %v", silence.Round(time.Second), bound)
	}
	return nil
}
