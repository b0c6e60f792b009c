package score

import (
	"slices"
	"strings"
)

// gap is what stands between two columns.
const gap = "  "

// drawn is a column with its text, the heading first.
type drawn struct {
	text  []string
	width int
	rank  int
	left  bool
}

// render lays out the columns that have something to say and fit.
func render[T any](cs []column[T], rows []T) string {
	var ds []drawn
	for _, c := range cs {
		if d := draw(c, rows); d.says() {
			ds = append(ds, d)
		}
	}
	for width(ds) > TableWidth {
		i := least(ds)
		if i < 0 {
			break
		}
		ds = slices.Delete(ds, i, i+1)
	}
	var b strings.Builder
	for row := range len(rows) + 1 {
		b.WriteString(line(ds, row))
	}
	return b.String()
}

func draw[T any](c column[T], rows []T) drawn {
	d := drawn{text: []string{c.head}, width: len(c.head), rank: c.rank, left: c.left}
	for _, row := range rows {
		t := c.cell(row)
		d.text = append(d.text, t)
		d.width = max(d.width, len(t))
	}
	return d
}

// says reports whether any row has a text, or there are no rows.
func (d drawn) says() bool {
	return len(d.text) == 1 || slices.ContainsFunc(d.text[1:], func(t string) bool { return t != "" })
}

func width(ds []drawn) int {
	n := -len(gap)
	for _, d := range ds {
		n += d.width + len(gap)
	}
	return n
}

// least is the index of the column to leave out first, negative where all must stay.
func least(ds []drawn) int {
	found := -1
	for i, d := range ds {
		if d.rank > 0 && (found < 0 || d.rank < ds[found].rank) {
			found = i
		}
	}
	return found
}

// line is one row of the table; what is absent is a dash.
func line(ds []drawn, row int) string {
	var b strings.Builder
	for i, d := range ds {
		if i > 0 {
			b.WriteString(gap)
		}
		text := d.text[row]
		if text == "" {
			text = "-"
		}
		pad := strings.Repeat(" ", d.width-len(text))
		if d.left {
			b.WriteString(text + pad)
		} else {
			b.WriteString(pad + text)
		}
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}
