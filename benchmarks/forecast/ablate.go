package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// ablation prints what leaving out each of the experts or stages does to the measure of every group.
func ablation(o options, groups []group, out, aside io.Writer) error {
	all := competitors(o.without)[:2] // itself and the reference
	for _, name := range o.parts() {
		all = append(all, judged("without "+name, slices.Concat(o.without, together(name))))
	}
	for _, g := range groups {
		r, err := evaluate(o, g, all, aside)
		if err != nil {
			return err
		}
		r.printAblation(out)
	}
	return nil
}

// together are the names that are left out at once: those that a + joins. Experts that stand in for one another show what
// they add only together.
func together(names string) []string {
	return strings.FieldsFunc(names, func(r rune) bool { return r == '+' })
}

// everything asks for each expert and stage in turn.
const everything = "all"

// parts are what is left out in turn: what --ablate names, or each expert and stage that is not left out already.
func (o *options) parts() []string {
	if !slices.Equal(o.ablate, []string{everything}) {
		return o.ablate
	}
	return slices.DeleteFunc(known(), func(name string) bool { return slices.Contains(o.without, name) })
}

// known are the names of all experts and stages.
func known() []string { return slices.Concat(forecast.Experts(), forecast.Stages()) }

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
