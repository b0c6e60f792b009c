package scaling

import "time"

// Counted says when a counter of requests moves. A greater one sees more.
type Counted uint8

const (
	// CountedNever is no counter.
	CountedNever Counted = iota
	// CountedEnded moves when a response ends: it is blind to requests that wait or hang, and proves no silence.
	CountedEnded
	// CountedSent moves when a request is sent on to a replica.
	CountedSent
	// CountedArrived moves when a request arrives.
	CountedArrived
)

// Gateway is what a gateway in front of a target has seen of its requests, as it was read at one instant. They are those that
// the replicas' own pages tell of too: the two are never added.
type Gateway struct {
	// Time is when it was read, zero where there is none or nothing was read of it.
	Time time.Time
	// Source is what was read, in words.
	Source string
	// Arrived counts the requests that have come, as far as Counted says: nothing where that is CountedNever.
	Arrived float64
	Counted Counted
	// Waiting are the requests that it has not sent on, InFlight all that it has not seen answered, where they are known.
	Waiting, InFlight           float64
	WaitingKnown, InFlightKnown bool
}
