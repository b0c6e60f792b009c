package scaling

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Cause is why a replica is not seen, in a word. The set is small: the three below, and what whoever reads replicas adds, such
// as "timeout" or "frozen".
type Cause string

// The causes that the planner finds itself.
const (
	// NeverRead: there is no reading of the replica.
	NeverRead Cause = "never_read"
	// Stale: its newest reading is too old.
	Stale Cause = "stale"
	// NotOnPage: its newest reading lacks what demand is made of.
	NotOnPage Cause = "not_on_page"
	// FrontUnread: nothing was read of what holds requests in front of the target.
	FrontUnread Cause = "front_unread"
)

// causeOf is why a ready replica is not seen.
func causeOf(r *Replica, newest *signals.Reading, at time.Time, staleness time.Duration) Cause {
	switch {
	case newest != nil && at.Sub(newest.Time) <= staleness:
		return NotOnPage
	case r.Cause != "":
		return r.Cause
	case newest == nil:
		return NeverRead
	}
	return Stale
}
