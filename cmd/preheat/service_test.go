package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheServerStopsWhereTheRestCannotBegin(t *testing.T) {
	errNoDiscovery := errors.New("no discovery")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		err := together(ctx,
			func(ctx context.Context) error { <-ctx.Done(); return nil },
			func(context.Context, func(func())) error { return errNoDiscovery })
		if !errors.Is(err, errNoDiscovery) || time.Since(began) > time.Minute {
			t.Errorf("ended after %v with %v: a server without a loop is silently blind", time.Since(began), err)
		}
	})
}

func TestTogetherWaitsForAllParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := false
		err := together(ctx,
			func(ctx context.Context) error { <-ctx.Done(); return nil },
			func(ctx context.Context, background func(func())) error {
				background(func() { <-ctx.Done(); time.Sleep(10 * time.Second); ended = true })
				return nil
			})
		if err != nil || !ended {
			t.Errorf("ended %v, %v", ended, err)
		}
	})
}
