package controlloop_test

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func planner(t testing.TB, change func(*scaling.Config)) *scaling.Planner {
	t.Helper()
	c := scaling.Default()
	c.Window = time.Minute
	c.Constraints = []scaling.Constraint{
		constraint.Tolerance{Down: 0.1},
		constraint.Stabilization{Down: c.Window},
		constraint.GPUs{},
		constraint.Bounds{Min: 1, Max: 20},
	}
	if change != nil {
		change(&c)
	}
	p, err := scaling.NewPlanner(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func profile(t testing.TB) replay.Profile {
	t.Helper()
	p, err := replay.ProfileNamed("llama-3.1-70b-h100x4")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func loads(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func TestExplore(t *testing.T) {
	w := newWorld(start, profile(t), loads(30*time.Second), 4)
	rate := func(at time.Duration) float64 {
		if at < 2*time.Minute {
			return 10
		}
		return min(40, 10+float64(at-2*time.Minute)/float64(3*time.Minute)*30)
	}
	arrivals := poisson(start, 10*time.Minute, 50, rate, 1)
	p := planner(t, func(c *scaling.Config) { c.Forecast.Step = 2 * time.Second; c.LeadTime.Prior = time.Minute })
	drive(w, p, arrivals, 10*time.Minute, 2*time.Second, nil)
	for i, d := range w.records {
		if i%10 == 0 {
			t.Logf("%v %s %s", d.Time.Sub(start), d.Reason, d.Message())
			for _, s := range d.Steps {
				t.Log("      ", s)
			}
		}
	}
	t.Logf("attainment %.4f, GPU-seconds %.0f of %d requests", w.attainment(2*time.Second, 100*time.Millisecond), w.gpuSeconds, len(w.requests))
}
