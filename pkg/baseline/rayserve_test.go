package baseline

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// ray-project/ray@01624ad python/ray/serve/tests/unit/test_autoscaling_policy.py.
func TestRayServeComputesAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		target, up, down float64
		running, ongoing float64
		want             float64
	}{
		"test_single_replica_receives_all_requests, 20":  {5, 1, 1, 4, 20, 4},
		"test_single_replica_receives_all_requests, 100": {5, 1, 1, 4, 100, 20},
		"test_single_replica_receives_all_requests, 10":  {5, 1, 1, 4, 10, 2},
		"test_replicas_delayed_startup, one of 100 runs": {1, 1, 1, 1, 100, 100},
		"test_replicas_delayed_startup, three run":       {1, 1, 1, 3, 123, 123},
		"test_fluctuating_ongoing_requests, many":        {50, 1, 1, 1, 100, 2},
		"test_fluctuating_ongoing_requests, few":         {50, 1, 1, 2, 40, 1},
		"test_apply_scaling_factors_upscale":             {1, 0.5, 1, 10, 20, 15},
		"test_apply_scaling_factors_downscale":           {1, 1, 0.5, 20, 5, 13},
		"test_apply_scaling_factors_stuck_downscale":     {1, 1, 0.5, 10, 9, 9},
		"test_apply_scaling_factors, half of two more":   {1, 0.5, 1, 1, 3, 2},
		"test_apply_scaling_factors, half of three less": {1, 1, 0.5, 3, 0, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := raySpec{target: tt.target, upFactor: tt.up, factor: tt.down}
			if got := p.desired(tt.running, tt.ongoing); got != tt.want {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
}

// _run_upscale_downscale_flow, test_upscale_downscale_delay and test_apply_delay_logic_* of the same file: delays of 30 s
// and 600 s, the streak reset by a decision the other way, the last replica gone from one only.
func TestRayServeDelaysAsUpstreamExpects(t *testing.T) {
	const s = time.Second
	tests := map[string][]struct {
		after           time.Duration
		current, wanted int32
		want            int32
	}{
		"up after the delay": {
			{0, 1, 2, 1}, {15 * s, 1, 2, 1}, {29 * s, 1, 2, 1}, {30 * s, 1, 2, 2},
		},
		"an interruption begins the delay anew": {
			{0, 1, 2, 1}, {20 * s, 1, 2, 1}, {25 * s, 1, 0, 1}, {30 * s, 1, 2, 1}, {59 * s, 1, 2, 1}, {60 * s, 1, 2, 2},
		},
		"and so does agreement": {
			{0, 1, 2, 1}, {20 * s, 1, 1, 1}, {30 * s, 1, 2, 1}, {60 * s, 1, 2, 2},
		},
		"down stops at one, and needs the delay again to zero": {
			{0, 4, 0, 4}, {599 * s, 4, 0, 4}, {600 * s, 4, 0, 1}, {610 * s, 1, 0, 1}, {1209 * s, 1, 0, 1}, {1210 * s, 1, 0, 0},
		},
	}
	for name, moments := range tests {
		t.Run(name, func(t *testing.T) {
			p := &rayServe{raySpec: raySpec{upDelay: 30 * s, dnDelay: 600 * s}}
			for _, m := range moments {
				if got, _ := p.delayed(t0.Add(m.after), m.current, m.wanted); got != m.want {
					t.Errorf("after %v: got %d, want %d", m.after, got, m.want)
				}
			}
		})
	}
}

// test_scaling_factor_scale_up_from_0_replicas and the cold start of the same file: from zero without a delay.
func TestRayServeWakesAtOnce(t *testing.T) {
	tests := map[string]struct {
		desired int32
		factor  float64
		ongoing float64
		want    int32
	}{
		"one for a request":          {0, 1, 1, 1},
		"ten by a factor of ten":     {0, 10, 1, 10},
		"one by a factor of a half":  {0, 0.5, 1, 1},
		"what was asked for already": {3, 1, 1, 3},
		"none for none":              {0, 1, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &rayServe{raySpec: raySpec{upFactor: tt.factor}, high: 20}
			d := p.wake(&draft{scaling.Decision{Time: t0, Current: tt.desired}}, tt.ongoing)
			if d.Replicas != tt.want {
				t.Errorf("got %d, want %d", d.Replicas, tt.want)
			}
		})
	}
}

func TestRayServeSaysWhatDecided(t *testing.T) {
	tests := map[string]struct {
		desired, ready int32
		ongoing        float64
		want           int32
		reason         scaling.Reason
	}{
		"more, not yet":                        {2, 2, 40, 2, scaling.ScaleUpStabilized},
		"fewer, not yet":                       {4, 4, 20, 4, scaling.ScaleDownStabilized},
		"right":                                {2, 2, 20, 2, scaling.DemandMet},
		"more than allowed, at the bound":      {10, 10, 400, 10, scaling.AtMaximum},
		"more than allowed, and not yet there": {2, 2, 400, 2, scaling.ScaleUpStabilized},
	}
	observe := func(p Policy, at time.Time, desired, ready int32, ongoing float64) scaling.Decision {
		o := Observation{Gateway: Gateway{Time: at, Concurrency: at.Sub(t0).Seconds() * ongoing}}
		o.Time, o.Desired = at, desired
		for range ready {
			o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
		}
		return p.Decide(o)
	}
	s := setup()
	s.Settings = map[string]float64{"target": 10}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := New("ray-serve", s)
			if err != nil {
				t.Fatal(err)
			}
			observe(p, t0, tt.desired, tt.ready, tt.ongoing)
			d := observe(p, t0.Add(10*time.Second), tt.desired, tt.ready, tt.ongoing)
			if d.Replicas != tt.want || d.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s: %v", d.Replicas, d.Reason, tt.want, tt.reason, d.Steps)
			}
			stale := Observation{Observation: scaling.Observation{Time: t0.Add(41 * time.Second), Desired: tt.desired}}
			if d := p.Decide(stale); d.Replicas != tt.desired || d.Reason != scaling.NoFreshData {
				t.Errorf("nothing pushed for 31 s, longer than the look-back: got %d %s", d.Replicas, d.Reason)
			}
		})
	}
}

func TestRayServeFollowsOngoingRequests(t *testing.T) {
	s := setup()
	s.Min, s.Settings = 0, map[string]float64{"target": 20}
	l := newLine(t, "ray-serve", s, 1)
	l.load(6)
	l.run(15 * time.Minute)
	if l.desired != 3 {
		t.Errorf("54 requests inside, 20 each: %d replicas, want 3", l.desired)
	}
	l.load(0)
	l.run(25 * time.Minute)
	if l.desired != 0 {
		t.Errorf("25 minutes of nothing: %d replicas, want 0", l.desired)
	}
	l.load(1)
	l.run(30 * time.Second)
	if l.desired < 1 {
		t.Error("a request at zero replicas wakes none")
	}
}
