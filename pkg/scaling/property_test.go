package scaling_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestTheHPAsDefaultPoliciesAllowTheirChangeAtEveryTick(t *testing.T) {
	c := config()
	c.Forecast.Disabled = true
	c.Constraints = []scaling.Constraint{constraint.Rate{Up: constraint.Rules{Policies: []constraint.Policy{{Value: 4, Period: tick}}}}}
	l := newLine(t, c, 2)
	l.ticks(4, 8)
	l.follow = true
	for i := range 4 {
		before := l.desired
		if d := l.tick(200); d.Replicas != before+4 {
			t.Fatalf("four in 15 s are allowed, tick %d: %s", i, explain(d))
		}
	}
}

func TestAClockThatWasWrongForAWhileIsGotOver(t *testing.T) {
	l := newLine(t, config(), 8)
	l.ticks(30, 15)
	right := l.now
	l.now = l.now.Add(365 * 24 * time.Hour)
	l.tick(15)
	l.now = right
	began := l.now
	for range 12 {
		if d := l.tick(30); d.Replicas < 8 {
			t.Fatalf("scaled down %v after the clock was set back: %s", l.now.Sub(began), explain(d))
		}
	}
	if d := l.last; math.Abs(d.Demand-30) > 1 || d.Blind {
		t.Fatalf("three minutes after the clock was set back demand is said to be %.1f of 30: %s", d.Demand, explain(d))
	}
	l.ticks(80, 5)
	if d := l.last; d.Replicas >= 5 || math.Abs(d.Forecast.Point-5) > 2 {
		t.Fatalf("twenty minutes after the clock was set back: %s, forecast %+v", explain(d), d.Forecast)
	}
}

// forecasting says whether a line forecasts.
type forecasting bool

// history brings two equal lines to the same state with random load.
func history(t *testing.T, seed uint64, f forecasting) *line {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := config()
	c.Forecast.Disabled = !bool(f)
	if seed%4 == 0 {
		c.Constraints = append(constraints(20)[:3:3], constraint.Rate{
			Up: constraint.Rules{Policies: []constraint.Policy{{Value: 3, Period: 30 * time.Second}}},
		}, constraint.Bounds{Min: 2, Max: 18})
	}
	l := newLine(t, c, 1+rng.IntN(10))
	l.follow = seed%2 == 0
	for range 20 + rng.IntN(60) {
		l.tick(60 * rng.Float64())
	}
	return l
}

// A forecast knows reversion, so that of it only this can be said: it raises what present demand needs, or leaves it.
func TestAForecastOnlyEverRaises(t *testing.T) {
	raised := 0
	for seed := range uint64(80) {
		for _, rate := range []float64{0, 5, 20, 60, 110} {
			with, without := history(t, seed, true), history(t, seed, false)
			if with.follow {
				continue // the two lines have gone different ways
			}
			a, b := with.tick(rate), without.tick(rate)
			if a.Needed < b.Needed {
				t.Fatalf("seed %d, %v requests/s: %d needed with a forecast, %d without\n%s", seed, rate, a.Needed, b.Needed, explain(a))
			}
			if a.Needed > b.Needed {
				raised++
			}
		}
	}
	if raised < 50 {
		t.Errorf("a forecast made a difference only %d times", raised)
	}
}

func TestMoreDemandNeverMeansFewerReplicas(t *testing.T) {
	moved := 0
	for seed := range uint64(80) {
		before := int32(0)
		for _, rate := range []float64{0, 1, 5, 12, 20, 35, 60, 110, 400} {
			d := history(t, seed, false).tick(rate)
			if d.Replicas < before {
				t.Fatalf("seed %d: %v requests/s ask for %d replicas, less for %d\n%s", seed, rate, d.Replicas, before, explain(d))
			}
			if d.Replicas > before && before > 0 {
				moved++
			}
			before = d.Replicas
		}
	}
	if moved < 50 {
		t.Errorf("demand made a difference only %d times", moved)
	}
}

// finite walks every float.
func finite(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			t.Fatalf("%s is %v", path, f)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			finite(t, v.Elem(), path)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			finite(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			finite(t, v.Index(i), path+"[]")
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			finite(t, v.MapIndex(k), path+"{}")
		}
	}
}

// A hostile target: replicas of any phase come and go, pages lack anything, counters jump to anything, time stands
// still, jumps and goes back, and somebody else scales.
func TestNothingBreaksThePlanner(t *testing.T) {
	values := []float64{0, 1, 3, 50, 1e6, 9.1e18, math.NaN(), -4}
	phases := []scaling.Phase{scaling.Ready, scaling.Ready, scaling.Ready, scaling.Starting, scaling.Unschedulable, scaling.Draining}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 9))
		pick := func() float64 { return values[rng.IntN(len(values))] }
		c := config()
		c.Capacity.RequestsPerSecond = []float64{0, 5, 1e-300, 1e300}[seed%4]
		least := int32(1)
		if seed%3 == 0 {
			c.Zero, least = true, 0
			c.Constraints[3] = constraint.Bounds{Max: 20}
		}
		p, err := scaling.NewPlanner(c)
		if err != nil {
			t.Fatal(err)
		}
		var st scaling.State
		now := t0
		for i := range 300 {
			now = now.Add([]time.Duration{15, 15, 15, 0, -20, 4000, -3000}[rng.IntN(7)] * time.Second)
			obs := scaling.Observation{Time: now, Desired: rng.Int32N(25)}
			for k := range rng.IntN(8) {
				name := string(rune('a' + k))
				r := scaling.Replica{ID: name, Name: name, Phase: phases[rng.IntN(len(phases))]}
				for _, at := range []*time.Time{&r.Created, &r.Scheduled, &r.Started, &r.ReadyAt} {
					if rng.IntN(3) > 0 {
						*at = now.Add(-time.Duration(rng.IntN(900)-100) * time.Second)
					}
				}
				if rng.IntN(5) > 0 {
					r.Reading = &signals.Reading{Time: now.Add(-time.Duration(rng.IntN(90)-10) * time.Second)}
					for m := range signals.NumMetrics {
						r.Reading.Set(m, pick())
					}
					for q := range signals.NumLatencies {
						n := float64(rng.IntN(500))
						r.Reading.SetHistogram(q, &signals.Histogram{Bounds: []float64{0.01, 1}, Counts: []float64{n / 2, n, n + float64(rng.IntN(3))}, Sum: n * 0.1})
					}
				}
				obs.Replicas = append(obs.Replicas, r)
			}
			if rng.IntN(4) > 0 {
				obs.Front = scaling.Front{Time: now.Add(-time.Duration(rng.IntN(90)-10) * time.Second), Held: pick(), Arrived: pick()}
			}
			var d scaling.Decision
			st, d = p.Plan(st, obs)
			finite(t, reflect.ValueOf(d), "decision")
			if i%50 == 49 {
				finite(t, reflect.ValueOf(st), "state")
			}
			held := d.Reason == scaling.ScaledToZeroByOther
			if !held && (d.Replicas < least || d.Replicas > 20) || held && d.Replicas != 0 {
				t.Fatalf("seed %d: bounds of 1 to 20: %s", seed, explain(d))
			}
			if d.Reason == "" || d.Current != obs.Desired {
				t.Fatalf("seed %d: %+v", seed, d)
			}
			if d.Replicas == 0 && d.Current > 0 && (obs.Front.Held > 0 || d.Running+d.Waiting > 0 || len(d.Unseen) > 0) {
				t.Fatalf("seed %d: zero without a proof of silence: %s", seed, explain(d))
			}
			if d.Blind && d.Replicas < min(obs.Desired, 20) {
				t.Fatalf("seed %d: scaled down blindly: %s", seed, explain(d))
			}
		}
		if n := len(st.Replicas); n > 8 {
			t.Fatalf("%d replicas are remembered", n)
		}
	}
}

func TestAStateSurvivesJSON(t *testing.T) {
	for seed := range uint64(12) {
		kept, restored := history(t, seed, seed%3 != 0), history(t, seed, seed%3 != 0)
		text, err := controlloop.EncodeState(restored.state)
		if err != nil {
			t.Fatal(err)
		}
		if restored.state, err = controlloop.DecodeState(text); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			rate := float64(i * 7 % 50)
			if diff := cmp.Diff(kept.tick(rate), restored.tick(rate)); diff != "" {
				t.Fatalf("seed %d, %d ticks after the round trip (-kept +restored):\n%s", seed, i, diff)
			}
		}
	}
}

func TestTheSameHistoryGivesTheSameBytes(t *testing.T) {
	for seed := range uint64(12) {
		a, b := history(t, seed, seed%3 != 0), history(t, seed, seed%3 != 0)
		one, err := controlloop.EncodeState(a.state)
		if err != nil {
			t.Fatal(err)
		}
		two, err := controlloop.EncodeState(b.state)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.last, b.last); diff != "" {
			t.Fatalf("seed %d (-first +second):\n%s", seed, diff)
		}
		if string(one) != string(two) {
			t.Fatalf("seed %d: %s", seed, cmp.Diff(string(one), string(two)))
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l := newLine(t, config(), 4)
	for i := range 5000 {
		l.desired = int32(4 + i%2) // somebody scales at every tick
		l.tick(10)
	}
	hour := int(time.Hour / tick)
	if p, c := len(l.state.Proposals), len(l.state.Changes); p > hour+1 || c > hour+1 {
		t.Fatalf("%d proposals, %d changes", p, c)
	}
	if n := len(l.state.Arrivals); n > 41 { // ten minutes
		t.Fatalf("%d arrivals", n)
	}
}

func TestPlanLeavesTheObservationAlone(t *testing.T) {
	l := newLine(t, config(), 3)
	l.ticks(10, 10)
	obs := scaling.Observation{Time: l.now.Add(tick), Desired: 3}
	for _, p := range l.pods {
		r := p.Replica
		r.Reading = p.page(obs.Time)
		obs.Replicas = append(obs.Replicas, r)
	}
	before := append([]scaling.Replica(nil), obs.Replicas...)
	pages := make([]signals.Reading, len(before))
	for i := range before {
		pages[i] = *before[i].Reading
	}
	l.planner.Plan(l.state, obs)
	for i := range before {
		if before[i] != obs.Replicas[i] || pages[i] != *obs.Replicas[i].Reading {
			t.Fatalf("replica %d was changed", i)
		}
	}
}
