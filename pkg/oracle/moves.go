package oracle

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// kind is a way to change a schedule in one place.
type kind int

const (
	startLater kind = iota
	startSooner
	endSooner
	endLater
	drop // the whole life
	cut  // a hole, with a load at its end
	join // with the next life, idling between them
	kinds
)

// piece is one life of a schedule that is being improved, with what has been learned of how it may be changed.
type piece struct {
	life
	// step is how far the next trial of each kind goes, tried the round of the last one.
	step  [kinds]time.Duration
	tried [kinds]int
}

// steps of trials: where they begin, and where a kind of change of a piece gives up for a while.
const (
	firstStep = 64 * time.Second
	leastStep = time.Second
	mostStep  = time.Hour
	restFor   = 20 // rounds
)

func newPiece(l life) *piece {
	p := &piece{life: l}
	for k := range p.step {
		p.step[k] = firstStep
		p.tried[k] = -restFor
	}
	return p
}

// moved is the piece's successor after a change, which has learned the same.
func (p *piece) moved(l life) *piece {
	n := *p
	n.life = l
	return &n
}

// move is a change that is proposed: pieces to be replaced by others, and the cells in which it can be felt.
type move struct {
	window
	kind    kind
	of      *piece
	partner *piece // replaced too, nil for none
	with    []*piece

	// held and misses are what a trial found the change to make of its window, in replica-seconds and requests.
	held   float64
	misses int64

	// run and taken are set where what a run wanted in some cells is to be taken over.
	run   *tally
	taken window
}

// Influence of a change in capacity: requests in flight when it comes, and the time until a backlog is gone.
const (
	before = 20 * time.Second
	after  = 60 * time.Second
)

// reach is the window in which a change of capacity between two times is felt.
func (s *search) reach(from, to time.Duration) window {
	return window{from: s.of(from - before), to: s.of(to+after) + 1}
}

// propose returns the change of a kind to a piece, nil where there is none.
func (m *improver) propose(p *piece, k kind) *move {
	step := p.step[k]
	var to []life
	var w window
	switch k {
	case startLater:
		to, w = []life{{p.from + step, p.to}}, m.reach(p.from, p.from+step+m.usual)
	case startSooner:
		to, w = []life{{max(0, p.from-step), p.to}}, m.reach(p.from-step, p.from+m.usual)
	case endSooner:
		to, w = []life{{p.from, p.to - step}}, m.reach(p.to-step, p.to)
	case endLater:
		to, w = []life{{p.from, min(p.to+step, m.end)}}, m.reach(p.to, p.to+step)
	case drop:
		to, w = nil, m.reach(p.from, p.to)
	case cut:
		return m.hole(p, step)
	case join:
		return m.bridge(p)
	default:
		return nil
	}
	if len(to) > 0 && (to[0].to <= to[0].from || to[0] == p.life) {
		return nil
	}
	return m.replace(p, nil, k, w, to...)
}

func (m *improver) replace(p, partner *piece, k kind, w window, to ...life) *move {
	out := &move{window: w, kind: k, of: p, partner: partner}
	for _, l := range to {
		out.with = append(out.with, p.moved(l))
	}
	return out
}

// hole gives a replica up where the least work arrives, and orders another one.
func (m *improver) hole(p *piece, step time.Duration) *move {
	length := max(step, m.usual) + m.usual // what is saved, at least one load
	room := life{p.from + m.usual, p.to - length - m.usual}
	if room.to <= room.from {
		return nil
	}
	at := m.quietest(room, length+m.usual)
	return m.replace(p, nil, cut, m.reach(at, at+length+m.usual), life{p.from, at}, life{at + length, p.to})
}

// quietest is the beginning of the stretch of a length, beginning within room, in which the least work arrives.
func (m *improver) quietest(room life, length time.Duration) time.Duration {
	best, least := room.from, -1.0
	for i := m.of(room.from); i <= m.of(room.to); i++ {
		if w := m.workBetween(i, m.of(m.at(i)+length)); least < 0 || w < least {
			best, least = m.at(i), w
		}
	}
	return min(max(best, room.from), room.to)
}

func (m *improver) workBetween(from, to int) float64 {
	last := len(m.sums) - 1
	return m.sums[min(to, last)] - m.sums[min(from, last)]
}

// bridge keeps a replica until the next one is ordered, instead of that one.
func (m *improver) bridge(p *piece) *move {
	i := sort.Search(len(m.pieces), func(i int) bool { return m.pieces[i].from >= p.to })
	if i == len(m.pieces) || m.pieces[i].from-p.to > 4*m.usual {
		return nil
	}
	next := m.pieces[i]
	return m.replace(p, next, join, m.reach(p.to, next.from+m.usual), life{p.from, next.to})
}

// additions are new lives where misses are densest.
func (m *improver) additions() []*move {
	var out []*move
	for _, b := range bursts(m.now.misses, m.of(30*time.Second)+1) {
		from, to := m.at(b.from)-10*time.Second, m.at(b.to)+10*time.Second
		l := life{max(0, from-m.usual), min(to, m.end)}
		if m.added[l] || l.to <= l.from {
			continue
		}
		out = append(out, &move{window: m.reach(from, to), kind: kinds, with: []*piece{newPiece(l)}})
	}
	return out
}

// bursts are runs of cells with misses, no more than gap cells apart, those with most misses first.
func bursts(misses []int32, gap int) []window {
	var out []window
	var sizes []int32
	for i, n := range misses {
		if n == 0 {
			continue
		}
		if last := len(out) - 1; last >= 0 && i-out[last].to < gap {
			out[last].to = i + 1
			sizes[last] += n
			continue
		}
		out, sizes = append(out, window{i, i + 1}), append(sizes, n)
	}
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
	sorted := make([]window, len(out))
	for i, j := range order {
		sorted[i] = out[j]
	}
	return sorted
}
