package compare

import (
	"context"

	"github.com/preheat-autoscaler/preheat/pkg/oracle"
)

// Oracle is the name under which the cheapest schedule with perfect foresight is compared.
const Oracle = "oracle"

// search looks for the oracle's schedule under one lead time and seed, and runs it as the other policies were run.
func (c *comparison) search(ctx context.Context, r *run) error {
	found, err := oracle.Find(ctx, oracle.Problem{
		Cluster: c.cluster(r), Target: c.target(), Load: c.Meter.measure(ctx, c.Load, r.Seed), SLO: c.SLO,
	}, oracle.Options{Candidates: c.candidates(r)})
	if err != nil {
		return err
	}
	r.proof = &found
	return c.observe(ctx, r, found.Policy(c.Cluster.Start))
}

// searchBudget is how many requests are set aside for one search and the run of its result.
func (c *comparison) searchBudget() int64 {
	return c.facts.Requests + max(oracle.DefaultRequests, c.facts.Requests*int64(len(c.Policies)))
}

// candidates are what the other policies asked for under the same lead time and seed.
func (c *comparison) candidates(r *run) []oracle.Candidate {
	var out []oracle.Candidate
	for _, other := range c.runs {
		if other.Policy != Oracle && other.Lead == r.Lead && other.Seed == r.Seed && other.done {
			orders := other.orders
			orders.Known = &oracle.Known{
				GPUSeconds: other.score.GPUSeconds,
				Missed:     int64(other.score.Requests.Arrived - other.score.Requests.WithinSLO),
			}
			out = append(out, orders)
		}
	}
	return out
}
