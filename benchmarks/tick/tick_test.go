// Package tick measures one tick of the control loop over many targets: what the core costs, without scraping and
// without a cluster.
//
//	go test -run '^$' -bench . ./benchmarks/tick
package tick

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/assemble"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const (
	numTargets = 1000
	numPods    = 4
	interval   = 15 * time.Second
	// history is how many ticks go before the measured ones: more than the thirty horizons after which the forecast's skill
	// is known, so that every step scores, learns and forecasts.
	history = 1100
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// fleet is Observer, Actuator and Recorder of targets whose pods report what a busy vLLM does: 15 scalars and four
// histograms of 20 buckets. Pages are made outside of the measured time.
type fleet struct {
	replicas map[controlloop.TargetID][]scaling.Replica
	decided  int
}

func newFleet(b *testing.B) (*fleet, []controlloop.Target) {
	b.Helper()
	ia := &v1alpha1.InferenceAutoscaler{Spec: v1alpha1.InferenceAutoscalerSpec{MaxReplicas: 16}}
	ia.SetDefaults()
	planner, err := assemble.Planner(ia, assemble.Options{Interval: interval})
	if err != nil {
		b.Fatal(err)
	}
	f := &fleet{replicas: map[controlloop.TargetID][]scaling.Replica{}}
	var targets []controlloop.Target
	for i := range numTargets {
		id := controlloop.TargetID{Namespace: "default", Name: fmt.Sprintf("target-%d", i)}
		targets = append(targets, controlloop.Target{ID: id, Planner: planner})
		for j := range numPods {
			name := fmt.Sprintf("%s-%d", id.Name, j)
			born := start.Add(-time.Hour)
			f.replicas[id] = append(f.replicas[id], scaling.Replica{
				ID: name, Name: name, Phase: scaling.Ready,
				Created: born, Scheduled: born, Started: born.Add(10 * time.Second), ReadyAt: born.Add(3 * time.Minute),
			})
		}
	}
	return f, targets
}

var bounds = []float64{
	0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 3, 5, 10, 20,
}

// scrape gives every pod its page of one tick.
func (f *fleet) scrape(n int) {
	now := start.Add(time.Duration(n) * interval)
	target := 0
	for _, replicas := range f.replicas {
		target++
		for j := range replicas {
			replicas[j].Reading = page(replicas[j].Reading, now, n, (n*7+target*13+j*5)%23)
		}
	}
}

// page is what a pod reports at tick n, after its page before: with a batch that moves, and steps that are the slower the
// more tokens there are.
func page(before *signals.Reading, now time.Time, n, wave int) *signals.Reading {
	r := &signals.Reading{Time: now, Started: start.Add(-time.Hour)}
	tokens, gaps, waited := float64(6000+150*wave), 0., 0.
	if before != nil {
		gaps, _ = before.Value(signals.GenerationTokens)
		waited = before.Histogram(signals.ITL).Sum
	}
	waited += tokens / (60 - 0.03*2*tokens/interval.Seconds())
	count := float64(1000 + 30*n)
	for m := range signals.NumMetrics {
		if m.Kind() == signals.Counter {
			r.Set(m, gaps+tokens)
		}
	}
	r.Set(signals.RequestsFinished, count)
	r.Set(signals.Preemptions, 0)
	r.Set(signals.RequestsRunning, float64(8+wave))
	r.Set(signals.RequestsWaiting, 0)
	r.Set(signals.KVCacheUtilization, 0.01*float64(8+wave))
	for l := range signals.NumLatencies {
		h := &signals.Histogram{Bounds: bounds, Sum: waited}
		total := count
		if l == signals.ITL {
			total = gaps + tokens
		}
		for i := range len(bounds) + 1 {
			h.Counts = append(h.Counts, total*min(1, float64(i+1)/12))
		}
		r.SetHistogram(l, h)
	}
	return r
}

func (f *fleet) Observe(_ context.Context, id controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	return scaling.Observation{Time: now, Desired: numPods, Replicas: f.replicas[id]}, nil
}

func (f *fleet) Actuate(context.Context, controlloop.TargetID, scaling.Decision) error { return nil }

func (f *fleet) Record(_ context.Context, _ controlloop.TargetID, d scaling.Decision, _ error) {
	if d.DemandKnown && d.Forecast.Skill.Known && d.Capacity.Known() {
		f.decided++
	}
}

// BenchmarkTickOf1000Targets is one tick over targets of four pods each, by one core. It fails above one second.
func BenchmarkTickOf1000Targets(b *testing.B) {
	f, targets := newFleet(b)
	loop := controlloop.New(f, f, f, 1)
	n := 0
	tick := func() {
		if err := loop.Tick(b.Context(), start.Add(time.Duration(n)*interval), targets); err != nil {
			b.Fatal(err)
		}
	}
	for ; n < history; n++ {
		f.scrape(n)
		tick()
	}
	f.decided = 0
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		f.scrape(n)
		b.StartTimer()
		tick()
		n++
	}
	b.StopTimer()
	if want := (n - history) * numTargets; f.decided != want {
		b.Fatalf("%d of %d decisions rest on demand, forecast and capacity: the benchmark would measure holds", f.decided, want)
	}
	each := b.Elapsed() / time.Duration(n-history)
	b.ReportMetric(float64(each.Nanoseconds())/numTargets, "ns/target")
	if each > time.Second {
		b.Errorf("a tick of %d targets takes %v, more than a second", numTargets, each)
	}
}
