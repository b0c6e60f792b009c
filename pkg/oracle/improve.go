package oracle

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// improver changes a schedule piece by piece. Changes that cannot feel each other are tried in one run, each judged by
// the cells it reaches; of what was tried, those are taken that save most for each miss, and those that spare a miss
// most cheaply, as far as misses may be spent.
type improver struct {
	*search
	source string
	pieces []*piece // in order of from
	// now is what the pieces come to: a run of just these pieces where exact, put together from runs otherwise.
	now   *tally
	exact bool
	round int
	// found is the round of the last improvement of the best schedule.
	found int

	usual time.Duration // lead time
	end   time.Duration // of the load
	sums  []float64     // of work, up to each cell
	added map[life]bool // tried as additions
}

// patience is the number of rounds without any improvement after which the search ends.
const patience = 60

// improve goes on from the best schedule until nothing gets better.
func (s *search) improve() error {
	m := newImprover(s)
	for m.round = 1; m.round-m.found < patience; m.round++ {
		moves := m.choose()
		if len(moves) == 0 {
			continue // all rest
		}
		if err := m.trial(moves); err != nil {
			return err
		}
		if err := m.verify(); err != nil {
			return err
		}
		m.retreat()
	}
	return nil
}

func newImprover(s *search) *improver {
	m := &improver{
		search: s, source: s.improved(),
		usual: s.usual(), end: s.span + s.cell, added: map[life]bool{},
	}
	m.restart()
	m.sums = make([]float64, len(s.work)+1)
	for i, w := range s.work {
		m.sums[i+1] = m.sums[i] + w
	}
	return m
}

// restart takes the best schedule for the present one.
func (m *improver) restart() {
	m.pieces, m.now, m.exact = nil, m.best.tally, true
	for _, l := range livesOf(m.best.schedule, m.p.Target.Initial, m.end) {
		p := newPiece(l)
		for k := range p.tried {
			p.tried[k] += m.round
		}
		m.pieces = append(m.pieces, p)
	}
}

// firstPrice is what the last misses saved in the staffing schedules, or a guess.
func (s *search) firstPrice() float64 {
	goal := max(s.goal(), 1)
	price := s.best.held.Seconds() / 50 / float64(goal)
	nearest := 3 * goal
	for _, o := range s.tried {
		if o.missed > goal && o.missed < nearest && o.held < s.best.held {
			nearest = o.missed
			price = (s.best.held - o.held).Seconds() / float64(o.missed-min(goal, s.best.missed))
		}
	}
	return price
}

// choose picks changes that cannot feel each other: those tried longest ago first.
func (m *improver) choose() []*move {
	var all []*move
	for _, p := range m.pieces {
		for k := range kinds {
			if m.round-p.tried[k] < restFor && p.step[k] < leastStep {
				continue
			}
			if mv := m.propose(p, k); mv != nil {
				all = append(all, mv)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *move) int { return cmp.Compare(a.of.tried[a.kind], b.of.tried[b.kind]) })
	if m.round%4 == 0 {
		all = append(m.additions(), all...)
	}
	return m.pack(all)
}

// pack leaves out what reaches into the window of an earlier one.
func (s *search) pack(all []*move) []*move {
	var out []*move
	taken := make([]bool, s.of(s.span+s.cell+after)+2)
	for _, mv := range all {
		from, to := max(0, mv.from), min(mv.to, len(taken))
		if slices.Contains(taken[from:to], true) {
			continue
		}
		for i := from; i < to; i++ {
			taken[i] = true
		}
		out = append(out, mv)
	}
	return out
}

// trial runs all the changes at once and takes those that are worth it.
func (m *improver) trial(moves []*move) error {
	t, err := m.try(m.source, m.with(moves).lives())
	if err != nil {
		return err
	}
	for _, mv := range moves {
		mv.measure(m.now, t)
	}
	good := worthwhile(moves, m.now.missed, m.goal())
	for _, mv := range moves {
		m.learn(mv, slices.Contains(good, mv))
	}
	m.take(good, t, len(good) == len(moves))
	return nil
}

// measure is what a change made of its window: replica-seconds and misses, negative where it saved some.
func (mv *move) measure(now, t *tally) {
	missesBefore, heldBefore := now.within(mv.window)
	misses, held := t.within(mv.window)
	mv.misses, mv.held = misses-missesBefore, held-heldBefore
}

// price is what a miss must be worth, in replica-seconds, for the change to be even; better is set where it is good or bad
// at any price.
func (mv *move) price() (price float64, good, bad bool) {
	saves, spares := mv.held < -1e-6, mv.misses < 0
	switch {
	case saves && mv.misses <= 0, spares && mv.held < 1e-6:
		return 0, true, false
	case saves, spares:
		return math.Abs(mv.held / float64(mv.misses)), false, false
	}
	return 0, false, true
}

// worthwhile picks the changes to take: at the least price of a miss at which no more requests miss than may, what is
// worth it at that price.
func worthwhile(moves []*move, missed, goal int64) []*move {
	prices := []float64{0}
	for _, mv := range moves {
		if p, good, bad := mv.price(); !good && !bad {
			prices = append(prices, p)
		}
	}
	slices.Sort(prices)
	var good []*move
	for _, price := range prices {
		misses := missed
		good = good[:0]
		for _, mv := range moves {
			if mv.worth(price) {
				good = append(good, mv)
				misses += mv.misses
			}
		}
		if misses <= goal {
			break
		}
	}
	return good
}

// worth says whether the change pays at a price. What is even is not worth it where it costs misses, so that a price
// can be chosen just high enough to leave it out.
func (mv *move) worth(price float64) bool {
	even, good, bad := mv.price()
	if good || bad {
		return good
	}
	if mv.misses > 0 {
		return even > price
	}
	return even <= price
}

// learn widens the step of what was worth it and narrows that of what was not; one that has become too small rests.
func (m *improver) learn(mv *move, worth bool) {
	if mv.of == nil {
		m.added[mv.with[0].life] = true
		return
	}
	for _, p := range append([]*piece{mv.of}, mv.with...) {
		step := &p.step[mv.kind]
		switch {
		case worth:
			*step = min(2**step, mostStep)
		case *step < leastStep:
			*step = firstStep / 4
		default:
			*step /= 2
		}
		p.tried[mv.kind] = m.round
	}
}

// take makes the changes the present schedule.
func (m *improver) take(good []*move, t *tally, all bool) {
	if all {
		m.now, m.exact = t, true
	} else if len(good) > 0 {
		now := *m.now
		now.misses, now.replicas = slices.Clone(now.misses), slices.Clone(now.replicas)
		for _, mv := range good {
			now.splice(t, mv.window)
		}
		m.now, m.exact = &now, false
		m.now.sum()
	}
	m.pieces = m.with(good)
	if m.best.tally == t {
		m.found = m.round
	}
}

type pieces []*piece

// with returns the pieces that there are after some changes.
func (m *improver) with(moves []*move) pieces {
	gone := map[*piece]bool{}
	var out pieces
	for _, mv := range moves {
		gone[mv.of], gone[mv.partner] = true, true
		out = append(out, mv.with...)
	}
	for _, p := range m.pieces {
		if !gone[p] {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *piece) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return out
}

func (p pieces) lives() lives {
	out := make(lives, len(p))
	for i := range p {
		out[i] = p[i].life
	}
	return out
}

// verify runs the present schedule where it promises to be the best and has not been run as it is, and now and then
// otherwise, so that what is put together does not drift away from the truth.
func (m *improver) verify() error {
	if m.exact || (m.round%8 != 0 && !m.now.better(m.best.outcome, m.allowed)) {
		return nil
	}
	t, err := m.try(m.source, m.lives())
	if err != nil {
		return err
	}
	m.now, m.exact = t, true
	if m.best.tally == t {
		m.found = m.round
	}
	return nil
}

func (m *improver) lives() lives { return pieces(m.pieces).lives() }

// retreat goes back to the best schedule where the present one has gone astray: for some rounds no better, and in truth
// beyond what may be missed.
func (m *improver) retreat() {
	if !m.exact || m.now.missed <= m.goal() || m.round-m.found < 8 {
		return
	}
	m.restart()
}
