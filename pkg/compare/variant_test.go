package compare_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// TestAVariantIsThePlannerWithAChange compares with the ablation of the same change that has a name of its own.
func TestAVariantIsThePlannerWithAChange(t *testing.T) {
	e := warmed(t, "preheat-reactive", "preheat/without-forecast")
	e.Variants = []compare.Variant{{Name: "without-forecast", Change: func(c *scaling.Config) { c.Forecast.Disabled = true }}}
	got, err := compare.Run(t.Context(), e, compare.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	bare := func(s score.Score) score.Score {
		s.Policy = ""
		return s
	}
	if diff := cmp.Diff(bare(got.Scores[0]), bare(got.Scores[1])); diff != "" {
		t.Error(diff)
	}
	if got.Scores[1].Policy != "preheat/without-forecast" {
		t.Errorf("scored as %q", got.Scores[1].Policy)
	}
}

func TestAVariantThatIsNotGivenIsUnknown(t *testing.T) {
	e := warmed(t, "preheat/without-forecast")
	if _, err := compare.Run(t.Context(), e, compare.Tools{}); err == nil || !strings.Contains(err.Error(), `unknown policy "preheat/without-forecast"`) {
		t.Errorf("error is %v", err)
	}
}
