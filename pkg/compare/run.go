package compare

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/oracle"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// Outcome is what an experiment found. Everything in it is in order of lead time, seed and policy, as the experiment
// names them, whatever the number of workers.
type Outcome struct {
	// Facts are those of the load as the first seed draws it.
	Facts Facts
	// Outsized are the requests that no replica can hold, of the load as the first seed draws it.
	Outsized Outsized
	// Capacity is what one replica sustains within the objective by the closed form, in requests per second.
	Capacity float64
	// Initial, Min and Max are those that held for every policy.
	Initial, Min, Max int32
	// Scores are those of the runs that went through to their end.
	Scores []score.Score
	// Pictures are the course of the runs of the first seed.
	Pictures []report.Run
	// Proofs are what the oracle's searches found.
	Proofs []Proof
	// Unfinished are the runs that did not end, because the caller ended the experiment.
	Unfinished []Key
}

// Proof is the oracle's finding under one lead time and seed.
type Proof struct {
	Key
	oracle.Result
	// CutShort says that the caller ended the search: the result is the best found until then, run to its end.
	CutShort bool
}

// Tools are what an experiment tells of itself while it goes on; each may be nil.
type Tools struct {
	Meter *Meter
	// Files returns where the rows of a run go, among those of the other policies under the same lead time and seed; nil for
	// nowhere. It is called from several goroutines.
	Files func(Key) *score.Files
	// Sink returns whom all that happens in a run is told, the warm-up included; nil for nobody. It is called from several
	// goroutines, and never for the schedules that the oracle tries.
	Sink func(Key) replay.Sink
}

// comparison is an experiment that goes on.
type comparison struct {
	*Experiment
	Tools
	knowledge
	runs []*run
	// extent is the load of one run, as the first seed draws it. What happens before from leads up to what is scored.
	extent Facts
	from   time.Duration
}

// run is one of a comparison.
type run struct {
	Key
	lead    Lead
	policy  int     // its place among the policies
	setting Setting // of the policy's knobs
	// first says that seed is the first one.
	first bool

	done    bool
	score   score.Score
	picture *report.Run
	orders  oracle.Candidate
	proof   *Proof
}

// Run carries the experiment out. Where ctx ends before it is done, what has been finished is returned and no error.
func Run(ctx context.Context, e Experiment, tools Tools) (Outcome, error) {
	if err := e.Validate(); err != nil {
		return Outcome{}, err
	}
	if tools.Meter == nil {
		tools.Meter = &Meter{}
	}
	outsized := newOutsized(e.Profile)
	facts, err := survey(ctx, outsized.watch(e.Load), e.Seeds[0], tools.Meter.done.Store)
	if err != nil {
		return Outcome{}, err
	}
	if e.WarmUp > 0 && e.WarmUp >= facts.Span {
		return Outcome{}, fmt.Errorf("%s lasts %v, its warm-up %v: nothing is left to score", e.Load.Name, facts.Span, e.WarmUp)
	}
	c := &comparison{Experiment: &e, Tools: tools, knowledge: e.know(facts), extent: facts, runs: e.runs(), from: e.WarmUp}
	if err := c.carryOut(ctx); err != nil {
		return Outcome{}, err
	}
	o := c.outcome()
	o.Outsized = *outsized
	return o, nil
}

// runs lists all runs in their order.
func (e *Experiment) runs() []*run {
	var out []*run
	for _, lead := range e.Leads {
		for s, seed := range e.Seeds {
			for p, policy := range e.Policies {
				out = append(out, &run{
					Key:  Key{Policy: policy, Lead: lead.Whole, Seed: seed},
					lead: lead, policy: p, setting: e.Settings[policy], first: s == 0,
				})
			}
		}
	}
	return out
}

// carryOut does the runs, the oracle's last: what the others did is where its search begins.
func (c *comparison) carryOut(ctx context.Context) error {
	policies, oracles := c.split()
	c.Meter.expect(len(c.runs), int64(len(policies))*c.extent.Requests+int64(len(oracles))*c.searchBudget())
	err := c.all(ctx, policies, runMemory, c.replay)
	if err == nil {
		err = c.all(ctx, oracles, c.searchMemory(), c.search)
	}
	return err
}

func (c *comparison) split() (policies, oracles []*run) {
	for _, r := range c.runs {
		if r.Policy == Oracle {
			oracles = append(oracles, r)
		} else {
			policies = append(policies, r)
		}
	}
	return policies, oracles
}

// all does runs of that much memory in parallel. That the caller ended them is no error.
func (c *comparison) all(ctx context.Context, runs []*run, memory int64, do func(context.Context, *run) error) error {
	err := each(ctx, c.workers(memory), len(runs), func(within context.Context, i int) error {
		defer c.Meter.runsDone.Add(1)
		return do(within, runs[i])
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// replay runs one policy.
func (c *comparison) replay(ctx context.Context, r *run) error {
	policy, err := c.policy(r)
	if err != nil {
		return err
	}
	return c.observe(ctx, r, policy)
}

// observe runs a policy and keeps what it did.
func (c *comparison) observe(ctx context.Context, r *run, policy baseline.Policy) error {
	observer, err := c.observer(r)
	if err != nil {
		return err
	}
	target := c.target()
	if target.Load, err = c.Meter.open(ctx, c.Load, r.Seed); err != nil {
		return err
	}
	defer closeStream(target.Load)
	target.Policy = policy
	totals, err := replay.Run(ctx, c.counting(c.cluster(r)), []replay.Target{target}, observer)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	totals[0].End -= c.from
	return observer.finish(r, totals[0])
}

// targetName is the one target's in a comparison.
const targetName = "model"

func (c *comparison) target() replay.Target {
	return replay.Target{
		Name: targetName, Profile: c.Profile,
		Initial: c.initial(c.knowledge), Min: c.Min, Max: c.most(c.knowledge),
	}
}

// cluster is the one of a run: every policy's replicas of one lead time and seed draw the same.
func (c *comparison) cluster(r *run) replay.Config {
	cluster := c.Cluster
	cluster.Seed, cluster.Lead = r.Seed, r.lead.Phases
	return cluster
}

func (c *comparison) outcome() Outcome {
	o := Outcome{
		Facts: c.facts, Capacity: c.capacity,
		Initial: c.initial(c.knowledge), Min: c.Min, Max: c.most(c.knowledge),
	}
	for _, r := range c.runs {
		if !r.done {
			o.Unfinished = append(o.Unfinished, r.Key)
			continue
		}
		o.Scores = append(o.Scores, r.score)
		if r.picture != nil {
			o.Pictures = append(o.Pictures, *r.picture)
		}
		if r.proof != nil {
			o.Proofs = append(o.Proofs, *r.proof)
		}
	}
	return o
}
