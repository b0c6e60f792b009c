package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// write writes the matrix and what follows from it.
func write(out io.Writer, cells []cell) error {
	if len(cells) == 0 {
		_, err := fmt.Fprintln(out, "No cell was measured.")
		return err
	}
	s := summarize(cells)
	sections := []func() error{
		func() error { return writeMatrix(out, cells) },
		func() error { return writeTallies(out, cells, s) },
	}
	if _, ok := cells[0].of(report.Preheat); ok {
		sections = append(sections, func() error { return writeBounds(out, s) }, func() error { return writeRivals(out, s) })
	}
	sections = append(sections, func() error { return writeVerdict(out, cells, s) })
	for i, section := range sections {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := section(); err != nil {
			return err
		}
	}
	return nil
}

// table is a writer of aligned columns, numbers to the right.
func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// writeMatrix writes a line for each cell.
func writeMatrix(out io.Writer, cells []cell) error {
	fmt.Fprintf(out, "Attainment and GPU-hours over the oracle's of each policy; ! is below the objective of %s where the oracle meets it\n\n", score.Percent(cells[0].Goal))
	w, names := table(out), policiesOf(cells)
	fmt.Fprintf(w, "CELL\tCLASS\tNEED\tREQUESTS\tORACLE GPU-H\tATTAINED\t%s\n", strings.ToUpper(strings.Join(names, "\t")))
	for i := range cells {
		c := &cells[i]
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%d\t%.2f\t%s", c.Name, c.Class, c.Need, c.Requests, c.Oracle.GPUHours, share(c.Oracle.Attainment, c.Oracle.Met))
		for _, name := range names {
			f, ok := c.of(name)
			if !ok {
				fmt.Fprint(w, "\t-")
				continue
			}
			fmt.Fprintf(w, "\t%s %.3f", share(f.Attainment, !c.Oracle.Met || c.attains(f)), c.ratio(f))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// share writes an attainment, marked where it is a miss. It is rounded down: 98.999 % is not 99 %.
func share(x float64, good bool) string {
	text := fmt.Sprintf("%.2f%%", float64(int(x*1e4+1e-6))/100)
	if !good {
		text += "!"
	}
	return text
}

// writeTallies writes, by class and lead time, each policy's geometric mean and how often it attains the objective.
func writeTallies(out io.Writer, cells []cell, s summary) error {
	fmt.Fprintln(out, "Geometric mean of GPU-hours over the oracle's, and cells in which the objective is met, of those in which the oracle meets it")
	fmt.Fprintln(out)
	byPolicy, places := map[string]map[string]tally{}, []tally{}
	for _, t := range s.Tallies {
		if byPolicy[t.Policy] == nil {
			byPolicy[t.Policy] = map[string]tally{}
		}
		byPolicy[t.Policy][t.where()] = t
		if t.Policy == policiesOf(cells)[0] {
			places = append(places, t)
		}
	}
	w := table(out)
	fmt.Fprint(w, "POLICY")
	for _, p := range places {
		fmt.Fprintf(w, "\t%s", strings.ToUpper(p.where()))
	}
	fmt.Fprintln(w)
	for _, policy := range policiesOf(cells) {
		fmt.Fprint(w, policy)
		for _, p := range places {
			t := byPolicy[policy][p.where()]
			fmt.Fprintf(w, "\t%.3f %d/%d", t.Mean, t.Attained, t.Cells)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// writeBounds sets Preheat beside what is asked of it.
func writeBounds(out io.Writer, s summary) error {
	fmt.Fprintln(out, "Preheat against its bounds; met is a mean and every cell within the bound (of all cells: the mean), and the objective wherever the oracle meets it")
	fmt.Fprintln(out)
	w := table(out)
	fmt.Fprintln(w, "CELLS\tAT MOST\tMEAN\tWORST\tABOVE\tBELOW OBJECTIVE\tVERDICT")
	for _, t := range s.ofPreheat() {
		above := "-"
		if t.PerCell {
			above = fmt.Sprintf("%d of %d", t.Above, t.Cells)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.3f\t%.3f %s\t%s\t%d of %d\t%s\n", t.where(), t.Bound, t.Mean, t.Worst, t.WorstCell, above,
			t.Cells-t.Attained, t.Cells, verdict(t.met(), t.Cells))
	}
	p := s.Peak
	fmt.Fprintf(w, "on-off\tstatic-peak\t\t%s\t%d of %d\t%d of %d\t%s\n", strings.Join(p.Above, " "), len(p.Above), p.Cells, len(p.Missed), p.Cells, verdict(p.met(), p.Cells))
	return w.Flush()
}

// verdict is a word; nothing is met by no cells.
func verdict(met bool, cells int) string {
	switch {
	case cells == 0:
		return "not measured"
	case met:
		return "met"
	}
	return "MISSED"
}

// writeRivals sets Preheat beside every other policy.
func writeRivals(out io.Writer, s summary) error {
	fmt.Fprintln(out, "Preheat beside each policy: its GPU-hours over theirs where both meet the objective, and cells in which one meets it and the other does not or for more")
	fmt.Fprintln(out)
	w := table(out)
	fmt.Fprintln(w, "POLICY\tBOTH MEET\tRATIO\tPREHEAT WINS\tPREHEAT LOSES\tLOST")
	for _, r := range s.Rivals {
		ratio := "-"
		if r.Both > 0 {
			ratio = fmt.Sprintf("%.3f", r.Ratio)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%s\n", r.Policy, r.Both, ratio, r.Wins, r.Losses, some(r.Lost))
	}
	return w.Flush()
}

// mostNamed bounds the cells that a line names.
const mostNamed = 3

// some names the first few.
func some(names []string) string {
	if more := len(names) - mostNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], " "), more)
	}
	return strings.Join(names, " ")
}

// writeVerdict is the last word.
func writeVerdict(out io.Writer, cells []cell, s summary) error {
	met := len(cells) - len(s.OracleMisses)
	fmt.Fprintf(out, "Cells in which nobody but the oracle meets the objective: %d of %d", len(s.OracleAlone), met)
	if len(s.OracleAlone) > 0 {
		fmt.Fprintf(out, " (%s)", strings.Join(s.OracleAlone, " "))
	}
	fmt.Fprintln(out)
	if n := len(s.OracleMisses); n > 0 {
		fmt.Fprintf(out, "Cells in which the oracle does not meet it either, left out of all means: %d (%s)\n", n, strings.Join(s.OracleMisses, " "))
	}
	for _, line := range s.Unmet {
		fmt.Fprintln(out, "MISSED:", line)
	}
	last := ""
	if _, ok := cells[0].of(report.Preheat); ok && len(s.Unmet) == 0 {
		last = "Every bound that was measured is met.\n"
	}
	_, err := io.WriteString(out, last)
	return err
}
