package scaling_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestADecisionSaysWhyReplicasAreNotSeenAndWhenTheyWereLast(t *testing.T) {
	whole := map[signals.Metric]float64{signals.RequestsWaiting: 1, signals.RequestsRunning: 1, signals.RequestsFinished: 5}
	renamed := map[signals.Metric]float64{signals.RequestsRunning: 1, signals.RequestsFinished: 5}
	l := newLine(t, config(), 1)
	put := func(values map[signals.Metric]float64) {
		r := &signals.Reading{Time: l.now}
		for m, v := range values {
			r.Set(m, v)
		}
		l.pods[0].Reading = r
	}
	check := func(step string, seen time.Time, blind bool, want ...scaling.Cause) {
		t.Helper()
		l.decide()
		if d := l.last; !d.LastSeen.Equal(seen) || d.Blind != blind || !cmp.Equal(d.Causes, want) || len(d.Unseen) != len(want) {
			t.Errorf("%s: last seen %v, blind %v, causes %v, want %v, %v, %v", step, d.LastSeen, d.Blind, d.Causes, seen, blind, want)
		}
	}
	l.now = l.now.Add(time.Hour)
	check("before any reading", time.Time{}, true, scaling.NeverRead)
	l.now = l.now.Add(tick)
	put(whole)
	seen := l.now
	check("a reading", seen, false)
	l.now = l.now.Add(tick)
	put(renamed)
	check("a series was renamed", seen, true, scaling.NotOnPage)
	l.now = l.now.Add(time.Hour)
	check("nothing comes any more", seen, true, scaling.Stale)
	l.pods[0].Cause = "timeout"
	l.now = l.now.Add(tick)
	check("and somebody knows why", seen, true, "timeout")
}
