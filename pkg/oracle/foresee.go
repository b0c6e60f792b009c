package oracle

import "time"

// foresee tells the lead time that the run will draw for each replica.
func foresee(p Problem) leads {
	l := p.Cluster.Lead
	whole := l.Pull.Median + l.Load.Median + l.WarmUp.Median
	return func(int32) time.Duration { return whole }
}
