package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// Find returns the best schedule it finds within the options' budget: the cheapest that meets the SLO or, where none is
// found that does, the cheapest of those with the fewest misses. Every figure comes from a run of the whole load.
//
// Once one schedule has been run, the end of ctx ends the search early and is no error: the result says Exhausted. It is
// still no worse than any candidate of which it is known what it came to.
func Find(ctx context.Context, p Problem, o Options) (Result, error) {
	if err := p.Validate(); err != nil {
		return Result{}, fmt.Errorf("oracle: %w", err)
	}
	s, err := newSearch(ctx, p, o)
	if err != nil {
		return Result{}, fmt.Errorf("oracle: %w", err)
	}
	err = s.all()
	if err != nil && (ctx.Err() == nil || s.best == nil) {
		return Result{}, fmt.Errorf("oracle: %w", err)
	}
	if err != nil {
		s.exhausted = true
		s.trust()
	}
	return s.result(), nil
}

// errSpent ends a stage of the search that has used up its part of the budget.
var errSpent = errors.New("budget spent")

// search is one search in progress.
type search struct {
	ctx context.Context
	p   Problem
	o   Options
	*survey
	lead    leads
	allowed int64
	// most is the largest number of replicas that is tried.
	most int32

	best      *attempt
	tried     []outcome
	tallies   []*tally // of late
	runs      int
	extra     int     // runs of candidates
	price     float64 // of a miss, that the last plan led to
	lesson    *lesson // of a rehearsal, nil without one
	limit     int     // of the other runs, in this stage
	simulated int64
	exhausted bool
}

// attempt is a schedule that has been run.
type attempt struct {
	*tally
	source   string
	schedule Schedule
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
		lead: foresee(p), allowed: seen.bound.Allowed(),
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
	if stock := s.stock(); stock > 0 {
		most = min(most, int32(stock/s.p.Target.Profile.GPUs))
	}
	return max(most, s.p.Target.Min)
}

// stock is the most GPUs that there are at any time, zero without limit.
func (s *search) stock() int {
	stock := s.p.Cluster.GPUs
	if stock == 0 {
		return 0
	}
	for _, e := range s.p.Cluster.Events {
		if e.Kind == replay.StockChanges {
			stock = max(stock, int(e.Value))
		}
	}
	return stock
}

// all is the whole search, from the surest to the finest. Each stage may use up the budget to a part of it; what the
// others did is looked at before the last one, which goes on from the best.
func (s *search) all() error {
	if s.requests == 0 {
		_, err := s.run("constant", Schedule{{At: 0, Replicas: s.p.Target.Min}})
		return err
	}
	budget := s.budget()
	stages := s.stages
	if s.kept == nil && budget <= fewRuns {
		stages = s.rehearsed
	}
	for _, stage := range stages(budget) {
		if err := s.carryOut(stage); err != nil {
			return err
		}
	}
	s.exhausted = s.exhausted || s.lesson != nil // a few runs more would always have been of use
	return nil
}

// stage is a part of the search, which may use up the budget of runs to some part.
type stage struct {
	limit int
	run   func() error
}

// carryOut does one stage; that it has used up its budget is no error.
func (s *search) carryOut(stage stage) error {
	s.limit, s.exhausted = stage.limit, false
	err := stage.run()
	s.exhausted = errors.Is(err, errSpent)
	if s.exhausted {
		return nil
	}
	return err
}

func (s *search) stages(budget int) []stage {
	first, second := max(2, budget/6), max(5, budget/2)
	if budget < fewForImprovement {
		second = max(3, budget-budget/4)
	}
	return []stage{
		{min(first, budget), s.staffing},
		{min(second, budget), s.priced},
		{min(second+mostCrosses, budget), s.cross},
		{budget, s.candidates},
		{budget, s.improve},
		{budget, s.climb},
	}
}

// rehearsed is the search on a load of which a run takes long: it learns from a sample, and runs the whole to prove what
// is planned; more often where that does not meet the objective.
func (s *search) rehearsed(budget int) []stage {
	return []stage{
		{budget, s.rehearse},
		{min(provingRuns, budget), s.priced},
		{budget, s.unlessMet(s.priced)},
		{budget, s.unlessMet(s.staffing)},
		{budget, s.candidates},
	}
}

// provingRuns is how many runs of the whole are made after a rehearsal: of what was learned from the sample, and of what
// its proof taught.
const provingRuns = 3

func (s *search) unlessMet(run func() error) func() error {
	return func() error {
		if s.best != nil && s.best.missed <= s.allowed {
			return nil
		}
		return run()
	}
}

// Runs that are made whatever the budget of requests, if that of runs allows: enough for a schedule that is planned; and
// the fewest with which it is worth while to improve it piece by piece.
const (
	fewRuns           = 5
	fewForImprovement = 20
)

// budget is how many runs may be made, candidates apart.
func (s *search) budget() int {
	return min(s.o.Simulations, max(fewRuns, int(s.o.Requests/max(1, s.effort))))
}

// usualSchedules is about how many schedules a search simulates where its budget does not end it, ownFirst how many of its
// own are simulated in any case.
const (
	usualSchedules = 80
	ownFirst       = 6
)

// Estimate is about how many requests a search with the default budget simulates, on a load of so many and beside so many
// candidates: a forecast for those who show progress.
func Estimate(requests int64, candidates int) int64 {
	if requests > DefaultRequests/fewRuns { // rehearsed
		return DefaultRequests/2 + provingRuns*requests
	}
	return max(requests*int64(candidates+ownFirst), min(DefaultRequests, usualSchedules*requests))
}

// candidates runs what others did, where it can be better than what has been found.
func (s *search) candidates() error {
	for _, c := range s.o.Candidates {
		if err := c.Schedule.Validate(); err != nil {
			return fmt.Errorf("candidate %q: %w", c.Name, err)
		}
		if s.beats(c.Known) {
			continue
		}
		s.extra++
		if _, err := s.run(c.Name, c.Schedule); err != nil {
			return err
		}
	}
	return nil
}

// trust takes candidates for what is known of them: there is no time to run them.
func (s *search) trust() {
	gpus := float64(s.p.Target.Profile.GPUs)
	for _, c := range s.o.Candidates {
		if c.Known == nil || c.Schedule.Validate() != nil || s.beats(c.Known) {
			continue
		}
		known := outcome{missed: c.Known.Missed, held: time.Duration(c.Known.GPUSeconds / gpus * float64(time.Second))}
		s.best = &attempt{tally: &tally{outcome: known}, source: c.Name, schedule: slices.Clone(c.Schedule)}
	}
}

// beats says whether the best schedule is at least as good as what is known of another one.
func (s *search) beats(k *Known) bool {
	if k == nil || s.best == nil {
		return false
	}
	gpus := float64(s.p.Target.Profile.GPUs)
	// A thousandth of a second covers the rounding of a sum of GPU-seconds.
	held := time.Duration((k.GPUSeconds/gpus - 1e-3) * float64(time.Second))
	return !outcome{missed: k.Missed, held: held}.better(s.best.outcome, s.allowed)
}

// try runs a schedule of the search's own.
func (s *search) try(source string, l lives) (*tally, error) {
	if s.runs-s.extra >= s.limit {
		return nil, errSpent
	}
	return s.run(source, l.schedule(s.rest()))
}

// run simulates the whole load under a schedule, and keeps it where it is the best so far.
func (s *search) run(source string, schedule Schedule) (*tally, error) {
	load, err := s.open(s.p)
	if err != nil {
		return nil, fmt.Errorf("open the load: %w", err)
	}
	defer closeStream(load)
	target := s.p.Target
	target.Load, target.Policy = load, schedule.Policy(s.p.Cluster.Start, 0)
	t := &tally{clock: s.clock, slo: s.p.SLO, from: s.p.From}
	if _, err := replay.Run(s.ctx, s.p.Cluster, []replay.Target{target}, t); err != nil {
		return nil, fmt.Errorf("run schedule %q: %w", source, err)
	}
	s.runs++
	s.simulated += s.requests
	if s.o.Progress != nil {
		s.o.Progress(s.requests)
	}
	s.tried = append(s.tried, t.outcome)
	s.remember(t)
	if s.best == nil || t.better(s.best.outcome, s.allowed) {
		s.best = &attempt{tally: t, source: source, schedule: slices.Clone(schedule)}
	}
	return t, nil
}

// remembered is how many runs are kept cell by cell.
const remembered = 12

func (s *search) remember(t *tally) {
	if len(s.tallies) == remembered {
		s.tallies = slices.Delete(s.tallies, 0, 1)
	}
	s.tallies = append(s.tallies, t)
}

// improved is the source of a schedule that is made of the best one.
func (s *search) improved() string {
	const suffix = ", improved"
	switch source := s.best.source; {
	case slices.Contains([]string{"staffing", "constant", "priced", "search"}, source):
		return "search"
	case strings.HasSuffix(source, suffix):
		return source
	default:
		return source + suffix
	}
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
		Schedule: s.best.schedule, Interval: s.cell, Source: s.best.source,
		GPUSeconds: s.best.held.Seconds() * gpus, Requests: s.bound.requests, Missed: s.best.missed,
		Hopeless: s.bound.Hopeless(),
		Met:      s.best.missed <= s.allowed, Simulations: s.runs, Simulated: s.simulated, Exhausted: s.exhausted,
	}
	if least, ok := s.bound.GPUSeconds(); ok && r.Met {
		r.Bound = max(least, float64(s.always())*max(0, s.span-s.p.From).Seconds()*gpus)
	}
	return r
}

// always is the number of replicas that hold GPUs all the time, whatever is asked for: what waits for GPUs holds none.
func (s *search) always() int32 {
	least := min(s.p.Target.Min, s.p.Target.Initial)
	if stock := s.p.Cluster.GPUs; stock > 0 {
		least = min(least, int32(stock/s.p.Target.Profile.GPUs))
	}
	return least
}
