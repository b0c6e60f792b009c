package baseline

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// vllm-project/aibrix@2aff67a pkg/controller/podautoscaler/algorithm/apa_test.go, TestAPAAlgorithm_ComputeTargetReplicas:
// a target of 30, tolerances of 0.1.
func TestAPAComputesAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		n, usage, up, down float64
		want               int32
	}{
		"basic_scale_up":                      {2, 45, 2, 2, 3},
		"scale_up_upto_ceiling":               {2, 35, 2, 2, 3},
		"scale_up_upto_max_scale_up":          {2, 90, 2, 2, 4},
		"scale_up_upto_max_scale_up_ceiling":  {2, 90, 2.5, 2, 5},
		"basic_scale_down":                    {6, 20, 2, 2, 4},
		"scale_down_upto_ceiling":             {6, 18, 2, 2, 4},
		"scale_down_upto_max_scale_down":      {6, 10, 2, 2, 3},
		"scale_down_upto_max_scale_down_floo": {6, 5, 2, 2.5, 2},
		"no_scaling_as_within_up_tolerance":   {2, 33, 2, 2, 2},
		"no_scaling_as_within_down_tolerance": {2, 27, 2, 2, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := apaSpec{target: 30, tolerance: tolerance{0.1, 0.1}, upRate: tt.up, downRate: tt.down}
			if got := p.compute(tt.n, tt.usage); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// The stabilizer has no test upstream; this is what podautoscaler_controller.go@e3e10f9 stabilizeRecommendation computes by
// its documented defaults: windows of 0 s up and 300 s down, the highest on the way up, the lowest on the way down.
func TestAPAStabilizes(t *testing.T) {
	tests := map[string]struct {
		highest         bool
		upWindow        time.Duration
		history         []dated
		current, wanted int32
		want            int32
	}{
		"up at once":                                  {history: ago(1, 9), current: 4, wanted: 6, want: 6},
		"up to the highest of a window":               {upWindow: 2 * time.Minute, history: ago(1, 9), current: 4, wanted: 6, want: 9},
		"down to the lowest, as coded":                {history: ago(4, 1, 1, 3), current: 4, wanted: 2, want: 1},
		"down, the lowest is too old":                 {history: ago(5, 1, 1, 3), current: 4, wanted: 2, want: 2},
		"down to the highest, as an HPA":              {highest: true, history: ago(4, 1, 1, 3), current: 4, wanted: 2, want: 3},
		"down, the highest is more than there is now": {highest: true, history: ago(1, 6), current: 4, wanted: 2, want: 6},
		"no change forgets nothing":                   {history: ago(1, 1), current: 4, wanted: 4, want: 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &apa{apaSpec: apaSpec{upWindow: tt.upWindow, downWind: 5 * time.Minute}, recommended: tt.history}
			if tt.highest {
				p.stabilizer = stabilizeHighest
			}
			if got := p.stabilized(t0, tt.current, tt.wanted); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAPASaysWhatDecided(t *testing.T) {
	tests := map[string]struct {
		n      int32
		mean   float64
		want   int32
		reason scaling.Reason
	}{
		"more":                  {4, 0.75, 6, scaling.ReactiveDemand},
		"more than allowed":     {8, 0.9, 10, scaling.AtMaximum},
		"fewer":                 {4, 0.35, 3, scaling.DemandFell},
		"fewer than allowed":    {3, 0.05, 2, scaling.AtMinimum},
		"within the tolerance":  {4, 0.52, 4, scaling.WithinTolerance},
		"right to the last bit": {4, 0.5, 4, scaling.DemandMet},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := setup()
			s.Min = 2
			p, err := New("apa", s)
			if err != nil {
				t.Fatal(err)
			}
			d := p.(*apa).recommend(&draft{scaling.Decision{Time: t0, Current: tt.n}}, tt.mean)
			if d.Replicas != tt.want || d.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s: %v", d.Replicas, d.Reason, tt.want, tt.reason, d.Steps)
			}
		})
	}
	p := &apa{apaSpec: apaSpec{target: 0.5, downRate: 9, downWind: time.Minute, stabilizer: stabilizeHighest}, low: 2, high: 10}
	p.recommended = ago(0.5, 5)
	d := p.recommend(&draft{scaling.Decision{Time: t0, Current: 8}}, 0.01)
	if d.Replicas != 5 || d.Reason != scaling.ScaleDownStabilized {
		t.Errorf("below the minimum, but held: got %d %s, want 5 %s", d.Replicas, d.Reason, scaling.ScaleDownStabilized)
	}
}

func TestAPAHoldsWithoutMetricsAndAtZero(t *testing.T) {
	p, err := New("apa", setup())
	if err != nil {
		t.Fatal(err)
	}
	o := Observation{Observation: scaling.Observation{Time: t0, Desired: 2, Replicas: []scaling.Replica{{Phase: scaling.Ready}}}}
	if d := p.Decide(o); d.Replicas != 2 || d.Reason != scaling.NoFreshData || !d.Blind {
		t.Errorf("without a metric: got %d %s", d.Replicas, d.Reason)
	}
	o.Desired, o.Replicas = 0, nil
	if d := p.Decide(o); d.Replicas != 0 || d.Reason != scaling.ScaledToZeroByOther {
		t.Errorf("at zero with a minimum of one: got %d %s", d.Replicas, d.Reason)
	}
}
