package score

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// SweepRow is what becomes of one policy as the lead time grows.
type SweepRow struct {
	Policy string `json:"policy"`
	Target string `json:"target,omitempty"`
	// At are its cells by rising lead time.
	At []SweepCell `json:"at"`
	// Holds is the longest lead time, in seconds, up to which the SLO is Met at every one tried, nil where not even at the
	// shortest; Collapses is the shortest at which it is Missed, nil where it is at none. Between them it may be Unsure.
	Holds     *float64 `json:"holds_to_s,omitempty"`
	Collapses *float64 `json:"collapses_at_s,omitempty"`
}

// SweepCell is one policy under one lead time.
type SweepCell struct {
	// LeadTime is in seconds, Attainment the mean over the seeds.
	LeadTime   float64  `json:"lead_time_s"`
	Attainment float64  `json:"attainment"`
	SLO        Standing `json:"slo"`
	GPUHours   float64  `json:"gpu_hours"`
}

// Sweep lays the cells out by policy and lead time, in the order in which policies first occur, and says where each
// falls short of the SLO.
func Sweep(cells []Cell, slo SLO) []SweepRow {
	var rows []SweepRow
	for _, c := range cells {
		i := slices.IndexFunc(rows, func(r SweepRow) bool { return r.Policy == c.Policy && r.Target == c.Target })
		if i < 0 {
			i = len(rows)
			rows = append(rows, SweepRow{Policy: c.Policy, Target: c.Target})
		}
		p := c.Point("")
		rows[i].At = append(rows[i].At, SweepCell{c.LeadTime, p.Attainment, c.Standing(slo), p.GPUHours})
	}
	for i := range rows {
		rows[i].judge()
	}
	return rows
}

// judge finds where the row's policy stops to hold.
func (r *SweepRow) judge() {
	slices.SortFunc(r.At, func(a, b SweepCell) int { return cmp.Compare(a.LeadTime, b.LeadTime) })
	for i, c := range r.At {
		switch unbroken := !slices.ContainsFunc(r.At[:i], func(c SweepCell) bool { return c.SLO != Met }); {
		case c.SLO == Missed:
			r.Collapses = &c.LeadTime
			return
		case c.SLO == Met && unbroken:
			r.Holds = &c.LeadTime
		}
	}
}

// WriteSweep writes the rows for people: each policy's attainment under each lead time, a question mark before it where it is
// Unsure, how far it holds and where it falls short.
func WriteSweep(w io.Writer, rows []SweepRow) error {
	cs := []column[SweepRow]{
		{head: "POLICY", left: true, cell: func(r SweepRow) string { return r.Policy }},
		{head: "TARGET", left: true, cell: func(r SweepRow) string { return r.Target }},
	}
	for _, lead := range leadTimes(rows) {
		cs = append(cs, column[SweepRow]{head: duration(lead), cell: func(r SweepRow) string { return r.attained(lead) }})
	}
	cs = append(cs,
		column[SweepRow]{head: "HOLDS-TO", cell: func(r SweepRow) string { return optional(r.Holds) }},
		column[SweepRow]{head: "COLLAPSES-AT", cell: func(r SweepRow) string { return optional(r.Collapses) }},
	)
	if _, err := io.WriteString(w, render(cs, rows)); err != nil {
		return fmt.Errorf("write lead-time sweep: %w", err)
	}
	return nil
}

// leadTimes are those of any row, rising.
func leadTimes(rows []SweepRow) []float64 {
	var out []float64
	for _, r := range rows {
		for _, c := range r.At {
			out = append(out, c.LeadTime)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r SweepRow) attained(lead float64) string {
	for _, c := range r.At {
		if c.LeadTime == lead {
			return doubted(c.SLO) + Percent(c.Attainment)
		}
	}
	return ""
}

// doubted is the mark of a standing that other seeds might turn round.
func doubted(s Standing) string {
	if s == Unsure {
		return "?"
	}
	return ""
}

func optional(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return duration(*seconds)
}
