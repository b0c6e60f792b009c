package replay

import "time"

// LeadTime is how long a target's replica will take from its order until it is ready, if it gets its GPUs at once and
// nothing slows it down: on a node that is there, and on one that has to come up first. Ordinals count from zero, the
// initial replicas first. It is what a run draws, whoever orders the replica: foresight for those who may have it.
func (c Config) LeadTime(target string, ordinal int32) (onNode, withNode time.Duration) {
	l := c.Lead.draw(dice(c.Seed, leadDraws, target, ordinal))
	placed := l.pull + l.load + l.warmUp
	return placed, placed + l.node
}
