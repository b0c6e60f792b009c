package replay

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// eventKind says what is due. At one instant the kinds take place in the order in which they stand here: what changes
// the world comes before what reads it, and that before what decides on it.
type eventKind uint8

const (
	// scripted: the next of Config.Events is due.
	scripted eventKind = iota
	// ordered: the number of replicas asked for changes.
	ordered
	// staged: a replica has come to the end of a stage of its start.
	staged
	// crashed: a ready replica's time is up.
	crashed
	// scraped: a replica's page is fetched.
	scraped
	// gatewayScraped: the gateway's page is fetched.
	gatewayScraped
	// pushed: the policy is asked at once, since a request is held at zero replicas.
	pushed
	// decided: the policy is asked.
	decided
	// abandoned: the load has ended, and those still held are looked at.
	abandoned
)

// event is something due at a time. Those of a replica are void once its epoch has moved on.
type event struct {
	at      time.Duration
	seq     uint64
	kind    eventKind
	epoch   uint32
	value   int32
	warm    scaling.Warm
	service *service
	unit    *unit
}

// before orders events by time, then by kind, then by the order in which they were made.
func (e *event) before(o *event) bool {
	switch {
	case e.at != o.at:
		return e.at < o.at
	case e.kind != o.kind:
		return e.kind < o.kind
	}
	return e.seq < o.seq
}

// agenda is a binary heap of events. It is typed, where container/heap would allocate for each event.
type agenda struct {
	heap []event
	made uint64
}

func (a *agenda) empty() bool { return len(a.heap) == 0 }

// next is the time of the earliest event, forever where there is none.
func (a *agenda) next() time.Duration {
	if a.empty() {
		return forever
	}
	return a.heap[0].at
}

func (a *agenda) add(e event) {
	a.made++
	e.seq = a.made
	a.heap = append(a.heap, e)
	h := a.heap
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// take removes the earliest event; there must be one.
func (a *agenda) take() event {
	first := a.heap[0]
	last := len(a.heap) - 1
	a.heap[0] = a.heap[last]
	a.heap[last] = event{} // let go of its unit
	a.heap = a.heap[:last]
	a.sink(0)
	return first
}

func (a *agenda) sink(i int) {
	h := a.heap
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right].before(&h[child]) {
			child = right
		}
		if !h[child].before(&h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
