package oracle

import (
	"math"
	"time"
)

// family is one way to staff a known demand x: scale·x + root·√(scale·x) replicas ready, x being the mean over a window.
// The root is the law of Halfin and Whitt (1981): the noise of arrivals grows more slowly than their mean.
type family struct {
	window time.Duration
	root   float64
}

// families are tried in this order. The first is a good one on most loads; the others suit bursts, noise, and loads that
// a constant number serves best.
func families(span time.Duration) []family {
	return []family{
		{time.Minute, 0.3},
		{3 * time.Minute, 0.3},
		{10 * time.Minute, 0.3},
		{time.Minute, 0},
		{20 * time.Second, 0.3},
		{2*span + time.Minute, 0},
	}
}

// want is the number of replicas that a family has ready in each cell.
func (f family) want(demand []float64, scale float64, low, high int32) []int32 {
	out := make([]int32, len(demand))
	for i, x := range demand {
		y := scale * x
		n := math.Ceil(y + f.root*math.Sqrt(y) - 1e-9)
		out[i] = max(low, int32(min(n, float64(high))))
	}
	return out
}

// The scale is sought between these, until neighbours are a few per cent apart or the misses close to the goal.
const (
	leastScale = 1. / 16
	mostScale  = 16.
	firstRatio = 1.15
	lastRatio  = 1.03
	closeTo    = 0.9
)

// staffing meets the goal with the least of each family. Where even much of it does not, it looks at what can be met at
// all.
func (s *search) staffing() error {
	met, err := s.families(s.allowed)
	if err != nil || met {
		return err
	}
	if err := s.everything(); err != nil {
		return err
	}
	_, err = s.families(s.goal())
	return err
}

// families finds for each family the least scale that meets the goal, and says whether the first one does at all. It
// begins with the scale of the family before, and goes no further with one that is clearly worse there.
func (s *search) families(goal int64) (met bool, err error) {
	scale := s.scale(s.p)
	for _, f := range families(s.span) {
		b, err := s.leastOf(f, scale, goal)
		if err != nil || (b.high == 0 && !met) {
			return met, err
		}
		if met = true; b.high > 0 {
			scale = b.high
		}
	}
	return met, nil
}

func (s *search) leastOf(f family, scale float64, goal int64) (bracket, error) {
	x := s.demand(f.window)
	b := bracket{goal: goal, ratio: firstRatio, least: leastScale, most: mostScale}
	for at := scale; at > 0; at = b.next() {
		want := f.want(x, at, s.p.Target.Min, s.most)
		t, err := s.staff("staffing", want)
		if err != nil {
			return b, err
		}
		if b.narrow(at, t.missed); s.hopeless(t) && b.high > 0 {
			break
		}
	}
	return b, nil
}

// staff runs the schedule that has replicas ready as wanted, and keeps with its outcome what was wanted.
func (s *search) staff(source string, want []int32) (*tally, error) {
	t, err := s.try(source, staffed(want, s.clock, s.p.Target.Initial, s.lead))
	if err == nil {
		t.want = want
	}
	return t, err
}

// hopeless says whether a run is so much worse than the best one, at the price of a miss, that to go on with the like of
// it is in vain.
func (s *search) hopeless(t *tally) bool {
	const margin = 1.04
	price := s.firstPrice()
	return t.held.Seconds()+price*float64(t.missed) > margin*(s.best.held.Seconds()+price*float64(s.best.missed))
}

// bracket closes in on the least scale that meets a goal. More replicas need not mean fewer misses everywhere, so that
// what is found is the edge of one of the ranges that meet it.
type bracket struct {
	goal                  int64
	low, high             float64 // misses the goal, meets it; zero where nothing is known
	lowMisses, highMisses int64
	// ratio is the step while only one side is known, squared each time; least and most bound what is tried.
	ratio, least, most float64
}

func (b *bracket) narrow(scale float64, missed int64) {
	if missed <= b.goal {
		b.high, b.highMisses = scale, missed
	} else {
		b.low, b.lowMisses = scale, missed
	}
}

// next is the scale to try next, zero where the edge is known well enough.
func (b *bracket) next() float64 {
	at, ratio := 0.0, b.ratio
	b.ratio *= b.ratio
	switch {
	case b.high > 0 && (float64(b.highMisses) > closeTo*float64(b.goal) || b.high < lastRatio*b.low):
		return 0
	case b.low == 0:
		at = b.high / ratio
	case b.high == 0:
		at = b.low * ratio
	default:
		at = b.low * math.Pow(b.high/b.low, b.part())
	}
	if at = min(max(at, b.least), b.most); at == b.low || at == b.high {
		return 0
	}
	return at
}

// part is how far from low to high the edge is to be expected: misses fall about exponentially.
func (b *bracket) part() float64 {
	low, high, goal := math.Log(float64(b.lowMisses)+1), math.Log(float64(b.highMisses)+1), math.Log(float64(b.goal)+1)
	return min(max((low-goal)/(low-high), 0.2), 0.8)
}

// everything keeps all that can be had, to see what is within reach at all.
func (s *search) everything() error {
	want := []int32{s.most}
	_, err := s.try("constant", staffed(want, clock{cell: s.span + s.cell}, s.p.Target.Initial, s.lead))
	return err
}
