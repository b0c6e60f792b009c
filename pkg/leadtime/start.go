package leadtime

import (
	"cmp"
	"time"
)

// Start is one observed start, from creation until the replica serves.
type Start struct {
	// Circumstance is what the cluster had ready for it.
	Circumstance Circumstance
	// Ready is when the replica became ready for the first time; zero where that is not known. It puts starts in order.
	Ready time.Time
	// Scheduling is creation to node; negative where it was spoilt by waiting for a GPU that did not exist, which says
	// nothing about the next start.
	Scheduling time.Duration
	// Waited is creation to node of such a replica; zero of one that had not to wait.
	Waited time.Duration
	// Startup is node to started container (image pull included), Loading container to readiness.
	Startup, Loading time.Duration
	// WarmUp is readiness to the first token; zero where that is not known.
	WarmUp time.Duration
}

// Circumstance is what decides beforehand how long a start takes. The zero value knows nothing.
type Circumstance struct {
	Node  Node
	Image Image
}

// Or returns what is known, and of what is not what somebody guesses.
func (x Circumstance) Or(guess Circumstance) Circumstance {
	return Circumstance{Node: cmp.Or(x.Node, guess.Node), Image: cmp.Or(x.Image, guess.Image)}
}

// Node says whether a replica found its node.
type Node uint8

// What is known of a node.
const (
	// NodeUnknown: nobody has looked.
	NodeUnknown Node = iota
	// NodePresent: it was there before the replica was ordered.
	NodePresent
	// NodeMade: it was made for the replica, which had to wait for it.
	NodeMade
)

// Image says whether a replica's node had its image.
type Image uint8

// What is known of an image.
const (
	// ImageUnknown: nobody has looked.
	ImageUnknown Image = iota
	// ImageCached: the node had it.
	ImageCached
	// ImagePulled: it had to be pulled, and what init containers fetch with it.
	ImagePulled
)

// quickestPull is less than any pull of an inference engine's image takes, and more than the start of a container whose
// image is there: 13 GB took 571 s, and 41 s on a tuned registry (reference profiles/cold_start_figures.csv); Kubernetes
// promises containers within 5 s where images are present (its pod startup SLO).
const quickestPull = 20 * time.Second

// ImageOf tells from how long a container took to start whether its image was there: the less of other things is in that
// time, the surer. The whole startup phase will do for who knows nothing better.
func ImageOf(startup time.Duration) Image {
	if startup < quickestPull {
		return ImageCached
	}
	return ImagePulled
}

// unhurried is more than a scheduler takes that has room: longer scheduling is waiting for a GPU, even if nobody has seen
// the replica wait, or for a node.
const unhurried = time.Minute

// longestStart is more than any phase of a real start takes: 13 to 26 minutes were reported for the worst chains of new
// node, image and weights. Beyond it the node's clock is wrong.
const longestStart = time.Hour

// plausible reports whether no clock was wrong.
func (x Start) plausible() bool {
	for _, d := range [...]time.Duration{x.Startup, x.Loading, x.WarmUp} {
		if d < 0 || d > longestStart {
			return false
		}
	}
	return x.Waited >= 0
}

// settled returns the start with the wait for a GPU apart from scheduling. To wait for a node that is being made is
// scheduling, unless it took longer than any start does: then there was none to be had. A wait whose length nobody knows
// stays one.
func (x Start) settled() Start {
	switch waited := max(x.Scheduling, x.Waited); {
	case x.Circumstance.Node == NodeMade && waited <= longestStart:
		x.Scheduling, x.Waited = waited, 0
	case x.Scheduling > unhurried:
		x.Scheduling, x.Waited = -1, x.Scheduling
	case x.Waited > 0:
		x.Scheduling = -1
	}
	return x
}

// Stage is a part of a start, in order.
type Stage uint8

// The stages.
const (
	// Scheduling is creation to node.
	Scheduling Stage = iota
	// Startup is node to started container.
	Startup
	// Loading is container to readiness.
	Loading
	// WarmUp is readiness to the first token.
	WarmUp

	stages = 4
)

// Progress is how far a starting replica has come.
type Progress struct {
	Circumstance Circumstance
	// Age is the time since it was ordered, time without a GPU left out.
	Age time.Duration
	// Stage is where it is, In the time since it came there.
	Stage Stage
	In    time.Duration
}

// ProgressOf returns how far a replica that is not ready yet has come by now, from when it was created, got its node and
// had its container started; zero where that has not happened. Times that have not come yet are taken for now.
func ProgressOf(created, scheduled, started, now time.Time) Progress {
	since := func(t time.Time) time.Duration { return max(0, now.Sub(t)) }
	switch {
	case scheduled.IsZero() && started.IsZero():
		return Progress{Age: since(created), Stage: Scheduling, In: since(created)}
	case started.IsZero():
		p := Progress{Age: since(scheduled), Stage: Startup, In: since(scheduled)}
		if p.In >= quickestPull {
			p.Circumstance.Image = ImagePulled
		}
		return p
	case scheduled.IsZero():
		return Progress{Age: since(started), Stage: Loading, In: since(started)}
	}
	p := Progress{Age: since(scheduled), Stage: Loading, In: since(started)}
	p.Circumstance.Image = ImageOf(started.Sub(scheduled))
	return p
}
