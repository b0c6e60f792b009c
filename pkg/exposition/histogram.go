package exposition

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// bucket is one sample of a histogram, on its way into one.
type bucket struct {
	// owner is the key of the histogram's series, its labels without le; at is one of its series.
	owner uint64
	le    float64
	value float64
	at    int32
	part  part
}

// part tells the samples of a histogram apart; they are sorted in this order.
type part uint8

const (
	bucketPart part = iota
	countPart
	sumPart
)

// histogram returns the first candidate that is on the page, all its series added; nil where none is, or where it is
// incomplete.
func (pg *page) histogram(candidates []histogramTerm, interned *boundsTable) *signals.Histogram {
	h, _, _ := pg.presentHistogram(candidates, interned)
	return h
}

// presentHistogram returns the first candidate that is on the page, and its histogram, nil where that is not usable.
func (pg *page) presentHistogram(candidates []histogramTerm, interned *boundsTable) (*signals.Histogram, *histogramTerm, outcome) {
	for i := range candidates {
		h, got := pg.histogramTerm(&candidates[i], interned)
		for _, stage := range candidates[i].then {
			h, got = pg.followed(h, got, stage, interned)
		}
		if got != absent {
			return h, &candidates[i], got
		}
	}
	return nil, nil, absent
}

// followed adds the mean of a further stage to a histogram, which loses its buckets.
func (pg *page) followed(h *signals.Histogram, got outcome, stage []histogramTerm, interned *boundsTable) (*signals.Histogram, outcome) {
	next, _, there := pg.presentHistogram(stage, interned)
	if worst := min(got, there); worst != found {
		return nil, worst
	}
	n := h.Count()
	mean, ok := next.Mean()
	if n > 0 && !ok || !signals.Valid(h.Sum+n*mean) {
		return nil, invalid
	}
	return &signals.Histogram{Counts: []float64{n}, Sum: h.Sum + n*mean}, found
}

func (pg *page) histogramTerm(t *histogramTerm, interned *boundsTable) (*signals.Histogram, outcome) {
	if !pg.gatherBuckets(t) {
		return nil, invalid
	}
	if len(pg.buckets) == 0 {
		return nil, absent
	}
	sortBuckets(pg.buckets)
	var sum *signals.Histogram
	rivals := rivals{}
	for rest := pg.buckets; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].owner == rest[0].owner {
			n++
		}
		h := assemble(rest[:n], t.scale, interned)
		if h == nil {
			return nil, invalid
		}
		if len(t.oneOf) > 0 {
			at := rest[0].at
			rivals.put(rest[0].owner-pg.hashOf(at, t.oneOf), h, pg.valuesOf(at, t.oneOf))
		} else {
			sum = plus(sum, h)
		}
		rest = rest[n:]
	}
	for _, h := range rivals.best {
		sum = plus(sum, h)
	}
	if !signals.Valid(sum.Count()) || !signals.Valid(sum.Sum) {
		return nil, invalid
	}
	return sum, found
}

// rivals keeps of each group of histograms the one whose labels have the lowest values: the same one on every page.
type rivals struct {
	at     map[uint64]int
	best   []*signals.Histogram
	values [][]string
}

func (c *rivals) put(group uint64, h *signals.Histogram, values []string) {
	i, ok := c.at[group]
	switch {
	case !ok:
		if c.at == nil {
			c.at = map[uint64]int{}
		}
		c.at[group] = len(c.best)
		c.best, c.values = append(c.best, h), append(c.values, values)
	case slices.Compare(values, c.values[i]) < 0:
		c.best[i], c.values[i] = h, values
	}
}

// valuesOf returns the values of a series' labels.
func (pg *page) valuesOf(at int32, labels []string) []string {
	values := make([]string, len(labels))
	for i, name := range labels {
		values[i] = string(pg.labelValue(at, name))
	}
	return values
}

// gatherBuckets collects a histogram's samples in pg.buckets, false where one is not usable.
func (pg *page) gatherBuckets(t *histogramTerm) bool {
	pg.buckets = pg.buckets[:0]
	ok := pg.gatherPart(&t.bucket, bucketPart)
	ok = ok && pg.gatherPart(&t.count, countPart)
	return ok && pg.gatherPart(&t.sum, sumPart)
}

func (pg *page) gatherPart(s *selection, p part) bool {
	pg.chosen = pg.selects(pg.chosen[:0], s)
	for _, at := range pg.chosen {
		owner, bound := pg.keyWithoutLE(at)
		b := bucket{owner: owner, at: at, part: p, value: pg.series[at].value}
		if p == bucketPart {
			le, err := parseFloat(bound)
			if err != nil || !signals.Valid(math.Abs(le)) && !math.IsInf(le, 1) {
				return false
			}
			b.le = le
		}
		if !signals.Valid(b.value) {
			return false
		}
		pg.buckets = append(pg.buckets, b)
	}
	return true
}

// keyWithoutLE covers all labels of a series but le, whose value it returns.
func (pg *page) keyWithoutLE(at int32) (key uint64, le []byte) {
	labels := pg.labelsOf(at)
	for i := range labels {
		if l := &labels[i]; string(l.name) == "le" && le == nil {
			le = l.value
		} else {
			key += l.hash
		}
	}
	return key, le
}

// sortBuckets orders by owner, part and bound. Pages list them so, but for count and sum.
func sortBuckets(bs []bucket) {
	byPlace := func(a, b bucket) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.part, b.part), cmp.Compare(a.le, b.le))
	}
	if !slices.IsSortedFunc(bs, byPlace) {
		slices.SortStableFunc(bs, byPlace)
	}
}

// maxBuckets bounds the memory of one histogram; the most that an engine is known to show is 1,024 (TGI).
const maxBuckets = 2048

// assemble makes a histogram of the sorted samples of one series; nil where it has more than maxBuckets, or where its
// sum or both its count and +Inf bucket are missing, as on a torn page. Where a count is lower than the one before it, that one stands.
func assemble(bs []bucket, scale float64, interned *boundsTable) *signals.Histogram {
	bounds := make([]float64, 0, 32) // on the stack for all engines known
	n := 0
	for n < len(bs) && bs[n].part == bucketPart {
		n++
	}
	if n > maxBuckets {
		return nil
	}
	total, hasTotal, sum, hasSum := totals(bs[n:])
	counts := make([]float64, 0, n+1)
	floor := 0.0
	for i, b := range bs[:n] {
		if i > 0 && b.le == bs[i-1].le {
			continue
		}
		if math.IsInf(b.le, 1) {
			total, hasTotal = b.value, true
			continue
		}
		floor = math.Max(floor, b.value)
		bounds, counts = append(bounds, b.le*scale), append(counts, floor)
	}
	if !hasTotal || !hasSum {
		return nil
	}
	return &signals.Histogram{
		Bounds: interned.intern(bounds),
		Counts: append(counts, math.Max(floor, total)),
		Sum:    sum * scale,
	}
}

// totals returns the count and the sum among the samples behind the buckets, the first of each.
func totals(bs []bucket) (count float64, hasCount bool, sum float64, hasSum bool) {
	for _, b := range bs {
		switch {
		case b.part == countPart && !hasCount:
			count, hasCount = b.value, true
		case b.part == sumPart && !hasSum:
			sum, hasSum = b.value, true
		}
	}
	return count, hasCount, sum, hasSum
}

// plus adds h to sum, which it may change. An empty histogram is a known one, so that the first observation counts.
func plus(sum, h *signals.Histogram) *signals.Histogram {
	switch {
	case sum == nil:
		return h
	case slices.Equal(sum.Bounds, h.Bounds):
		for i, c := range h.Counts {
			sum.Counts[i] += c
		}
		sum.Sum += h.Sum
		return sum
	case h.Count() == 0:
		return sum
	default:
		return signals.Merge(sum, h)
	}
}

// boundsTable shares the bounds of histograms: all readings of an engine have the same few.
type boundsTable struct {
	mu     sync.Mutex
	bounds [][]float64
}

func newBoundsTable() *boundsTable { return &boundsTable{} }

// intern returns a shared slice equal to bounds, which stays the caller's.
func (t *boundsTable) intern(bounds []float64) []float64 {
	const most = 256 // beyond that, a page is odd or hostile and its bounds are not shared
	if len(bounds) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := slices.BinarySearchFunc(t.bounds, bounds, slices.Compare[[]float64])
	if ok {
		return t.bounds[at]
	}
	own := slices.Clone(bounds)
	if len(t.bounds) < most {
		t.bounds = slices.Insert(t.bounds, at, own)
	}
	return own
}
