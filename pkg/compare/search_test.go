package compare

import (
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func TestWhatARunCameToIsKnownOnlyWhereTheOracleBeginsAlike(t *testing.T) {
	for policy, want := range map[string]bool{"preheat": true, "cron": true, "static-peak": false, "static-mean": false} {
		r := &run{Key: Key{Policy: policy}, score: score.Score{GPUSeconds: 7, Requests: score.Requests{Arrived: 5, WithinSLO: 3}}}
		known := r.candidate().Known
		if (known != nil) != want || want && (known.GPUSeconds != 7 || known.Missed != 2) {
			t.Errorf("%s: %+v is known, want that it is: %v", policy, known, want)
		}
	}
}
