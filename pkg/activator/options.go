package activator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Bounds are how much may be held.
type Bounds struct {
	// Requests is the number of requests that wait.
	Requests int
	// Bytes is the size of the bodies that are buffered for them.
	Bytes int64
}

// GCPercent is how much garbage, as a percentage of what is alive, the process of an Activator should let grow where its
// memory is bounded otherwise: with Go's own 100 the p99 of requests that pass at 2,000 a second is 2 ms higher
// (benchmarks/activator).
const GCPercent = 400

// Options are what an Activator is made of. Default gives all but Resolve, which has no default.
type Options struct {
	// Resolve says which target a request is for.
	Resolve Resolver
	// Wake is called in its own goroutine, at once when a request is held for a target without endpoints. It is called
	// again for a later request once it has returned and either nothing was held in between or a second has gone by. It
	// retries what may pass, and returns when ctx ends, which is when the activator has shut down. That a target cannot
	// be woken is told by Activator.Refuse. It may be nil: ServeDemand tells of the same.
	Wake func(ctx context.Context, target string)

	// PerTarget bounds what is held for one target, Total what is held for all. At the total bound the target that holds
	// the most makes room for one that holds less, so that no target can keep the others out.
	PerTarget, Total Bounds
	// MaxAge is how long a request may be held, its upload included.
	MaxAge time.Duration
	// RetryAfter is what a refused client is told to wait, in whole seconds.
	RetryAfter time.Duration
	// KeepAlive is the interval of the comment lines that are sent to held clients that asked for an event stream; 0 sends
	// none. The first of them commits the status code 200: whatever fails after it, bounds and shutdown included, reaches
	// the client as an error event within the stream, which clients do not retry. Switch it on only where something in the
	// path closes silent connections.
	KeepAlive time.Duration

	// MaxConcurrency is the number of requests that an endpoint has in flight at most while requests are held, where the
	// endpoint does not say it.
	MaxConcurrency int
	// ConnectTimeout bounds the dialling of an endpoint, after which the next is tried.
	ConnectTimeout time.Duration
	// ResponseHeaderTimeout bounds the time from the end of the request until the endpoint's response headers, and each
	// write of the request. An engine that does not stream sends its headers when the whole answer is generated.
	ResponseHeaderTimeout time.Duration
	// RetryPause is how long an endpoint is left alone that could not be dialled or was still loading.
	RetryPause time.Duration

	// Logger gets what happens to responses that have begun and cannot be told to clients any more.
	Logger *slog.Logger
}

// Default is what suits models that take up to some minutes to load, in a process of 512 MiB.
func Default() Options {
	return Options{
		PerTarget: Bounds{Requests: 10_000, Bytes: 96 << 20},
		// 10,000 bodies of 8 KB are 80 MB; what a connection costs comes on top (benchmarks/activator).
		Total: Bounds{Requests: 10_000, Bytes: 96 << 20},
		// Cold starts with image pull and node take up to ten minutes.
		MaxAge:     10 * time.Minute,
		RetryAfter: 10 * time.Second,
		// Knative's container-concurrency-target-default.
		MaxConcurrency: 100,
		// KEDA's http-add-on; a ready endpoint in the cluster accepts within milliseconds, and what does not is not routed yet.
		ConnectTimeout: 500 * time.Millisecond,
		// KEDA's http-add-on; Knative's revision-timeout-seconds is the same.
		ResponseHeaderTimeout: 300 * time.Second,
		RetryPause:            100 * time.Millisecond,
		Logger:                slog.New(slog.DiscardHandler),
	}
}

// Validate reports every option that cannot be.
func (o Options) Validate() error {
	positive := func(name string, v int64) error {
		if v > 0 {
			return nil
		}
		return fmt.Errorf("%s is %d: give a value above zero, or start from Default()", name, v)
	}
	faults := []error{
		positive("PerTarget.Requests", int64(o.PerTarget.Requests)),
		positive("PerTarget.Bytes", o.PerTarget.Bytes),
		positive("Total.Requests", int64(o.Total.Requests)),
		positive("Total.Bytes", o.Total.Bytes),
		positive("MaxAge", int64(o.MaxAge)),
		positive("MaxConcurrency", int64(o.MaxConcurrency)),
		positive("ConnectTimeout", int64(o.ConnectTimeout)),
		positive("ResponseHeaderTimeout", int64(o.ResponseHeaderTimeout)),
		positive("RetryPause", int64(o.RetryPause)),
	}
	if o.Resolve == nil {
		faults = append(faults, errors.New("no Resolve: say which target a request is for"))
	}
	if o.Logger == nil {
		faults = append(faults, errors.New("no Logger: start from Default()"))
	}
	if o.RetryAfter < time.Second {
		faults = append(faults, fmt.Errorf("RetryAfter is %s: give at least one second, the header's unit", o.RetryAfter))
	}
	if o.KeepAlive < 0 {
		faults = append(faults, fmt.Errorf("KeepAlive is %s: give an interval, or 0 for none", o.KeepAlive))
	}
	return errors.Join(faults...)
}
