package compare_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

func TestALeadTimeIsLoadingAndWarmingUp(t *testing.T) {
	for whole, load := range map[time.Duration]time.Duration{
		30 * time.Second: 24 * time.Second, 2 * time.Minute: 96 * time.Second, 5 * time.Minute: 4 * time.Minute, 0: 0,
	} {
		want := compare.Lead{Whole: whole, Phases: replay.Lead{
			Load: replay.Phase{Median: load, Sigma: 0.2}, WarmUp: replay.Phase{Median: whole - load, Sigma: 0.2},
		}}
		if diff := cmp.Diff(want, compare.LeadOf(whole, 0.2)); diff != "" {
			t.Errorf("%v: %s", whole, diff)
		}
	}
}

func TestNobodySharesThePlainAutoscaler(t *testing.T) {
	compare.PlainAutoscaler().Spec.MaxReplicas = 7
	if n := compare.PlainAutoscaler().Spec.MaxReplicas; n != 1 {
		t.Errorf("another caller's change shows: at most %d replicas", n)
	}
}
