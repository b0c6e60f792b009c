package controlloop

import (
	"context"
	"time"
)

// Ticked is told of each tick: when it was due, when it began and ended, over how many targets, and its error.
type Ticked func(due, began, ended time.Time, targets int, err error)

// Run calls Tick at once and then every interval until the context ends. It is the only ticker: a tick that takes
// longer than the interval makes the next one late, never two at once.
func (l *Loop) Run(ctx context.Context, interval time.Duration, targets func() []Target, ticked Ticked) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	due := time.Now()
	for {
		began := time.Now()
		ts := targets()
		err := l.Tick(ctx, began, ts)
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
