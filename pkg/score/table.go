package score

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// TableWidth is the number of columns of a terminal that a table fits into.
const TableWidth = 120

// column is one of a table. Where the table is too wide, columns go by rising rank until it fits; those of rank 0 stay.
type column[T any] struct {
	head string
	rank int
	cell func(T) string
	left bool
}

// WriteTable writes the comparison for people, one line a cell, in plain ASCII. Columns in which no cell has anything
// to say are left out, and so are the least of the others where the line would be longer than TableWidth.
func WriteTable(w io.Writer, cells []Cell, slo SLO) error {
	text := render(columns(cells, slo), cells)
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func columns(cells []Cell, slo SLO) []column[Cell] {
	cs := []column[Cell]{
		{head: "POLICY", left: true, cell: func(c Cell) string { return c.Policy }},
		{head: "TARGET", left: true, cell: func(c Cell) string { return c.Target }},
	}
	if severalLeadTimes(cells) {
		cs = append(cs, column[Cell]{head: "LEAD", cell: func(c Cell) string { return duration(c.LeadTime) }})
	}
	return append(cs,
		column[Cell]{head: "ATTAINED", cell: spread("attainment", Percent)},
		column[Cell]{head: "SLO", left: true, rank: 12, cell: func(c Cell) string { return string(c.Standing(slo)) }},
		column[Cell]{head: "GPU-HOURS", cell: spread("gpu_hours", Amount)},
		column[Cell]{head: "ORACLE", cell: toOracle},
		column[Cell]{head: "COST", rank: 11, cell: mean("cost", Amount)},
		column[Cell]{head: "IDLE", rank: 6, cell: share("gpu_hours_idle")},
		column[Cell]{head: "LOADING", rank: 5, cell: share("gpu_hours_loading")},
		column[Cell]{head: "TTFT-P50", rank: 2, cell: mean("ttft_p50_s", duration)},
		column[Cell]{head: "TTFT-P99", rank: 10, cell: mean("ttft_p99_s", duration)},
		column[Cell]{head: "TPOT-P99", rank: 9, cell: mean("tpot_p99_s", duration)},
		column[Cell]{head: "FAILED", rank: 8, cell: failed},
		column[Cell]{head: "SCALED", rank: 3, cell: mean("scale_events", tally)},
		column[Cell]{head: "FLAPPING", rank: 7, cell: mean("flapping", tally)},
		column[Cell]{head: "COLD", rank: 4, cell: mean("cold_starts", tally)},
		column[Cell]{head: "BLIND", rank: 1, cell: positive("blind_s", duration)},
	)
}

func severalLeadTimes(cells []Cell) bool {
	return slices.ContainsFunc(cells, func(c Cell) bool { return c.LeadTime != cells[0].LeadTime })
}

// mean writes a figure's mean, positive only where it is not zero.
func mean(figure string, form func(float64) string) func(Cell) string {
	return func(c Cell) string {
		v, ok := c.Value(figure)
		if !ok {
			return ""
		}
		return form(v)
	}
}

func positive(figure string, form func(float64) string) func(Cell) string {
	return mean(figure, func(v float64) string {
		if v == 0 {
			return ""
		}
		return form(v)
	})
}

// spread writes a figure's mean and how far its interval reaches from it: on the longer side, where the other one ends at
// what is possible.
func spread(figure string, form func(float64) string) func(Cell) string {
	return func(c Cell) string {
		i, ok := c.Figures[figure]
		if !ok {
			return ""
		}
		if i.Low == nil {
			return form(i.Mean)
		}
		return form(i.Mean) + " +-" + form(max(*i.High-i.Mean, i.Mean-*i.Low))
	}
}

// share writes a figure as its part of all GPU-hours.
func share(figure string) func(Cell) string {
	return func(c Cell) string {
		part, _ := c.Value(figure)
		all, ok := c.Value("gpu_hours")
		if !ok || all == 0 {
			return ""
		}
		return fmt.Sprintf("%.0f%%", 100*part/all)
	}
}

func toOracle(c Cell) string {
	r, ok := c.ToOracle["gpu_hours"]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2fx", r.Mean)
}

// failed counts the requests that had no answer.
func failed(c Cell) string {
	sum := 0.0
	for _, f := range []string{"timed_out", "rejected", "lost"} {
		v, _ := c.Value(f)
		sum += v
	}
	if sum == 0 {
		return ""
	}
	return tally(sum)
}

// Percent writes a share of requests rounded down, as in 99.98%: 100.00% is said of all of them only. The small slack
// keeps 0.9908, which no float is, from being 99.07%.
func Percent(share float64) string {
	const slack = 1e-9
	return fmt.Sprintf("%.2f%%", math.Floor(1e4*share+slack)/100)
}

// Amount writes GPU-hours and money, so that a column of them lines up at the point: two decimals, none from 1000 on.
func Amount(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// tally writes a count, or the mean of some.
func tally(v float64) string {
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// duration writes seconds.
func duration(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.0fms", 1000*s)
	case s < 10:
		return fmt.Sprintf("%.2fs", s)
	case s < 1000:
		return fmt.Sprintf("%.0fs", s)
	default:
		return fmt.Sprintf("%.0fm", s/60)
	}
}
