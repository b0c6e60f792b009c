package compare

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func spec() *v1alpha1.InferenceAutoscaler {
	ia := &v1alpha1.InferenceAutoscaler{}
	ia.Spec.MaxReplicas = 3
	ia.SetDefaults()
	return ia
}

func TestKnobsOfPreheatHaveTheDefaultsOfTheSpec(t *testing.T) {
	ia := spec()
	if q := ia.Spec.Forecast.Quantile; q != "" {
		t.Fatalf("a spec asks for the quantile %s by itself", q)
	}
	want := map[string]float64{
		"quantile": 0, "stabilization": float64(*ia.Spec.Behavior.ScaleDownRules().StabilizationWindowSeconds),
	}
	got := map[string]float64{}
	for _, k := range AllKnobs("preheat") {
		got[k.Name] = k.Default
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsOfPreheatReachTheSpec(t *testing.T) {
	for _, p := range own() {
		for name, tc := range map[string]struct {
			setting Setting
			want    string // part of the error, empty for none
		}{
			"the defaults":                 {nil, ""},
			"a stabilization window":       {Setting{"stabilization": 60}, ""},
			"one longer than a spec takes": {Setting{"stabilization": 7200}, "from 0 to 3600"},
			"a knob of somebody else":      {Setting{"target": 3}, `no setting "target"`},
		} {
			t.Run(p.Name+", "+name, func(t *testing.T) {
				ia := spec()
				_, err := p.make(ia, tc.setting)
				if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("error is %v, want %q", err, tc.want)
				}
				if v, ok := tc.setting["stabilization"]; ok && err == nil {
					if got := ia.Spec.Behavior.ScaleDown.StabilizationWindowSeconds; got == nil || float64(*got) != v {
						t.Errorf("the window of the spec is %v, want %v", got, v)
					}
				}
			})
		}
	}
}

func TestBoundsAndObjectiveAreThoseOfTheExperiment(t *testing.T) {
	ia := spec()
	ia.Spec.MinReplicas, ia.Spec.SLO.Attainment = new(int32(2)), "90%"
	e := Experiment{
		Autoscaler: ia, Min: 0, Max: 9, Initial: -1, SLO: score.SLO{TTFT: time.Second, TPOT: 50 * time.Millisecond, Attainment: 0.995},
	}
	got := e.autoscaler(known()).Spec
	if *got.MinReplicas != 0 || got.MaxReplicas != 9 || got.SLO.TTFT.Duration != time.Second || got.SLO.TPOT.Duration != 50*time.Millisecond || got.SLO.Attainment != "99.5%" {
		t.Errorf("min %d, max %d, SLO %+v", *got.MinReplicas, got.MaxReplicas, got.SLO)
	}
	if *ia.Spec.MinReplicas != 2 || ia.Spec.MaxReplicas != 3 {
		t.Error("the caller's spec was changed")
	}
}

func TestAblationsDifferInOneThing(t *testing.T) {
	got := map[string]scaling.Config{}
	for _, p := range own() {
		c := scaling.Default()
		p.ablate(&c)
		got[p.Name] = c
	}
	want := map[string]scaling.Config{}
	for name, change := range map[string]func(*scaling.Config){
		"preheat":                func(*scaling.Config) {},
		"preheat-reactive":       func(c *scaling.Config) { c.Forecast.Disabled = true },
		"preheat-last-value":     func(c *scaling.Config) { c.Forecast.Only = "last-value" },
		"preheat-seasonal-naive": func(c *scaling.Config) { c.Forecast.Only = "seasonal-naive" },
	} {
		c := scaling.Default()
		change(&c)
		want[name] = c
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
