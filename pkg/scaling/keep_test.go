package scaling

import (
	"math"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// remembered has Returns see the numbers of replicas that were needed, minute by minute.
func remembered(lead time.Duration, needed ...float64) (r Returns) {
	var wanted timeseries.Series
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, n := range needed {
		at = at.Add(time.Minute)
		r.learn(wanted, timeseries.Sample{Time: at, Value: n}, lead)
		wanted = wanted.Append(timeseries.Sample{Time: at, Value: n}, time.Hour)
	}
	return r
}

// repeated is a pattern, over and over.
func repeated(times int, pattern ...float64) (all []float64) {
	for range times {
		all = append(all, pattern...)
	}
	return all
}

func TestReturnsAreCountedOnce(t *testing.T) {
	const lead = 8 * time.Minute
	for name, c := range map[string]struct {
		needed       []float64
		after, never float64
	}{
		"nothing changes":                      {repeated(60, 5), 0, 0},
		"it only rises":                        {[]float64{1, 2, 5, 9}, 0, 0},
		"three are needed again":               {[]float64{5, 2, 2, 5}, 3, 0},
		"two of three are":                     {[]float64{5, 2, 2, 4}, 2, 0},
		"one after the other":                  {[]float64{5, 2, 3, 4, 5}, 3, 0},
		"three are not within one lead time":   {append([]float64{5}, repeated(20, 2)...), 0, 3},
		"they are needed, but later than that": {append([]float64{5}, append(repeated(20, 2), 5)...), 0, 3},
	} {
		r := remembered(lead, c.needed...)
		sum := 0.
		for _, n := range r.After {
			sum += n
		}
		if math.Abs(sum-c.after) > 0.1 || math.Abs(r.Never-c.never) > 0.1 {
			t.Errorf("%s: %.2f came back and %.2f did not (%+v), want %v and %v", name, sum, r.Never, r, c.after, c.never)
		}
	}
}

func TestWhatIsWorthKeepingIsLearned(t *testing.T) {
	const lead = 8 * time.Minute
	if got := new(Returns).worth(1); got != 1 {
		t.Errorf("who knows nothing keeps for one lead time, not %v", got)
	}
	wobble := remembered(lead, repeated(60, 5, 4, 5, 4, 4)...)
	if got := wobble.worth(1); got != 1 {
		t.Errorf("what is always needed again is kept for %v of a lead time", got)
	}
	spikes := remembered(lead, repeated(6, append([]float64{12, 12}, repeated(28, 3)...)...)...)
	if got := spikes.worth(1); got != 0 {
		t.Errorf("what is never needed again is kept for %v of a lead time", got)
	}
}

// No rule that lets go earlier or later would have been cheaper on what was seen, by brute force.
func TestWorthIsTheCheapest(t *testing.T) {
	r := Returns{After: [returnSteps]float64{9, 4, 0, 0, 1, 0, 2, 0}, Never: 6}
	cost := func(keep float64) (sum float64) {
		for i, n := range r.After {
			if at := (float64(i) + 0.5) / returnSteps; at < keep {
				sum += (n + returnPrior) * at
			} else {
				sum += (n + returnPrior) * (keep + 1)
			}
		}
		return sum + r.Never*keep
	}
	best := r.worth(1)
	for keep := 0.; keep <= 1; keep += 1. / returnSteps {
		if cost(keep) < cost(best)-1e-9 {
			t.Errorf("kept for %v: %v, for %v: %v", best, cost(best), keep, cost(keep))
		}
	}
}

// standing is a tick of a target with so many replicas, under a lead time of four minutes.
func standing(at time.Time, st *State, desired int32) *tick {
	t := &tick{planner: &Planner{}, state: st, obs: &Observation{Time: at, Desired: desired}}
	t.decision.Current, t.decision.Replicas = desired, desired
	t.decision.LeadTime.P50 = 4 * time.Minute
	return t
}

func TestOrdersStandUntilWhatTheyAreForHasCome(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	order := func(st *State, at time.Time, from, to int32, why Reason) {
		x := standing(at, st, from)
		x.decision.Replicas, x.decision.Reason = to, AtMaximum // whatever a constraint says in the end
		x.decision.Forecast.At, x.decision.Forecast.Horizon = at, 10*time.Minute
		x.order(why)
	}
	kept := func(st *State, at time.Time, desired, wanted int32) int32 {
		return standing(at, st, desired).asOrdered(wanted)
	}
	var forecast State
	order(&forecast, at, 3, 10, ForecastDemand)
	for after, want := range map[time.Duration]int32{0: 10, 10 * time.Minute: 10, 11 * time.Minute: 10, 12 * time.Minute: 3} {
		if got := kept(&forecast, at.Add(after), 10, 3); got != want {
			t.Errorf("ordered on a forecast, %v later: %d kept, want %d", after, got, want)
		}
	}
	if got := kept(&forecast, at, 8, 3); got != 8 {
		t.Errorf("somebody took two: %d kept of 8", got)
	}
	if got := kept(&forecast, at, 10, 12); got != 12 {
		t.Errorf("more is wanted: %d", got)
	}
	order(&forecast, at.Add(time.Minute), 10, 11, ReactiveDemand)
	if got := kept(&forecast, at.Add(9*time.Minute), 11, 3); got != 11 {
		t.Errorf("the next order cut the one before short: %d kept", got)
	}
	var reactive State
	order(&reactive, at, 3, 5, ReactiveDemand)
	for after, want := range map[time.Duration]int32{time.Minute: 5, 2 * time.Minute: 5, 3 * time.Minute: 3} {
		if got := kept(&reactive, at.Add(after), 5, 3); got != want {
			t.Errorf("ordered for present demand, %v later: %d kept, want %d", after, got, want)
		}
	}
}

// What is held in doubt was not needed, and teaches nothing of returns.
func TestHoldsTeachNothingOfReturns(t *testing.T) {
	var st State
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i := range 240 {
		at = at.Add(time.Minute)
		x := standing(at, &st, 10)
		if i%20 == 19 {
			x.hold(NoFreshData, "held")
		} else {
			x.worthKeeping(3)
		}
	}
	if st.Returns != (Returns{}) {
		t.Errorf("%+v", st.Returns)
	}
}
