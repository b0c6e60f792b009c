package series

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// point is a sample; its time is in milliseconds since 1970, as in all of tsdb.
type point struct {
	t int64
	v float64
}

// window is what came in one span of two hours: in memory as compressed chunks, one a series, until it becomes a block.
type window struct {
	start   int64
	targets map[controlloop.TargetID]*[numQuantities]line
	// segment is the first one of the log that this window may be in.
	segment int
}

// line is one series within a window.
type line struct {
	chunk *chunkenc.XORChunk // nil before the first sample
	app   chunkenc.Appender
	first int64
	last  int64
	ref   uint64 // in the log, zero before it was named there
}

// windowOf returns the start of the window that a time lies in.
func windowOf(t int64) int64 { return floor(t, windowLength) }

// floor returns the largest multiple of a step that is at most t.
func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}

func newWindow(start int64) *window {
	return &window{start: start, targets: map[controlloop.TargetID]*[numQuantities]line{}}
}

func (w *window) end() int64 { return w.start + windowLength }

// line returns the place of a series, made where there is none yet.
func (w *window) line(k key) *line {
	lines, ok := w.targets[k.target]
	if !ok {
		k.target.Namespace, k.target.Name = strings.Clone(k.target.Namespace), strings.Clone(k.target.Name)
		lines = &[numQuantities]line{}
		w.targets[k.target] = lines
	}
	return &lines[k.quantity]
}

// put adds a sample; one that is not newer than the last is left out.
func (l *line) put(p point) {
	if l.chunk == nil {
		l.chunk = chunkenc.NewXORChunk()
		l.app, _ = l.chunk.Appender() // of a new chunk: cannot fail
		l.first = p.t
	} else if p.t <= l.last || l.chunk.NumSamples() == maxSamples {
		return
	}
	l.app.Append(0, p.t, p.v)
	l.last = p.t
}

// cut takes out the samples from an instant on.
func (l *line) cut(t int64) {
	if l.chunk == nil || l.last < t {
		return
	}
	before := l.points()
	l.chunk = nil
	for _, p := range before {
		if p.t < t {
			l.put(p)
		}
	}
}

// points returns the samples of a line, in order.
func (l *line) points() []point {
	if l.chunk == nil {
		return nil
	}
	ps := make([]point, 0, l.chunk.NumSamples())
	for it := l.chunk.Iterator(nil); it.Next() == chunkenc.ValFloat; {
		t, v := it.At()
		ps = append(ps, point{t, v})
	}
	return ps
}

// each calls f with all lines that have a sample, in the order of their keys.
func (w *window) each(f func(key, *line)) {
	ids := slices.SortedFunc(maps.Keys(w.targets), func(a, b controlloop.TargetID) int {
		if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, id := range ids {
		for q := range w.targets[id] {
			if l := &w.targets[id][q]; l.chunk != nil {
				f(key{id, Quantity(q)}, l)
			}
		}
	}
}

// windows are in the order of their starts.
type windows []*window

// cut takes out the samples from an instant on, of one series or of all, and the windows in which nothing is left.
func (ws *windows) cut(t int64, of *key) {
	*ws = slices.DeleteFunc(*ws, func(w *window) bool {
		if w.end() <= t {
			return false
		}
		left := false
		w.each(func(k key, l *line) {
			if of == nil || k == *of {
				l.cut(t)
			}
			left = left || l.chunk != nil
		})
		return !left
	})
}

// at returns the window that a time lies in, made where there is none yet, and whether it was made.
func (ws *windows) at(t int64) (w *window, made bool) {
	start := windowOf(t)
	i, found := slices.BinarySearchFunc(*ws, start, func(w *window, start int64) int { return int(min(max(w.start-start, -1), 1)) })
	if found {
		return (*ws)[i], false
	}
	w = newWindow(start)
	*ws = slices.Insert(*ws, i, w)
	return w, true
}

// newest returns the time of the newest sample, before all time where there is none.
func (ws windows) newest() int64 {
	newest := int64(never)
	for _, w := range ws {
		w.each(func(_ key, l *line) { newest = max(newest, l.last) })
	}
	return newest
}

// take adds what is newer than an instant.
func (ws *windows) take(from windows, after int64) {
	for _, w := range from {
		w.each(func(k key, l *line) {
			for _, p := range l.points() {
				if p.t > after {
					to, _ := ws.at(p.t)
					to.line(k).put(p)
				}
			}
		})
	}
}
