package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what is printed.
type report struct {
	// Base is the planner as it is, nil where nothing was measured.
	Base      *standing `json:"base,omitempty"`
	Ablations []part    `json:"ablations"`
	Numbers   []varied  `json:"numbers"`
	LeftOut   []number  `json:"left_out"`
}

// part is an ablation and its effect, nil where it was not measured.
type part struct {
	Name   string  `json:"name"`
	Says   string  `json:"instead"`
	Effect *effect `json:"effect,omitempty"`
}

// varied is a number with the effects of its half and its double, nil where they were not measured.
type varied struct {
	number
	Halved  *effect `json:"halved,omitempty"`
	Doubled *effect `json:"doubled,omitempty"`
}

// fill takes effects in the order of the variants, and puts the largest first.
func (r *report) fill(effects []effect) {
	take := func() (e *effect) {
		if len(effects) > 0 {
			e, effects = &effects[0], effects[1:]
		}
		return e
	}
	for i := range r.Ablations {
		r.Ablations[i].Effect = take()
	}
	for i := range r.Numbers {
		r.Numbers[i].Halved = take()
		r.Numbers[i].Doubled = take()
	}
	slices.SortStableFunc(r.Ablations, func(a, b part) int { return largest(size(a.Effect), size(b.Effect)) })
	slices.SortStableFunc(r.Numbers, func(a, b varied) int { return largest(a.size(), b.size()) })
}

func largest(a, b float64) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// size is that of an effect, less than any where there is none.
func size(e *effect) float64 {
	if e == nil {
		return -1
	}
	return e.size()
}

func (v *varied) size() float64 { return math.Max(size(v.Halved), size(v.Doubled)) }

// moves reports whether either moves the geometric mean by more than it may.
func (v *varied) moves() bool {
	return v.Halved != nil && v.Halved.moves() || v.Doubled != nil && v.Doubled.moves()
}

// print writes the report.
func (o *options) print(out io.Writer, r *report) error {
	if o.output == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	if r.Base == nil {
		return r.writeList(out)
	}
	return r.write(out)
}

func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// writeList writes what there is to measure, and what is left out.
func (r *report) writeList(out io.Writer) error {
	w := table(out)
	fmt.Fprintf(w, "%d ABLATIONS\tINSTEAD\n", len(r.Ablations))
	for _, a := range r.Ablations {
		fmt.Fprintf(w, "ablation/%s\t%s\n", a.Name, a.Says)
	}
	fmt.Fprintf(w, "\n%d NUMBERS\tFILE\tVALUE\n", len(r.Numbers))
	for _, n := range r.Numbers {
		fmt.Fprintf(w, "%s\t%s:%d\t%s\n", n.Name, n.File, n.Line, brief(n.Value))
	}
	fmt.Fprintf(w, "\n%d LEFT OUT\tFILE\tVALUE\tWHY\n", len(r.LeftOut))
	for _, n := range r.LeftOut {
		fmt.Fprintf(w, "%s\t%s:%d\t%s\t%s\n", n.Name, n.File, n.Line, brief(n.Value), firstLine(n.LeftOut))
	}
	return w.Flush()
}

// brief cuts a long value, a table say.
func brief(s string) string {
	const longest = 32
	if r := []rune(s); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return s
}

// write writes the effects.
func (r *report) write(out io.Writer) error {
	b := r.Base
	fmt.Fprintf(out, "As it is, over %d cells: geometric mean of GPU-hours %.3f of the oracle's, mean attainment %.2f%%, %d below the objective\n",
		len(b.Cells), b.Mean, 100*b.Attainment, b.Below)
	fmt.Fprintf(out, "RATIO is the geometric mean over that, ! where it differs by more than %.0f %%, = where nothing changed at all; ATTAINED is in points\n", 100*most)
	if len(r.Ablations) > 0 {
		if err := r.writeAblations(out); err != nil {
			return err
		}
	}
	if len(r.Numbers) > 0 {
		if err := r.writeNumbers(out); err != nil {
			return err
		}
	}
	return r.writeSummary(out)
}

func (r *report) writeAblations(out io.Writer) error {
	fmt.Fprintln(out)
	w := table(out)
	fmt.Fprintln(w, "ABLATION\tINSTEAD\tRATIO\tATTAINED\tBELOW")
	for _, a := range r.Ablations {
		fmt.Fprintf(w, "%s\t%s\t%s\n", a.Name, a.Says, columns(a.Effect))
	}
	return w.Flush()
}

func (r *report) writeNumbers(out io.Writer) error {
	fmt.Fprintln(out)
	w := table(out)
	fmt.Fprintln(w, "NUMBER\tFILE\tVALUE\tHALVED: RATIO\tATTAINED\tBELOW\tDOUBLED: RATIO\tATTAINED\tBELOW")
	for _, n := range r.Numbers {
		fmt.Fprintf(w, "%s\t%s:%d\t%s\t%s\t%s\n", n.Name, n.File, n.Line, brief(n.Value), columns(n.Halved), columns(n.Doubled))
	}
	return w.Flush()
}

// columns are those of an effect.
func columns(e *effect) string {
	switch {
	case e == nil:
		return "-\t\t"
	case e.Failure != "":
		return "fails\t\t"
	}
	mark := ""
	if e.moves() {
		mark = "!"
	} else if e.Same {
		mark = "="
	}
	return fmt.Sprintf("%.3f%s\t%+.2f\t%d", e.Ratio, mark, 100*e.Attainment, e.Below)
}

// writeSummary says how many numbers matter, and what fails.
func (r *report) writeSummary(out io.Writer) error {
	fmt.Fprintln(out)
	var moved, failed []string
	measured, idle := 0, 0
	for _, a := range r.Ablations {
		failed = append(failed, failure("ablation/"+a.Name, a.Effect)...)
	}
	for _, n := range r.Numbers {
		failed = append(failed, failure(n.Name+" halved", n.Halved)...)
		failed = append(failed, failure(n.Name+" doubled", n.Doubled)...)
		if n.moves() {
			moved = append(moved, n.Name)
		}
		if n.Halved != nil && n.Doubled != nil {
			measured++
			if n.Halved.Same && n.Doubled.Same {
				idle++
			}
		}
	}
	if len(r.Numbers) > 0 {
		fmt.Fprintf(out, "%d of %d numbers were measured halved and doubled: %d move the geometric mean by more than %.0f %%, %d change nothing in these cells; %d are left out (--list says why)\n",
			measured, len(r.Numbers), len(moved), 100*most, idle, len(r.LeftOut))
	}
	if len(moved) > 0 {
		fmt.Fprintf(out, "To be learned instead, or to be given a reason: %s\n", strings.Join(moved, " "))
	}
	for _, f := range failed {
		fmt.Fprintln(out, "FAILS:", f)
	}
	return nil
}

// failure says of what there is no figure, and why.
func failure(name string, e *effect) []string {
	if e == nil || e.Failure == "" {
		return nil
	}
	return []string{name + ": " + firstLine(e.Failure)}
}
