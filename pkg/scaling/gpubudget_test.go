package scaling_test

import (
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func budgeted(gpus int32) scaling.Config {
	c := config()
	c.Constraints = append(c.Constraints, constraint.GPUBudget{GPUs: gpus})
	return c
}

func TestTheGPUBudgetLimits(t *testing.T) {
	l := newLine(t, budgeted(16), 4)
	l.gpus = 2
	l.ticks(6, 300)
	l.want(8, scaling.AtGPUBudget)
	if d := l.last; !d.Limited || d.Needed < 60 || !strings.Contains(d.Message(), "gpu budget: 20 wanted; budget of 16 GPUs, 2 a replica: 8 at most") {
		t.Fatalf("limited %v, needed %d: %s", d.Limited, d.Needed, explain(d))
	}
	l.gpus = 32
	l.tick(300)
	l.want(1, scaling.AtGPUBudget)
}

func TestAGPUBudgetThatNobodyCanCountByOnlyTellsSo(t *testing.T) {
	with, without := newLine(t, budgeted(2), 4), newLine(t, config(), 4)
	for i := range 40 {
		rate := float64(i * 3)
		a, b := with.tick(rate), without.tick(rate)
		if a.Replicas != b.Replicas || a.Reason != b.Reason || a.Limited != b.Limited || a.Message() != b.Message() {
			t.Fatalf("with a budget that cannot act: %s\nwithout: %s", explain(a), explain(b))
		}
		if !strings.Contains(explain(a), "gpu budget: budget of 2 GPUs does not act: no pod tells how many GPUs a replica takes") {
			t.Fatalf("it is not told that the budget does not act: %s", explain(a))
		}
	}
}
