package oracle

import "time"

// foresee tells the lead time that the run will draw for each replica, from the decision to order it until it is ready.
// As long as there are GPUs on the nodes that exist anyway, replicas go there.
func foresee(p Problem) leads {
	known := map[int32]time.Duration{}
	return func(ordinal int32) time.Duration {
		if d, ok := known[ordinal]; ok {
			return d
		}
		lead, withNode := p.Cluster.LeadTime(p.Target.Name, ordinal)
		if nodes := p.Cluster.NodeGPUs; nodes > 0 && (int(ordinal)+1)*p.Target.Profile.GPUs > nodes {
			lead = withNode
		}
		lead += p.Cluster.APILag
		known[ordinal] = lead
		return lead
	}
}

// usual is the median lead time of replicas that the target may order.
func (s *search) usual() time.Duration {
	l := s.p.Cluster.Lead
	whole := l.Pull.Median + l.Load.Median + l.WarmUp.Median + s.p.Cluster.APILag
	if s.p.Cluster.NodeGPUs > 0 && int(s.most)*s.p.Target.Profile.GPUs > s.p.Cluster.NodeGPUs {
		whole += l.Node.Median
	}
	return whole
}
