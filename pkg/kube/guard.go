package kube

import (
	"slices"
	"time"
)

// guard tells the numbers that Preheat set from those that somebody else did, and says how long the latter are
// respected: a person who scales by hand at night knows something that no metric says, and a deployment tool that
// reverts every change would otherwise be fought for ever. It is plain data with time as an argument.
type guard struct {
	coolOff, most time.Duration

	// expected are the values that are ours: one, or two after a write of which nobody knows whether it came through.
	// None means that nothing is known yet.
	expected []int32
	// heldUntil is until when foreign values are respected, repeats how often in a row it came to that.
	heldUntil time.Time
	repeats   int
}

// observe takes notice of the present value, and reports whether somebody else has set it since the last call.
func (g *guard) observe(now time.Time, value int32) (foreign bool) {
	known := len(g.expected) > 0
	ours := !known || slices.Contains(g.expected, value)
	g.expected = []int32{value}
	if ours {
		return false
	}
	g.hold(now)
	return true
}

// hold respects what is there for a cool-off from now. One that follows soon after an earlier one ended lasts twice as
// long, up to the most: whoever does that will do it again.
func (g *guard) hold(now time.Time) {
	switch {
	case g.held(now):
	case now.Sub(g.heldUntil) < g.most:
		g.repeats++
	default:
		g.repeats = 1
	}
	wait := g.coolOff
	for range max(g.repeats, 1) - 1 {
		wait = min(2*wait, g.most)
	}
	g.heldUntil = now.Add(wait)
}

// held reports whether a foreign value is respected at now.
func (g *guard) held(now time.Time) bool { return now.Before(g.heldUntil) }

// wrote says that Preheat has set a value.
func (g *guard) wrote(value int32) { g.expected = []int32{value} }

// attempted says that Preheat may have set a value: the write ended without an answer.
func (g *guard) attempted(value int32) { g.expected = append(g.expected, value) }

// resume ends a hold before its time.
func (g *guard) resume() { g.heldUntil, g.repeats = time.Time{}, 0 }

// forget says that Preheat no longer knows which values are its own, since another process wrote meanwhile.
func (g *guard) forget() { g.expected = nil }
