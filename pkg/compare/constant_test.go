package compare_test

import (
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

func TestABoundBeginsWithItsOwnReplicas(t *testing.T) {
	for name, tc := range map[string]struct {
		policy  string
		setting compare.Setting
		change  func(*compare.Experiment)
		want    float64 // mean replicas that hold GPUs; -1: fewer than the most there are
		loads   int     // replicas that load
	}{
		"the peak's are paid for all the time": {policy: "static-peak", want: 2},
		"the mean's, too":                      {policy: "static-mean", want: 2},
		"as many as the user sets":             {policy: "static-peak", setting: compare.Setting{"replicas": 5}, want: 5},
		"whatever the others begin with":       {policy: "static-peak", change: func(e *compare.Experiment) { e.Initial = 0 }, want: 2},
		"no more than the maximum":             {policy: "static-peak", change: func(e *compare.Experiment) { e.Max = 1 }, want: 1},
		"no more than there are GPUs for":      {policy: "static-peak", change: func(e *compare.Experiment) { e.Cluster.GPUs = 7 }, want: 1},
		"an autoscaler begins as all do":       {policy: "hpa-running", want: -1, loads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := experiment(t)
			e.Policies, e.Seeds, e.Leads = []string{tc.policy}, e.Seeds[:1], e.Leads[:1]
			e.Settings = map[string]compare.Setting{tc.policy: tc.setting}
			if tc.change != nil {
				tc.change(&e)
			}
			got, err := compare.Run(t.Context(), e, compare.Tools{})
			if err != nil {
				t.Fatal(err)
			}
			s := got.Scores[0]
			if tc.want < 0 {
				if s.Scaling.ColdStarts < tc.loads || s.Replicas.Mean >= float64(s.Replicas.Max) {
					t.Errorf("%d replicas loaded, %v of %d on average", s.Scaling.ColdStarts, s.Replicas.Mean, s.Replicas.Max)
				}
				return
			}
			if s.Scaling.ColdStarts != 0 || s.Replicas.Mean != tc.want {
				t.Errorf("%d replicas loaded, and %v held GPUs on average; want none and %v", s.Scaling.ColdStarts, s.Replicas.Mean, tc.want)
			}
		})
	}
}
