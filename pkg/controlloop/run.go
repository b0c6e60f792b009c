package controlloop

import (
	"context"
	"time"
)

// Ticked is told of each tick: when it was due, when it began and ended, over how many targets, and its error.
type Ticked func(due, began, ended time.Time, targets int, err error)

// longestTick bounds a tick, in intervals: a cluster that answers slowly is waited for, one that does not is given up
// with an error on each target that was not reached, so that the loop is seen to live and tries again.
const longestTick = 3

// Run calls Tick at once and then every interval until the context ends. It is the only ticker: a tick that takes
// longer than the interval makes the next one late, never two at once. After three intervals a tick's context ends.
func (l *Loop) Run(ctx context.Context, interval time.Duration, targets func() []Target, ticked Ticked) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	due := time.Now()
	for {
		began := time.Now()
		ts := targets()
		err := l.bounded(ctx, longestTick*interval, began, ts)
		ticked(due, began, time.Now(), len(ts), err)
		select {
		case <-ctx.Done():
		case due = <-ticker.C:
		}
		if ctx.Err() != nil { // also where both had come
			return
		}
	}
}

// bounded ticks within a time.
func (l *Loop) bounded(ctx context.Context, most time.Duration, now time.Time, targets []Target) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return l.Tick(ctx, now, targets)
}
