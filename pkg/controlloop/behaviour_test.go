package controlloop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func planner(t testing.TB, change func(*scaling.Config)) *scaling.Planner {
	t.Helper()
	c := scaling.Default()
	c.Window = time.Minute
	c.Constraints = []scaling.Constraint{
		constraint.Tolerance{Down: 0.1},
		constraint.Stabilization{Down: c.Window},
		constraint.GPUs{},
		constraint.Bounds{Min: 1, Max: 20},
	}
	if change != nil {
		change(&c)
	}
	p, err := scaling.NewPlanner(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func profile(t testing.TB) replica.Profile {
	t.Helper()
	p, err := replica.ProfileNamed("llama-3.1-70b-h100x4")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func loads(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

const (
	ttft = 2 * time.Second
	tpot = 100 * time.Millisecond
)

// ramp rises from 10 to 40 requests/s between the third and the sixth minute.
func ramp(at time.Duration) float64 {
	return min(40, 10+max(0, float64(at-3*time.Minute)/float64(3*time.Minute))*30)
}

const lead = 60 * time.Second

// climb runs the ramp with a tick every 2 s and a lead time of a minute.
func climb(t testing.TB, seed uint64, change func(*scaling.Config)) *world {
	w := newWorld(start, profile(t), loads(lead), 4)
	p := planner(t, func(c *scaling.Config) {
		c.Forecast.Step = 2 * time.Second
		c.LeadTime.Prior = lead
		if change != nil {
			change(c)
		}
	})
	drive(w, p, poisson(start, 10*time.Minute, 50, ramp, seed), 10*time.Minute, 2*time.Second, nil)
	return w
}

// orderedBy is when more than n replicas had been asked for.
func (w *world) orderedBy(n int32) time.Duration {
	for _, d := range w.records {
		if d.Replicas > n {
			return d.Time.Sub(start)
		}
	}
	return 1 << 62
}

func TestARampIsMetByReplicasOrderedALeadTimeAhead(t *testing.T) {
	var earlier, early time.Duration
	var gain float64
	const seeds = 3
	for seed := range uint64(seeds) {
		ahead := climb(t, seed+1, nil)
		behind := climb(t, seed+1, func(c *scaling.Config) { c.Forecast.Disabled = true })
		with, without := ahead.attainment(ttft, tpot), behind.attainment(ttft, tpot)
		peak := float64(0)
		for _, d := range ahead.records {
			peak = max(peak, float64(d.Replicas))
		}
		// the load that 6 replicas cannot bear within the objectives is 6 times what one does, about 36 requests/s
		last := ahead.records[len(ahead.records)-1]
		atSix := 6 * last.Capacity.PerReplica
		arrives := 3*time.Minute + time.Duration((atSix-10)/30*float64(3*time.Minute))
		order := ahead.orderedBy(6)
		t.Logf("seed %d: attainment %.4f with forecast, %.4f without; %.0f and %.0f GPU-seconds, peak %v; a seventh replica ordered at %v (%v without), %.1f requests/s come at %v",
			seed, with, without, ahead.gpuSeconds, behind.gpuSeconds, peak, order, behind.orderedBy(6), atSix, arrives.Round(time.Second))
		if with < 0.99 { // of a service's first ten minutes, with its first climb in them
			t.Errorf("attainment %.4f", with)
		}
		gain += with - without
		if ahead.gpuSeconds > 0.85*peak*600 {
			t.Errorf("%.0f GPU-seconds, a static pool of the peak costs %.0f", ahead.gpuSeconds, peak*600)
		}
		early += arrives - order
		earlier += behind.orderedBy(6) - order
	}
	// on average: when a load arrives that six cannot bear is known no better than the learned capacity of one run
	if early /= seeds; early < lead*9/10 {
		t.Errorf("the seventh replica was ordered %v before the load that needs it, the lead time is %v", early, lead)
	}
	if gain <= 0 {
		t.Errorf("the forecast does harm: attainment changes by %.4f on average", gain/seeds)
	}
	if earlier < 0 {
		t.Errorf("the forecast orders %v later than present demand does", -earlier/3)
	}
}

func TestStalePagesHoldAndAreNamed(t *testing.T) {
	for name, during := range map[string]time.Duration{"a short while": 90 * time.Second, "longer than every window": 8 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(start, profile(t), loads(30*time.Second), 8)
			rate := func(at time.Duration) float64 {
				if at < 5*time.Minute {
					return 30
				}
				return 3 // demand falls as the pages cease
			}
			p := planner(t, func(c *scaling.Config) { c.Forecast.Step = 5 * time.Second })
			from, to := start.Add(5*time.Minute), start.Add(5*time.Minute+during)
			drive(w, p, poisson(start, 20*time.Minute, 35, rate, 5), 20*time.Minute, 5*time.Second, func(now time.Time) {
				w.blind = now.After(from) && now.Before(to)
			})
			blind, fell := 0, false
			for _, d := range w.records {
				inside := d.Time.After(from) && d.Time.Before(to)
				if inside && d.Replicas < d.Current {
					t.Fatalf("scaled down while nothing was seen: %s %s", d.Reason, d.Message())
				}
				if d.Blind {
					blind++
					if !strings.Contains(d.Message(), "inference_requests_waiting") {
						t.Fatalf("the message does not name what is sought: %s", d.Message())
					}
				}
				if age := d.Time.Sub(from); inside && age > 50*time.Second && (!d.Blind || d.Reason != scaling.NoFreshData) {
					t.Fatalf("%v into it: %s, blind %v", age, d.Reason, d.Blind)
				}
				fell = fell || d.Time.After(to) && d.Replicas < d.Current
			}
			if blind == 0 || !fell {
				t.Fatalf("%d blind ticks; scaled down afterwards: %v", blind, fell)
			}
		})
	}
}

func TestMissingGPUsLimitAndAreNotAskedForAgain(t *testing.T) {
	w := newWorld(start, profile(t), loads(30*time.Second), 4)
	w.unplaced = 6
	rate := func(at time.Duration) float64 {
		if at < 4*time.Minute {
			return 12
		}
		return 60
	}
	p := planner(t, func(c *scaling.Config) { c.Forecast.Step = 5 * time.Second; c.LeadTime.Prior = 30 * time.Second })
	drive(w, p, poisson(start, 10*time.Minute, 70, rate, 6), 10*time.Minute, 5*time.Second, nil)
	limited, waiting := 0, false
	for _, d := range w.records {
		if waiting && d.Unschedulable > 0 && d.Replicas > d.Current {
			t.Fatalf("%d wait for a GPU, and more are asked for: %s", d.Unschedulable, d.Message())
		}
		waiting = d.Unschedulable > 0
		if d.Reason == scaling.GPUsUnavailable && d.Limited {
			limited++
		}
	}
	if limited < 10 {
		t.Fatalf("limited by missing GPUs at %d ticks", limited)
	}
}

func TestConstantLoadDoesNotFlap(t *testing.T) {
	cases := map[string]struct {
		rate     float64
		interval time.Duration
	}{
		"2 requests/s, 15 s": {2, 15 * time.Second}, "15 requests/s, 15 s": {15, 15 * time.Second},
		"15 requests/s, 5 s": {15, 5 * time.Second}, "40 requests/s, 15 s": {40, 15 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			const length, warm = 50 * time.Minute, 20 * time.Minute
			w := newWorld(start, profile(t), loads(time.Minute), 8)
			p := planner(t, func(x *scaling.Config) {
				x.Forecast.Step = c.interval
				x.LeadTime.Prior = time.Minute
				x.Window = 5 * time.Minute
				x.Constraints = []scaling.Constraint{
					constraint.Tolerance{Up: 0.1, Down: 0.1}, constraint.Stabilization{Down: 5 * time.Minute}, constraint.GPUs{}, constraint.Bounds{Min: 1, Max: 20},
				}
			})
			drive(w, p, poisson(start, length, c.rate, func(time.Duration) float64 { return c.rate }, 7), length, c.interval, nil)
			changes, low, high := 0, int32(99), int32(0)
			for _, d := range w.records {
				if d.Time.Sub(start) < warm {
					continue
				}
				if d.Replicas != d.Current {
					changes++
				}
				low, high = min(low, d.Replicas), max(high, d.Replicas)
			}
			attained := w.attainment(ttft, tpot)
			t.Logf("%d changes in 30 minutes, %d to %d replicas, attainment %.4f, %.0f GPU-seconds", changes, low, high, attained, w.gpuSeconds)
			if changes > 6 {
				t.Errorf("%d changes in 30 minutes of constant load", changes)
			}
			if attained < 0.98 {
				t.Errorf("attainment %.4f", attained)
			}
		})
	}
}

// A target may begin with half of what it needs and nothing known of its replicas, all of them full: what such replicas
// show must not be taken for what they sustain within the objectives.
func TestATargetThatBeginsDrownedRecovers(t *testing.T) {
	for _, name := range []string{"llama-3.1-70b-h100x4", "llama-3.1-8b-a100"} {
		t.Run(name, func(t *testing.T) {
			engine, err := replica.ProfileNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			const length, rate = 12 * time.Minute, 40.0
			w := newWorld(start, engine, loads(time.Minute), 4)
			p := planner(t, func(c *scaling.Config) { c.Forecast.Step = 15 * time.Second; c.LeadTime.Prior = time.Minute })
			drive(w, p, poisson(start, length, rate, func(time.Duration) float64 { return rate }, 8), length, 15*time.Second, nil)
			at := map[bool]int{}
			for _, q := range w.requests {
				if q.at.Sub(start) > 6*time.Minute && w.now.Sub(q.at) > 10*time.Second {
					at[q.first.Sub(q.at) <= ttft && !q.first.IsZero() && (!q.done || q.last.Sub(q.first) <= time.Duration(q.output-1)*tpot)]++
				}
			}
			good := float64(at[true]) / float64(at[true]+at[false])
			t.Logf("attainment %.4f of the requests after six minutes; %d replicas at the end", good, w.desired)
			if good < 0.97 {
				t.Errorf("attainment %.4f of %d requests after six minutes", good, at[true]+at[false])
			}
		})
	}
}

func TestTheSameTicksGiveTheSameDecisions(t *testing.T) {
	one, two := climb(t, 9, nil), climb(t, 9, nil)
	if diff := cmp.Diff(one.records, two.records); diff != "" {
		t.Fatalf("(-first +second):\n%s", diff)
	}
	if len(one.records) != 300 {
		t.Fatalf("%d ticks", len(one.records))
	}
}
