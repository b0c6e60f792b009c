package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
)

// ablation is the planner without a part.
type ablation struct {
	// name is for people and --only, says what is there in place of the part.
	name, says string
	// policy is the one that is measured where the planner can be configured so, preheat where that is empty.
	policy  string
	patches []patch
}

// patch gives a function another body. The function as it was is there under its name and asItWas.
type patch struct {
	// folder is that of the package, function its name, with the receiver's type: "tick.beyondNoise".
	folder, function string
	body             string
}

// asItWas is what the name of a function that was patched ends in.
const asItWas = "AsItWas"

const (
	capacities = "pkg/capacity"
	planning   = "pkg/scaling"
	starts     = "pkg/leadtime"
	forecasts  = "pkg/forecast"
	cells      = "benchmarks/frontier"
)

// What several ablations have in common.
var (
	declares = patch{cells, "campaign.experiment", `
		e := m.experimentAsItWas(s, lead)
		if err := declare(1)(&scene{Experiment: &e, subject: s}); err != nil {
			panic(err)
		}
		return e`}
	noLaw      = patch{capacities, "Engine.law", `return law{}, false`}
	noOutcomes = patch{capacities, "Outcomes.judge", `o.Judged, o.Missed = 0, 0`}
)

// ablations are the parts of the planner, each off. A line here is all that another one needs.
var ablations = []ablation{
	{name: "no-forecast", says: "present demand alone", policy: "preheat-reactive"},
	{name: "last-value", says: "the last value with its errors as the only forecast", policy: "preheat-last-value"},
	{name: "forecast-point", says: "the median of the forecast for all of it", patches: []patch{{forecasts, "State.predict", `
		f := s.predictAsItWas(spec, c)
		f.Upper = f.Point
		for i := range f.Values {
			f.Values[i] = f.Point
		}
		return f`}}},
	{name: "no-seasons", says: "forecasts without clocks and periods", patches: []patch{{forecasts, "State.spec", `
		out := s.specAsItWas(c)
		out.Without = append(out.Without, stageSeasons)
		return out`}}},
	{name: "no-aggregation", says: "all experts weigh the same", patches: []patch{{forecasts, "State.spec", `
		out := s.specAsItWas(c)
		out.Without = append(out.Without, stageAggregation)
		return out`}}},
	{name: "no-widening", says: "quantiles are not drawn out where they are missed", patches: []patch{{forecasts, "Lane.widen", ``}}},
	{name: "no-withdrawal", says: "the mixture is never withdrawn", patches: []patch{{forecasts, "Record.reconsider", ``}}},
	{name: "always-believed", says: "forecasts are believed however wrong they were", patches: []patch{{planning, "tick.believed", `
		return t.decision.Forecast.Known() && !t.planner.config.Forecast.Disabled`}}},
	{name: "no-noise-rule", says: "scale-downs as soon as the plan is smaller", patches: []patch{{planning, "tick.beyondNoise", `return needed`}}},
	{name: "no-break-even", says: "replicas are not kept for the time that loading one takes", patches: []patch{{planning, "tick.worthKeeping", `
		t.want(wanted)
		return wanted`}}},
	{name: "no-returns", says: "replicas are kept for one lead time, however soon they were needed again", patches: []patch{{planning, "Returns.worth", `return 1`}}},
	{name: "no-orders", says: "an order does not stand until what it was for has come", patches: []patch{{planning, "tick.asOrdered", `return kept`}}},
	{name: "no-record", says: "forecasts go as far above the most seen as they like", patches: []patch{{forecasts, "Lane.unsurpassed", `
		for i, v := range values {
			values[i] = f.bounded(v)
		}`}}},
	{name: "one-price", says: "headroom has the price of demand", patches: []patch{{capacities, "State.Staffing", `
		x := s.StaffingAsItWas(c)
		x.Headroom = x.Price
		return x`}}},
	{name: "no-backlog", says: "what waits is no demand", patches: []patch{{planning, "tick.backlogAhead", `return 0`}}},
	{name: "no-remaining", says: "starting replicas take the whole lead time from now on", patches: []patch{{planning, "tick.remaining", `
		return t.decision.LeadTime.P50`}}},
	{name: "no-lead-time", says: "the prior of lead times, whatever was seen", patches: []patch{{starts, "State.Learn", ``}}},
	{name: "price-fixed", says: "a miss always has the usual price", patches: []patch{{capacities, "Budget.spend", ``}}},
	{name: "no-excuse", says: "misses that nobody foresaw raise the price too", patches: []patch{{capacities, "State.Close", `
		t.Foreseen = math.Inf(1)
		s.CloseAsItWas(t, c)`}}},
	{name: "no-outcomes", says: "capacity by the engine's law alone, misses teach nothing", patches: []patch{noOutcomes}},
	{name: "no-overloads", says: "misses of an overload's aftermath count like any", patches: []patch{{capacities, "Outcomes.telling", `return true`}}},
	{name: "poisson", says: "arrivals are taken for a Poisson process", patches: []patch{{capacities, "Outcomes.IndexOfDispersion", `return 1`}}},
	{name: "no-doubt", says: "capacity is planned with as if it were known exactly", patches: []patch{{capacities, "State.edge", `
		e := s.edgeAsItWas(c)
		e.Variance = 0
		return e`}}},
	{name: "no-law", says: "nothing is learned of the engine's steps, and nothing declared", patches: []patch{noLaw}},
	{name: "declared", says: "the capacity that a profiling run would give is declared, and learned from there", patches: []patch{declares}},
	{name: "declared-no-law", says: "that capacity is declared, and corrected by misses alone", patches: []patch{declares, noLaw}},
	{name: "declared-only", says: "that capacity is declared, and nothing learned of it", patches: []patch{declares, noLaw, noOutcomes}},
}

// apply makes the changes of an ablation, or says which function is no more as it takes it to be.
func (p *program) apply(a ablation) (changed, error) {
	with := changed{}
	for _, x := range a.patches {
		u := p.packages[x.folder]
		if u == nil {
			return nil, a.stale("there is no package %s in %s any more", x.folder, measuring)
		}
		if !p.patch(u, x, with) {
			return nil, a.stale("%s has no function %s any more", x.folder, x.function)
		}
	}
	for _, x := range a.patches {
		if _, err := p.check(p.packages[x.folder], with); err != nil {
			return nil, a.stale("%s does not compile with another %s: %w", x.folder, x.function, err)
		}
	}
	return with, nil
}

// stale says what to do about an ablation that the planner has outgrown.
func (a ablation) stale(format string, args ...any) error {
	return fmt.Errorf("ablation %s: %w; adapt its line in benchmarks/sensitivity/ablations.go", a.name, fmt.Errorf(format, args...))
}

// patch changes a function among the files of a package, false where there is none of the name.
func (p *program) patch(u *unit, x patch, with changed) bool {
	for _, name := range u.files {
		text, ok := with[name]
		if !ok {
			text = p.texts[name]
		}
		files := token.NewFileSet()
		tree, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
		if err != nil {
			continue // whoever compiles the package says so
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && function(f) == x.function {
				with[name] = rebodied(text, files, f, x.body)
				return true
			}
		}
	}
	return false
}

// rebodied renames a function and puts another of its name and signature after all else.
func rebodied(text []byte, files *token.FileSet, f *ast.FuncDecl, body string) []byte {
	at := func(p token.Pos) int { return files.Position(p).Offset }
	head, end := string(text[at(f.Pos()):at(f.Body.Lbrace)]), at(f.Name.End())
	return []byte(string(text[:end]) + asItWas + string(text[end:]) + "\n" + head + "{\n" + body + "\n}\n")
}
