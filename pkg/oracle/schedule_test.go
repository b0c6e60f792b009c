package oracle

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func TestFollower(t *testing.T) {
	s := Schedule{{10 * time.Second, 3}, {60 * time.Second, 1}}
	p := s.Policy(start, 0)
	for _, tc := range []struct {
		at      time.Duration
		desired int32
		want    int32
		reason  scaling.Reason
		text    string
	}{
		{9 * time.Second, 2, 2, scaling.DemandMet, ""},
		{10 * time.Second, 2, 3, scaling.ForecastDemand, "the schedule asks for 3 from 10s until 1m0s"},
		{59 * time.Second, 3, 3, scaling.DemandMet, "the schedule asks for 3 from 10s until 1m0s"},
		{2 * time.Minute, 3, 1, scaling.DemandFell, "the schedule asks for 1 from 1m0s to the end"},
	} {
		o := baseline.Observation{Observation: scaling.Observation{Time: start.Add(tc.at), Desired: tc.desired}}
		d := p.Decide(o)
		if d.Replicas != tc.want || d.Reason != tc.reason || !d.Time.Equal(o.Time) || d.Current != tc.desired {
			t.Errorf("at %v of %d: %d because of %s, want %d because of %s", tc.at, tc.desired, d.Replicas, d.Reason, tc.want, tc.reason)
		}
		text := ""
		if len(d.Steps) > 0 {
			text = d.Steps[0].Text
		}
		if text != tc.text {
			t.Errorf("at %v: %q, want %q", tc.at, text, tc.text)
		}
	}
}

func TestScheduleAt(t *testing.T) {
	s := Schedule{{0, 2}, {time.Minute, 0}}
	for at, want := range map[time.Duration]int32{0: 2, time.Minute - 1: 2, time.Minute: 0, time.Hour: 0} {
		if got, ok := s.At(at); !ok || got != want {
			t.Errorf("at %v: %d, %v, want %d", at, got, ok, want)
		}
	}
	if _, ok := s.At(-1); ok {
		t.Error("something is asked for before the first change")
	}
}

func TestScheduleValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		schedule Schedule
		want     []string
	}{
		"nothing is asked for":         {nil, nil},
		"rises and falls":              {Schedule{{0, 1}, {1, 2}, {2, 0}}, nil},
		"fewer than none":              {Schedule{{0, -1}}, []string{"change 0 asks for -1"}},
		"two at once and one too late": {Schedule{{5, 1}, {5, 2}, {3, 2}}, []string{"change 1 is at 5ns", "change 2 is at 3ns"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.schedule.Validate()
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %v does not say %q", err, w)
				}
			}
		})
	}
}

func TestOrdersRecordChangesOfTheirTarget(t *testing.T) {
	o := NewOrders("a", start)
	for i, n := range []int32{2, 2, 3, 3, 1} {
		o.Decided("a", scaling.Decision{Time: start.Add(time.Duration(i) * time.Minute), Replicas: n}, baseline.Gateway{})
		o.Decided("b", scaling.Decision{Time: start.Add(time.Duration(i) * time.Minute), Replicas: 9}, baseline.Gateway{})
	}
	want := Schedule{{0, 2}, {2 * time.Minute, 3}, {4 * time.Minute, 1}}
	if diff := cmp.Diff(want, o.Schedule()); diff != "" {
		t.Error(diff)
	}
}

// TestLivesOfSchedule takes random schedules apart and puts them together again.
func TestLivesOfSchedule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s Schedule
		s = s.then(0, r.Int32N(4))
		for at := time.Duration(1); at < 30; at += 1 + time.Duration(r.IntN(5)) {
			s = s.then(at, r.Int32N(5))
		}
		const end = 40
		again := livesOf(s.then(end-1, 1), 0, end).schedule(forever)
		s = s.then(end-1, 1)
		for at := range time.Duration(end) {
			want, _ := s.At(at)
			if got, _ := again.At(at); got != want {
				t.Fatalf("schedule %v came back as %v: at %d", s, again, at)
			}
		}
		if n, _ := again.At(end); n != 1 {
			t.Fatalf("%v: %d replicas at the end, want the one that stays", again, n)
		}
	}
}

func TestStaffed(t *testing.T) {
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	life := func(from, to int) life { return life{seconds(from), seconds(to)} }
	for name, tc := range map[string]struct {
		want    []int32 // for each 10 s
		initial int32
		lives   lives
	}{
		"an order goes out one lead time ahead":     {[]int32{0, 0, 0, 0, 1, 1, 0}, 0, lives{life(10, 60)}},
		"what is needed at once cannot come sooner": {[]int32{0, 1, 1}, 0, lives{life(0, 30)}},
		"a dip shorter than a load is bridged":      {[]int32{1, 1, 0, 0, 1}, 1, lives{life(0, 50)}},
		"a dip longer than a load is not":           {[]int32{1, 1, 0, 0, 0, 0, 1}, 1, lives{life(0, 20), life(30, 70)}},
		"a replica of the start waits where a load costs more": {
			[]int32{0, 0, 1}, 1, lives{life(0, 30)},
		},
		"a replica of the start goes where a load costs less": {
			[]int32{0, 0, 0, 0, 1}, 1, lives{life(10, 50)},
		},
		"only the upper of two levels dips": {
			[]int32{2, 1, 1, 1, 1, 2}, 2, lives{life(0, 10), life(0, 60), life(20, 60)},
		},
		"nothing is wanted": {[]int32{0, 0}, 2, lives{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := staffed(tc.want, clock{cell: seconds(10)}, tc.initial, func(int32) time.Duration { return seconds(30) })
			if diff := cmp.Diff(tc.lives, got, cmp.AllowUnexported(lifeType{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type lifeType = life

func TestStaffedForeseesEachReplicasOwnLeadTime(t *testing.T) {
	lead := func(ordinal int32) time.Duration { return time.Duration(ordinal) * time.Second }
	got := staffed([]int32{1, 2, 3}, clock{cell: 10 * time.Second}, 1, lead)
	want := lives{{0, 30 * time.Second}, {9 * time.Second, 30 * time.Second}, {18 * time.Second, 30 * time.Second}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(lifeType{})); diff != "" {
		t.Error(diff)
	}
}

// TestBetweenChangesNothingElse compares with asking instant by instant.
func TestBetweenChangesNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var s Schedule
		for at := time.Duration(r.IntN(2)); at < 12; at += time.Duration(1 + r.IntN(5)) {
			s = s.then(at, r.Int32N(4))
		}
		from := time.Duration(r.IntN(12))
		to := from + time.Duration(r.IntN(5))
		if r.IntN(4) == 0 {
			to = forever
		}
		got := s.between(from, to, func(n int32) int32 { return n + 1 })
		if err := got.Validate(); err != nil {
			t.Fatalf("%v from %v to %v: %v: %v", s, from, to, got, err)
		}
		for at := range time.Duration(20) {
			want, asked := s.At(at)
			if asked && at >= from && at < to {
				want++
			}
			if n, ok := got.At(at); n != want || ok != asked {
				t.Fatalf("%v from %v to %v: %v asks for %d at %v, want %d", s, from, to, got, n, at, want)
			}
		}
	}
}

func TestPolicyIsAskedAtItsTimes(t *testing.T) {
	s := Schedule{{10 * time.Second, 3}, {12 * time.Second, 1}}
	for name, tc := range map[string]struct {
		every time.Duration
		want  []time.Duration
	}{
		"at changes only":                {0, []time.Duration{0, 10 * time.Second, 12 * time.Second}},
		"and every so often where asked": {5 * time.Second, []time.Duration{0, 5 * time.Second, 10 * time.Second, 12 * time.Second, 17 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.Policy(start, tc.every)
			var got []time.Duration
			for now, more := start, true; more && len(got) < 5; now, more = p.(replay.Timetable).Next(now) {
				got = append(got, now.Sub(start))
				p.Decide(baseline.Observation{Observation: scaling.Observation{Time: now}})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
