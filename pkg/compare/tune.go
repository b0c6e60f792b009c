package compare

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Trial is a policy under one setting on one part of the load.
type Trial struct {
	Setting Setting `json:"setting"`
	// Attainment (0 to 1) and GPUHours are means over the lead times and seeds of the experiment.
	Attainment float64 `json:"attainment"`
	GPUHours   float64 `json:"gpu_hours"`
}

// Tuning is what became of one policy.
type Tuning struct {
	Policy string `json:"policy"`
	// Trials are the settings tried on the first part of the load: the policy as documented, then the grid in order.
	Trials []Trial `json:"trials"`
	// Default is the policy as documented, or as the experiment sets it; Best the setting that was best on the first part.
	Default Verdict `json:"default"`
	Best    Verdict `json:"best"`
}

// Verdict is one setting on both parts of the load.
type Verdict struct {
	Tuned Trial `json:"tuned_on"`
	// Scored is on the part that tuning has not seen; nil where that has not been run.
	Scored *Trial `json:"scored_on,omitempty"`
}

// Tuned is the outcome of tuning.
type Tuned struct {
	Policies []Tuning `json:"policies"`
	// Oracle is the cheapest schedule found on the part that is scored; nil where it was not asked for or not found.
	Oracle *Trial `json:"oracle,omitempty"`
	// Outsized are the requests of the whole load that no replica can hold.
	Outsized Outsized `json:"-"`
}

// Tune tries the grid of each policy's knobs, as many settings for every policy, on the first part of the load: the given
// share of its time. The best setting and the documented one are then scored on the rest. The best is the cheapest of
// those that meet the objective; where none does, the one that comes closest. Policies that know a load beforehand know
// the first part. The oracle has nothing to tune: it is looked for on the rest.
//
// Where ctx ends first, the policies whose trials are done are returned, and no error.
func Tune(ctx context.Context, e Experiment, share float64, meter *Meter) (Tuned, error) {
	if !(share > 0 && share < 1) {
		return Tuned{}, fmt.Errorf("share %v of the load to tune on: must be above 0 and below 1", share)
	}
	if err := e.Validate(); err != nil {
		return Tuned{}, err
	}
	outsized := newOutsized(e.Profile)
	whole, err := survey(ctx, outsized.watch(e.Load), e.Seeds[0], meter.done.Store)
	if err != nil {
		return Tuned{}, err
	}
	e.Max = e.most(e.know(whole))
	cut := time.Duration(share * float64(whole.Span))
	first, err := e.part(ctx, 0, cut, nil)
	if err != nil {
		return Tuned{}, fmt.Errorf("the first %v of the load: %w", cut, err)
	}
	rest, err := e.part(ctx, cut, 0, first)
	if err != nil {
		return Tuned{}, fmt.Errorf("the load after %v: %w", cut, err)
	}
	out, err := e.tune(ctx, first, rest, meter)
	out.Outsized = *outsized
	return out, err
}

// part is an experiment on a window of the load, to its end where length is zero. Policies know what teacher's load was,
// their own where it is nil.
func (e Experiment) part(ctx context.Context, from, length time.Duration, teacher *comparison) (*comparison, error) {
	e.Load = window(e.Load, from, length)
	e.Cluster.Start = e.Cluster.Start.Add(from)
	facts, err := survey(ctx, e.Load, e.Seeds[0], func(int64) {})
	if err != nil {
		return nil, err
	}
	c := &comparison{Experiment: &e, knowledge: e.know(facts)}
	e.Initial = e.initial(c.knowledge)
	if teacher != nil {
		c.knowledge = teacher.knowledge
	}
	return c, nil
}

// window is a part of a load, counted from its own beginning.
func window(load Load, from, length time.Duration) Load {
	return Load{Name: load.Name, Open: func(seed uint64) (trace.Stream, error) {
		stream, err := load.Open(seed)
		if err != nil {
			return nil, err
		}
		inside, err := trace.Reshape(stream, trace.Options{From: from, For: length})
		if err != nil {
			return nil, err
		}
		return reshaped{inside, stream}, nil
	}}
}

// reshaped is a stream that closes the one it is made from.
type reshaped struct {
	trace.Stream
	origin trace.Stream
}

// End implements trace.Ending.
func (r reshaped) End() (time.Duration, bool) { return trace.EndOf(r.Stream) }

// Close implements io.Closer.
func (r reshaped) Close() error {
	closeStream(r.origin)
	return nil
}

// tune tries on the first comparison and scores on the other.
func (e Experiment) tune(ctx context.Context, first, rest *comparison, meter *Meter) (Tuned, error) {
	first.Meter, rest.Meter = meter, meter
	trials := map[string][]Setting{}
	for _, p := range e.Policies {
		if p != Oracle {
			trials[p] = append([]Setting{e.Settings[p]}, grid(e.Settings[p], Knobs(p))...)
		}
	}
	tried, err := first.try(ctx, trials)
	if err != nil {
		return Tuned{}, err
	}
	out := Tuned{}
	finals := map[string][]Setting{}
	for _, p := range e.Policies {
		if t := tried[p]; len(t) > 0 && len(t) == len(trials[p]) {
			best := t[choose(t, e.SLO)]
			out.Policies = append(out.Policies, Tuning{Policy: p, Trials: t, Default: Verdict{Tuned: t[0]}, Best: Verdict{Tuned: best}})
			finals[p] = []Setting{e.Settings[p], best.Setting}
		}
	}
	scored, err := rest.try(ctx, finals)
	if err != nil {
		return Tuned{}, err
	}
	for i, p := range out.Policies {
		if s := scored[p.Policy]; len(s) == 2 {
			out.Policies[i].Default.Scored, out.Policies[i].Best.Scored = &s[0], &s[1]
		}
	}
	found, err := rest.yardstick(ctx)
	if len(found) == 1 {
		out.Oracle = &found[0]
	}
	return out, err
}

// yardstick looks for the oracle, where it was asked for, among and beyond what has been run: one trial or none.
func (c *comparison) yardstick(ctx context.Context) ([]Trial, error) {
	var searches []*run
	for _, r := range c.Experiment.runs() {
		if r.Policy == Oracle {
			searches = append(searches, &run{Key: r.Key, lead: r.lead})
		}
	}
	c.runs = append(c.runs, searches...)
	c.Meter.expect(len(searches), int64(len(searches))*c.searchBudget())
	err := c.all(ctx, searches, searchMemory, c.search)
	return c.trials()[Oracle], err
}

// choose is the index of the best trial: the cheapest that meets the objective, the earliest among equals; where none
// does, the one with the highest attainment.
func choose(trials []Trial, slo score.SLO) int {
	best := 0
	for i, t := range trials {
		b := trials[best]
		switch meets, met := t.Attainment >= slo.Attainment, b.Attainment >= slo.Attainment; {
		case meets && !met,
			meets && t.GPUHours < b.GPUHours,
			!meets && !met && t.Attainment > b.Attainment:
			best = i
		}
	}
	return best
}

// try runs settings of policies under every lead time and seed. What was not run to its end is missing.
func (c *comparison) try(ctx context.Context, settings map[string][]Setting) (map[string][]Trial, error) {
	c.runs = nil
	for _, p := range c.Policies {
		for _, s := range settings[p] {
			for _, r := range c.Experiment.runs() {
				if r.Policy == p {
					c.runs = append(c.runs, &run{Key: r.Key, lead: r.lead, setting: s})
				}
			}
		}
	}
	c.Meter.expect(len(c.runs), int64(len(c.runs))*c.facts.Requests)
	err := c.all(ctx, c.runs, runMemory, c.replay)
	return c.trials(), err
}

// trials gathers the runs by setting, which stand one after another.
func (c *comparison) trials() map[string][]Trial {
	out := map[string][]Trial{}
	each := len(c.Leads) * len(c.Seeds)
	for group := range slices.Chunk(c.runs, each) {
		if slices.ContainsFunc(group, func(r *run) bool { return !r.done }) {
			continue
		}
		t := Trial{Setting: group[0].setting}
		for _, r := range group {
			t.Attainment += r.score.Attained() / float64(each)
			t.GPUHours += r.score.GPUHours.Total / float64(each)
		}
		out[group[0].Policy] = append(out[group[0].Policy], t)
	}
	return out
}
