package replay

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// weekly is the shape of a large public chat service's week (Azure, May 2024: 27.3 million requests in seven days, 45.1
// a second in the mean, peaks of 1.9 times and troughs of 0.4 times that): three humps a day, one for each region, and a
// weekend at 55 %.
func weekly(at time.Duration) float64 {
	day := at.Hours() / 24
	hour := 2 * math.Pi * day
	level := 1 + 0.35*math.Sin(hour-1.9) + 0.12*math.Sin(2*hour+0.4) + 0.18*math.Sin(3*hour-0.8)
	if math.Mod(day, 7) >= 5 {
		level *= 0.55
	}
	return 51.8 * level
}

// preheat is the production planner under a spec as a user would write it.
func preheat(b *testing.B) baseline.Policy {
	b.Helper()
	ia := &v1alpha1.InferenceAutoscaler{Spec: v1alpha1.InferenceAutoscalerSpec{MaxReplicas: 40}}
	ia.SetDefaults()
	p, err := replay.Preheat(ia, replay.DefaultPath())
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkWeek is a week of 27 million requests under the production planner, with its readings of every replica each
// five seconds. With -short it is the first day only.
// s/27.3M-requests is the time of a whole week at the speed measured.
func BenchmarkWeek(b *testing.B) {
	days := 7
	if testing.Short() {
		days = 1
	}
	for b.Loop() {
		var memory runtime.MemStats
		began, worked := b.Elapsed(), processorTime()
		load := newStream(math.MaxInt, weekly)
		load.end = time.Duration(days) * 24 * time.Hour
		t := run(b, replay.Target{Name: "chat", Profile: profile(b), Load: load, Policy: preheat(b), Initial: 4, Max: 40})
		seconds := (b.Elapsed() - began).Seconds()
		worked = processorTime() - worked
		runtime.ReadMemStats(&memory)
		b.ReportMetric(seconds*27.3e6/float64(t.requests), "s/27.3M-requests")
		b.ReportMetric(float64(t.requests)/seconds, "requests/s")
		b.ReportMetric(float64(t.requests)/worked.Seconds(), "requests/cpu-s")
		b.ReportMetric(float64(t.good)/float64(t.requests), "attainment")
		b.ReportMetric(t.replicaSeconds/3600, "replica-hours")
		b.ReportMetric(float64(memory.HeapSys)/(1<<20), "MiB")
		if want := 27e6 / 7 * float64(days); float64(t.requests) < 0.9*want || float64(t.requests) > 1.4*want {
			b.Errorf("%d requests in %d days: this is not the week of 27 million", t.requests, days)
		}
	}
}
