package compare

import (
	"context"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// Trial is a policy under one setting on one part of the load.
type Trial struct {
	Setting Setting `json:"setting"`
	// Attainment (0 to 1) and GPUHours are means over the lead times and seeds of the experiment.
	Attainment float64 `json:"attainment"`
	GPUHours   float64 `json:"gpu_hours"`
}

// try runs settings of policies under every lead time and seed. What was not run to its end is missing.
func (c *comparison) try(ctx context.Context, settings map[string][]Setting) (map[string][]Trial, error) {
	c.runs = nil
	for _, p := range c.Policies {
		for _, s := range settings[p] {
			c.runs = append(c.runs, c.under(p, s)...)
		}
	}
	c.Meter.expect(len(c.runs), int64(len(c.runs))*c.extent.Requests)
	err := c.all(ctx, c.runs, runMemory, c.replay)
	return c.trials(), err
}

// under are the runs of one policy with a setting. They leave no pictures and no files.
func (c *comparison) under(policy string, s Setting) []*run {
	var out []*run
	for _, r := range c.Experiment.runs() {
		if r.Policy == policy {
			out = append(out, &run{Key: r.Key, lead: r.lead, setting: s})
		}
	}
	return out
}

// trials gathers the runs by setting, which stand one after another.
func (c *comparison) trials() map[string][]Trial {
	out := map[string][]Trial{}
	for group := range slices.Chunk(c.runs, len(c.Leads)*len(c.Seeds)) {
		if !slices.ContainsFunc(group, func(r *run) bool { return !r.done }) {
			out[group[0].Policy] = append(out[group[0].Policy], trialOf(group))
		}
	}
	return out
}

// trialOf takes the means over runs of one setting. A mean lies between its values: three times 0.99 is no less than 0.99.
func trialOf(group []*run) Trial {
	var attained, hours []float64
	for _, r := range group {
		attained = append(attained, r.score.Attained())
		hours = append(hours, r.score.GPUHours.Total)
	}
	a, _ := score.Mean(attained)
	h, _ := score.Mean(hours)
	return Trial{Setting: group[0].setting, Attainment: a.Mean, GPUHours: h.Mean}
}
