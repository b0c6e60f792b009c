package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// writeTable writes what was replayed and what is to be known of it, the comparison, and what follows from it.
func writeTable(out io.Writer, e compare.Experiment, o compare.Outcome, notes []report.Fact) error {
	fmt.Fprintln(out, loadText(e.Load.Name, o.Facts))
	fmt.Fprintln(out, profileText(e, o))
	fmt.Fprintf(out, "objective: TTFT %v and TPOT %v for %s of all requests; %d to %d replicas, %d ready at the start\n",
		e.SLO.TTFT, e.SLO.TPOT, percentText(e.SLO.Attainment), o.Min, o.Max, o.Initial)
	if e.WarmUp > 0 {
		fmt.Fprintf(out, "warm-up: the first %v are served and not scored\n", e.WarmUp)
	}
	if !o.Complete() {
		fmt.Fprintf(out, "interrupted: %s\n", o.Missing())
	}
	writeNotes(out, notes)
	fmt.Fprintln(out)
	cells := o.Cells()
	if len(cells) == 0 {
		fmt.Fprintln(out, "No run came to its end.")
		return nil
	}
	if err := score.WriteTable(out, cells, e.SLO); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if lines := legend(cells, e.SLO); len(lines) > 0 {
		fmt.Fprintf(out, "%s\n\n", strings.Join(lines, "\n"))
	}
	if err := writeZero(out, cells); err != nil {
		return err
	}
	if err := writeSweep(out, e, cells); err != nil {
		return err
	}
	for _, line := range findings(e, o, cells) {
		fmt.Fprintln(out, line)
	}
	return nil
}

// legend explains what of the table does not explain itself, where it occurs.
func legend(cells []score.Cell, slo score.SLO) []string {
	var lines []string
	if slices.ContainsFunc(cells, func(c score.Cell) bool { return c.Standing(slo) == score.Unsure }) {
		lines = append(lines, "unsure: the seeds disagree, and the 95 % interval of the attainment has the objective inside; more --seeds would tell")
	}
	if slices.ContainsFunc(cells, func(c score.Cell) bool { return cheaperThanOracle(c) && c.Standing(slo) != score.Met }) {
		lines = append(lines, "ORACLE below 1.00x: a policy that falls short of the objective may cost less than the oracle, which pays for meeting it")
	}
	return lines
}

// cheaperThanOracle says whether the table has the cell below 1.00x, to its two decimals.
func cheaperThanOracle(c score.Cell) bool {
	ratio, known := c.ToOracle["gpu_hours"]
	return known && ratio.Mean < 0.995
}

// writeZero writes what it was worth to be without a replica; nothing where there always was one.
func writeZero(out io.Writer, cells []score.Cell) error {
	if !score.MayBeZero(cells) {
		return nil
	}
	fmt.Fprintln(out, "Without a replica: for how long, and the GPU-hours that one would have cost; wakes, how many of them the first\n"+
		"request found ready and how many none came for; requests that found none ready, and their times to the first token;\n"+
		"silences by whether zero was to pay")
	if err := score.WriteZero(out, cells); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return nil
}

// writeSweep writes where each policy collapses as the lead time grows; nothing where there is one lead time only.
func writeSweep(out io.Writer, e compare.Experiment, cells []score.Cell) error {
	if len(e.Leads) < 2 {
		return nil
	}
	fmt.Fprintf(out, "Requests within the objective by lead time; a policy collapses where they are fewer than %s%s\n",
		percentText(e.SLO.Attainment), doubtText(e))
	if err := score.WriteSweep(out, score.Sweep(cells, e.SLO)); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return nil
}

// doubtText says what the question marks of the sweep are; empty where there are no intervals.
func doubtText(e compare.Experiment) string {
	if len(e.Seeds) < score.FewestSeeds {
		return ""
	}
	return "; ? is unsure"
}

// writeNotes writes them a line each.
func writeNotes(out io.Writer, notes []report.Fact) {
	for _, n := range notes {
		fmt.Fprintf(out, "%s: %s\n", n.Name, n.Value)
	}
}

// loadText says what was replayed.
func loadText(name string, f compare.Facts) string {
	return fmt.Sprintf("%s: %s requests in %v, %.3g/s on average, %.3g/s in the busiest minute, %.0f tokens in and %.0f out",
		name, thousands(f.Requests), f.Span.Round(time.Second), f.MeanRate(), f.PeakRate, f.MeanPrompt, f.MeanOutput)
}

// profileText says on what.
func profileText(e compare.Experiment, o compare.Outcome) string {
	gpus := "1 GPU"
	if n := e.Profile.GPUs; n != 1 {
		gpus = fmt.Sprintf("%d GPUs", n)
	}
	if o.Capacity == 0 {
		return fmt.Sprintf("%s: %s a replica, on which the mean request of this load misses the objective even alone", e.Profile.Name, gpus)
	}
	return fmt.Sprintf("%s: %s a replica, which sustains about %.3g requests/s of this load", e.Profile.Name, gpus, o.Capacity)
}

// percentText writes a share that somebody has set, to a millionth of a percent: 99.999 % is not 100 %.
func percentText(share float64) string {
	return strconv.FormatFloat(math.Round(1e8*share)/1e6, 'f', -1, 64) + " %"
}

// findings are what a reader should take from the table, Preheat's defeats among them.
func findings(e compare.Experiment, o compare.Outcome, cells []score.Cell) []string {
	var lines []string
	for _, p := range o.Proofs {
		if p.Seed == e.Seeds[0] {
			lines = append(lines, proofText(p, e))
		}
	}
	for _, lead := range e.Leads {
		of := slices.DeleteFunc(slices.Clone(cells), func(c score.Cell) bool { return c.LeadTime != lead.Whole.Seconds() })
		verdict := report.Verdict(of, e.SLO)
		if len(e.Leads) > 1 {
			verdict = fmt.Sprintf("Lead time %v: %s", lead.Whole, verdict)
		}
		lines = append(lines, verdict)
	}
	return lines
}

// proofText says how good the oracle's schedule is.
func proofText(p compare.Proof, e compare.Experiment) string {
	text := compare.Oracle
	if len(e.Leads) > 1 {
		text += fmt.Sprintf(" at %v", p.Lead)
	}
	goal := percentText(e.SLO.Attainment)
	if p.CutShort {
		text += ", its search cut short"
	}
	if p.Met {
		text += fmt.Sprintf(": the best of %s schedules simulated; no schedule whatever can attain %s for less than %s GPU-hours",
			thousands(int64(p.Simulations)), goal, score.Amount(p.Bound/3600))
	} else {
		text += fmt.Sprintf(": none of %s schedules simulated attains %s; the bounds, the start or the objective forbid it",
			thousands(int64(p.Simulations)), goal)
	}
	if p.Hopeless > 0 {
		text += fmt.Sprintf("; %s requests (%.1f %%) miss the objective even alone on a replica",
			thousands(p.Hopeless), 100*float64(p.Hopeless)/float64(p.Requests))
	}
	return text + "."
}
