package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

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
	// Oracle is the cheapest schedule found for the part that is scored; nil where it was not asked for or not found.
	Oracle *Trial `json:"oracle,omitempty"`
	// Incomplete is set where the caller ended the tuning before it was done; Unfinished says what of it is missing.
	Incomplete bool     `json:"incomplete,omitempty"`
	Unfinished []string `json:"unfinished,omitempty"`
	// Outsized are the requests of the whole load that no replica can hold.
	Outsized Outsized `json:"-"`
}

// Tune tries the grid of each policy's knobs, as many settings for every policy, on the first part of the load: the given
// share of its time. The best is the cheapest of those that meet the objective; where none does, the one that comes
// closest. The best setting and the documented one are then run through the whole load, and scored on the rest of it, as
// the policy would go on in production. DESIGN.md says what is known to whom.
//
// Where ctx ends first, the policies whose trials are done are returned, and no error. The meter may be nil.
func Tune(ctx context.Context, e Experiment, share float64, meter *Meter) (Tuned, error) {
	if !(share > 0 && share < 1) {
		return Tuned{}, fmt.Errorf("share %v of the load to tune on: must be above 0 and below 1", share)
	}
	if err := e.Validate(); err != nil {
		return Tuned{}, err
	}
	if meter == nil {
		meter = &Meter{}
	}
	outsized := newOutsized(e.Profile)
	whole, err := survey(ctx, outsized.watch(e.Load), e.Seeds[0], meter.done.Store)
	if err != nil {
		return Tuned{}, err
	}
	cut := time.Duration(share * float64(whole.Span))
	seen, err := survey(ctx, begin(e.Load, cut), e.Seeds[0], func(int64) {})
	if err != nil {
		return Tuned{}, fmt.Errorf("the first %v of the load: %w", cut, err)
	}
	if seen.Requests == whole.Requests {
		return Tuned{}, fmt.Errorf("the load after %v: no requests to score on; tune on a smaller share", cut)
	}
	first, rest := e.parts(cut, seen, whole)
	first.Meter, rest.Meter = meter, meter
	out, err := e.tune(ctx, first, rest)
	out.Outsized = *outsized
	return out, err
}

// parts are the first part of the load, and the whole of which the rest is scored. All that is known beforehand, the
// bounds and the start too, comes from the first part.
func (e *Experiment) parts(cut time.Duration, seen, whole Facts) (first, rest *comparison) {
	known, early := e.know(seen), *e
	early.Load = begin(e.Load, cut)
	return &comparison{Experiment: &early, knowledge: known, extent: seen},
		&comparison{Experiment: e, knowledge: known, extent: whole, from: cut}
}

// begin is the first part of a load.
func begin(load Load, length time.Duration) Load {
	return Load{Name: load.Name, Open: func(seed uint64) (trace.Stream, error) {
		stream, err := load.Open(seed)
		if err != nil {
			return nil, err
		}
		inside, err := trace.Reshape(stream, trace.Options{For: length})
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

// tune tries on the first part and scores on the rest.
func (e *Experiment) tune(ctx context.Context, first, rest *comparison) (Tuned, error) {
	grids := e.grids()
	tried, err := first.try(ctx, grids)
	if err != nil {
		return Tuned{}, err
	}
	out := Tuned{Policies: []Tuning{}}
	finals := map[string][]Setting{}
	for _, p := range e.Policies {
		if t := tried[p]; len(t) > 0 && len(t) == len(grids[p]) {
			best := t[choose(t, e.SLO)]
			out.Policies = append(out.Policies, Tuning{Policy: p, Trials: t, Default: Verdict{Tuned: t[0]}, Best: Verdict{Tuned: best}})
			finals[p] = []Setting{e.Settings[p], best.Setting}
		} else if p != Oracle {
			out.miss("%s: %d of %d settings were tried", p, len(t), len(grids[p]))
		}
	}
	scored, err := rest.try(ctx, finals)
	if err != nil {
		return Tuned{}, err
	}
	out.score(scored)
	return out, rest.yardstick(ctx, &out)
}

// grids are the settings to try of each policy that has any.
func (e *Experiment) grids() map[string][]Setting {
	out := map[string][]Setting{}
	for _, p := range e.Policies {
		if p != Oracle {
			out[p] = append([]Setting{e.Settings[p]}, grid(e.Settings[p], Knobs(p))...)
		}
	}
	return out
}

// score notes what the settings came to on the part that tuning has not seen: the documented one, then the best.
func (t *Tuned) score(scored map[string][]Trial) {
	for i := range t.Policies {
		p := &t.Policies[i]
		if s := scored[p.Policy]; len(s) == 2 {
			p.Default.Scored, p.Best.Scored = &s[0], &s[1]
		} else {
			t.miss("%s: is tuned and not scored", p.Policy)
		}
	}
}

// miss notes what is missing.
func (t *Tuned) miss(format string, values ...any) {
	t.Incomplete = true
	t.Unfinished = append(t.Unfinished, fmt.Sprintf(format, values...))
}

// yardstick looks for the oracle, where it was asked for, among and beyond what has been run.
func (c *comparison) yardstick(ctx context.Context, out *Tuned) error {
	searches := c.under(Oracle, nil)
	if len(searches) == 0 {
		return nil
	}
	c.runs = append(c.runs, searches...)
	c.Meter.expect(len(searches), int64(len(searches))*c.searchBudget())
	err := c.all(ctx, searches, c.searchMemory(), c.search)
	if found := c.trials()[Oracle]; len(found) == 1 {
		out.Oracle = &found[0]
	} else {
		out.miss("%s: was not found", Oracle)
	}
	for _, r := range searches {
		if r.done && r.proof.CutShort {
			out.miss("%v: its search was cut short; it is the best of those found until then", r.Key)
		}
	}
	return err
}

// choose is the index of the best trial: the cheapest that meets the objective, the earliest among equals; where none
// does, the one with the highest attainment.
func choose(trials []Trial, slo score.SLO) int {
	best := 0
	for i, t := range trials {
		b := trials[best]
		switch meets, met := slo.MetBy(t.Attainment), slo.MetBy(b.Attainment); {
		case meets && !met,
			meets && t.GPUHours < b.GPUHours,
			!meets && !met && t.Attainment > b.Attainment:
			best = i
		}
	}
	return best
}
