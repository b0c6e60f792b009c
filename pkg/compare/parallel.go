package compare

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// each calls job for 0 to n-1, at most workers at once, and returns when all have ended. A failure ends the others; the
// error is that of the first job in order that failed by itself. Where ctx ends, no further job begins.
func each(ctx context.Context, workers, n int, job func(context.Context, int) error) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	failures := make([]error, n)
	for i := range n {
		if within.Err() != nil {
			break
		}
		group.Go(func() error {
			failures[i] = job(within, i)
			return failures[i]
		})
	}
	err := group.Wait()
	for _, f := range failures {
		if f != nil && !errors.Is(f, context.Canceled) {
			return f
		}
	}
	return err
}
