package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// Find returns the best schedule it finds within the options' budget: the cheapest that meets the SLO or, where none is
// found that does, the cheapest of those with the fewest misses. Every figure comes from a run of the whole load.
//
// Once one schedule has been run, the end of ctx ends the search early and is no error: the result says Exhausted.
func Find(ctx context.Context, p Problem, o Options) (Result, error) {
	if err := p.Validate(); err != nil {
		return Result{}, fmt.Errorf("oracle: %w", err)
	}
	s, err := newSearch(ctx, p, o)
	if err != nil {
		return Result{}, fmt.Errorf("oracle: %w", err)
	}
	err = s.all()
	s.exhausted = errors.Is(err, errSpent) || ctx.Err() != nil
	if err != nil && (!s.exhausted || s.best == nil) {
		return Result{}, fmt.Errorf("oracle: %w", err)
	}
	return s.result(), nil
}

// errSpent ends a search that has used up its budget.
var errSpent = errors.New("budget spent")

// search is one search in progress.
type search struct {
	ctx context.Context
	p   Problem
	o   Options
	*survey
	lead    leads
	path    baseline.Path
	allowed int64
	// most is the largest number of replicas that is tried.
	most int32

	best      *attempt
	tried     []outcome
	runs      int
	simulated int64
	exhausted bool
}

// attempt is a schedule that has been run.
type attempt struct {
	*tally
	source   string
	schedule Schedule
	path     baseline.Path
}

func newSearch(ctx context.Context, p Problem, o Options) (*search, error) {
	seen, err := look(ctx, p)
	if err != nil {
		return nil, err
	}
	if o.Simulations <= 0 {
		o.Simulations = DefaultSimulations
	}
	if o.Requests <= 0 {
		o.Requests = DefaultRequests
	}
	s := &search{
		ctx: ctx, p: p, o: o, survey: seen,
		lead: foresee(p), path: baseline.Path{Interval: seen.cell}, allowed: seen.bound.Allowed(),
	}
	s.most = s.ceiling()
	return s, nil
}

// ceiling is more replicas than the load can use, within the target's bound and the stock.
func (s *search) ceiling() int32 {
	most := int32(4)
	for _, x := range s.demand(10 * time.Second) {
		most = max(most, int32(min(3*x+4, 1<<20)))
	}
	if s.p.Target.Max > 0 {
		most = min(most, s.p.Target.Max)
	}
	if stock := s.p.Cluster.GPUs; stock > 0 {
		most = min(most, int32(stock/s.p.Target.Profile.GPUs))
	}
	return max(most, s.p.Target.Min)
}

// all is the whole search, from the surest to the finest.
func (s *search) all() error {
	for _, step := range []func() error{s.candidates, s.everything, s.staffing, s.improve} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// candidates runs what others did.
func (s *search) candidates() error {
	for _, c := range s.o.Candidates {
		if err := c.Schedule.Validate(); err != nil {
			return fmt.Errorf("candidate %q: %w", c.Name, err)
		}
		path := c.Path
		if path == (baseline.Path{}) {
			path = s.path
		}
		// What a policy would have read costs time and changes nothing: a schedule looks at nothing.
		path.Scrape = 0
		if _, err := s.run(c.Name, c.Schedule, path); err != nil {
			return err
		}
	}
	return nil
}

// fewRuns are made whatever the budget of requests: enough to bisect a handful of schedules.
const fewRuns = 8

// spent says whether another run would exceed the budget.
func (s *search) spent() bool {
	own := s.runs - len(s.o.Candidates)
	return own >= s.o.Simulations || (own >= fewRuns && s.simulated+s.requests > s.o.Requests)
}

// try runs a schedule of the search's own.
func (s *search) try(source string, l lives) (*tally, error) {
	if s.spent() {
		return nil, errSpent
	}
	return s.run(source, l.schedule(), s.path)
}

// run simulates the whole load under a schedule, and keeps it where it is the best so far.
func (s *search) run(source string, schedule Schedule, path baseline.Path) (*tally, error) {
	load, err := s.open(s.p)
	if err != nil {
		return nil, fmt.Errorf("open the load: %w", err)
	}
	defer closeStream(load)
	target := s.p.Target
	target.Load, target.Policy = load, schedule.Policy(s.p.Cluster.Start, path)
	t := &tally{clock: s.clock, slo: s.p.SLO}
	if _, err := replay.Run(s.ctx, s.p.Cluster, []replay.Target{target}, t); err != nil {
		return nil, fmt.Errorf("run schedule %q: %w", source, err)
	}
	s.runs++
	s.simulated += s.requests
	s.tried = append(s.tried, t.outcome)
	if s.best == nil || t.better(s.best.outcome, s.allowed) {
		s.best = &attempt{tally: t, source: source, schedule: slices.Clone(schedule), path: path}
	}
	return t, nil
}

// goal is how many misses the search aims at: what the SLO allows, or the fewest that were reached.
func (s *search) goal() int64 {
	if s.best == nil {
		return s.allowed
	}
	return max(s.allowed, s.best.missed)
}

func (s *search) result() Result {
	gpus := float64(s.p.Target.Profile.GPUs)
	r := Result{
		Schedule: s.best.schedule, Path: s.best.path, Source: s.best.source,
		GPUSeconds: s.best.held.Seconds() * gpus, Requests: s.requests, Missed: s.best.missed,
		Met: s.best.missed <= s.allowed, Simulations: s.runs, Simulated: s.simulated, Exhausted: s.exhausted,
	}
	if least, ok := s.bound.GPUSeconds(); ok && r.Met {
		r.Bound = max(least, float64(s.p.Target.Min)*s.span.Seconds()*gpus)
	}
	return r
}
