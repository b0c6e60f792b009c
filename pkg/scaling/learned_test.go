package scaling_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

func TestWhatIsRestoredGuardsNoScaleDown(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	before := scaling.State{
		Since: at.Add(-time.Hour), Desired: 4, Proposals: timeseries.Series{{Time: at, Value: 4}}, Changes: timeseries.Series{{Time: at, Value: 1}},
		Arrivals: timeseries.Series{{Time: at, Value: 9}}, LeadTime: leadtime.State{Starts: []leadtime.Start{{Loading: time.Minute}}},
		Replicas: map[string]scaling.ReplicaState{
			"b": {Learned: true, Arrivals: 2, ArrivalsKnown: true}, "a": {Unschedulable: true}, "c": {Arrivals: 3, ArrivalsKnown: true},
		},
	}
	learned := before.Learned()
	want := []scaling.ReplicaLearned{{ID: "a", Unschedulable: true}, {ID: "b", Learned: true}}
	if diff := cmp.Diff(want, learned.Replicas); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	var after scaling.State
	after.Restore(learned, at.Add(time.Minute))
	fresh := scaling.State{LeadTime: before.LeadTime, Replicas: map[string]scaling.ReplicaState{"a": {Unschedulable: true}, "b": {Learned: true}}}
	if diff := cmp.Diff(fresh, after); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

func TestRestoringLeavesWhatIsBeingWatched(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	now := scaling.State{Since: at, Desired: 2, Replicas: map[string]scaling.ReplicaState{"a": {Arrivals: 1, ArrivalsKnown: true}}}
	kept := now.Replicas
	now.Restore(scaling.Learned{Replicas: []scaling.ReplicaLearned{{ID: "a", Learned: true}}}, at)
	want := scaling.State{Since: at, Desired: 2, Replicas: map[string]scaling.ReplicaState{"a": {Arrivals: 1, ArrivalsKnown: true, Learned: true}}}
	if diff := cmp.Diff(want, now); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if kept["a"].Learned {
		t.Error("the replicas of another copy of the state were changed")
	}
}

func TestAForecastOfThePastIsNotRestored(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l := scaling.Learned{Forecast: forecast.State{Newest: forecast.Forecast{At: at, Horizon: 5 * time.Minute, Upper: 9}}}
	for after, known := range map[time.Duration]bool{4 * time.Minute: true, 6 * time.Minute: false, 72 * time.Hour: false} {
		var s scaling.State
		if s.Restore(l, at.Add(after)); s.Forecast.Newest.Known() != known {
			t.Errorf("%v later a forecast five minutes ahead is known: %v", after, !known)
		}
	}
}
