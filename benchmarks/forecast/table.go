package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// print writes the table of every series and the summary of every forecaster.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "== %s: tail loss relative to that of the last value with conformal quantiles (below 1 is better) ==\n\n", r.Group)
	r.printSeries(out)
	fmt.Fprintln(out)
	printSummaries(out, r.Entries)
	fmt.Fprintln(out)
}

// printSeries has a row for each series: everyone's ratio, and of the judged forecaster those at each horizon and what it
// covered. The last value's own ratio is 1 by definition.
func (r *result) printSeries(out io.Writer) {
	t := newTable(out)
	head := []string{"series", "step", "rows", "forecasts"}
	for _, e := range r.Entries {
		if e.Name != backtest.LastValue {
			head = append(head, brief(e.Name))
		}
	}
	for _, h := range horizons {
		head = append(head, "at "+short(h))
	}
	for _, q := range quantiles[1:] {
		head = append(head, fmt.Sprintf("cover %v", q))
	}
	t.row(append(head, "withdrawn"))
	for k := range r.series {
		t.row(r.seriesRow(k))
	}
	t.flush()
}

func (r *result) seriesRow(k int) []string {
	s, judged := &r.series[k], &r.Entries[0]
	score := &judged.Scores[k]
	forecasts, withdrawn := 0, 0
	for _, h := range score.Horizons {
		forecasts, withdrawn = forecasts+h.Forecasts, withdrawn+h.Withdrawn
	}
	cells := []string{s.Name, short(s.Step), fmt.Sprint(len(s.Values)), fmt.Sprint(forecasts)}
	for _, e := range r.Entries {
		if e.Name != backtest.LastValue {
			cells = append(cells, number(e.Ratios[k].Ratio))
		}
	}
	for _, h := range horizons {
		cells = append(cells, at(&judged.Ratios[k], h))
	}
	for q := range quantiles[1:] {
		cells = append(cells, number(score.Coverage(q+1)))
	}
	return append(cells, percent(float64(withdrawn)/float64(forecasts)))
}

// printSummaries has a row for each forecaster.
func printSummaries(out io.Writer, entries []entry) {
	t := newTable(out)
	t.row(append([]string{"forecaster", "measure", "pooled", "worst", "on"}, append(qualities(), "withdrawn")...))
	for _, e := range entries {
		t.row(e.summaryRow())
	}
	t.flush()
}

// printLegend says what the columns are.
func printLegend(out io.Writer) {
	fmt.Fprintln(out, "measure: geometric mean over series of that over horizons; pooled: with losses averaged over horizons first;")
	fmt.Fprintln(out, "cover: of all forecasts; dev: mean over series of |coverage − quantile|, in points")
}

// qualities are the heads of coverage and deviation.
func qualities() []string {
	var out []string
	for _, q := range quantiles[1:] {
		out = append(out, fmt.Sprintf("cover %v", q), "dev")
	}
	return out
}

func (e *entry) summaryRow() []string {
	s := &e.Summary
	cells := []string{e.Name, number(s.Measure), number(s.Pooled), number(s.Worst.Ratio), s.Worst.Series}
	for _, c := range s.Coverage[1:] {
		cells = append(cells, number(c.Pooled), fmt.Sprintf("%.1f", 100*c.Deviation))
	}
	return append(cells, percent(s.Withdrawn))
}

// at is the ratio at a horizon, a dash where there is none.
func at(r *backtest.Ratio, horizon time.Duration) string {
	for _, h := range r.Horizons {
		if h.Horizon == horizon {
			return number(h.Ratio)
		}
	}
	return "-"
}

// table is aligned to the right.
type table struct{ *tabwriter.Writer }

func newTable(out io.Writer) table {
	return table{tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

func (t table) row(cells []string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }

// flush writes the rows; a fault of the output is told by whoever owns it.
func (t table) flush() { _ = t.Flush() }

// number has three places; NaN is a dash.
func number(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*v)
}

// brief is a forecaster's name in the head of a narrow column.
func brief(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "recent-"), "seasonal-")
}

// short writes whole minutes as such.
func short(d time.Duration) string { return strings.TrimSuffix(d.String(), "0s") }
