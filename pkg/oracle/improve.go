package oracle

import (
	"cmp"
	"slices"
	"time"
)

// improver changes a schedule piece by piece. Misses have a price in replica time, and a change is taken where what it
// saves is worth the misses it causes, or what it costs the misses it saves; the price is moved until just as many
// requests miss as may. Changes that cannot feel each other are tried in one run, each judged by the cells it reaches.
type improver struct {
	*search
	source string
	pieces []*piece // in order of from
	// now is what the pieces come to: a run of just these pieces where exact, put together from runs otherwise.
	now   *tally
	exact bool
	// price is replica-seconds for a miss.
	price float64
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
			return nil
		}
		if err := m.trial(moves); err != nil {
			return err
		}
		if err := m.verify(); err != nil {
			return err
		}
		m.reprice()
	}
	return nil
}

func newImprover(s *search) *improver {
	m := &improver{
		search: s, source: "search", now: s.best.tally, exact: true,
		usual: s.lead(s.p.Target.Initial), end: s.span + s.cell, added: map[life]bool{},
	}
	if s.best.source != "staffing" && s.best.source != "constant" {
		m.source = s.best.source + ", improved"
	}
	for _, l := range livesOf(s.best.schedule, s.p.Target.Initial, m.end) {
		m.pieces = append(m.pieces, newPiece(l))
	}
	m.sums = make([]float64, len(s.work)+1)
	for i, w := range s.work {
		m.sums[i+1] = m.sums[i] + w
	}
	m.price = s.firstPrice()
	return m
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
func (m *improver) pack(all []*move) []*move {
	var out []*move
	taken := make([]bool, m.of(m.end+after)+2)
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
	var good []*move
	for _, mv := range moves {
		worth := m.worth(mv, t)
		m.learn(mv, worth)
		if worth {
			good = append(good, mv)
		}
	}
	m.take(good, t, len(good) == len(moves))
	return nil
}

// worth says whether a change saved more than it cost, at the present price of a miss.
func (m *improver) worth(mv *move, t *tally) bool {
	misses, held := t.within(mv.window)
	missesBefore, heldBefore := m.now.within(mv.window)
	return held-heldBefore+m.price*float64(misses-missesBefore) < -1e-6
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

// reprice makes misses dearer while there are too many, and cheaper while more are allowed.
func (m *improver) reprice() {
	switch goal := m.goal(); {
	case m.now.missed > goal:
		m.price *= 1.2
	case float64(m.now.missed) < 0.98*float64(goal):
		m.price /= 1.15
	}
}
