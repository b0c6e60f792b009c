package baseline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setup is what the tests of every policy start from.
func setup() Setup {
	return Setup{Min: 1, Max: 10, Load: Load{
		PeakReplicas: 6, MeanReplicas: 3, Schedule: []int32{1, 2, 5, 3}, Slot: 6 * time.Hour,
	}, Engine: Engine{
		KVTokens: 400_000, MaxSequences: 256, MaxBatchedTokens: 8192,
		StepTime: func(s Step) time.Duration {
			return time.Duration((17 + 0.0044*s.Sequences + 0.00005*s.ContextTokens + 0.08*s.PrefillTokens) * float64(time.Millisecond))
		},
		Sustainable: func(Mix, SLO) float64 { return 4 },
	}}
}

func TestEveryPolicyCanBeMadeAndTunedAlike(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			p, err := New(name, setup())
			if err != nil {
				t.Fatal(err)
			}
			if path := p.Path(); path.Interval <= 0 || path.Scrape < 0 || path.Lag < 0 {
				t.Errorf("path %+v: the interval must be positive, nothing negative", path)
			}
			combinations := 1
			for _, k := range Knobs(name) {
				combinations *= len(k.Grid)
			}
			if n := len(Knobs(name)); n < 1 || n > 2 || combinations != Budget {
				t.Errorf("%d knobs with %d combinations, want one or two with %d", n, combinations, Budget)
			}
		})
	}
}

// The paths that DESIGN.md tells, in seconds: between decisions, between readings, and the lag of these.
func TestPaths(t *testing.T) {
	want := map[string][3]float64{
		"hpa-queue": {15, 15, 1}, "hpa-running": {15, 15, 1}, "keda": {15, 15, 1}, "slo-aware": {15, 15, 1}, "kpa": {2, 2, 1},
		"apa": {10, 10, 0}, "wva": {15, 15, 1}, "wva-v2": {15, 15, 1}, "dynamo": {5, 5, 0}, "ray-serve": {10, 10, 0},
		"static-peak": {60, 0, 0}, "static-mean": {60, 0, 0}, "cron": {15, 0, 0},
	}
	got := map[string][3]float64{}
	for _, name := range Names() {
		p, err := New(name, setup())
		if err != nil {
			t.Fatal(err)
		}
		path := p.Path()
		got[name] = [3]float64{path.Interval.Seconds(), path.Scrape.Seconds(), path.Lag.Seconds()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEveryKnobIsTakenAndBounded(t *testing.T) {
	for _, name := range Names() {
		for _, k := range AllKnobs(name) {
			values := append([]float64{k.Default, k.Low, k.High}, k.Grid...)
			for _, x := range values {
				s := setup()
				s.Settings = map[string]float64{k.Name: x}
				if _, err := New(name, s); err != nil {
					t.Errorf("%s: %s = %v: %v", name, k.Name, x, err)
				}
			}
			s := setup()
			s.Settings = map[string]float64{k.Name: k.High + 1}
			if _, err := New(name, s); err == nil || !strings.Contains(err.Error(), k.Name) {
				t.Errorf("%s: %s = %v: got %v, want an error that names the setting", name, k.Name, k.High+1, err)
			}
		}
	}
}

func TestOneNumberIsABound(t *testing.T) {
	for _, s := range []Setup{{Min: 3, Max: 3}, {Min: 3}} {
		if _, err := New("hpa-queue", s); err != nil {
			t.Errorf("%d to %d: %v", s.Min, s.Max, err)
		}
	}
}

func TestMistakesAreNamedWithTheirRemedy(t *testing.T) {
	tests := map[string]struct {
		name  string
		setup Setup
		want  []string
	}{
		"an unknown policy":        {"hpa", Setup{}, []string{`"hpa"`, "hpa-queue"}},
		"an unknown setting":       {"hpa-queue", Setup{Settings: map[string]float64{"taget": 1}}, []string{`"taget"`, "target, down-window"}},
		"a minimum above the max":  {"hpa-queue", Setup{Min: 3, Max: 2}, []string{"3 to 2"}},
		"nothing known of a load":  {"static-peak", Setup{}, []string{"replicas", "peak"}},
		"an objective below zero":  {"hpa-queue", Setup{SLO: SLO{TTFT: -1}}, []string{"must not be negative"}},
		"a setting outside limits": {"hpa-queue", Setup{Settings: map[string]float64{"target": 0}}, []string{"target is 0", "0.01"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(tt.name, tt.setup)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}
