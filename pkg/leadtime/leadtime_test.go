package leadtime

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func learned(loads ...time.Duration) *State {
	var s State
	for _, l := range loads {
		s.Learn(Start{Scheduling: 0, Startup: 0, Loading: l})
	}
	return &s
}

func repeat(d time.Duration, n int) []time.Duration {
	ds := make([]time.Duration, n)
	for i := range ds {
		ds[i] = d
	}
	return ds
}

func TestEstimate(t *testing.T) {
	for name, tc := range map[string]struct {
		state    *State
		config   Config
		p50, p90 time.Duration
		source   Source
	}{
		"nothing seen: five minutes":                {&State{}, Config{}, 5 * time.Minute, 5 * time.Minute, Prior},
		"nothing seen: the user's prior":            {&State{}, Config{Prior: time.Minute}, time.Minute, time.Minute, Prior},
		"an override is the truth":                  {learned(repeat(time.Minute, 9)...), Config{Override: time.Second}, time.Second, time.Second, Override},
		"one start of 30 s pulls the prior down":    {learned(30 * time.Second), Config{}, 64630 * time.Millisecond, 64630 * time.Millisecond, Measured},
		"many starts leave little of the prior":     {learned(repeat(30*time.Second, 32)...), Config{}, 31080 * time.Millisecond, 31080 * time.Millisecond, Measured},
		"an outlier moves P90 and leaves P50 alone": {learned(append(repeat(30*time.Second, 9), time.Hour)...), Config{Prior: 30 * time.Second}, 30 * time.Second, 30 * time.Second, Measured},
	} {
		t.Run(name, func(t *testing.T) {
			e := tc.state.Estimate(tc.config)
			got := []any{e.P50, e.P90, e.Source}
			if diff := cmp.Diff([]any{tc.p50, tc.p90, tc.source}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheStartsOfAWrongClockTeachNothing(t *testing.T) {
	s := learned(30 * time.Second)
	for _, x := range []Start{{Loading: -time.Second}, {Startup: -time.Second}, {Loading: 61 * time.Minute}, {Startup: 24 * time.Hour}} {
		s.Learn(x)
	}
	if diff := cmp.Diff(learned(30*time.Second), s); diff != "" {
		t.Error(diff)
	}
}

func TestTimeWithoutAGPUIsLeftOut(t *testing.T) {
	var s State
	for range 5 {
		s.Learn(Start{Scheduling: 2 * time.Second, Startup: 3 * time.Second, Loading: 10 * time.Second})
	}
	s.Learn(Start{Scheduling: -1, Startup: 3 * time.Second, Loading: 10 * time.Second})
	e := s.Estimate(Config{Prior: 15 * time.Second})
	if e.P50 != 15*time.Second || e.P90 != 15*time.Second {
		t.Errorf("P50 %v, P90 %v, want 15s both", e.P50, e.P90)
	}
	if diff := cmp.Diff([]time.Duration{2 * time.Second, 3 * time.Second, 10 * time.Second}, []time.Duration{e.Scheduling.P50, e.Startup.P50, e.Loading.P50}); diff != "" {
		t.Error(diff)
	}
}

func TestNewStartsReplaceOldOnes(t *testing.T) {
	s := learned(repeat(time.Minute, maxSamples)...)
	for range maxSamples {
		s.Learn(Start{Loading: 10 * time.Second})
	}
	if e := s.Estimate(Config{}); e.Samples != maxSamples || e.P90 > 12*time.Second {
		t.Errorf("P90 %v of %d samples, want the newest starts only", e.P90, e.Samples)
	}
}

func TestRemainingIsNeverNothing(t *testing.T) {
	e := Estimate{P50: 60 * time.Second, P90: 100 * time.Second}
	for age, want := range map[time.Duration]time.Duration{0: time.Minute, 50 * time.Second: 10 * time.Second, time.Hour: 10 * time.Second} {
		if got := e.Remaining(age); got != want {
			t.Errorf("age %v: %v, want %v", age, got, want)
		}
	}
}
