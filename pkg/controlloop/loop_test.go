package controlloop_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

var errBroken = errors.New("broken")

// desk is Observer, Actuator and Recorder of targets that stand still; those named in the maps fail.
type desk struct {
	mu                   sync.Mutex
	unseen, stuck        map[string]bool
	observed, busy, most int
	actuated             map[string]int
	recorded             map[string]error
	took                 time.Duration
}

func newDesk() *desk {
	return &desk{unseen: map[string]bool{}, stuck: map[string]bool{}, actuated: map[string]int{}, recorded: map[string]error{}}
}

func (d *desk) Observe(_ context.Context, id controlloop.TargetID, now time.Time) (scaling.Observation, error) {
	d.mu.Lock()
	d.observed++
	d.busy++
	d.most = max(d.most, d.busy)
	unseen := d.unseen[id.Name]
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.busy--
		d.mu.Unlock()
	}()
	time.Sleep(d.took)
	if unseen {
		return scaling.Observation{}, errBroken
	}
	r := &signals.Reading{Time: now}
	r.Set(signals.RequestsWaiting, 0)
	r.Set(signals.RequestsRunning, 1)
	r.Set(signals.RequestsFinished, float64(now.Unix()%1e6))
	return scaling.Observation{Time: now, Desired: 1, Replicas: []scaling.Replica{{ID: "a", Name: "a", Phase: scaling.Ready, Reading: r}}}, nil
}

func (d *desk) Actuate(_ context.Context, id controlloop.TargetID, _ scaling.Decision) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actuated[id.Name]++
	if d.stuck[id.Name] {
		return errBroken
	}
	return nil
}

func (d *desk) Record(_ context.Context, id controlloop.TargetID, _ scaling.Decision, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recorded[id.Name] = err
}

func targets(t testing.TB, n int) []controlloop.Target {
	p := planner(t, nil)
	var ts []controlloop.Target
	for i := range n {
		ts = append(ts, controlloop.Target{ID: controlloop.TargetID{Namespace: "default", Name: fmt.Sprintf("t%d", i)}, Planner: p})
	}
	return ts
}

func TestOneTargetsFailureDoesNotStopTheOthers(t *testing.T) {
	for _, concurrency := range []int{0, 1, 4} {
		d := newDesk()
		d.unseen["t1"], d.stuck["t3"] = true, true
		loop := controlloop.New(d, d, d, concurrency)
		err := loop.Tick(t.Context(), start, targets(t, 6))
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "observe default/t1") || !strings.Contains(err.Error(), "actuate default/t3") {
			t.Fatalf("got %v", err)
		}
		for i := range 6 {
			name := fmt.Sprintf("t%d", i)
			seen := name != "t1"
			if recorded, ok := d.recorded[name]; ok != seen || errors.Is(recorded, errBroken) != (name == "t3") || (d.actuated[name] == 1) != seen {
				t.Errorf("%s: recorded %v %v, actuated %d times", name, ok, recorded, d.actuated[name])
			}
		}
	}
}

func TestStateIsKeptOverAFailureAndForgottenWithTheTarget(t *testing.T) {
	d := newDesk()
	loop := controlloop.New(d, d, d, 2)
	ts := targets(t, 2)
	for i := range 5 {
		d.unseen["t0"] = i >= 3
		err := loop.Tick(t.Context(), start.Add(time.Duration(i)*15*time.Second), ts)
		if (err != nil) != d.unseen["t0"] {
			t.Fatal(err)
		}
	}
	if s := loop.State(ts[0].ID); s.Since.IsZero() || len(s.Replicas) != 1 {
		t.Fatalf("what was learned of a target went with one failed observation: %+v", s)
	}
	if err := loop.Tick(t.Context(), start.Add(90*time.Second), ts[1:]); err != nil {
		t.Fatal(err)
	}
	if s := loop.State(ts[0].ID); !s.Since.IsZero() {
		t.Fatal("a target that is gone is still remembered")
	}
}

func TestConcurrencyIsBoundedAndDecisionsAreSafe(t *testing.T) {
	d := newDesk()
	d.took = time.Millisecond
	loop := controlloop.New(d, d, d, 8)
	ts := targets(t, 100)
	var decisions controlloop.Decisions
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				id := ts[i%len(ts)].ID
				decisions.Put(id, scaling.Decision{Replicas: int32(i)})
				decisions.Latest(id)
				if i%50 == 0 {
					decisions.Keep(ts)
				}
			}
		})
	}
	for i := range 3 {
		if err := loop.Tick(t.Context(), start.Add(time.Duration(i)*15*time.Second), ts); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if d.most > 8 || d.most < 2 || d.observed != 300 {
		t.Fatalf("%d at once, 8 allowed; %d observations", d.most, d.observed)
	}
	decisions.Keep(ts[:1])
	if _, ok := decisions.Latest(ts[1].ID); ok {
		t.Error("a forgotten target still has a decision")
	}
	if got, ok := decisions.Latest(ts[0].ID); !ok || got.Replicas == 0 {
		t.Errorf("got %+v %v", got, ok)
	}
}

// deaf is an Observer that answers only when its context ends, as an API server that hangs.
type deaf struct{ *desk }

func (d deaf) Observe(ctx context.Context, _ controlloop.TargetID, _ time.Time) (scaling.Observation, error) {
	<-ctx.Done()
	return scaling.Observation{}, ctx.Err()
}

func TestAnAPIServerThatHangsEndsNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		loop := controlloop.New(deaf{d}, d, d, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var longest time.Duration
		ticks := 0
		loop.Run(ctx, 15*time.Second, func() []controlloop.Target { return targets(t, 5) }, func(_, from, to time.Time, _ int, err error) {
			if err == nil {
				t.Error("a tick that observed nothing has no error")
			}
			longest = max(longest, to.Sub(from))
			ticks++
		})
		if longest > 45*time.Second || ticks < 10 {
			t.Fatalf("%d ticks in 10 minutes, the longest took %v", ticks, longest)
		}
	})
}

func TestStateGoesWithTheScaleTargetThatItIsOf(t *testing.T) {
	d := newDesk()
	loop := controlloop.New(d, d, d, 1)
	ts := targets(t, 1)
	ts[0].Subject = "deployment a"
	tick := func(i int) scaling.State {
		if err := loop.Tick(t.Context(), start.Add(time.Duration(i)*15*time.Second), ts); err != nil {
			t.Fatal(err)
		}
		return loop.State(ts[0].ID)
	}
	tick(0)
	if s := tick(1); s.Since.IsZero() {
		t.Fatal("two ticks have learned nothing")
	}
	ts[0].Subject = "deployment b"
	if s := tick(2); !s.Since.IsZero() || len(s.Proposals) != 1 {
		t.Fatalf("what was learned of one scale target is believed of another: since %v, %d proposals", s.Since, len(s.Proposals))
	}
}

func TestRunTicksAtOnceThenEveryIntervalAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		loop := controlloop.New(d, d, d, 1)
		ts := targets(t, 2)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var at []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			loop.Run(ctx, 15*time.Second, func() []controlloop.Target { return ts }, func(due, from, to time.Time, n int, err error) {
				if err != nil || n != 2 || from.Before(due) || to.Before(from) {
					t.Errorf("due %v, from %v to %v, %d targets, %v", due, from, to, n, err)
				}
				at = append(at, from.Sub(began))
			})
		}()
		time.Sleep(61 * time.Second)
		cancel()
		<-done
		if len(at) != 5 || at[0] != 0 || at[4] != time.Minute {
			t.Fatalf("ticks at %v", at)
		}
		observed := d.observed
		time.Sleep(time.Minute)
		if d.observed != observed {
			t.Fatal("it ticks on after its context has ended")
		}
	})
}

func TestASlowTickMakesTheNextOneLateAndNeverTwoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.took = 40 * time.Second
		loop := controlloop.New(d, d, d, 4)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		ticks := 0
		loop.Run(ctx, 15*time.Second, func() []controlloop.Target { return targets(t, 1) }, func(due, from, to time.Time, _ int, _ error) {
			ticks++
			if to.Sub(from) != 40*time.Second {
				t.Errorf("a tick took %v", to.Sub(from))
			}
		})
		if d.most != 1 || ticks < 6 || ticks > 8 {
			t.Fatalf("%d at once, %d ticks in five minutes", d.most, ticks)
		}
	})
}

func TestAnEndedContextStartsNoFurtherTick(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			loop := controlloop.New(d, d, d, 1)
			ctx, cancel := context.WithCancel(t.Context())
			ticks := 0
			loop.Run(ctx, time.Second, func() []controlloop.Target { return targets(t, 1) }, func(_, _, _ time.Time, _ int, _ error) {
				if ticks++; ticks == 3 {
					time.Sleep(5 * time.Second) // the next tick is due already
					cancel()
				}
			})
			if ticks != 3 {
				t.Fatalf("%d ticks, the context ended in the third", ticks)
			}
		})
	}
}

func TestAStateOfAnotherVersionIsReadAsFarAsItIsUnderstood(t *testing.T) {
	text := `{"Desired":3,"Replicas":{"a":{"Arrivals":2,"ArrivalsKnown":true,"Reading":{"Time":"2026-03-02T09:00:00Z",
		"Values":{"inference_requests_running":7,"inference_requests_unheard_of":1},"Histograms":{"inference_unheard_of_seconds":null}}},"b":{}}}`
	s, err := controlloop.DecodeState([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a := s.Replicas["a"]
	if v, ok := a.Reading.Value(signals.RequestsRunning); !ok || v != 7 || !a.Reading.Time.Equal(start) || !a.ArrivalsKnown || s.Desired != 3 {
		t.Errorf("got %+v", s)
	}
	if b, ok := s.Replicas["b"]; !ok || b.Reading != nil {
		t.Errorf("got %+v", b)
	}
	if _, err := controlloop.DecodeState([]byte("{")); err == nil || !strings.Contains(err.Error(), "decode state") {
		t.Errorf("got %v", err)
	}
}
