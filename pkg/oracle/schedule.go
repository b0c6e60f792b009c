package oracle

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Change is the number of replicas asked for from At on, a time since the start of the trace.
type Change struct {
	At       time.Duration
	Replicas int32
}

// Schedule is how many replicas are asked for when: orders, so that capacity follows one lead time later. Changes are in
// order of time; before the first one the replicas there are at the start are kept.
type Schedule []Change

// Validate reports every fault of the schedule.
func (s Schedule) Validate() error {
	var faults []error
	for i, c := range s {
		if c.Replicas < 0 {
			faults = append(faults, fmt.Errorf("change %d asks for %d replicas, must be zero or more", i, c.Replicas))
		}
		if i > 0 && c.At <= s[i-1].At {
			faults = append(faults, fmt.Errorf("change %d is at %v, must come after %v", i, c.At, s[i-1].At))
		}
	}
	return errors.Join(faults...)
}

// Until returns the time of the first change after t, false where there is none.
func (s Schedule) Until(t time.Duration) (time.Duration, bool) {
	i := s.after(t)
	if i == len(s) {
		return 0, false
	}
	return s[i].At, true
}

// At returns the replicas asked for at t, false before the first change.
func (s Schedule) At(t time.Duration) (int32, bool) {
	i := s.after(t)
	if i == 0 {
		return 0, false
	}
	return s[i-1].Replicas, true
}

// after is the index of the first change later than t.
func (s Schedule) after(t time.Duration) int {
	return sort.Search(len(s), func(i int) bool { return s[i].At > t })
}

// then appends a change, unless it changes nothing.
func (s Schedule) then(at time.Duration, replicas int32) Schedule {
	switch n := len(s); {
	case n > 0 && s[n-1].Replicas == replicas:
		return s
	case n > 0 && s[n-1].At == at:
		s[n-1].Replicas = replicas
		return s
	}
	return append(s, Change{At: at, Replicas: replicas})
}

// with returns the schedule with n replicas from one time until another.
func (s Schedule) with(n int32, from, to time.Duration) Schedule {
	return s.between(from, to, func(int32) int32 { return n })
}

// between returns the schedule with its numbers changed from one time until another; forever has no end.
func (s Schedule) between(from, to time.Duration, change func(int32) int32) Schedule {
	times := []time.Duration{from}
	if to < forever {
		times = append(times, to)
	}
	for _, c := range s {
		times = append(times, c.At)
	}
	slices.Sort(times)
	var out Schedule
	for _, at := range slices.Compact(times) {
		n, known := s.At(at)
		if known && at >= from && at < to {
			n = change(n)
		}
		if known {
			out = out.then(at, n)
		}
	}
	return out
}

// Policy returns a policy that asks for what the schedule says, at the very times. Start is the date of the trace's zero.
// It also says every so often that nothing changes, for those who watch it; never where every is zero.
func (s Schedule) Policy(start time.Time, every time.Duration) baseline.Policy {
	return &follower{schedule: slices.Clone(s), start: start, every: every}
}

// follower is a policy that knows beforehand what it will decide.
type follower struct {
	schedule Schedule
	start    time.Time
	every    time.Duration

	next  int // the first change that has not been made yet
	steps []scaling.Step
}

// Path implements baseline.Policy: it looks at nothing, and is asked first at the very start.
func (f *follower) Path() baseline.Path { return baseline.Path{Interval: 1} }

// Next implements replay.Timetable.
func (f *follower) Next(now time.Time) (time.Time, bool) {
	switch again := now.Add(f.every); {
	case f.next < len(f.schedule):
		change := f.start.Add(f.schedule[f.next].At)
		if f.every > 0 && again.Before(change) {
			return again, true
		}
		return change, true
	default:
		return again, f.every > 0
	}
}

// Decide implements baseline.Policy. Time never runs backwards between two calls.
func (f *follower) Decide(o baseline.Observation) scaling.Decision {
	f.advance(o.Time.Sub(f.start))
	want := o.Desired
	if f.next > 0 {
		want = f.schedule[f.next-1].Replicas
	}
	return scaling.Decision{
		Time: o.Time, Current: o.Desired, Replicas: want, Needed: want,
		Ready: o.Count(scaling.Ready), Starting: o.Count(scaling.Starting), Unschedulable: o.Count(scaling.Unschedulable),
		Reason: reason(o.Desired, want), Steps: f.steps,
	}
}

// advance passes the changes up to now. The steps are made once for each change, and never changed afterwards.
func (f *follower) advance(now time.Duration) {
	before := f.next
	for f.next < len(f.schedule) && f.schedule[f.next].At <= now {
		f.next++
	}
	if f.next > before {
		f.steps = f.explain()
	}
}

func (f *follower) explain() []scaling.Step {
	c := f.schedule[f.next-1]
	text := fmt.Sprintf("the schedule asks for %d from %v to the end", c.Replicas, c.At)
	if f.next < len(f.schedule) {
		text = fmt.Sprintf("the schedule asks for %d from %v until %v", c.Replicas, c.At, f.schedule[f.next].At)
	}
	return []scaling.Step{{Stage: "schedule", Replicas: c.Replicas, Text: text}}
}

// reason is why a schedule made with foresight changes the replicas.
func reason(current, want int32) scaling.Reason {
	switch {
	case want > current:
		return scaling.ForecastDemand
	case want < current:
		return scaling.DemandFell
	}
	return scaling.DemandMet
}
