package kube

import (
	"context"

	"k8s.io/client-go/util/flowcontrol"
)

type urgentKey struct{}

// Urgent marks what is done on behalf of a request that waits: its reads and writes of scales do not queue behind those of a
// tick over many targets.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgentKey{}, true) }

// limiter is a rate limiter with a bucket of its own for what is urgent.
type limiter struct {
	flowcontrol.RateLimiter
	urgent flowcontrol.RateLimiter
}

func newLimiter(qps float32, burst int) limiter {
	return limiter{flowcontrol.NewTokenBucketRateLimiter(qps, burst), flowcontrol.NewTokenBucketRateLimiter(qps, burst)}
}

// Wait implements flowcontrol.RateLimiter.
func (l limiter) Wait(ctx context.Context) error {
	if ctx.Value(urgentKey{}) != nil {
		return l.urgent.Wait(ctx)
	}
	return l.RateLimiter.Wait(ctx)
}
