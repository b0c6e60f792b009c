package main

import (
	"math"
	"time"
)

// Times that control loops live by where time is not compressed: the defaults of Kubernetes and of deploy/base.
const (
	hpaSync          = 15 * time.Second
	policyPeriod     = 15 * time.Second
	stabilization    = 5 * time.Minute
	decisionInterval = 15 * time.Second
	scrapeInterval   = 5 * time.Second
	leadTimePrior    = 5 * time.Minute
)

// drain is how long a deleted replica holds its GPUs while its streams end. It is the engine's time, not compressed.
const drain = 5 * time.Second

// times are those of a run: every one of the above, and the load time, divided by the same factor.
type times struct {
	HPASync, PolicyPeriod, Stabilization, DecisionInterval, ScrapeInterval, LeadTimePrior, LoadTime time.Duration
}

// compressed returns the times of a run. Where a field of the API counts in whole seconds it is rounded up.
func (o Options) compressed() times {
	by := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) / o.Compress).Round(time.Millisecond)
	}
	whole := func(d time.Duration) time.Duration {
		return time.Duration(math.Ceil(by(d).Seconds())) * time.Second
	}
	return times{
		HPASync: by(hpaSync), PolicyPeriod: whole(policyPeriod), Stabilization: whole(stabilization),
		// The service takes no less.
		DecisionInterval: max(by(decisionInterval), time.Second),
		ScrapeInterval:   max(by(scrapeInterval), 200*time.Millisecond),
		LeadTimePrior:    by(leadTimePrior), LoadTime: by(o.LoadTime),
	}
}
