package baseline

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// at is so many seconds after t0.
func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func TestGatewayLogKeepsAWindowAndOneBefore(t *testing.T) {
	l := gatewayLog{keep: time.Minute}
	if _, _, ok := l.window(time.Minute); ok {
		t.Error("nothing read, and yet a window")
	}
	l.add(Gateway{})
	l.add(Gateway{Time: at(0)})
	if _, _, ok := l.window(time.Minute); ok || len(l.readings) != 1 {
		t.Error("one reading has no window, and one without a time is none")
	}
	for s := 15.0; s <= 600; s += 15 {
		l.add(Gateway{Time: at(s), Arrived: s, Concurrency: 3 * s})
		l.add(Gateway{Time: at(s), Arrived: 1e9})
	}
	if n := len(l.readings); n != 6 {
		t.Errorf("%d readings kept, want five of a minute and the one before", n)
	}
	from, to, ok := l.window(time.Minute)
	if !ok || !from.Time.Equal(at(540)) || !to.Time.Equal(at(600)) {
		t.Errorf("a minute: %v to %v", from.Time, to.Time)
	}
	if got := concurrency(from, to); got != 3 {
		t.Errorf("mean concurrency %g, want 3", got)
	}
	from, _, _ = l.window(time.Second)
	if !from.Time.Equal(at(585)) {
		t.Errorf("a second begins at %v, want the reading before the newest", from.Time)
	}
	if got := rate(to, from, func(g Gateway) float64 { return g.Arrived }); got != 0 {
		t.Errorf("a rate backwards: %g, want 0", got)
	}
}

func TestQuantileOfWhatCameSince(t *testing.T) {
	h := func(counts ...float64) *signals.Histogram {
		return &signals.Histogram{Bounds: []float64{1, 2}, Counts: counts}
	}
	tests := map[string]struct {
		from, to *signals.Histogram
		want     float64
		ok       bool
	}{
		"half within the first second, half within the next": {h(10, 10, 10), h(15, 20, 20), 1.8, true},
		"from nothing":       {nil, h(0, 10, 10), 1.9, true},
		"nothing since":      {h(5, 5, 5), h(5, 5, 5), 0, false},
		"nothing at all":     {nil, nil, 0, false},
		"above the last one": {h(0, 0, 0), h(0, 0, 10), 2, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := quantile(tt.from, tt.to, 0.9)
			if diff := got - tt.want; ok != tt.ok || diff > 1e-9 || diff < -1e-9 {
				t.Errorf("got %g %t, want %g %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestReplicaLogFollowsEachReplica(t *testing.T) {
	l := replicaLog{keep: time.Minute}
	show := func(s, waiting, finished, prompts float64, ids ...string) {
		o := Observation{Observation: scaling.Observation{Time: at(s)}}
		for _, id := range ids {
			r := &signals.Reading{Time: at(s)}
			r.Set(signals.RequestsWaiting, waiting)
			r.Set(signals.RequestsFinished, finished)
			r.Set(signals.PromptTokens, prompts)
			o.Replicas = append(o.Replicas, scaling.Replica{ID: id, Phase: scaling.Ready, Reading: r})
		}
		l.add(&o)
	}
	show(0, 9, 0, 0, "a")
	show(30, 2, 10, 1000, "a")
	show(60, 4, 20, 3000, "a", "b")
	if got, _ := l.most("a", signals.RequestsWaiting, at(0)); got != 4 {
		t.Errorf("most waiting after the first reading: %g, want 4", got)
	}
	if got := l.perRequest("a", signals.PromptTokens); got != 150 {
		t.Errorf("%g tokens a request, want 150", got)
	}
	if got := l.perRequest("b", signals.PromptTokens); got != 0 {
		t.Errorf("%g tokens a request of one reading, want none", got)
	}
	if _, ok := l.most("a", signals.KVCacheUtilization, at(0)); ok {
		t.Error("a metric that was never reported has no maximum")
	}
	show(90, 1, 1, 100, "a") // began anew
	if got, _ := l.gain("a", signals.RequestsFinished); got != 11 {
		t.Errorf("gained %g after a restart, want 10 and 1", got)
	}
	o := Observation{Observation: scaling.Observation{Time: at(100)}}
	for i, hits := range []float64{0, 30, 500} {
		r := &signals.Reading{Time: at(100 + float64(i))}
		r.Set(signals.PrefixCacheQueries, 100*float64(i))
		r.Set(signals.PrefixCacheHits, hits)
		o.Replicas = []scaling.Replica{{ID: "c", Phase: scaling.Ready, Reading: r}}
		l.add(&o)
		if got, want := l.share("c", signals.PrefixCacheHits, signals.PrefixCacheQueries), []float64{0, 0.3, 1}[i]; got != want {
			t.Errorf("%g hits of %d: share %g, want %g", hits, 100*i, got, want)
		}
	}
	show(200, 0, 0, 0)
	if len(l.byID) != 0 {
		t.Errorf("%d replicas remembered that are gone", len(l.byID))
	}
}
