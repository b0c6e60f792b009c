package baseline

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// reasons is the closed set.
func reasons() []scaling.Reason {
	return []scaling.Reason{
		scaling.DemandMet, scaling.ReactiveDemand, scaling.ForecastDemand, scaling.DemandFell, scaling.ScaleDownStabilized,
		scaling.ScaleUpStabilized, scaling.ForecastVeto, scaling.WithinTolerance, scaling.RateLimited, scaling.AtMaximum,
		scaling.AtMinimum, scaling.GPUsUnavailable, scaling.NoReadyReplica, scaling.NoFreshData, scaling.PartialData,
		scaling.CapacityUnknown, scaling.WarmingUp, scaling.Paused, scaling.ScaledToZeroByOther,
	}
}

// sound fails unless a decision keeps the bounds and explains itself without nonsense.
func sound(t *testing.T, d scaling.Decision, s Setup) {
	t.Helper()
	for _, step := range d.Steps {
		if strings.Contains(step.Text, "NaN") || strings.Contains(step.Text, "Inf") || step.Stage == "" || step.Text == "" {
			t.Fatalf("step %+v is no explanation", step)
		}
	}
	switch {
	case d.Reason == scaling.NoFreshData && d.Replicas == d.Current: // no decision is none, wherever the target stands
	case d.Replicas < s.Min || d.Replicas > s.Max:
		t.Fatalf("%d replicas, want %d to %d: %v", d.Replicas, s.Min, s.Max, d.Steps)
	case !slices.Contains(reasons(), d.Reason):
		t.Fatalf("reason %q is not one of the set", d.Reason)
	case len(d.Steps) == 0:
		t.Fatalf("%d -> %d %s without a step", d.Current, d.Replicas, d.Reason)
	case math.IsNaN(d.Demand + d.Waiting + d.Running):
		t.Fatalf("demand %v, waiting %v, running %v", d.Demand, d.Waiting, d.Running)
	case d.Replicas > d.Current && slices.Contains([]scaling.Reason{scaling.DemandFell, scaling.DemandMet}, d.Reason) && !d.Time.IsZero() && moved(d):
		t.Fatalf("%d -> %d is called %s: %v", d.Current, d.Replicas, d.Reason, d.Steps)
	case d.Replicas < d.Current && d.Reason == scaling.ReactiveDemand:
		t.Fatalf("%d -> %d is called %s: %v", d.Current, d.Replicas, d.Reason, d.Steps)
	}
}

// moved tells decisions of laws from those of schedules, which have no demand to speak of.
func moved(d scaling.Decision) bool {
	return !slices.ContainsFunc(d.Steps, func(s scaling.Step) bool { return s.Stage == "static" || s.Stage == "schedule" })
}

// storm goes through an hour of loads drawn by seed, with readings lost and an outage of all of them.
func storm(t *testing.T, name string, s Setup, seed uint64) *line {
	dice := rand.New(rand.NewPCG(seed, 7))
	l := newLine(t, name, s, 1+dice.Int32N(s.Max))
	for range 12 {
		l.load([]float64{0, 0.5, 3, 10, 40}[dice.IntN(5)])
		l.lost = []float64{0, 0, 0.3, 1}[dice.IntN(4)]
		l.run(5 * time.Minute)
	}
	return l
}

func TestPoliciesKeepTheirBoundsInAnyWeather(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				s := setup()
				s.Min, s.Max = int32(seed%3), 8
				for _, d := range storm(t, name, s, seed).decisions {
					sound(t, d, s)
				}
			}
		})
	}
}

func TestPoliciesKeepTheirBoundsAtEverySetting(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			for _, k := range AllKnobs(name) {
				for _, x := range tried(k) {
					s := setup()
					s.Settings = map[string]float64{k.Name: x}
					l := newLine(t, name, s, 2)
					for _, rate := range []float64{0, 20, 1} {
						l.load(rate)
						l.run(4 * time.Minute)
					}
					for _, d := range l.decisions {
						sound(t, d, s)
					}
				}
			}
		})
	}
}

// tried are the ends and the grid of a knob, and all variants of a choice.
func tried(k Knob) []float64 {
	xs := append([]float64{k.Low, k.High}, k.Grid...)
	for x := k.Low + 1; x < k.High && k.High <= 3; x++ {
		xs = append(xs, x)
	}
	return xs
}

func TestPoliciesAreDeterministic(t *testing.T) {
	for _, name := range Names() {
		a, b := storm(t, name, setup(), 3), storm(t, name, setup(), 3)
		if diff := cmp.Diff(a.decisions, b.decisions); diff != "" {
			t.Errorf("%s: the same hour twice (-first +second):\n%s", name, diff)
		}
	}
}

func TestPoliciesBearObservationsWithoutAnything(t *testing.T) {
	bare := func(o Observation) Observation { o.Time = t0.Add(o.Time.Sub(time.Time{})); return o }
	tests := map[string]Observation{
		"nothing at all": {},
		"replicas that nobody read": {Observation: scaling.Observation{Desired: 2, Replicas: []scaling.Replica{
			{ID: "a", Phase: scaling.Ready}, {ID: "b", Phase: scaling.Starting},
		}}},
		"replicas without a node": {Observation: scaling.Observation{Desired: 3, Replicas: []scaling.Replica{
			{ID: "a", Phase: scaling.Unschedulable},
		}}},
		"replicas that leave":  {Observation: scaling.Observation{Desired: 1, Replicas: []scaling.Replica{{ID: "a", Phase: scaling.Draining}}}},
		"more than is allowed": {Observation: scaling.Observation{Desired: 100}},
	}
	for _, name := range Names() {
		for what, o := range tests {
			t.Run(name+" with "+what, func(t *testing.T) {
				p, err := New(name, setup())
				if err != nil {
					t.Fatal(err)
				}
				o := bare(o)
				for range 50 {
					o.Time = o.Time.Add(p.Path().Interval)
					d := p.Decide(o)
					if o.Desired > 0 {
						sound(t, d, setup())
					}
					if d.Reason == scaling.NoFreshData && (!d.Blind || d.Replicas != o.Desired) {
						t.Fatalf("no data, and yet %d -> %d: %v", o.Desired, d.Replicas, d.Steps)
					}
				}
			})
		}
	}
}

// A load of 8 requests/s needs 2.5 replicas of the line and keeps 80 requests inside. Each policy is given three quarters
// of an hour to find its number and another to stay with it. Those that upstream lets swing at this load are named with
// what they do.
func TestPoliciesSettleAtConstantLoad(t *testing.T) {
	type set = map[string]float64
	tests := []struct {
		name     string
		settings set
		swings   string
	}{
		{"hpa-queue", nil, "the queue is empty until replicas are saturated, so that it scales down until they are"},
		{"hpa-running", nil, ""},
		{"keda", nil, ""},
		{"keda", set{"law": lawSaturation}, ""},
		{"keda", set{"law": lawGuard}, ""},
		{"slo-aware", nil, ""},
		{"kpa", nil, "its target of 70 is more than a replica runs at once, so that it waits for a queue and drops what clears it"},
		{"kpa", set{"target": 24}, ""},
		{"apa", nil, "it multiplies again while the replicas ordered load, and drops to the lowest of five minutes"},
		{"apa", set{"stabilizer": stabilizeHighest, "pending-guard": 1, "observe-window": 30}, ""},
		{"wva", nil, ""},
		{"wva-v2", nil, ""},
		{"dynamo", nil, ""},
		{"dynamo", set{"loops": loopThroughput, "predictor": predictKalman}, ""},
		{"dynamo", set{"optimize": optimizeThroughput}, ""},
		{"ray-serve", set{"target": 24}, ""},
		{"static-peak", nil, ""},
		{"static-mean", nil, ""},
		{"cron", nil, ""},
	}
	for _, tt := range tests {
		s := setup()
		s.Settings = tt.settings
		l := newLine(t, tt.name, s, 2)
		l.load(8)
		l.run(45 * time.Minute)
		since := l.now
		l.run(45 * time.Minute)
		n, last := l.changes(since), l.decisions[len(l.decisions)-1]
		switch {
		case tt.swings == "" && n > 0:
			t.Errorf("%s %v: %d changes under constant load, the last %v", tt.name, tt.settings, n, last.Steps)
		case tt.swings != "" && n == 0:
			t.Errorf("%s %v: settles at %d, though %s", tt.name, tt.settings, last.Replicas, tt.swings)
		}
		t.Logf("%s %v: %d replicas, %d changes: %v", tt.name, tt.settings, last.Replicas, n, last.Steps)
	}
}
