package scaling

import (
	"time"
)

// Cause is why a replica is not seen, in a word. The set is small: those below, and what whoever reads replicas adds, such
// as "timeout" or "frozen".
type Cause string

// The causes that the planner finds itself.
const (
	// NeverRead: there is no reading of the replica.
	NeverRead Cause = "never_read"
	// Stale: its newest reading is too old.
	Stale Cause = "stale"
	// Frozen: its page has stood still for too long while requests run.
	Frozen Cause = "frozen"
	// NotOnPage: its newest reading lacks what demand is made of.
	NotOnPage Cause = "not_on_page"
	// GatewayUnread: a gateway that had seen more requests than the pages tell of is not read any more.
	GatewayUnread Cause = "gateway_unread"
	// FrontUnread: nothing was read of what holds requests in front of the target.
	FrontUnread Cause = "front_unread"
)

// causeOf is why a replica is not seen.
func causeOf(r *Replica, now *ReplicaState, at time.Time, staleness time.Duration) Cause {
	newest := now.Reading
	switch {
	case newest != nil && at.Sub(newest.Time) <= staleness:
		return NotOnPage
	case r.Cause != "":
		return r.Cause
	case newest == nil:
		return NeverRead
	case !now.Still.IsZero():
		return Frozen
	}
	return Stale
}
