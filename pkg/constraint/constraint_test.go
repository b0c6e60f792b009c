package constraint

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func TestTolerance(t *testing.T) {
	c := Tolerance{Up: 0.1, Down: 0.2}
	cases := map[string]struct {
		current, wanted int32
		needed          float64
		want            int32
	}{
		"5 % more on 20 is kept":                            {20, 21, 21, 20},
		"just below the tolerance up is kept":               {20, 22, 21.99, 20},
		"more than the tolerance up moves":                  {20, 23, 22.1, 23},
		"15 % fewer is within the tolerance down":           {20, 17, 17, 20},
		"25 % fewer moves":                                  {20, 15, 15, 15},
		"what is wanted already is no change":               {20, 20, 40, 20},
		"a fraction more than one replica is not tolerated": {1, 2, 1.2, 2},
		"a small fraction of a replica is":                  {4, 5, 4.3, 4},
		"from nothing every change counts":                  {0, 3, 3, 3},
		"an infinite need is not within a tolerance":        {3, 9, math.Inf(1), 9},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			r := c.Apply(scaling.Input{Current: x.current, Needed: x.needed}, x.wanted)
			if r.Replicas != x.want {
				t.Fatalf("got %d, want %d", r.Replicas, x.want)
			}
			if held := x.want != x.wanted; held != (r.Reason == scaling.WithinTolerance) || held != (r.Text != "") {
				t.Errorf("held %v, but reason %q and text %q", held, r.Reason, r.Text)
			}
		})
	}
}

// proposed is one tick of a time-line: what is wanted and what comes of it.
type proposed struct {
	at            time.Duration
	wanted, allow int32
	reason        scaling.Reason
}

func TestStabilizationOverTime(t *testing.T) {
	const up, down = scaling.ScaleUpStabilized, scaling.ScaleDownStabilized
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	cases := map[string]struct {
		rule    Stabilization
		current int32
		line    []proposed
	}{
		"without windows every wish is granted at once": {Stabilization{}, 4, []proposed{
			{second(0), 9, 9, ""}, {second(1), 2, 2, ""}, {second(2), 3, 3, ""},
		}},
		"down goes only to the most that was wanted within the window": {Stabilization{Down: second(60)}, 10, []proposed{
			{second(0), 10, 10, ""},
			{second(15), 4, 10, down},
			{second(30), 6, 10, down},
			{second(60), 4, 10, down},
			{second(61), 4, 6, down},
			{second(76), 4, 6, down},
			{second(90), 4, 6, down},
			{second(91), 4, 4, ""},
		}},
		"a wish above the present number does not let it grow on the way down": {Stabilization{Down: second(60)}, 10, []proposed{
			{second(0), 30, 30, ""}, {second(10), 5, 30, down},
		}},
		"up waits until it was wanted throughout": {Stabilization{Up: second(30)}, 2, []proposed{
			{second(0), 2, 2, ""}, {second(10), 8, 2, up}, {second(20), 8, 2, up}, {second(30), 8, 2, up}, {second(31), 8, 8, ""},
		}},
		"up goes to the least that was wanted": {Stabilization{Up: second(30)}, 2, []proposed{
			{second(0), 6, 6, ""}, {second(10), 9, 6, up}, {second(20), 12, 6, up}, {second(31), 12, 9, up}, {second(51), 12, 12, ""},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			state, current := &scaling.State{}, c.current
			for _, x := range c.line {
				now := t0.Add(x.at)
				state.Proposals = state.Proposals.Append(timeseries.Sample{Time: now, Value: float64(x.wanted)}, time.Hour)
				r := c.rule.Apply(scaling.Input{Now: now, Current: current, State: state}, x.wanted)
				if r.Replicas != x.allow || r.Reason != x.reason {
					t.Fatalf("at %v: %d wanted of %d: got %d %q, want %d %q", x.at, x.wanted, current, r.Replicas, r.Reason, x.allow, x.reason)
				}
				current = r.Replicas
			}
		})
	}
}

func TestGPUs(t *testing.T) {
	cases := map[string]struct {
		current, unschedulable, wanted, want int32
	}{
		"every replica has its node: more may be asked for":       {4, 0, 9, 9},
		"replicas wait for a node: no more are asked for":         {4, 1, 9, 4},
		"replicas wait for a node: fewer may be asked for":        {4, 1, 3, 3},
		"replicas wait for a node: the present number may remain": {4, 4, 4, 4},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			r := GPUs{}.Apply(scaling.Input{Current: x.current, Unschedulable: x.unschedulable}, x.wanted)
			held := x.want != x.wanted
			if r.Replicas != x.want || r.Limited != held || held != (r.Reason == scaling.GPUsUnavailable) {
				t.Fatalf("got %+v, want %d", r, x.want)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	clock := func(hour, minute int) time.Time { return time.Date(2026, 3, 2, hour, minute, 0, 0, time.UTC) }
	hours := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
	daily := func(name string, from, to float64, low, high int32) Schedule {
		return Schedule{Name: name, Location: time.UTC, Start: hours(from), End: hours(to), Min: low, Max: high}
	}
	day := daily("day", 9, 17, 5, noBound)
	night := daily("night", 22, 6, 1, 3)
	cases := map[string]struct {
		schedules    []Schedule
		now          time.Time
		lead         time.Duration
		wanted, want int32
		by           string
	}{
		"within the bounds nothing is changed":                           {nil, clock(12, 0), 0, 5, 5, ""},
		"the minimum holds":                                              {nil, clock(12, 0), 0, 1, 2, "minReplicas"},
		"the maximum holds":                                              {nil, clock(12, 0), 0, 11, 10, "maxReplicas"},
		"a schedule raises the minimum":                                  {[]Schedule{day}, clock(12, 0), 0, 3, 5, "schedule day"},
		"a schedule lowers the minimum":                                  {[]Schedule{night}, clock(23, 0), 0, 1, 1, ""},
		"a schedule lowers the maximum":                                  {[]Schedule{night}, clock(23, 0), 0, 9, 3, "schedule night"},
		"a schedule holds past midnight":                                 {[]Schedule{night}, clock(5, 59), 0, 9, 3, "schedule night"},
		"and no longer at its end":                                       {[]Schedule{night}, clock(6, 0), 0, 9, 9, ""},
		"a floor holds from its first instant":                           {[]Schedule{day}, clock(9, 0), 0, 3, 5, "schedule day"},
		"a floor does not hold before it, without a lead time":           {[]Schedule{day}, clock(8, 59), 0, 3, 3, ""},
		"a floor holds one lead time before":                             {[]Schedule{day}, clock(8, 50), 10 * time.Minute, 3, 5, "schedule day"},
		"but no earlier":                                                 {[]Schedule{day}, clock(8, 49), 10 * time.Minute, 3, 3, ""},
		"a floor shorter than the lead time holds until it begins":       {[]Schedule{daily("rush", 9, 9.25, 7, noBound)}, clock(8, 55), 30 * time.Minute, 3, 7, "schedule rush"},
		"a ceiling does not hold before it begins":                       {[]Schedule{night}, clock(21, 59), time.Hour, 9, 9, ""},
		"a lower floor does not hold before it begins":                   {[]Schedule{night}, clock(21, 59), time.Hour, 1, 2, "minReplicas"},
		"where a floor and a ceiling contradict the ceiling wins":        {[]Schedule{day, daily("cap", 9, 17, noBound, 4)}, clock(12, 0), 0, 1, 4, "schedule day"},
		"the highest of the floors counts":                               {[]Schedule{day, daily("more", 9, 17, 7, noBound), daily("less", 9, 17, 1, noBound)}, clock(12, 0), 0, 1, 7, "schedule more"},
		"the lowest of the ceilings counts":                              {[]Schedule{daily("a", 9, 17, noBound, 8), daily("b", 9, 17, noBound, 6)}, clock(12, 0), 0, 9, 6, "schedule b"},
		"the floor that begins next is met while a lower one still runs": {[]Schedule{daily("early", 6, 9, 3, noBound), day}, clock(8, 55), 10 * time.Minute, 1, 5, "schedule day"},
		"a ceiling still in force holds back the floor that comes":       {[]Schedule{daily("cap", 0, 9, noBound, 4), day}, clock(8, 55), 10 * time.Minute, 1, 4, "schedule day"},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			c := Bounds{Min: 2, Max: 10, Schedules: x.schedules}
			r := c.Apply(scaling.Input{Now: x.now, Lead: x.lead}, x.wanted)
			if r.Replicas != x.want {
				t.Fatalf("got %d (%s), want %d", r.Replicas, r.Text, x.want)
			}
			if changed := x.want != x.wanted; changed != (r.Reason != "") || !strings.Contains(r.Text, x.by) {
				t.Errorf("reason %q, text %q: want it to name %q", r.Reason, r.Text, x.by)
			}
			if r.Limited != (r.Reason == scaling.AtMaximum) {
				t.Errorf("limited %v with reason %q", r.Limited, r.Reason)
			}
		})
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestScheduleGoesByTheWallClockOfItsZone(t *testing.T) {
	utc := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
	}
	clock := func(s string) time.Duration {
		d, err := ParseClock(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	weekdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	cases := map[string]struct {
		zone, start, end string
		days             []time.Weekday
		now              time.Time
		want             bool
	}{
		"nine in Berlin is eight UTC in winter":                  {"Europe/Berlin", "09:00", "17:00", nil, utc(3, 2, 8, 0), true},
		"and not a minute earlier":                               {"Europe/Berlin", "09:00", "17:00", nil, utc(3, 2, 7, 59), false},
		"nine in Berlin is seven UTC in summer":                  {"Europe/Berlin", "09:00", "17:00", nil, utc(7, 2, 7, 0), true},
		"the end is not within":                                  {"Europe/Berlin", "09:00", "17:00", nil, utc(7, 2, 15, 0), false},
		"half-hour zones":                                        {"Asia/Kolkata", "09:00", "17:00", nil, utc(3, 2, 3, 30), true},
		"the day is the zone's day: Sunday UTC is Monday":        {"Pacific/Auckland", "08:00", "12:00", weekdays, utc(3, 1, 20, 0), true},
		"the day is the zone's day: Monday UTC is Sunday":        {"America/Los_Angeles", "18:00", "23:00", weekdays, utc(3, 2, 3, 0), false},
		"Friday's night reaches into Saturday":                   {"Etc/UTC", "22:00", "06:00", weekdays, utc(3, 7, 5, 0), true},
		"Saturday's night does not begin":                        {"Etc/UTC", "22:00", "06:00", weekdays, utc(3, 7, 22, 0), false},
		"Sunday's night is not Monday's morning":                 {"Etc/UTC", "22:00", "06:00", weekdays, utc(3, 9, 5, 0), false},
		"24:00 is the end of the day":                            {"Etc/UTC", "00:00", "24:00", nil, utc(3, 2, 23, 59), true},
		"24:00 is not the next day":                              {"Etc/UTC", "00:00", "24:00", []time.Weekday{time.Monday}, utc(3, 3, 0, 0), false},
		"clocks go forward: the skipped start is at three":       {"Europe/Berlin", "02:30", "04:00", nil, utc(3, 29, 1, 0), true},
		"clocks go forward: before it is not":                    {"Europe/Berlin", "02:30", "04:00", nil, utc(3, 29, 0, 59), false},
		"clocks go forward: nine stays nine":                     {"Europe/Berlin", "09:00", "17:00", nil, utc(3, 29, 7, 0), true},
		"clocks go back: nine stays nine":                        {"Europe/Berlin", "09:00", "17:00", nil, utc(10, 25, 8, 0), true},
		"clocks go back: eight UTC was within the day before":    {"Europe/Berlin", "09:00", "17:00", nil, utc(10, 25, 7, 0), false},
		"clocks go back: the hour that comes twice counts twice": {"Europe/Berlin", "02:00", "03:00", nil, utc(10, 25, 1, 30), true},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			s := Schedule{Location: zone(t, x.zone), Days: x.days, Start: clock(x.start), End: clock(x.end)}
			if got := s.Active(x.now); got != x.want {
				t.Fatalf("at %v: got %v", x.now.In(s.Location), got)
			}
		})
	}
}

// The twin walks the minutes of the lead time.
func TestFloorsHoldFromOneLeadTimeBeforeEveryStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		s := Schedule{
			Name: "s", Location: zone(t, []string{"Europe/Berlin", "Etc/UTC", "America/New_York"}[rng.IntN(3)]),
			Start: time.Duration(180+rng.IntN(1260)) * time.Minute, End: time.Duration(rng.IntN(1440)) * time.Minute, Min: 5, Max: noBound,
		}
		for d := range time.Weekday(7) {
			if rng.IntN(2) == 0 {
				s.Days = append(s.Days, d)
			}
		}
		lead := time.Duration(rng.IntN(300)) * time.Minute
		from := time.Date(2026, time.March, 26+rng.IntN(3), rng.IntN(24), rng.IntN(60), 0, 0, time.UTC) // clocks change on the 29th
		b := Bounds{Min: 1, Max: 9, Schedules: []Schedule{s}}
		for m := 0; m < 3*1440; m += 7 {
			now := from.Add(time.Duration(m) * time.Minute)
			want := int32(1)
			for ahead := time.Duration(0); ahead <= lead; ahead += time.Minute {
				if s.Active(now.Add(ahead)) {
					want = 5
				}
			}
			if r := b.Apply(scaling.Input{Now: now, Lead: lead}, 1); r.Replicas != want {
				t.Fatalf("%v–%v on %v, lead %v, at %v: got %d, want %d", s.Start, s.End, s.Days, lead, now.In(s.Location), r.Replicas, want)
			}
		}
	}
}

func TestParseClock(t *testing.T) {
	for text, want := range map[string]time.Duration{"00:00": 0, "08:30": 8*time.Hour + 30*time.Minute, "23:59": 24*time.Hour - time.Minute, "24:00": 24 * time.Hour} {
		if got, err := ParseClock(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8:30", "08:60", "24:01", "25:00", "+9:30", "-0:30", " 9:30", "09: 5", "09:+5", "09:5 ", "0x:10", "09-30", "09:300", "1_:00", "٠٩:٠٠"} {
		if got, err := ParseClock(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		} else if !strings.Contains(err.Error(), "HH:MM") {
			t.Errorf("%q: %v does not say what to write", text, err)
		}
	}
}

// chain is what assemble builds.
func chain(rng *rand.Rand) ([]scaling.Constraint, Bounds) {
	b := Bounds{Min: rng.Int32N(5), Max: 5 + rng.Int32N(20)}
	for range rng.IntN(3) {
		b.Schedules = append(b.Schedules, Schedule{
			Location: time.UTC, Start: time.Duration(rng.IntN(24)) * time.Hour, End: time.Duration(1+rng.IntN(24)) * time.Hour,
			Min: rng.Int32N(8) - 1, Max: rng.Int32N(12) - 1,
		})
	}
	return []scaling.Constraint{
		Tolerance{Up: rng.Float64() / 2, Down: rng.Float64() / 2},
		Stabilization{Up: time.Duration(rng.IntN(60)) * time.Second, Down: time.Duration(rng.IntN(60)) * time.Second},
		GPUs{},
		Rate{Up: rules(rng), Down: rules(rng)},
		b,
	}, b
}

func rules(rng *rand.Rand) Rules {
	r := Rules{Select: []Select{SelectMax, SelectMin, SelectDisabled}[rng.IntN(3)]}
	for range rng.IntN(4) {
		r.Policies = append(r.Policies, Policy{Value: 1 + rng.Int32N(120), Percent: rng.IntN(2) == 0, Period: time.Duration(1+rng.IntN(60)) * time.Second})
	}
	return r
}

func TestEveryConstraintButTheBoundsStaysBetweenThePresentAndTheWanted(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	moved := map[string]int{}
	for range 5000 {
		constraints, bounds := chain(rng)
		in := scaling.Input{Now: t0, Current: 1 + rng.Int32N(30), Unschedulable: rng.Int32N(2), State: &scaling.State{}}
		for _, ago := range []time.Duration{50, 30, 10} {
			at := t0.Add(-ago * time.Second)
			in.State.Proposals = in.State.Proposals.Append(timeseries.Sample{Time: at, Value: float64(1 + rng.IntN(40))}, time.Hour)
			in.State.Changes = in.State.Changes.Append(timeseries.Sample{Time: at, Value: float64(rng.IntN(21) - 10)}, time.Hour)
		}
		wanted := 1 + rng.Int32N(40)
		in.Needed = float64(wanted)
		in.State.Proposals = in.State.Proposals.Append(timeseries.Sample{Time: t0, Value: float64(wanted)}, time.Hour)
		for _, c := range constraints[:4] {
			r := c.Apply(in, wanted)
			if low, high := min(in.Current, wanted), max(in.Current, wanted); r.Replicas < low || r.Replicas > high {
				t.Fatalf("%s %+v: current %d, wanted %d, got %d", c.Stage(), c, in.Current, wanted, r.Replicas)
			}
			if (r.Replicas != wanted) != (r.Reason != "") {
				t.Fatalf("%s: %d -> %d with reason %q", c.Stage(), wanted, r.Replicas, r.Reason)
			}
			if r.Limited && (r.Replicas >= wanted || wanted <= in.Current) {
				t.Fatalf("%s: limited though nothing is denied: %+v", c.Stage(), r)
			}
			if r.Replicas != wanted {
				moved[c.Stage()]++
			}
			wanted = r.Replicas
		}
		r := bounds.Apply(in, wanted)
		low, _, high, _ := bounds.at(in.Now, in.Lead)
		if r.Replicas < low || r.Replicas > high || r.Replicas > bounds.Max || low > high {
			t.Fatalf("%+v: wanted %d, got %d, bounds %d to %d", bounds, wanted, r.Replicas, low, high)
		}
	}
	for _, stage := range []string{"tolerance", "stabilization", "gpus", "rate"} {
		if moved[stage] < 50 {
			t.Errorf("%s had something to say only %d times: the property hardly tests it", stage, moved[stage])
		}
	}
}

func TestConstraintsLeaveTheStateAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		constraints, _ := chain(rng)
		state := &scaling.State{Proposals: timeseries.Series{{Time: t0, Value: 3}, {Time: t0.Add(time.Second), Value: 9}}, Changes: timeseries.Series{{Time: t0, Value: 2}}}
		proposals, changes := slices.Clone(state.Proposals), slices.Clone(state.Changes)
		for _, c := range constraints {
			c.Apply(scaling.Input{Now: t0.Add(2 * time.Second), Current: 4, Needed: 9, State: state}, 9)
		}
		if !slices.Equal(proposals, state.Proposals) || !slices.Equal(changes, state.Changes) {
			t.Fatal("a constraint changed the state")
		}
	}
}
