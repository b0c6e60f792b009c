package scaling

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Phase is where a replica stands in its life.
type Phase string

// The phases of a replica.
const (
	// Unschedulable replicas wait for a node or a GPU that does not exist yet; nobody knows how long.
	Unschedulable Phase = "Unschedulable"
	// Starting replicas are scheduled, pulling, loading or warming up: capacity at a known later time.
	Starting Phase = "Starting"
	// Ready replicas serve.
	Ready Phase = "Ready"
	// Standby replicas are loaded and kept out of the endpoints; Asleep ones have given up their GPU memory and wake within
	// seconds. Neither serves nor counts among those asked for: Observation.Desired is without them.
	Standby Phase = "Standby"
	Asleep  Phase = "Asleep"
	// Draining replicas finish what they have and take nothing new: no capacity. Those that can still be taken back are not
	// among Observation.Desired.
	Draining Phase = "Draining"
)

// Replica is one serving unit as it was seen at the time of an Observation.
type Replica struct {
	// ID is unique over the target's whole life (a pod's UID).
	ID string
	// Name is what a person calls it (a pod's name).
	Name string
	// Phase is where it stands.
	Phase Phase
	// Ending is set where it drains and nobody can take that back.
	Ending bool
	// Created, Scheduled, Started and ReadyAt are when the replica was made, got its node, had its container
	// started and became ready for the first time; zero where that has not happened or is not known.
	Created, Scheduled, Started, ReadyAt time.Time
	// Anew is set where it is not ready and its engine is not running, or began anew since it was: it holds nothing.
	Anew bool
	// Woke is how long it took until it served when it was last woken, as who woke it measured it; zero where nobody did.
	Woke time.Duration
	// Circumstance is what the cluster is known to have had ready for it; what is not known stays so.
	Circumstance leadtime.Circumstance
	// Reading is the newest good scrape, nil where there has been none.
	Reading *signals.Reading
	// Problem says in words why there is no newer reading, or what the newest lacks, empty where nothing is wrong; Cause
	// says the same in a word where one is known. They only explain.
	Problem string
	Cause   Cause
}

// Observation is everything that the planner may know, at one instant.
type Observation struct {
	// Time is the instant; the planner knows no other clock.
	Time time.Time
	// Desired is the number of serving replicas asked for at present: spec.replicas of the scale subresource, less those
	// that are kept warm or are drained before they are let go.
	Desired int32
	// GPUsPerReplica is how many GPUs one replica holds, zero where that is not known.
	GPUsPerReplica int32
	// Replicas are those that exist, in any phase and any order.
	Replicas []Replica
	// Front is what holds requests while no replica is ready; it is asked for where Config.Zero is set.
	Front Front
	// Gateway is what a gateway has seen, whether it holds requests or not.
	Gateway Gateway
	// Share is what the target may have at present of what it shares with others, nil where it shares nothing.
	Share *Share
}

// Count returns how many replicas are in a phase.
func (o *Observation) Count(p Phase) int32 {
	var n int32
	for i := range o.Replicas {
		if o.Replicas[i].Phase == p {
			n++
		}
	}
	return n
}
