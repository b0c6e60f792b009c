package main

import (
	"context"
	"errors"
	"sync"
)

// background owns the goroutines of a run. The first that fails ends the context of all.
type background struct {
	context.Context
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

func newBackground(ctx context.Context) *background {
	b := &background{}
	b.Context, b.cancel = context.WithCancelCause(ctx)
	return b
}

// start runs work in a goroutine of its own until the context ends.
func (b *background) start(work func(context.Context) error) {
	b.running.Go(func() {
		if err := work(b); err != nil && b.Err() == nil {
			b.cancel(err)
		}
	})
}

// cause returns why the context ended, if that is why err came about.
func (b *background) cause(err error) error {
	if cause := context.Cause(b); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// stop ends the context and waits for every goroutine. It may be called again.
func (b *background) stop() {
	b.cancel(context.Canceled)
	b.running.Wait()
}
