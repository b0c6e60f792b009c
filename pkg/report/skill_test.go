package report

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// forecasted records one decision a minute, with these forecasts.
func forecasted(list ...forecast.Forecast) pageRun {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := NewRecorder(Options{Policy: Preheat, Lead: time.Minute, Start: start})
	for i, f := range list {
		at := start.Add(time.Duration(i) * time.Minute)
		r.Decided("", scaling.Decision{Time: at, Current: 1, Replicas: 1, Reason: scaling.DemandMet, Forecast: f}, baseline.Gateway{})
	}
	run := r.Run()
	return newPage(&Report{Runs: []Run{run}}, bounds{bins: 3, decisions: 100}).Runs[0]
}

func TestThePageTellsTheSkillOfForecasts(t *testing.T) {
	young := forecast.Forecast{Horizon: time.Minute, Point: 1, Upper: 2, Quantile: 0.9, Withdrawn: "too few", Skill: forecast.Skill{Due: 3, Coverage: []float64{0}}}
	good := young
	good.Withdrawn, good.Skill = "", forecast.Skill{Known: true, Due: 40, Hours: 0.25, Days: 0.5, Coverage: []float64{0.9}}
	good.Weights = []forecast.Weight{{Expert: "level", Share: 0.6}, {Expert: "day", Share: 0.2}, {Expert: "week", Share: 0.1}, {Expert: "last-value", Share: 0.1}}
	run := forecasted(young, good, good)
	for _, name := range []string{"skill_hours", "skill_days", "withdrawn"} {
		if _, there := run.Columns[name]; !there {
			t.Errorf("the run has no %s", name)
		}
	}
	for _, name := range []string{"due", "skill_hours", "skill_days", "coverage", "bias"} {
		if _, there := run.Log.Columns[name]; !there {
			t.Errorf("the decisions have no %s", name)
		}
	}
	if n := len(run.Log.Weights); n != 3 || run.Log.Weights[1].numbers != "60 20 10" {
		t.Errorf("weights %v, want the three largest of the second decision", run.Log.Weights)
	}
}

func TestWhereNoForecastIsJudgedThePageSaysNothingOfSkill(t *testing.T) {
	for name, f := range map[string]forecast.Forecast{
		"no forecast":         {},
		"none has come due":   {Horizon: time.Minute, Point: 1, Upper: 2, Quantile: 0.9},
		"a skill that is NaN": {Horizon: time.Minute, Point: 1, Upper: 2, Quantile: 0.9, Skill: forecast.Skill{Known: true, Hours: math.NaN(), Days: math.NaN(), Bias: math.NaN()}},
	} {
		run := forecasted(f)
		got := []bool{}
		for _, c := range []string{"skill_hours", "skill_days", "withdrawn"} {
			_, there := run.Columns[c]
			got = append(got, there)
		}
		if diff := cmp.Diff([]bool{false, false, false}, got); diff != "" || len(run.Log.Weights) > 0 {
			t.Errorf("%s: %v, weights %v", name, got, run.Log.Weights)
		}
	}
}
