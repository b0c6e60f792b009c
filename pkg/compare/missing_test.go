package compare

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func TestWhatIsMissingIsNamed(t *testing.T) {
	key := func(policy string, seed uint64) Key {
		return Key{Policy: policy, Lead: time.Minute, Seed: seed}
	}
	cut := []Proof{{Key: key("oracle", 1), CutShort: true}, {Key: key("oracle", 2)}}
	for name, tc := range map[string]struct {
		outcome Outcome
		want    string
	}{
		"nothing": {Outcome{Scores: make([]score.Score, 3), Proofs: cut[1:]}, ""},
		"one run": {
			Outcome{Scores: make([]score.Score, 2), Unfinished: []Key{key("kpa", 3)}},
			"1 of 3 runs are missing: kpa (lead time 1m0s, seed 3)",
		},
		"many runs": {
			Outcome{Unfinished: []Key{key("a", 1), key("b", 1), key("c", 1), key("d", 1), key("e", 1), key("f", 1)}},
			"6 of 6 runs are missing: a (lead time 1m0s, seed 1), b (lead time 1m0s, seed 1), c (lead time 1m0s, seed 1), d (lead time 1m0s, seed 1) and 2 more",
		},
		"the end of a search": {
			Outcome{Scores: make([]score.Score, 2), Proofs: cut},
			"cut short and with the best schedule found until then: oracle (lead time 1m0s, seed 1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.outcome.Missing(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if tc.outcome.Complete() != (tc.want == "") {
				t.Errorf("complete: %v", tc.outcome.Complete())
			}
		})
	}
}
