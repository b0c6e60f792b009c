// Package baseline restates the policies of other autoscalers, so that a replay can compare them with Preheat's planner
// on the same traffic: each with the constants that its own documentation or source gives, pinned by tables of what
// upstream's own tests expect.
//
// A policy is pure: it keeps its memory in itself, reads no clock, does no I/O, and sees only what its real signal path
// would show it. Replay makes one for each run.
package baseline

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Policy decides how many replicas one target has. It is used by one goroutine.
type Policy interface {
	// Path says how the policy's signals reach it; constant for the life of the policy.
	Path() Path
	// Decide is called every Path().Interval with what the signal path shows then. The decision's Replicas is the number
	// wanted from now on; Reason is of the closed set of pkg/scaling, and Steps say in words and numbers what each stage
	// of the policy did. Observations must not be kept: their slices are used again.
	Decide(o Observation) scaling.Decision
}

// Path is the way from the engines' pages to a policy.
type Path struct {
	// Interval is the time between two decisions.
	Interval time.Duration
	// Scrape is the time between two readings of each replica and of the gateway; zero where the policy reads nothing.
	Scrape time.Duration
	// Lag is the age that a reading has at least when the policy can first use it: scraping, storing and querying.
	Lag time.Duration
	// Push is the time from the first request that is held while no replica is there or comes until a decision on the
	// gateway's figures of that instant, as where an activator wakes its autoscaler; zero where the policy is not told and
	// finds out at its interval.
	Push time.Duration
}

// Observation is what a policy can see at one instant.
type Observation struct {
	// Observation has the time, the replicas asked for, and each replica with its phase and its newest reading that has
	// passed the path; a replica that never was read has none. Only ready replicas are read.
	scaling.Observation
	// Gateway is what the component that every request passes reports.
	Gateway Gateway
}

// Gateway is what a router or gateway in front of the replicas reports at one instant. Counters begin at zero with the
// replay.
type Gateway struct {
	// Time is when it was read; the zero time while nothing has been.
	Time time.Time
	// Queued requests are held because no replica could take them, QueuedTokens are their prompt tokens.
	Queued, QueuedTokens float64
	// InFlight requests were handed to replicas and have not ended.
	InFlight float64
	// Arrived counts requests, PromptTokens the prompt tokens of these.
	Arrived, PromptTokens float64
	// Answered counts requests that ended with an answer, OutputTokens the tokens of these.
	Answered, OutputTokens float64
	// Concurrency is the integral over time of all requests inside, queued or in flight, in request-seconds: the
	// increase over a window divided by its seconds is the mean concurrency.
	Concurrency float64
	// TTFT, TPOT and E2E are cumulative latency distributions in seconds, seen at the gateway: queueing included, the
	// first at the first token, the others at the end of each request. They are shared and must not be changed.
	TTFT, TPOT, E2E *signals.Histogram
}
