package v1alpha1

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEachFieldOfABehaviorHasItsOwnDefault(t *testing.T) {
	up := ScalingRules{
		StabilizationWindowSeconds: new(int32(0)), SelectPolicy: new(SelectPolicyMax), Tolerance: new(resource.MustParse("0")),
		Policies: []ScalingPolicy{{ScalingPolicyPods, 10, 15}, {ScalingPolicyPercent, 400, 15}},
	}
	down := ScalingRules{
		StabilizationWindowSeconds: new(int32(0)), SelectPolicy: new(SelectPolicyMax), Tolerance: new(resource.MustParse("0")),
		Policies: []ScalingPolicy{{ScalingPolicyPercent, 100, 15}},
	}
	with := func(rules ScalingRules, change func(*ScalingRules)) ScalingRules {
		out := *rules.DeepCopy()
		change(&out)
		return out
	}
	setWindow := func(r *ScalingRules) { r.StabilizationWindowSeconds = new(int32(60)) }
	setSelect := func(r *ScalingRules) { r.SelectPolicy = new(SelectPolicyDisabled) }
	setPolicies := func(r *ScalingRules) { r.Policies = []ScalingPolicy{{ScalingPolicyPods, 1, 60}} }
	setTolerance := func(r *ScalingRules) { r.Tolerance = new(resource.MustParse("50m")) }

	cases := map[string]func(*ScalingRules){
		"nothing set":             func(*ScalingRules) {},
		"a window alone":          setWindow,
		"a select policy alone":   setSelect,
		"policies alone":          setPolicies,
		"a tolerance stays":       setTolerance,
		"two of the fields":       func(r *ScalingRules) { setWindow(r); setPolicies(r) },
		"a window of 0 stays set": func(r *ScalingRules) { r.StabilizationWindowSeconds = new(int32(0)) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			b := Behavior{ScaleUp: with(ScalingRules{}, change), ScaleDown: with(ScalingRules{}, change)}
			before := *b.DeepCopy()
			if diff := cmp.Diff(with(up, change), b.ScaleUpRules()); diff != "" {
				t.Errorf("scaleUp (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(with(down, change), b.ScaleDownRules()); diff != "" {
				t.Errorf("scaleDown (-want +got):\n%s", diff)
			}
			b.ScaleUpRules().Policies[0].Value = 99
			if diff := cmp.Diff(before, b); diff != "" {
				t.Errorf("the behavior itself changed:\n%s", diff)
			}
		})
	}
}

func TestPriorLeadTimeIsFiveMinutesUnlessGiven(t *testing.T) {
	if got := (LeadTime{}).PriorOrDefault(); got != 5*time.Minute {
		t.Errorf("got %v without a prior, want 5m", got)
	}
	if got := (LeadTime{Prior: &metav1.Duration{Duration: time.Minute}}).PriorOrDefault(); got != time.Minute {
		t.Errorf("got %v for a prior of 1m", got)
	}
}

func TestFractionOfAPercentage(t *testing.T) {
	good := map[Percent]float64{"99%": 0.99, "99.5%": 0.995, "50.1%": 0.501, "0%": 0}
	for percent, want := range good {
		got, err := percent.Fraction()
		if err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%q: got %v, %v, want %v", percent, got, err, want)
		}
	}
	for _, percent := range []Percent{"", "%", "99", "0.99", "p99%", "99%%"} {
		if got, err := percent.Fraction(); err == nil {
			t.Errorf("%q: got %v, want an error", percent, got)
		}
	}
}
