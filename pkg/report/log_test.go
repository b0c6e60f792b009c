package report

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// decide adds n decisions, one a second, of which every change-th changes the replicas and every reason-th the reason.
func decide(l *log, n, change, reason int) {
	replicas, words := int32(1), []scaling.Reason{scaling.DemandMet, scaling.WithinTolerance}
	for i := range n {
		d := scaling.Decision{Current: replicas, Replicas: replicas, Reason: words[i/reason%2]}
		if i%change == change-1 {
			replicas = 3 - replicas
			d.Replicas = replicas
		}
		l.add(entry{at: time.Duration(i) * time.Second, decision: d})
	}
}

func TestTheLogKeepsWhatMatters(t *testing.T) {
	for name, c := range map[string]struct {
		decisions, change, reason int
		// kept are the entries wanted at least, by rank.
		changing, reasoned, routine int
	}{
		"a short run: every decision":                                 {2000, 50, 10, 40, 150, 1500},
		"a week at 15 s: every change, routine ones thinned":          {40_320, 100, 40, 403, 400, 180},
		"a restless policy: changes are thinned too, but to no fewer": {60_000, 3, 7, 1200, 300, 180},
	} {
		t.Run(name, func(t *testing.T) {
			l := log{limit: mostDecisions}
			decide(&l, c.decisions, c.change, c.reason)
			var kept [ranks]int
			for i := range l.entries {
				kept[l.entries[i].rank]++
				if i > 0 && l.entries[i].at <= l.entries[i-1].at {
					t.Fatalf("entry %d is not later than the one before", i)
				}
			}
			if len(l.entries) > mostDecisions || l.total != c.decisions {
				t.Errorf("%d entries of %d decisions; want at most %d of %d", len(l.entries), l.total, mostDecisions, c.decisions)
			}
			if kept[changing] < c.changing || kept[reasoned] < c.reasoned || kept[routine] < c.routine {
				t.Errorf("kept %d changing, %d reasoned, %d routine; want at least %d, %d, %d",
					kept[changing], kept[reasoned], kept[routine], c.changing, c.reasoned, c.routine)
			}
		})
	}
}

// However much is left out, no stretch of the run is without decisions.
func TestTheLogIsThinnedEvenly(t *testing.T) {
	for _, limit := range []int{8, 100, mostDecisions} {
		l := log{limit: limit}
		decide(&l, 50_000, 1_000_000, 1_000_000)
		longest := time.Duration(0)
		for i := 1; i < len(l.entries); i++ {
			longest = max(longest, l.entries[i].at-l.entries[i-1].at)
		}
		if bound := 2 * 50_000 / time.Duration(limit) * time.Second; longest > 2*bound {
			t.Errorf("limit %d: %v without a decision, %v would be even", limit, longest, bound)
		}
		if n := len(l.entries); n > limit || n < limit/3 {
			t.Errorf("limit %d: %d entries", limit, n)
		}
	}
}

func TestACopyOfALogIsThinnedByItself(t *testing.T) {
	l := log{limit: mostDecisions}
	decide(&l, 2500, 10, 25)
	if c := l.clone(100); len(c.entries) > 100 || len(l.entries) != 2500 {
		t.Errorf("copy has %d entries, the original %d; want at most 100, and 2500", len(c.entries), len(l.entries))
	}
}
