package exposition

import (
	"bytes"
	"math"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// point is one value on its way through a reduction.
type point struct {
	// key covers the labels that have not been folded away.
	key uint64
	// value is the sum, maximum … of n series.
	value float64
	n     int32
	// at is the first of those series.
	at int32
}

// outcome says what became of a term or candidate; of several, the least counts.
type outcome uint8

const (
	absent  outcome = iota // not on the page: the next candidate is asked
	invalid                // on the page, but no usable value: the quantity is unknown
	found
)

// firstPresent returns the value of the first candidate that is on the page. One that is there without a usable value
// ends the search: another candidate counts from elsewhere, and a counter must not change its source between pages.
func (pg *page) firstPresent(p *program, candidates []candidate) (float64, bool) {
	v, _, got := pg.present(p, candidates)
	return v, got == found
}

// present returns the first candidate that is on the page, its value and whether that is usable.
func (pg *page) present(p *program, candidates []candidate) (float64, *candidate, outcome) {
	for i := range candidates {
		if v, got := pg.candidate(p, &candidates[i]); got != absent {
			return v, &candidates[i], got
		}
	}
	return 0, nil, absent
}

// candidate evaluates a candidate. It is absent where any of its terms is, and then not invalid.
func (pg *page) candidate(p *program, c *candidate) (float64, outcome) {
	v, worst := pg.term(p, &c.term)
	for i := range c.plus {
		if more, got := pg.term(p, &c.plus[i]); got != absent {
			v += more
			worst = min(worst, got)
		}
	}
	for i := range c.minus {
		less, got := pg.term(p, &c.minus[i])
		v = math.Max(0, v-less)
		worst = min(worst, got)
	}
	for i := range c.times {
		by, got := pg.term(p, &c.times[i])
		v *= by
		worst = min(worst, got)
	}
	for i := range c.over {
		by, got := pg.term(p, &c.over[i])
		v /= by
		worst = min(worst, got)
	}
	if worst != found {
		return 0, worst
	}
	if !signals.Valid(v) {
		return 0, invalid
	}
	return math.Min(v, c.atMost), found
}

// term reduces the series of a term to one value.
func (pg *page) term(p *program, t *term) (float64, outcome) {
	points, got := pg.gather(pg.points[:0], t)
	pg.points = points
	if got != found {
		return 0, got
	}
	if t.final.fn == meanOf && len(t.final.on) > 0 {
		if v, ok := pg.weightedMean(p, points, &t.final); ok {
			return v * t.scale, found
		}
	}
	all := points[0]
	for _, more := range points[1:] {
		all.take(t.final.fn, more)
	}
	return all.result(t.final.fn) * t.scale, found
}

// gather selects the series of a term and applies its folds.
func (pg *page) gather(points []point, t *term) ([]point, outcome) {
	worst := found
	pg.chosen = pg.selects(pg.chosen[:0], &t.selection)
	if t.newest {
		pg.chosen = pg.newest(pg.chosen)
	}
	for _, at := range pg.chosen {
		v, got := pg.seriesValue(at, t)
		worst = min(worst, got)
		points = append(points, point{key: pg.key(at), value: v, n: 1, at: at})
	}
	switch {
	case len(points) == 0:
		return points, absent
	case worst != found:
		return points[:0], worst
	}
	points = group(points, firstOf)
	if t.each != nil && !pg.multiply(points, t.each) {
		return points[:0], absent
	}
	for _, f := range t.folds {
		if pg.fold(points, f.labels) {
			points = group(points, f.fn)
		}
	}
	return points, found
}

// multiply multiplies each point by its factor, false where one has none.
func (pg *page) multiply(points []point, e *each) bool {
	factors := map[uint64]float64{}
	for _, at := range pg.selects(nil, &e.selection) {
		v := pg.series[at].value
		if !signals.Valid(v) {
			return false
		}
		key := pg.hashOf(at, e.by)
		factors[key] = max(v, factors[key])
	}
	for i := range points {
		factor, ok := factors[pg.hashOf(points[i].at, e.by)]
		if !ok {
			return false
		}
		points[i].value *= factor
	}
	return true
}

// newest keeps the series with the largest value.
func (pg *page) newest(list []int32) []int32 {
	last := math.Inf(-1)
	for _, at := range list {
		if v := pg.series[at].value; v > last {
			last = v
		}
	}
	return slices.DeleteFunc(list, func(at int32) bool { return !(pg.series[at].value >= last) })
}

// seriesValue returns what a term takes from a series: its value, a product of labels or the length of a list.
func (pg *page) seriesValue(at int32, t *term) (float64, outcome) {
	v := pg.series[at].value
	if len(t.product) > 0 {
		v = 1
		for _, name := range t.product {
			factor, err := parseFloat(pg.labelValue(at, name))
			if err != nil || !(factor > 0) {
				return 0, absent
			}
			v *= factor
		}
	}
	if t.names != "" {
		v = float64(countNames(pg.labelValue(at, t.names)))
	}
	switch {
	case t.zeroAbsent && v == 0:
		return 0, absent
	case !signals.Valid(v):
		return 0, invalid
	}
	return v, found
}

// countNames returns how many names a list with commas holds.
func countNames(list []byte) int {
	n := 0
	for len(list) > 0 {
		var name []byte
		name, list, _ = bytes.Cut(list, comma)
		if len(trim(name)) > 0 {
			n++
		}
	}
	return n
}

var comma = []byte{','}

// key covers all labels of a series, in whatever order.
func (pg *page) key(at int32) uint64 {
	var key uint64
	for _, l := range pg.labelsOf(at) {
		key += l.hash
	}
	return key
}

// fold takes labels out of the points' keys and reports whether any point carried one.
func (pg *page) fold(points []point, labels []string) bool {
	carried := false
	for i := range points {
		if h := pg.hashOf(points[i].at, labels); h != 0 {
			points[i].key -= h
			carried = true
		}
	}
	return carried
}

// hashOf covers only the named labels of a series.
func (pg *page) hashOf(at int32, names []string) uint64 {
	var h uint64
	for _, l := range pg.labelsOf(at) {
		for _, name := range names {
			if string(l.name) == name {
				h += l.hash
			}
		}
	}
	return h
}

// weightedMean returns the mean of points weighted by another metric, false where a weight is unknown or all are 0.
func (pg *page) weightedMean(p *program, points []point, f *final) (float64, bool) {
	weights := pg.weightPoints(p, f.weight)
	byKey := make(map[uint64]float64, len(weights))
	for _, w := range weights {
		byKey[pg.hashOf(w.at, f.on)] += w.value
	}
	sum, total := 0.0, 0.0
	for _, pt := range points {
		w, ok := byKey[pg.hashOf(pt.at, f.on)]
		if !ok {
			return 0, false
		}
		sum += w * pt.value
		total += w
	}
	return sum / total, total > 0
}

// weightPoints returns the folded series of the first present candidate of a metric; only its first term counts, for
// the others are the same for all engines.
func (pg *page) weightPoints(p *program, m signals.Metric) []point {
	for i := range p.metrics[m] {
		points, got := pg.gather(pg.weights[:0], &p.metrics[m][i].term)
		pg.weights = points
		if got != absent {
			return points
		}
	}
	return nil
}

// group makes one point of those with the same key, in place and in the order of first appearance.
func group(points []point, fn function) []point {
	const few = 16 // up to here comparing all pairs is faster than a map
	if len(points) > few {
		return groupMany(points, fn)
	}
	n := 0
next:
	for _, pt := range points {
		for i := range points[:n] {
			if points[i].key == pt.key {
				points[i].take(fn, pt)
				continue next
			}
		}
		points[n] = pt
		n++
	}
	return finish(points[:n], fn)
}

func groupMany(points []point, fn function) []point {
	seen := make(map[uint64]int, len(points))
	n := 0
	for _, pt := range points {
		if i, ok := seen[pt.key]; ok {
			points[i].take(fn, pt)
			continue
		}
		seen[pt.key] = n
		points[n] = pt
		n++
	}
	return finish(points[:n], fn)
}

// finish turns accumulated points into values of one series each.
func finish(points []point, fn function) []point {
	for i := range points {
		points[i].value = points[i].result(fn)
		points[i].n = 1
	}
	return points
}

// take adds another point to an accumulated one.
func (pt *point) take(fn function, other point) {
	pt.n += other.n
	switch fn {
	case sumOf, meanOf:
		pt.value += other.value
	case maxOf:
		pt.value = math.Max(pt.value, other.value)
	case countOf, firstOf: // n counts, and the first value stays
	}
}

// result returns the value of an accumulated point.
func (pt *point) result(fn function) float64 {
	switch fn {
	case meanOf:
		return pt.value / float64(pt.n)
	case countOf:
		return float64(pt.n)
	default:
		return pt.value
	}
}
