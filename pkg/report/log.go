package report

import (
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// entry is a decision in the log.
type entry struct {
	at       time.Duration
	decision scaling.Decision
	rank     rank
	// place counts the entries of one rank from zero.
	place int
}

// rank is how much an entry matters: the lower ones are thinned first.
type rank int

// The ranks.
const (
	// routine decisions repeat the one before, but for their figures.
	routine rank = iota
	// reasoned ones have another reason than the one before, or another verdict on the last replica.
	reasoned
	// changing ones ask for another number of replicas.
	changing
	ranks
)

// log keeps at most limit decisions: where there are more, every second of the lowest rank that has many, spread evenly
// over the whole run.
type log struct {
	limit   int
	entries []entry
	// total counts all decisions, places those of each rank; of a rank every stride-th is kept, zero meaning all.
	total           int
	places, strides [ranks]int
	last            scaling.Decision
}

// add takes in the next decision.
func (l *log) add(e entry) {
	e.rank = l.rank(&e.decision)
	e.place = l.places[e.rank]
	l.places[e.rank]++
	l.total++
	l.last = scaling.Decision{Replicas: e.decision.Replicas, Reason: e.decision.Reason, BreakEven: e.decision.BreakEven}
	if e.place%max(1, l.strides[e.rank]) != 0 {
		return
	}
	l.entries = append(l.entries, e)
	l.thin()
}

func (l *log) rank(d *scaling.Decision) rank {
	switch {
	case d.Replicas != d.Current, l.total > 0 && d.Replicas != l.last.Replicas:
		return changing
	case l.total == 0, d.Reason != l.last.Reason, d.BreakEven.Pays != l.last.BreakEven.Pays, d.BreakEven.Weighed() != l.last.BreakEven.Weighed():
		return reasoned
	}
	return routine
}

// thin brings the entries down to the limit.
func (l *log) thin() {
	for len(l.entries) > l.limit {
		r := l.plentiful()
		l.strides[r] = 2 * max(1, l.strides[r])
		l.entries = slices.DeleteFunc(l.entries, func(e entry) bool { return e.rank == r && e.place%l.strides[r] != 0 })
	}
}

// plentiful is the lowest rank of which there are many: an eighth of the routine ones is left, a quarter of the
// reasoned.
func (l *log) plentiful() rank {
	var counts [ranks]int
	for i := range l.entries {
		counts[l.entries[i].rank]++
	}
	switch {
	case counts[routine] > l.limit/8:
		return routine
	case counts[reasoned] > l.limit/4:
		return reasoned
	}
	return changing
}

// clone returns a copy of at most limit entries; fewer than 8 cannot keep one of each rank.
func (l *log) clone(limit int) log {
	c := *l
	c.limit, c.entries = max(limit, 8), slices.Clone(l.entries)
	c.thin()
	return c
}
