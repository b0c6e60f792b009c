package compare

import (
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Constant says whether a policy keeps one number of replicas all the time. Such a policy is a bound of what no autoscaling
// costs and no autoscaler: it begins with its replicas ready, where all others and the oracle begin with Outcome.Initial.
func Constant(policy string) bool { return policy == "static-peak" || policy == "static-mean" }

// ready is how many replicas are when a run of a policy begins: no more than the stock of GPUs has room for.
func (c *comparison) ready(name string, policy baseline.Policy) int32 {
	if !Constant(name) {
		return c.initial(c.knowledge)
	}
	start := scaling.Observation{Time: c.Cluster.Start}
	n := policy.Decide(baseline.Observation{Observation: start}).Replicas
	if c.Cluster.GPUs > 0 {
		n = min(n, int32(c.Cluster.GPUs/c.Profile.GPUs))
	}
	return n
}
