package leadtime

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// learned is what the loading times of starts teach that took no other time, oldest first.
func learned(loads ...time.Duration) *State {
	var s State
	for _, l := range loads {
		s.Learn(Start{Loading: l})
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

// seconds are durations of whole seconds.
func seconds(all ...float64) []time.Duration {
	ds := make([]time.Duration, len(all))
	for i, s := range all {
		ds[i] = time.Duration(s * float64(time.Second))
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
		"nothing seen: five minutes, and as much spread as starts have": {&State{}, Config{}, 5 * time.Minute, 413300 * time.Millisecond, Prior},
		"nothing seen: the user's prior":                                {&State{}, Config{Prior: time.Minute}, time.Minute, 82660 * time.Millisecond, Prior},
		"an override is the truth":                                      {learned(repeat(time.Minute, 9)...), Config{Override: time.Second}, time.Second, time.Second, Override},
		"one start of 30 s pulls the prior down":                        {learned(30 * time.Second), Config{}, 64630 * time.Millisecond, 83520 * time.Millisecond, Measured},
		"many starts leave little of the prior":                         {learned(repeat(30*time.Second, 32)...), Config{}, 31080 * time.Millisecond, 32210 * time.Millisecond, Measured},
		"an outlier moves neither":                                      {learned(append(repeat(30*time.Second, 9), time.Hour)...), Config{Prior: 30 * time.Second}, 30 * time.Second, 32980 * time.Millisecond, Measured},
	} {
		t.Run(name, func(t *testing.T) {
			e := tc.state.Estimate(tc.config)
			got := []any{e.P50, e.P90, e.Source}
			if diff := cmp.Diff([]any{tc.p50, tc.p90, tc.source}, got); diff != "" {
				t.Error(diff)
			}
			if e.Quantile(0.5) != e.P50 || e.Quantile(0.9) != e.P90 {
				t.Errorf("the quantiles %v and %v are not P50 and P90", e.Quantile(0.5), e.Quantile(0.9))
			}
		})
	}
}

func TestTheStartsOfAWrongClockTeachNothing(t *testing.T) {
	s := learned(30 * time.Second)
	for _, x := range []Start{
		{Loading: -time.Second}, {Startup: -time.Second}, {Loading: 61 * time.Minute}, {Startup: 24 * time.Hour}, {WarmUp: -1}, {Waited: -1},
	} {
		s.Learn(x)
	}
	if diff := cmp.Diff(learned(30*time.Second), s); diff != "" {
		t.Error(diff)
	}
}

func TestTimeWithoutAGPUIsToldApart(t *testing.T) {
	for name, spoilt := range map[string]Start{
		"seen to wait":                        {Scheduling: -1, Waited: 20 * time.Minute},
		"seen to wait, nobody knows how long": {Scheduling: -1},
		"too long for a scheduler with room":  {Scheduling: 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			for range 5 {
				s.Learn(Start{Scheduling: 2 * time.Second, Startup: 3 * time.Second, Loading: 10 * time.Second})
			}
			before := s.Estimate(Config{Prior: 15 * time.Second})
			spoilt.Startup, spoilt.Loading = 3*time.Second, 10*time.Second
			s.Learn(spoilt)
			e := s.Estimate(Config{Prior: 15 * time.Second})
			if e.P50 != 15*time.Second || e.P90 > before.P90 {
				t.Errorf("P50 %v, P90 %v, want 15s and no more than %v", e.P50, e.P90, before.P90)
			}
			if diff := cmp.Diff(seconds(2, 3, 10), []time.Duration{e.Scheduling.P50, e.Startup.P50, e.Loading.P50}); diff != "" {
				t.Error(diff)
			}
			if want := e.Waits > 0; want && e.WithoutGPU.P50 != 20*time.Minute {
				t.Errorf("%d waits of %v, want one of 20m", e.Waits, e.WithoutGPU.P50)
			}
		})
	}
}

func TestANodeThatIsMadeIsNoWaitForAGPU(t *testing.T) {
	var s State
	for range 8 {
		s.Learn(Start{Circumstance: Circumstance{Node: NodePresent}, Loading: time.Minute})
		s.Learn(Start{Circumstance: Circumstance{Node: NodeMade}, Scheduling: -1, Waited: 4 * time.Minute, Loading: time.Minute})
	}
	e := s.Estimate(Config{})
	if e.Waits != 0 || e.Nodes != 8 || e.Made.P50 != 4*time.Minute {
		t.Errorf("%d waits, %d nodes of %v, want none and 8 of 4m", e.Waits, e.Nodes, e.Made.P50)
	}
	present := s.EstimateUnder(Circumstance{Node: NodePresent}, Config{})
	made := s.EstimateUnder(Circumstance{Node: NodeMade}, Config{})
	if present.P90 > 100*time.Second || made.P50 < 4*time.Minute || e.P90 < 4*time.Minute {
		t.Errorf("%v with a node that is there, %v with one that is made, P90 %v of both", present, made, e.P90)
	}
}

func TestANodeThatTookLongerThanAnyStartWasNotToBeHad(t *testing.T) {
	var s State
	s.Learn(Start{Circumstance: Circumstance{Node: NodeMade}, Scheduling: 4 * time.Minute, Loading: time.Minute})
	s.Learn(Start{Circumstance: Circumstance{Node: NodeMade}, Scheduling: -1, Waited: 3 * time.Hour, Loading: time.Minute})
	s.Learn(Start{Circumstance: Circumstance{Node: NodeMade}, Scheduling: 2 * time.Hour, Loading: time.Minute})
	e := s.Estimate(Config{})
	if e.Nodes != 1 || e.Made.P90 != 4*time.Minute || e.Waits != 2 || e.P90 > 10*time.Minute {
		t.Errorf("%d nodes of %v, %d waits, %v in all; want one of 4m and two waits that count nothing", e.Nodes, e.Made.P90, e.Waits, e)
	}
}

func TestWhatIsKnownGoesBeforeAGuess(t *testing.T) {
	known, guess := Circumstance{Node: NodeMade, Image: ImageCached}, Circumstance{Node: NodePresent, Image: ImagePulled}
	for _, x := range [][2]Circumstance{
		{known.Or(guess), known},
		{Circumstance{}.Or(guess), guess},
		{known.Or(Circumstance{}), known},
		{Circumstance{Node: NodeMade}.Or(guess), {Node: NodeMade, Image: ImagePulled}},
		{Circumstance{}.Or(Circumstance{}), {}},
	} {
		if x[0] != x[1] {
			t.Errorf("got %+v, want %+v", x[0], x[1])
		}
	}
}

func TestOldStartsAreForgotten(t *testing.T) {
	s := learned(repeat(time.Minute, maxSamples)...)
	for range maxSamples {
		s.Learn(Start{Loading: 10 * time.Second})
	}
	if e := s.Estimate(Config{}); e.Samples != maxSamples || e.P90 > 12*time.Second {
		t.Errorf("P90 %v of %d samples, want the newest starts only", e.P90, e.Samples)
	}
}

func TestStartsAreInTheOrderInWhichTheyBecameReady(t *testing.T) {
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var inOrder, shuffled State
	for _, at := range []int{0, 1, 2, 3, 4, 5} {
		inOrder.Learn(Start{Ready: t0.Add(time.Duration(at) * time.Hour), Loading: time.Duration(at+1) * time.Minute})
	}
	for _, at := range []int{3, 5, 0, 4, 1, 2} {
		shuffled.Learn(Start{Ready: t0.Add(time.Duration(at) * time.Hour), Loading: time.Duration(at+1) * time.Minute})
	}
	if diff := cmp.Diff(inOrder, shuffled); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFirstTokenIsPartOfTheStart(t *testing.T) {
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var s State
	for i := range 4 {
		s.Learn(Start{Ready: t0.Add(time.Duration(i) * time.Hour), Loading: time.Minute})
	}
	before := s.Estimate(Config{})
	s.LearnWarmUp(t0.Add(time.Hour), 20*time.Second)
	s.LearnWarmUp(t0.Add(time.Hour), 40*time.Second) // it has been told already
	s.LearnWarmUp(t0.Add(time.Minute), 5*time.Minute)
	s.LearnWarmUp(time.Time{}, 5*time.Minute)
	after := s.Estimate(Config{})
	if after.WarmUp.P50 != 20*time.Second || after.P50 < before.P50+15*time.Second {
		t.Errorf("warm-up %v, P50 from %v to %v, want it to grow by about 20s", after.WarmUp, before.P50, after.P50)
	}
	loading := Progress{Age: 30 * time.Second, Stage: Loading, In: 30 * time.Second}
	if left := s.Remaining(Config{Prior: 80 * time.Second}, loading, 0.5); left < 45*time.Second || left > 55*time.Second {
		t.Errorf("%v remain of a minute of loading and 20 s of warming up after 30 s", left)
	}
}

func TestStatesWithoutTrustCountAllStartsTheSame(t *testing.T) {
	s := State{Starts: []Start{{Loading: time.Minute}, {Loading: time.Minute}, {Loading: time.Minute}, {Loading: time.Hour}}}
	if e := s.Estimate(Config{}); e.P50 > 80*time.Second || e.P90 < 2*time.Minute {
		t.Errorf("P50 %v, P90 %v, want those of all four starts", e.P50, e.P90)
	}
	s.Learn(Start{Loading: time.Minute})
	if e := s.Estimate(Config{}); len(s.Trust) != 5 || e.P90 > 2*time.Minute {
		t.Errorf("P90 %v with trust %v, want the long start to be distrusted", e.P90, s.Trust)
	}
}

func TestEstimatesMadeByHandHaveQuantiles(t *testing.T) {
	e := Estimate{P50: 2 * time.Minute, P90: 3 * time.Minute}
	near := func(got, want time.Duration) bool { return (got - want).Abs() < time.Second }
	if !near(e.Quantile(0.5), e.P50) || !near(e.Quantile(0.9), e.P90) || !near(e.Remaining(0), e.P50) {
		t.Errorf("quantiles %v and %v, %v remain", e.Quantile(0.5), e.Quantile(0.9), e.Remaining(0))
	}
	if e := (Estimate{}); e.Quantile(0.9) != 0 || e.Remaining(time.Minute) != 0 {
		t.Error("an estimate of nothing is something")
	}
}

func TestEstimatesDoNotAllocate(t *testing.T) {
	s := learned(repeat(time.Minute, maxSamples)...)
	p := Progress{Stage: Loading, In: 30 * time.Second, Circumstance: Circumstance{Image: ImageCached}}
	if n := testing.AllocsPerRun(10, func() {
		_ = s.Estimate(Config{})
		_ = s.Remaining(Config{}, p, 0.9)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEstimate(b *testing.B) {
	s := learned(repeat(time.Minute, maxSamples)...)
	for b.Loop() {
		_ = s.Estimate(Config{})
	}
}

func BenchmarkRemaining(b *testing.B) {
	s := learned(repeat(time.Minute, maxSamples)...)
	for b.Loop() {
		_ = s.Remaining(Config{}, Progress{Stage: Loading, In: 30 * time.Second}, 0.5)
	}
}

func BenchmarkLearn(b *testing.B) {
	s := learned(repeat(time.Minute, maxSamples)...)
	for b.Loop() {
		s.Learn(Start{Loading: time.Minute})
	}
}
