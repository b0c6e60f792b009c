// Package replay runs request traces through a simulated cluster under an autoscaling policy, on a virtual clock: the
// production planner through the production loop, or another system's policy.
//
// The same trace, configuration and seed give the same calls to the sink, in the same order. The package reads no clock,
// starts no goroutine and draws from no global random source; it keeps nothing of a request that has ended.
package replay

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Target is one model served by replicas, its load, and the policy that scales it.
type Target struct {
	// Name tells targets of one cluster apart.
	Name string
	// Profile is the speed and configuration of each replica.
	Profile replica.Profile
	// Load yields the requests in order of time. Where it is a trace.Ending that knows its end, the run lasts until then.
	Load trace.Stream
	// Policy decides on the replicas.
	Policy baseline.Policy
	// Initial replicas are ready at the start, and have been for an hour.
	Initial int32
	// Min and Max bound what any policy may ask for, as the bounds of an HPA or InferenceAutoscaler do; Max zero is no
	// bound.
	Min, Max int32
}

// Config is the cluster around the targets.
type Config struct {
	// Start is the date of the traces' zero: policies that know the hour see it.
	Start time.Time
	// Seed decides every draw: lead times, sync phases, lost scrapes, crashes.
	Seed uint64
	// GPUs is the stock that the targets share, zero without limit; NodeGPUs of them, all where zero, are on nodes that
	// exist already, so that a replica on them skips the phase Node.
	GPUs, NodeGPUs int
	// Lead is how long a replica takes from its order until it is ready.
	Lead Lead
	// Wake is how long a warm replica takes until it serves.
	Wake Wake
	// Router says which ready replica takes a request.
	Router Router
	// MaxOutstanding bounds the requests that the gateway lets into one replica, zero without limit; what finds no room
	// is queued.
	MaxOutstanding int
	// QueueLimit bounds the requests that the gateway holds, zero without limit; what comes beyond is rejected. Timeout
	// is how long a request may be held or wait for its first token, zero without limit.
	QueueLimit int
	Timeout    time.Duration
	// APILag is the time from a decision until the replicas asked for change.
	APILag time.Duration
	// LostScrapes is the share of readings that fail, 0 to 1.
	LostScrapes float64
	// CrashesPerHour is the rate at which a ready replica crashes and loads anew.
	CrashesPerHour float64
	// Events are scripted: faults and changes at their times, in order.
	Events []Event
}

// Lead is the time from order to ready, by phase. Each phase is drawn for each replica by itself from a log-normal
// distribution.
type Lead struct {
	// Node is the provisioning of a node where none has room, Pull the image, Load the model from start of the
	// container, WarmUp compiling and capturing until ready.
	Node, Pull, Load, WarmUp Phase
}

// Phase is a log-normal time: its median and the standard deviation of its logarithm.
type Phase struct {
	Median time.Duration
	Sigma  float64
}

// Router is the rule by which ready replicas take requests.
type Router uint8

// The routers.
const (
	// LeastOutstanding takes the replica with the fewest requests in flight.
	LeastOutstanding Router = iota
	// RoundRobin takes them in turn.
	RoundRobin
	// PrefixAware takes the replica that holds most of the prompt's prefix, unless it is much busier than the least busy.
	PrefixAware
)

// Event is a scripted change of the world.
type Event struct {
	At   time.Duration
	Kind EventKind
	// Target is whom it concerns; empty: all.
	Target string
	// Value is the new stock of GPUs, the number of replicas to crash, or the factor on times.
	Value float64
}

// EventKind says what an Event changes.
type EventKind uint8

// The kinds of events.
const (
	// StockChanges sets the stock of GPUs to Value; replicas that run stay.
	StockChanges EventKind = iota + 1
	// ReplicasCrash makes Value ready replicas, or starting ones where none is ready, crash and load anew.
	ReplicasCrash
	// ScrapesFail and ScrapesWork begin and end an outage of all readings.
	ScrapesFail
	ScrapesWork
	// LoadsSlow multiplies the lead time of replicas ordered from now on by Value.
	LoadsSlow
	// EnginesSlow makes every step of every replica take Value times as long as the profile says, at least once as long.
	// Those that serve are exchanged on the spot for slow ones of the same age, and finish what they hold as they began it.
	EnginesSlow
	// TotalsBegin sets what Total says to zero, all but its End: what comes before counts nothing.
	TotalsBegin
	// SleepersLost makes Value replicas that sleep disappear, as their nodes do.
	SleepersLost
	// WakesSlow multiplies the time that wakings take from now on by Value: a large one is an engine that says it is awake
	// and does not answer who has it prove that.
	WakesSlow
)

// Outcome is how a request ended. Every request ends exactly once.
type Outcome uint8

// The outcomes.
const (
	// Completed requests had all their tokens.
	Completed Outcome = iota + 1
	// TimedOut requests waited longer than the gateway allows.
	TimedOut
	// Rejected requests found the gateway's queue full, or are longer than the model takes.
	Rejected
	// Lost requests had begun to answer in a replica that crashed, or were in two that did: what has sent no token is
	// tried once more.
	Lost
)

// String returns the outcome's word in files.
func (o Outcome) String() string {
	return [...]string{"none", "completed", "timed-out", "rejected", "lost"}[o]
}

// Request is one request at its end.
type Request struct {
	Target string
	// ID counts the requests of a target from 1 in order of arrival.
	ID uint64
	// Arrival is the time since the start of the trace.
	Arrival                    time.Duration
	PromptTokens, OutputTokens int
	// TTFT is the time from arrival to the first token, negative where there was none. E2E is the time from arrival to
	// the end, whatever it was. TPOT is the mean time per token after the first, zero for a request of one token and
	// negative where the request did not complete.
	TTFT, TPOT, E2E time.Duration
	// Replica is the ordinal of the replica that served it, negative where none did.
	Replica int32
	// Unready is set where no replica was ready when it arrived.
	Unready bool
	Outcome Outcome
}

// Census is how many replicas a target has in each phase from At until the next census; all but the unschedulable ones
// hold their GPUs, those asleep as far as their tier says. Starting counts replicas that are not ready yet, those that are
// woken among them, Draining those that finish what they hold, Standby and Asleep those that are warm beside the desired.
type Census struct {
	Target string
	At     time.Duration

	Desired, Starting, Ready, Draining, Unschedulable int32
	Standby, Asleep                                   int32
}

// Total is what a run says of a target at its end, beside what the sink was told.
type Total struct {
	Target string
	// End is the time of the last request's end, of the last arrival, or of the last end of a load that is a trace.Ending,
	// whichever is latest in the whole run; it is the same for all targets.
	End time.Duration
	// Held is the time that replicas held their GPUs, summed over them: the integral of the census without the
	// unschedulable and the warm ones. Standby and Asleep are what the time of these costs, by the price of their tiers.
	// Multiplied by the profile's GPUs the three are the cost in GPU time.
	Held, Standby, Asleep time.Duration
	// Idle is the part of it in which ready replicas held no request.
	Idle time.Duration
	// Requests counts those that ended.
	Requests uint64
	// ColdStarts counts the times that a replica began to load, after a crash too; Crashes the crashes.
	ColdStarts, Crashes int
	// Wakes counts the times that a replica became ready after there were to be none; Foreseen are those of them that the
	// first request found ready, Needless those after which none came before there were to be none again.
	Wakes, Foreseen, Needless int
}

// Sink takes what happens, in order of time. Values are the sink's, slices inside decisions too.
type Sink interface {
	// Ended tells of a request's end.
	Ended(r Request)
	// Counted tells of a change of a target's replicas. The last call for each target bears the time of the end.
	Counted(c Census)
	// Decided tells of a policy's decision on a target, with the gateway as it was in truth at that time.
	Decided(target string, d scaling.Decision, g baseline.Gateway)
}
