package replay

import "time"

// dueQueue orders the replicas that hold requests by the time before which none of these can end: a binary heap
// whose members know their places, since every request moves one of them twice or thrice.
type dueQueue []dueEntry

type dueEntry struct {
	at   time.Duration
	unit *unit
}

// absent is the place of a unit that is not in the queue.
const absent = -1

// next is the earliest time, forever where no replica holds anything.
func (q dueQueue) next() time.Duration {
	if len(q) == 0 {
		return forever
	}
	return q[0].at
}

// set puts a unit at a time, whether or not it was in the queue before.
func (q *dueQueue) set(u *unit, at time.Duration) {
	i := u.place
	if i == absent {
		i = len(*q)
		*q = append(*q, dueEntry{at, u})
		u.place = i
		q.rise(i)
		return
	}
	earlier := at < (*q)[i].at
	(*q)[i].at = at
	if earlier {
		q.rise(i)
	} else {
		q.fall(i)
	}
}

// sooner puts a unit at a time unless it is due before anyway.
func (q *dueQueue) sooner(u *unit, at time.Duration) {
	if u.place == absent || at < (*q)[u.place].at {
		q.set(u, at)
	}
}

// drop takes a unit out, if it is in.
func (q *dueQueue) drop(u *unit) {
	i, last := u.place, len(*q)-1
	if i == absent {
		return
	}
	u.place = absent
	moved := (*q)[last]
	(*q)[last] = dueEntry{}
	*q = (*q)[:last]
	if i == last {
		return
	}
	(*q)[i] = moved
	moved.unit.place = i
	q.rise(i)
	q.fall(moved.unit.place)
}

func (q *dueQueue) rise(i int) {
	h := *q
	e := h[i]
	for i > 0 {
		parent := (i - 1) / 2
		if e.at >= h[parent].at {
			break
		}
		h[i] = h[parent]
		h[i].unit.place = i
		i = parent
	}
	h[i] = e
	e.unit.place = i
}

func (q *dueQueue) fall(i int) {
	h := *q
	e := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && h[right].at < h[child].at {
			child = right
		}
		if h[child].at >= e.at {
			break
		}
		h[i] = h[child]
		h[i].unit.place = i
		i = child
	}
	h[i] = e
	e.unit.place = i
}
