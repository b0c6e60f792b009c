package compare

import (
	"context"

	"github.com/preheat-autoscaler/preheat/pkg/oracle"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Oracle is the name under which the cheapest schedule with perfect foresight is compared.
const Oracle = "oracle"

// search looks for the oracle's schedule under one lead time and seed, and runs it as the other policies were run. Where ctx
// ends, the best found until then is run to its end all the same: it would be lost otherwise.
func (c *comparison) search(ctx context.Context, r *run) error {
	searched := int64(0)
	found, err := oracle.Find(ctx, oracle.Problem{
		Cluster: c.cluster(r), Target: c.target(), SLO: c.SLO, From: c.from,
		Load: func() (trace.Stream, error) { return c.Load.Open(r.Seed) },
	}, oracle.Options{Simulations: c.Search, Requests: c.SearchRequests, Candidates: c.candidates(r), Progress: func(requests int64) {
		searched += requests
		c.Meter.done.Add(requests)
	}})
	if err != nil {
		return err
	}
	c.Meter.total.Add(searched + c.extent.Requests - c.searchBudget())
	r.proof = &Proof{Key: r.Key, Result: found, CutShort: ctx.Err() != nil}
	return c.observe(context.WithoutCancel(ctx), r, found.Policy(c.Cluster.Start))
}

// searchMemory is what a search and its run of the moment hold at most, in bytes.
func (c *comparison) searchMemory() int64 {
	return runMemory + oracle.Memory(c.extent.Requests, c.extent.blocks, c.extent.Span)
}

// searchBudget is how many requests are set aside for one search and the run of its result.
func (c *comparison) searchBudget() int64 {
	return c.extent.Requests + oracle.Estimate(c.extent.Requests, len(c.Policies))
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
