package replay

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"
)

// purpose keeps the random draws of different things apart, so that a change in how one is used moves no other.
type purpose uint64

const (
	leadDraws purpose = iota + 1
	syncDraws
	scrapeDraws
	lossDraws
	crashDraws
	reloadDraws
	wakeDraws
)

// dice returns the source of randomness for one purpose of one replica, by its ordinal, or of a whole target (ordinal
// negative). It depends on nothing that happens in the run: the k-th replica's lead time is the same under every policy.
func dice(seed uint64, p purpose, target string, ordinal int32) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(target)) // never fails
	low := mix(h.Sum64() ^ mix(uint64(p)<<32|uint64(uint32(ordinal))))
	return rand.New(rand.NewPCG(mix(seed), low))
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbouring seeds give unrelated ones.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw returns one time. It takes one number off the source whatever the phase is, so that a phase that is switched off
// leaves the others as they are.
func (p Phase) draw(r *rand.Rand) time.Duration {
	z := r.NormFloat64()
	return time.Duration(float64(p.Median) * math.Exp(p.Sigma*z))
}

// within returns a time from zero to below d, zero where d is.
func within(r *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(d)))
}

// lead is what one replica's start takes, by stage.
type lead struct{ node, pull, load, warmUp time.Duration }

func (l Lead) draw(r *rand.Rand) lead {
	return lead{node: l.Node.draw(r), pull: l.Pull.draw(r), load: l.Load.draw(r), warmUp: l.WarmUp.draw(r)}
}

// slowed returns the times multiplied by a factor.
func (l lead) slowed(factor float64) lead {
	times := func(d time.Duration) time.Duration { return time.Duration(float64(d) * factor) }
	return lead{node: times(l.node), pull: times(l.pull), load: times(l.load), warmUp: times(l.warmUp)}
}
