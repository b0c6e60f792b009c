package baseline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Readings cease at a multiple of every interval, right after one of each: a policy is blind at its first decision after
// its own staleness, whatever it makes of that, and no longer once it has what it needs again.
func TestPoliciesAreBlindOnceTheirOwnSignalsAreStale(t *testing.T) {
	type set = map[string]float64
	s := time.Second
	tests := map[string]struct {
		policy   string
		settings set
		after    time.Duration
		gateway  bool
	}{
		"Prometheus, 5 min: hpa-queue":             {"hpa-queue", nil, 315 * s, false},
		"Prometheus, 5 min: hpa-running":           {"hpa-running", nil, 315 * s, false},
		"Prometheus, 5 min: hpa with External":     {"hpa-running", set{"type": typeAverage}, 315 * s, false},
		"Prometheus, 5 min: keda, whose zero acts": {"keda", nil, 315 * s, true},
		"a rate over 1 min: slo-aware":             {"slo-aware", nil, 75 * s, true},
		"the stable window, 60 s: kpa":             {"kpa", nil, 62 * s, true},
		"a fetch each 10 s: apa":                   {"apa", nil, 20 * s, false},
		"a maximum over 1 min: wva":                {"wva", nil, 75 * s, false},
		"a maximum over 1 min: wva-v2":             {"wva-v2", nil, 75 * s, false},
		"two ticks of 5 s: dynamo":                 {"dynamo", nil, 15 * s, false},
		"the forecast's 180 s: dynamo":             {"dynamo", set{"loops": loopThroughput}, 185 * s, true},
		"a look-back of 30 s: ray-serve":           {"ray-serve", nil, 40 * s, true},
		"nothing is read: static-peak":             {"static-peak", nil, 0, false},
		"nothing is read: static-mean":             {"static-mean", nil, 0, false},
		"nothing is read: cron":                    {"cron", nil, 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := setup()
			s.Settings = tt.settings
			l := newLine(t, tt.policy, s, 3)
			l.load(6)
			l.run(20 * time.Minute)
			if d := l.decisions[len(l.decisions)-1]; d.Blind || len(d.Unseen) > 0 {
				t.Fatalf("with all readings: blind %t, unseen %q", d.Blind, d.Unseen)
			}
			outage, before := l.now, len(l.decisions)
			l.lost = 1
			l.run(10 * time.Minute)
			first := slices.IndexFunc(l.decisions[before:], func(d scaling.Decision) bool { return d.Blind })
			if tt.after == 0 {
				if first >= 0 {
					t.Errorf("blind without a need to see: %+v", l.decisions[before+first])
				}
				return
			}
			if first < 0 {
				t.Fatalf("never blind in ten minutes without a reading")
			}
			d := l.decisions[before+first]
			if got := d.Time.Sub(outage); got != tt.after {
				t.Errorf("blind after %v, want %v", got, tt.after)
			}
			if named := slices.Contains(d.Unseen, gatewayUnseen); len(d.Unseen) == 0 || named != tt.gateway {
				t.Errorf("unseen %q, want the gateway among it: %t", d.Unseen, tt.gateway)
			}
			if last := l.decisions[len(l.decisions)-1]; !last.Blind {
				t.Errorf("no longer blind after ten minutes without a reading: %v", last.Steps)
			}
			l.lost = 0
			l.run(2 * time.Minute)
			if last := l.decisions[len(l.decisions)-1]; last.Blind {
				t.Errorf("blind with readings again, unseen %q: %v", last.Unseen, last.Steps)
			}
		})
	}
}

// What upstream reads as zero is said to be absent, and still acted on.
func TestAbsenceReadAsZeroIsSaid(t *testing.T) {
	for _, policy := range []string{"keda", "slo-aware"} {
		t.Run(policy, func(t *testing.T) {
			l := newLine(t, policy, setup(), 3)
			l.load(8)
			l.run(20 * time.Minute)
			had := l.desired
			l.lost = 1
			l.run(30 * time.Minute)
			d := l.decisions[len(l.decisions)-1]
			if !d.Blind || !strings.Contains(fmt.Sprint(d.Steps), "absent and read as 0") {
				t.Errorf("blind %t: %v", d.Blind, d.Steps)
			}
			if l.desired >= had {
				t.Errorf("%d replicas of %d after half an hour that reads as no load", l.desired, had)
			}
		})
	}
}

// A queue that the gateway reported six minutes ago is none any more.
func TestWVA2ForgetsAStaleQueue(t *testing.T) {
	for age, more := range map[time.Duration]bool{5 * time.Minute: true, 5*time.Minute + time.Second: false} {
		p, err := New("wva-v2", setup())
		if err != nil {
			t.Fatal(err)
		}
		page := &signals.Reading{Time: t0}
		page.Set(signals.KVCacheCapacityTokens, cacheTokens)
		page.Set(signals.KVCacheUtilization, 0.3)
		page.Set(signals.RequestsWaiting, 0)
		o := Observation{Gateway: Gateway{Time: t0.Add(-age), Queued: 500, QueuedTokens: 500_000}}
		o.Time, o.Desired = t0, 1
		o.Replicas = []scaling.Replica{{ID: "a", Name: "a", Phase: scaling.Ready, Reading: page}}
		p.Decide(o)
		if got := p.(*wva2).target; got > 1 != more {
			t.Errorf("a queue of half a million tokens, %v old: %d replicas wanted", age, got)
		}
	}
}
