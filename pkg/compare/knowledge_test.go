package compare

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// known has a replica that sustains 10 requests/s.
func known(minutes ...int32) knowledge {
	return knowledge{capacity: 10, facts: Facts{Span: time.Duration(len(minutes)) * minute, minutes: minutes}}
}

func TestStaffingLeavesRoomForTheNoiseOfArrivals(t *testing.T) {
	for name, tc := range map[string]struct {
		rate, capacity float64
		want           int32
	}{
		"nothing arrives":                     {0, 10, 0},
		"x + 0.5 sqrt(x) for x = 0.4 is 0.72": {4, 10, 1},
		"x = 1 needs 1.5":                     {10, 10, 2},
		"x = 16 needs 18":                     {160, 10, 18},
		"a replica that sustains nothing":     {4, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (knowledge{capacity: tc.capacity}).staff(tc.rate); got != tc.want {
				t.Errorf("%d replicas, want %d", got, tc.want)
			}
		})
	}
}

func TestEveryPolicyStartsAlike(t *testing.T) {
	k := known()
	k.facts.FirstRate, k.facts.PeakRate = 10, 40 // need 2 and 5
	budget := spec()
	budget.Spec.MaxGPUs = new(int32(9))
	for name, tc := range map[string]struct {
		e             Experiment
		initial, most int32
	}{
		"not more than the budget of GPUs":                              {Experiment{Initial: 5, Max: 8, Autoscaler: budget, Profile: replica.Profile{GPUs: 2}}, 4, 4},
		"one, however many GPUs it takes":                               {Experiment{Initial: -1, Max: 8, Autoscaler: budget, Profile: replica.Profile{GPUs: 16}}, 1, 1},
		"what the first two minutes need, thrice what the busiest does": {Experiment{Initial: -1}, 2, 15},
		"not less than the minimum":                                     {Experiment{Initial: -1, Min: 3}, 3, 15},
		"not more than the maximum":                                     {Experiment{Initial: -1, Max: 1}, 1, 1},
		"not more than there are GPUs for":                              {Experiment{Initial: -1, Cluster: replay.Config{GPUs: 7}, Profile: replica.Profile{GPUs: 4}}, 1, 15},
		"as the user says":                                              {Experiment{Initial: 0}, 0, 15},
		"more than the peak needs, if the user says so":                 {Experiment{Initial: 20}, 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			if i, m := tc.e.initial(k), tc.e.most(k); i != tc.initial || m != tc.most {
				t.Errorf("%d at the start and %d at most, want %d and %d", i, m, tc.initial, tc.most)
			}
		})
	}
}

func TestTheEnvelopeIsThatOfAnEarlierPeriod(t *testing.T) {
	const perReplica = 600 // requests a minute that one replica sustains
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	day := func(quiet, busy int32) []int32 { // busy from 10:00 to 10:59
		minutes := make([]int32, 24*60)
		for i := range minutes {
			minutes[i] = quiet
			if i/60 == 10 {
				minutes[i] = busy
			}
		}
		return minutes
	}
	for name, tc := range map[string]struct {
		minutes          []int32
		at               time.Time
		ten, nine, eight int32
		slots            int
	}{
		"three days: the first; replicas are there a quarter of an hour early": {
			append(append(day(60, 4*perReplica), day(60, 9*perReplica)...), day(60, 60)...), midnight, 5, 5, 1, 24,
		},
		"a trace that begins at ten: its zero is ten o'clock": {
			append(day(60, 60)[:1], 4*perReplica), midnight.Add(10 * time.Hour), 5, 5, 5, 24,
		},
		"a trace of less than two days: its own hours, in hindsight": {
			day(60, 4*perReplica), midnight, 5, 5, 1, 24,
		},
		"two weeks: the first week": {
			repeat(day(60, 4*perReplica), 15), midnight.AddDate(0, 0, 3), 5, 5, 1, 7 * 24, // Thursday: the first day of the period
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, slot := known(tc.minutes...).envelope(tc.at)
			if len(got) != tc.slots || slot != time.Hour {
				t.Fatalf("%d slots of %v, want %d of an hour", len(got), slot, tc.slots)
			}
			if diff := cmp.Diff([]int32{tc.ten, tc.nine, tc.eight}, []int32{got[10], got[9], got[8]}); diff != "" {
				t.Errorf("replicas at ten, nine and eight: %s", diff)
			}
		})
	}
}

func repeat(minutes []int32, days int) []int32 {
	var out []int32
	for range days {
		out = append(out, minutes...)
	}
	return out
}

func TestFactsAreOfTheWholeLoad(t *testing.T) {
	load := Load{Name: "three", Open: func(uint64) (trace.Stream, error) {
		return trace.FromSlice([]trace.Request{
			{At: 0, PromptTokens: 100, OutputTokens: 10},
			{At: 90 * time.Second, PromptTokens: 200, OutputTokens: 20},
			{At: 200 * time.Second, PromptTokens: 300, OutputTokens: 60},
			{At: 210 * time.Second, PromptTokens: 400, OutputTokens: 30},
		}), nil
	}}
	got, err := survey(t.Context(), load, 1, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{
		Requests: 4, Span: 210 * time.Second, MeanPrompt: 250, MeanOutput: 30,
		PeakRate: 2. / 60, FirstRate: 2. / 120, minutes: []int32{1, 1, 0, 2},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Facts{})); diff != "" {
		t.Error(diff)
	}
	if _, err := survey(t.Context(), Load{Name: "nobody", Open: func(uint64) (trace.Stream, error) {
		return trace.FromSlice(nil), nil
	}}, 1, func(int64) {}); err == nil {
		t.Error("a load without requests is none to replay, and there is no error")
	}
}

func TestWhatIsKnownBeforehandIsTheFirstPartsOfALoad(t *testing.T) {
	e := Experiment{Initial: -1, Load: Load{Name: "growing"}}
	seen := Facts{Requests: 60, Span: minute, MeanPrompt: 100, MeanOutput: 10, PeakRate: 1, FirstRate: 1, minutes: []int32{60}}
	whole := Facts{Requests: 60_060, Span: 2 * minute, MeanPrompt: 100, MeanOutput: 10, PeakRate: 1000, FirstRate: 500, minutes: []int32{60, 60_000}}
	first, rest := e.parts(minute, seen, whole)
	if first.extent.Requests != 60 || rest.extent.Requests != 60_060 || first.from != 0 || rest.from != minute {
		t.Errorf("the first part has %d requests and counts from %v, the whole has %d and counts from %v", first.extent.Requests, first.from, rest.extent.Requests, rest.from)
	}
	if diff := cmp.Diff(seen, rest.facts, cmp.AllowUnexported(Facts{})); diff != "" {
		t.Errorf("what is known where the rest is scored (-first part +got):\n%s", diff)
	}
	if a, b := first.target(), rest.target(); a.Max != b.Max || a.Initial != b.Initial || a.Max != 3 {
		t.Errorf("%d at the start and at most %d, then %d and %d: want those that the first part needs, at most 3", a.Initial, a.Max, b.Initial, b.Max)
	}
}
