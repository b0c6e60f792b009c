package oracle

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// life is one replica: ordered at from, given up at to. Those there at the start have from zero.
type life struct{ from, to time.Duration }

// lives are the replicas of a schedule, in order of from and then of to. Which replica takes which life does not matter:
// a schedule tells only how many there are.
type lives []life

// sorted orders the lives and leaves out empty ones.
func (l lives) sorted() lives {
	out := slices.DeleteFunc(slices.Clone(l), func(x life) bool { return x.to <= x.from })
	slices.SortFunc(out, func(a, b life) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return out
}

// forever is later than anything.
const forever = time.Duration(math.MaxInt64)

// schedule counts the lives at every instant, from zero on. One replica stays after the last life, so that no request
// waits for ever, but no longer than until rest.
func (l lives) schedule(rest time.Duration) Schedule {
	var ends, begins []time.Duration
	for _, x := range l {
		begins, ends = append(begins, max(0, x.from)), append(ends, x.to)
	}
	slices.Sort(begins)
	slices.Sort(ends)
	s := Schedule{{At: 0, Replicas: 0}}
	now := int32(0)
	for len(ends) > 0 {
		at := ends[0]
		if len(begins) > 0 {
			at = min(at, begins[0])
		}
		begun, ended := upTo(begins, at), upTo(ends, at)
		begins, ends = begins[begun:], ends[ended:]
		now += int32(begun - ended)
		if len(ends) == 0 && at < rest {
			now = 1
		}
		s = s.then(at, now)
	}
	if now > 0 && rest < forever {
		s = s.then(rest, 0)
	}
	return s
}

// upTo is how many of the times, in order, are at most t.
func upTo(times []time.Duration, t time.Duration) int {
	i, _ := slices.BinarySearch(times, t+1)
	return i
}

// livesOf takes a schedule apart: the replica that was ordered last is given up first. What is there at the end is given
// up at end; before the first change there are as many as at the start.
func livesOf(s Schedule, initial int32, end time.Duration) lives {
	var open []time.Duration
	var out lives
	step := func(at time.Duration, n int32) {
		for len(open) < int(n) {
			open = append(open, at)
		}
		for len(open) > int(n) {
			out = append(out, life{from: open[len(open)-1], to: at})
			open = open[:len(open)-1]
		}
	}
	step(0, initial)
	for _, c := range s {
		step(c.At, c.Replicas)
	}
	step(end, 0)
	return out.sorted()
}

// leads tells the lead time of each replica by its ordinal.
type leads func(ordinal int32) time.Duration

// staffed returns the lives that have the wanted number of replicas ready in each cell: each ordered ahead by its own
// lead time, and kept through a dip that is shorter than that, since idling then costs less than loading anew. Replicas
// that are there at the start are kept by the same rule.
func staffed(want []int32, c clock, initial int32, lead leads) lives {
	ready := stretches(want, c)
	slices.SortFunc(ready, func(a, b life) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	out := make(lives, initial, int(initial)+len(ready))
	recent := make([]int, initial) // lives that have not ended one lead time before
	for i := range recent {
		recent[i] = i
	}
	next := initial
	for _, x := range ready {
		before := lead(next)
		recent = slices.DeleteFunc(recent, func(i int) bool { return out[i].to < x.from-before })
		if i := lastEnded(out, recent, x.from); i >= 0 {
			out[i].to = x.to
			continue
		}
		out = append(out, life{from: max(0, x.from-before), to: x.to})
		recent = append(recent, len(out)-1)
		next++
	}
	return out.sorted()
}

// lastEnded returns the index of the recent life that ended last, no later than t; negative where there is none.
func lastEnded(l lives, recent []int, t time.Duration) int {
	best := -1
	for _, i := range recent {
		if l[i].to <= t && (best < 0 || l[i].to > l[best].to) {
			best = i
		}
	}
	return best
}

// stretches returns the times during which each level is wanted.
func stretches(want []int32, c clock) lives {
	var out lives
	var open []time.Duration
	for i := range len(want) + 1 {
		n := int32(0)
		if i < len(want) {
			n = want[i]
		}
		for len(open) < int(n) {
			open = append(open, c.at(i))
		}
		for len(open) > int(n) {
			out = append(out, life{from: open[len(open)-1], to: c.at(i)})
			open = open[:len(open)-1]
		}
	}
	return out
}
