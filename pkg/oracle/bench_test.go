package oracle

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// BenchmarkFind gives the figures in DESIGN.md: what the schedule costs over the bound, and what square-root staffing of
// the perfectly known demand of each minute costs over the schedule, at the least scale that meets the objective.
//
//	go test ./pkg/oracle -run ^$ -bench Find -benchtime 1x
func BenchmarkFind(b *testing.B) {
	for _, load := range []struct {
		name, profile string
		initial       int32
		recorded      string
		rate          float64
		workload      string
	}{
		{name: "azure-conv/70b", profile: "llama-3.1-70b-h100x4", initial: 2, recorded: "AzureLLMInferenceTrace_conv.csv.gz", rate: 1},
		{name: "azure-conv-x4/70b", profile: "llama-3.1-70b-h100x4", initial: 6, recorded: "AzureLLMInferenceTrace_conv.csv.gz", rate: 4},
		{name: "azure-conv-x16/8b", profile: "llama-3.1-8b-h100", initial: 12, recorded: "AzureLLMInferenceTrace_conv.csv.gz", rate: 16},
		{name: "flash-crowd/70b", profile: "llama-3.1-70b-h100x4", initial: 3, workload: "flash-crowd:seed=4"},
		{name: "on-off/70b", profile: "llama-3.1-70b-h100x4", initial: 3, workload: "on-off:seed=4"},
		{name: "regime-shift-6h/70b", profile: "llama-3.1-70b-h100x4", initial: 3, workload: "regime-shift:seed=4,hours=6"},
		{name: "diurnal-24h/70b", profile: "llama-3.1-70b-h100x4", initial: 3, workload: "diurnal:seed=3,hours=24"},
	} {
		b.Run(load.name, func(b *testing.B) {
			var p Problem
			if load.recorded != "" {
				p = recorded(b, load.recorded, load.profile, load.rate, load.initial)
			} else {
				p = generated(b, load.workload, load.profile, load.initial)
			}
			for b.Loop() {
				r, err := Find(b.Context(), p, Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(r.GPUSeconds/r.Bound, "oracle/bound")
				b.ReportMetric(staffedAlone(b, p)/r.GPUSeconds, "staffing/oracle")
				b.ReportMetric(float64(r.Simulations), "runs")
				b.ReportMetric(r.GPUSeconds/3600, "GPU-h")
				b.ReportMetric(r.Attainment()*100, "%attained")
			}
		})
	}
}

// generated is a problem on a named workload.
func generated(t testing.TB, workload, profile string, initial int32) Problem {
	t.Helper()
	p, err := replica.ProfileNamed(profile)
	if err != nil {
		t.Fatal(err)
	}
	return Problem{
		Cluster: replay.Config{Start: start, Seed: 1, Lead: replay.Lead{Load: replay.Phase{Median: 2 * time.Minute}}},
		Target:  replay.Target{Name: "generated", Profile: p, Initial: initial},
		Load:    func() (trace.Stream, error) { return trace.Open(workload, trace.Options{}) },
		SLO:     score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99},
	}
}

// staffedAlone is the cost in GPU-seconds of the first family at the least scale that meets the objective.
func staffedAlone(t testing.TB, p Problem) float64 {
	s, err := newSearch(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.limit = 20
	if _, err := s.leastOf(families(s.span)[0], s.scale(p), s.allowed); err != nil {
		t.Fatal(err)
	}
	return s.best.held.Seconds() * float64(p.Target.Profile.GPUs)
}
