package series

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// row is a line of a file: the start of its interval in nanoseconds since 1970, and its value.
type row struct {
	at    int64
	value float64
}

// The bounds of a series: in memory two years of seconds, not much more missing than there, and rows of at most a year,
// well inside time.Duration.
const (
	mostRows   = 1 << 26
	mostSparse = 100
	mostStep   = 366 * 24 * time.Hour
)

// even puts rows on a grid of their step. It sorts them.
func even(rows []row) (*Series, error) {
	var notes []string
	if n := sorted(rows); n > 0 {
		notes = append(notes, fmt.Sprintf("%s earlier than one before: sorted by time", count(n, "row is", "rows are")))
	}
	step, err := stepOf(rows)
	if err != nil {
		return nil, err
	}
	if step > int64(mostStep) {
		return nil, fmt.Errorf("its rows are %v apart: at most a year", time.Duration(step))
	}
	anchor := rows[0].at + offset(rows[0].at, phaseOf(rows, step), step)
	last := slot(rows[len(rows)-1].at, anchor, step)
	if last >= mostRows || last/mostSparse > int64(len(rows)) {
		return nil, fmt.Errorf("%d rows over %v with a usual step of %v do not make an even series",
			len(rows), time.Duration(rows[len(rows)-1].at-rows[0].at), time.Duration(step))
	}
	s := &Series{Start: time.Unix(0, anchor).UTC(), Step: time.Duration(step), Values: unknown(int(last) + 1), Notes: notes}
	s.fill(rows, anchor)
	return s, nil
}

// fill puts each row into its place and notes what was amiss.
func (s *Series) fill(rows []row, anchor int64) {
	filled := make([]bool, len(s.Values))
	var again, off int
	for _, r := range rows {
		i := slot(r.at, anchor, int64(s.Step))
		if filled[i] {
			again++
		}
		if r.at != anchor+i*int64(s.Step) {
			off++
		}
		filled[i], s.Values[i] = true, r.value
	}
	missing := 0
	for _, there := range filled {
		if !there {
			missing++
		}
	}
	s.note(off, "row lies", "rows lie", fmt.Sprintf("beside the grid of %v: moved to the nearest place on it", s.Step))
	s.note(again, "row has", "rows have", "the place of one before: the later counts")
	s.note(missing, "row is", "rows are", "missing: unknown, not zero")
}

// note tells of n things, unless there is none.
func (s *Series) note(n int, one, many, text string) {
	if n > 0 {
		s.Notes = append(s.Notes, count(n, one, many)+" "+text)
	}
}

// count writes a number before a word in singular or plural.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// unknown is n rows of which nothing is known.
func unknown(n int) []float64 { return slices.Repeat([]float64{math.NaN()}, n) }

// sorted puts rows in order of time, those of one time in the order of the file, and counts those that were late.
func sorted(rows []row) int {
	late, newest := 0, int64(math.MinInt64)
	for _, r := range rows {
		if r.at < newest {
			late++
		}
		newest = max(newest, r.at)
	}
	if late > 0 {
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
	}
	return late
}

// stepOf is the usual difference of times, in nanoseconds: the median, as whole seconds where it is within a hundredth of
// that. Where rows drift from this by more than a clock does, as those of 7:12 and 7:13 in turn, it is the mean difference.
func stepOf(rows []row) (int64, error) {
	var steps []int64
	for i := range rows[1:] {
		if d := rows[i+1].at - rows[i].at; d > 0 {
			steps = append(steps, d)
		}
	}
	if len(steps) == 0 {
		return 0, errors.New("at least two rows of different times are needed to know the step")
	}
	slices.Sort(steps)
	median := steps[len(steps)/2]
	step := rounded(median)
	var span, n int64
	for _, d := range steps {
		span, n = span+d, n+(d+step/2)/step
	}
	if mean := float64(span) / float64(max(n, 1)); drifts(mean, float64(step), n) {
		return int64(math.Round(mean)), nil
	}
	return step, nil
}

// drifts says whether n rows of a mean step leave the grid of the usual one: by over half a row, by more than clocks drift,
// and by no more than rounding explains.
func drifts(mean, step float64, n int64) bool {
	d := math.Abs(mean - step)
	return d*float64(n) > step/2 && d > 0.0005*step && d < 0.02*step
}

// rounded is whole seconds where a step is within a hundredth of them.
func rounded(step int64) int64 {
	const second = int64(time.Second)
	whole := (step + second/2) / second * second
	if whole > 0 && math.Abs(float64(whole-step)) <= 0.01*float64(step) {
		return whole
	}
	return step
}

// phaseOf is where within a step rows begin, in nanoseconds: where most of them do, or where they do on average.
func phaseOf(rows []row, step int64) int64 {
	if v, ok := majority(rows, step); ok {
		return v
	}
	var sin, cos float64
	for _, r := range rows {
		angle := 2 * math.Pi * float64(modulo(r.at, step)) / float64(step)
		sin, cos = sin+math.Sin(angle), cos+math.Cos(angle)
	}
	turn := math.Atan2(sin, cos) / (2 * math.Pi)
	return modulo(rounded(int64(turn*float64(step))), step)
}

// majority is the phase that more than half of the rows have, if one has.
func majority(rows []row, step int64) (phase int64, ok bool) {
	votes := 0
	for _, r := range rows {
		switch p := modulo(r.at, step); {
		case votes == 0:
			phase, votes = p, 1
		case p == phase:
			votes++
		default:
			votes--
		}
	}
	n := 0
	for _, r := range rows {
		if modulo(r.at, step) == phase {
			n++
		}
	}
	return phase, 2*n > len(rows)
}

// offset is how far the nearest place on the grid of a phase is from a time.
func offset(at, phase, step int64) int64 {
	d := modulo(phase-at, step)
	if d > step/2 {
		d -= step
	}
	return d
}

// slot is the number of the place nearest to a time, counted from the anchor.
func slot(at, anchor, step int64) int64 { return (at - anchor + step/2) / step }

// modulo is the remainder of a division, never negative.
func modulo(a, b int64) int64 { return (a%b + b) % b }
