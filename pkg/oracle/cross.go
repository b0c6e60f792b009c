package oracle

import (
	"cmp"
	"slices"
)

// Bounds of crossing: runs in all and in a row without success.
const (
	mostCrosses = 8
	idleCrosses = 3
)

// cross puts the best together with what other runs did better in some of their parts: their misses and costs are known
// window by window, so that a guess costs nothing and only its proof a run. It spends the misses that the best plan at a
// single price has left.
func (s *search) cross() error {
	part := 0.95
	for tries, idle := 0, 0; tries < mostCrosses && idle < idleCrosses; tries++ {
		best := s.best
		if best.want == nil {
			return nil
		}
		goal := best.missed + int64(part*float64(s.goal()-best.missed))
		good := worthwhile(s.pack(s.exchanges()), best.missed, goal)
		if len(good) == 0 {
			return nil
		}
		want := slices.Clone(best.want)
		for _, mv := range good {
			copy(want[mv.taken.from:mv.taken.to], mv.run.want[mv.taken.from:mv.taken.to])
		}
		if _, err := s.staff("priced", want); err != nil {
			return err
		}
		if idle++; s.best != best {
			idle = 0
		} else {
			part *= 0.6
		}
	}
	return nil
}

// exchanges are the parts in which other runs differ from the best, those that promise most at the price of a miss first.
func (s *search) exchanges() []*move {
	var out []*move
	for _, t := range s.tallies {
		if t.want == nil || t == s.best.tally {
			continue
		}
		for _, w := range s.differences(t) {
			mv := &move{window: s.reach(s.at(w.from)-s.usual(), s.at(w.to)), taken: w, run: t}
			mv.measure(s.best.tally, t)
			out = append(out, mv)
		}
	}
	price := s.firstPrice()
	promise := func(mv *move) float64 { return mv.held + price*float64(mv.misses) }
	slices.SortStableFunc(out, func(a, b *move) int { return cmp.Compare(promise(a), promise(b)) })
	return out
}

// differences are the stretches in which a run wanted other replicas than the best, joined where they can feel each other.
func (s *search) differences(t *tally) []window {
	apart := make([]int32, len(t.want))
	for i, n := range t.want {
		if n != s.best.want[i] {
			apart[i] = 1
		}
	}
	return bursts(apart, s.of(s.usual()+before+after)+1)
}
