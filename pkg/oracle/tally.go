package oracle

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// outcome is what one schedule came to.
type outcome struct {
	missed int64
	// held is the replica-time that GPUs were held, exactly.
	held time.Duration
}

// tally is the sink of one run: misses by the cell of their arrival, and the replicas that held GPUs by cell.
type tally struct {
	clock
	outcome
	slo      score.SLO
	from     time.Duration // when counting begins
	misses   []int32
	replicas []float64 // replica-seconds held in each cell
	ready    []float64 // those of them that served
	// want is the replicas that were to be ready in each cell; nil for a schedule that was not made of such.
	want []int32

	last replay.Census
}

// Ended implements replay.Sink.
func (t *tally) Ended(r replay.Request) {
	if r.Arrival < t.from || t.slo.Judge(r).Both {
		return
	}
	t.missed++
	i := t.of(r.Arrival)
	t.misses = grown(t.misses, i)
	t.misses[i]++
}

// Counted implements replay.Sink.
func (t *tally) Counted(c replay.Census) {
	n := t.last.Starting + t.last.Ready + t.last.Draining
	if since := max(t.last.At, t.from); since < c.At {
		t.held += (c.At - since) * time.Duration(n)
		t.replicas = t.spread(t.replicas, since, c.At, float64(n))
		t.ready = t.spread(t.ready, since, c.At, float64(t.last.Ready))
	}
	t.last = c
}

// Decided implements replay.Sink.
func (t *tally) Decided(string, scaling.Decision, baseline.Gateway) {}

// spread adds n replicas from one time to another to the cells between.
func (t *tally) spread(cells []float64, from, to time.Duration, n float64) []float64 {
	for n != 0 && from < to {
		i := t.of(from)
		until := min(to, t.at(i+1))
		cells = grown(cells, i)
		cells[i] += n * (until - from).Seconds()
		from = until
	}
	return cells
}

// better says whether o is to be preferred to p where at most allowed requests may miss: what meets that before what does
// not, then the cheaper; among those that do not, fewer misses come first.
func (o outcome) better(p outcome, allowed int64) bool {
	switch met, other := o.missed <= allowed, p.missed <= allowed; {
	case met != other:
		return met
	case met || o.missed == p.missed:
		return o.held < p.held
	}
	return o.missed < p.missed
}

// window is a range of cells.
type window struct{ from, to int }

// within sums the misses and the replica-seconds of a window.
func (t *tally) within(w window) (missed int64, held float64) {
	for i := w.from; i < w.to; i++ {
		if i < len(t.misses) {
			missed += int64(t.misses[i])
		}
		if i < len(t.replicas) {
			held += t.replicas[i]
		}
	}
	return missed, held
}

// splice takes a window over from another run.
func (t *tally) splice(from *tally, w window) {
	for i := w.from; i < w.to; i++ {
		if i < len(from.misses) || i < len(t.misses) {
			t.misses = grown(t.misses, i)
			t.misses[i] = element(from.misses, i)
		}
		if i < len(from.replicas) || i < len(t.replicas) {
			t.replicas = grown(t.replicas, i)
			t.replicas[i] = element(from.replicas, i)
		}
	}
}

// element is s[i], zero beyond its end.
func element[T any](s []T, i int) T {
	if i < len(s) {
		return s[i]
	}
	return *new(T)
}

// sum makes the whole the sum of the cells again.
func (t *tally) sum() {
	t.missed = 0
	for _, n := range t.misses {
		t.missed += int64(n)
	}
	held := 0.0
	for _, h := range t.replicas {
		held += h
	}
	t.held = time.Duration(held * float64(time.Second))
}
