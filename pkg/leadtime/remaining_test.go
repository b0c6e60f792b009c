package leadtime

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"
)

// pods has seen twelve starts with the image at hand, and six where it was pulled.
func pods() *State {
	var s State
	cached := Start{Circumstance: Circumstance{Image: ImageCached}, Scheduling: time.Second, Startup: 4 * time.Second, Loading: 90 * time.Second}
	pulled := Start{Circumstance: Circumstance{Image: ImagePulled}, Scheduling: time.Second, Startup: 4 * time.Minute, Loading: 90 * time.Second}
	for range 6 {
		for _, x := range []Start{cached, pulled, cached} {
			s.Learn(x)
		}
	}
	return &s
}

func TestAStartIsFollowedThroughItsStages(t *testing.T) {
	s := pods()
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var never time.Time
	at := func(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }
	for _, tc := range []struct {
		name                          string
		scheduled, started, now       time.Time
		median, within, nineInTenOver time.Duration
	}{
		{"ordered: one of both", never, never, at(0), 98 * time.Second, 6 * time.Second, 4 * time.Minute},
		{"on its node: still one of both", at(1), never, at(2), 98 * time.Second, 6 * time.Second, 4 * time.Minute},
		{"no container after 25 s: the image is pulled", at(1), never, at(26), 305 * time.Second, 15 * time.Second, 305 * time.Second},
		{"pulled: it has to load", at(1), at(241), at(242), 90 * time.Second, 6 * time.Second, 92 * time.Second},
		{"half loaded", at(1), at(241), at(286), 45 * time.Second, 6 * time.Second, 47 * time.Second},
		{"cached: it has to load", at(1), at(5), at(6), 90 * time.Second, 6 * time.Second, 92 * time.Second},
		{"late", at(1), at(5), at(5 + 180), 75 * time.Second, 10 * time.Second, 3 * time.Minute},
		{"later", at(1), at(5), at(5 + 360), 150 * time.Second, 15 * time.Second, 6 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := ProgressOf(t0, tc.scheduled, tc.started, tc.now)
			got := s.Remaining(Config{}, p, 0.5)
			if (got - tc.median).Abs() > tc.within {
				t.Errorf("%v remain in the median, want %v ± %v (%+v)", got, tc.median, tc.within, p)
			}
			if most := s.Remaining(Config{}, p, 0.9); most < tc.nineInTenOver {
				t.Errorf("%v remain at most in nine cases of ten, want no less than %v", most, tc.nineInTenOver)
			}
		})
	}
}

func TestALongPullIsNotALateLoad(t *testing.T) {
	s := pods()
	pulled := Progress{Age: 250 * time.Second, Stage: Loading, In: 9 * time.Second}
	byStage, byAge := s.Remaining(Config{}, pulled, 0.5), learned(repeat(95*time.Second, 16)...).Estimate(Config{}).Remaining(pulled.Age)
	if byStage > 90*time.Second || byAge < byStage {
		t.Errorf("%v remain of 81 s by the stage, %v by the age", byStage, byAge)
	}
}

func TestWithoutStartsTheAgeCounts(t *testing.T) {
	for name, c := range map[string]Config{"prior": {Prior: time.Minute}, "override": {Prior: time.Hour, Override: time.Minute}} {
		var s State
		if name == "override" {
			s = *learned(repeat(10*time.Minute, 9)...)
		}
		if left := s.Remaining(c, Progress{Age: 20 * time.Second, Stage: Loading}, 0.5); left < 38*time.Second || left > 42*time.Second {
			t.Errorf("%s: %v remain of a minute after 20 s", name, left)
		}
	}
}

func TestProgressWithGapsAndWrongClocks(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var never time.Time
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, tc := range map[string]struct {
		got, want Progress
	}{
		"nothing has happened":      {ProgressOf(ago(5*time.Second), never, never, now), Progress{Age: 5 * time.Second, In: 5 * time.Second}},
		"a clock that is ahead":     {ProgressOf(ago(-5*time.Second), never, never, now), Progress{}},
		"nobody tells of the node":  {ProgressOf(ago(time.Minute), never, ago(time.Second), now), Progress{Age: time.Second, Stage: Loading, In: time.Second}},
		"a container that is ahead": {ProgressOf(ago(time.Minute), ago(time.Second), ago(-time.Second), now), Progress{Circumstance: Circumstance{Image: ImageCached}, Age: time.Second, Stage: Loading}},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, tc.got, tc.want)
		}
	}
}

func TestAPersonIsTold(t *testing.T) {
	var plain, odd State
	for range 14 {
		plain.Learn(Start{Scheduling: time.Second, Startup: 4 * time.Second, Loading: 96 * time.Second, WarmUp: 20 * time.Second})
	}
	odd.Learn(Start{Circumstance: Circumstance{Image: ImagePulled}, Scheduling: -1, Waited: 12 * time.Minute, Startup: 3 * time.Minute, Loading: time.Minute})
	odd.Learn(Start{Circumstance: Circumstance{Node: NodeMade}, Scheduling: 2 * time.Minute, Startup: 3 * time.Second, Loading: time.Minute})
	for _, tc := range []struct{ got, want string }{
		{plain.Estimate(Config{Prior: 2 * time.Minute}).String(), "2m1s (P90 2m10s) from 14 starts: scheduling 1 s, image 4 s, load 1m36s, warm-up 20 s"},
		{(&State{}).Estimate(Config{}).String(), "5m0s (P90 6m53s) assumed: no start has been seen yet"},
		{(&State{}).Estimate(Config{Override: 40 * time.Second}).String(), "40 s as the spec says"},
		{Estimate{}.String(), "unknown"},
	} {
		if tc.got != tc.want {
			t.Errorf("told %q, want %q", tc.got, tc.want)
		}
	}
	told := odd.Estimate(Config{}).String()
	for _, want := range []string{"from 2 starts", "(2m0s with a new node, 1 of them)", "(3m0s where pulled, 1 of them)", "not counting 12m0s without a GPU in 1 start"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q does not say %q", told, want)
		}
	}
}

func FuzzLearn(f *testing.F) {
	f.Add([]byte("12345678123456781234567812345678abcdefghabcdefghabcdefghabcdefgh"), int64(time.Minute), int64(time.Minute), 0.5)
	f.Add([]byte{}, int64(0), int64(-1), math.NaN())
	f.Fuzz(func(t *testing.T, data []byte, prior, age int64, q float64) {
		var s State
		for ; len(data) >= 8; data = data[8:] {
			v := binary.LittleEndian.Uint64(data)
			phase := func(shift uint) time.Duration {
				return time.Duration(int8(v>>shift)) * time.Second << (v >> (shift + 8) % 8)
			}
			s.Learn(Start{
				Circumstance: Circumstance{Node: Node(v % 3), Image: Image(v >> 2 % 3)}, Ready: time.Unix(int64(v>>48), 0),
				Scheduling: phase(4), Waited: phase(12), Startup: phase(20), Loading: phase(28), WarmUp: phase(36),
			})
			s.LearnWarmUp(time.Unix(int64(v>>40), 0), phase(40))
		}
		c := Config{Prior: min(time.Duration(prior), 24*time.Hour)}
		for i := range 9 {
			x := Circumstance{Node: Node(i % 3), Image: Image(i / 3)}
			e := s.EstimateUnder(x, c)
			if e.P50 <= 0 || e.P90 < e.P50 || e.Quantile(q) <= 0 || e.Remaining(time.Duration(age)) < 0 || e.String() == "" {
				t.Fatalf("%+v", e)
			}
			for stage := Scheduling; stage <= WarmUp; stage++ {
				p := Progress{Circumstance: x, Age: time.Duration(age), Stage: stage, In: time.Duration(age)}
				if left := s.Remaining(c, p, q); left < 0 || left > 100*24*time.Hour {
					t.Fatalf("%v remain of %+v", left, p)
				}
			}
		}
	})
}
