package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// ablation prints what leaving out each of the experts or stages does to the measure of every group.
func ablation(o options, groups []group, out, aside io.Writer) error {
	for _, g := range groups {
		names := o.ablate
		if slices.Equal(names, []string{"all"}) {
			names = weighted(&o, &g)
		}
		all := competitors(o.without)[:2] // itself and the reference
		for _, name := range names {
			all = append(all, judged("without "+name, append(slices.Clone(o.without), name)))
		}
		r, err := evaluate(o, g, all, aside)
		if err != nil {
			return err
		}
		r.printAblation(out)
	}
	return nil
}

// weighted are the names of the experts that have a share in some forecast of the group's series.
func weighted(o *options, g *group) []string {
	names := map[string]bool{}
	var mutex sync.Mutex
	inParallel(o.workers, len(g.subjects), func(k int) {
		s := &g.subjects[k]
		for _, run := range g.runs(o, s) {
			run.Origins = run.Origins[max(0, len(run.Origins)-5):] // by then all are awake
			err := run.Forecast(&forecast.Forecaster{}, func(r backtest.Row) {
				mutex.Lock()
				defer mutex.Unlock()
				for _, w := range r.Weights {
					names[w.Expert] = true
				}
			})
			if err != nil {
				return // evaluate reports it
			}
		}
	})
	return slices.Sorted(maps.Keys(names))
}

// printAblation has a row for each thing left out, with the change of the measure.
func (r *result) printAblation(out io.Writer) {
	fmt.Fprintf(out, "== %s: what leaving out one thing does ==\n\n", r.Group)
	t := newTable(out)
	t.row(append([]string{"forecaster", "measure", "change", "pooled", "worst", "on"}, append(qualities(), "withdrawn")...))
	whole := r.Entries[0].Summary.Measure
	for _, e := range r.Entries {
		cells := e.summaryRow()
		change := fmt.Sprintf("%+.2f%%", 100*(e.Summary.Measure/whole-1))
		t.row(slices.Insert(cells, 2, change))
	}
	t.flush()
	fmt.Fprintln(out)
}
