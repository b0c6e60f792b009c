package replay_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The replicas jump over decode steps in which nothing can be seen. A twin whose replicas report each token cannot, and
// has to tell the same, to the nanosecond.
func TestJumpingOverStepsChangesNothing(t *testing.T) {
	for seed := range uint64(12) {
		var texts [2]string
		for i := range texts {
			c, targets, _ := anything(seed)
			for k := range targets {
				targets[k].Profile.StreamInterval = i
			}
			j, totals := run(t, c, targets...)
			texts[i] = j.text.String()
			if totals[0].Requests < 100 {
				t.Fatalf("seed %d: only %d requests", seed, totals[0].Requests)
			}
		}
		if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
			t.Fatalf("seed %d (-jumping +stepping):\n%s", seed, diff)
		}
	}
}
