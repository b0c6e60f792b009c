package report_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/validation"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

const manifest = `apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: chat, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  mode: Own
  maxReplicas: 8
  slo: {ttft: 2s, tpot: 100ms}
`

// replayed runs the production planner on a generated load, with two GPUs a replica.
func replayed(t *testing.T) (report.Report, *diary, score.Score) {
	t.Helper()
	const lead = time.Minute
	ia, err := validation.Parse([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := replay.Preheat(ia, replay.DefaultPath())
	if err != nil {
		t.Fatal(err)
	}
	profile, err := replica.ProfileNamed("llama-3.1-8b-h100")
	if err != nil {
		t.Fatal(err)
	}
	load, err := trace.Open("ramp:length=20m,low=5,high=150", trace.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var d diary
	rec := report.NewRecorder(report.Options{Policy: "preheat", Lead: lead, Start: start, SLO: slo, GPUs: 2})
	col := score.NewCollector(score.Options{Policy: "preheat", LeadTime: lead, Start: start, SLO: slo, GPUs: 2})
	totals, err := replay.Run(t.Context(), replay.Config{Start: start, Seed: 1, Lead: replay.Lead{Load: replay.Phase{Median: lead, Sigma: 0.2}}},
		[]replay.Target{{Name: "chat", Profile: profile, Load: load, Policy: policy, Initial: 1, Min: 1, Max: 8}}, replay.Sinks{rec, col, &d})
	if err != nil {
		t.Fatal(err)
	}
	s := col.Score(totals[0])
	return report.Report{
		Title: "Replay of a ramp", SLO: slo, Cells: score.Compare([]score.Score{s}, report.Oracle), Runs: []report.Run{rec.Run()},
		Trace: score.Trace{Name: "ramp", Requests: s.Requests.Arrived, Duration: s.Duration},
	}, &d, s
}

// What the curves hold adds up to what the score says, bin by bin from the page's own data.
func TestCurvesAgreeWithTheScore(t *testing.T) {
	r, d, s := replayed(t)
	var data struct {
		Columns [][]*float64
		Runs    []struct {
			GPUs, Bins int
			Width, End float64
			Columns    map[string]int
			Log        struct{ Total int }
		}
	}
	if err := json.Unmarshal(dataOf(t, write(t, r)), &data); err != nil {
		t.Fatal(err)
	}
	run := data.Runs[0]
	sum := func(name string, weigh func(i int) float64) float64 {
		var total float64
		for i, x := range data.Columns[run.Columns[name]] {
			if x != nil {
				total += *x * weigh(i)
			}
		}
		return total
	}
	each := func(int) float64 { return 1 }
	length := func(i int) float64 { return math.Min(run.Width, run.End-float64(i)*run.Width) }
	gpuHours := float64(run.GPUs) * (sum("starting", length) + sum("ready", length) + sum("draining", length)) / 3600
	for _, x := range []struct {
		name              string
		got, want, within float64
	}{
		{"requests that arrived", sum("arrived", each), float64(s.Requests.Arrived), 0},
		{"requests that missed the SLO", sum("missed", each), float64(s.Requests.Arrived - s.Requests.WithinSLO), 0},
		{"GPU-hours", gpuHours, s.GPUHours.Total, 0.001 * s.GPUHours.Total},
		{"seconds waited for a first token", sum("waiting", length), s.TTFT.Mean * float64(s.Requests.Completed), 0.001 * s.TTFT.Mean * float64(s.Requests.Completed)},
		{"decisions", float64(run.Log.Total), float64(len(d.decisions)), 0},
	} {
		if math.Abs(x.got-x.want) > x.within {
			t.Errorf("%s: the curves hold %g, the score says %g", x.name, x.got, x.want)
		}
	}
	if s.Requests.Arrived < 5_000 || s.Scaling.Ups == 0 {
		t.Errorf("%d requests and %d times more replicas: too little happened to compare", s.Requests.Arrived, s.Scaling.Ups)
	}
}

// A click on a moment of a real replay shows the steps of the production planner.
func TestTheProductionPlannerExplainsItselfInABrowser(t *testing.T) {
	r, d, s := replayed(t)
	page := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(page, []byte(write(t, r)), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	b.screen(1280, 900, "light")
	b.open(page)
	v := &visit{browser: b, t: t, length: time.Duration(s.Duration * float64(time.Second)), lead: time.Minute}
	v.asksWhy(d)
	b.silent(page)
}
