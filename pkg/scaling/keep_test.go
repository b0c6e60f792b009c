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
	if got := new(Returns).worth(); got != 1 {
		t.Errorf("who knows nothing keeps for one lead time, not %v", got)
	}
	wobble := remembered(lead, repeated(60, 5, 4, 5, 4, 4)...)
	if got := wobble.worth(); got != 1 && got < 0.3 {
		t.Errorf("what is needed again within two minutes is kept for %v of a lead time", got)
	}
	spikes := remembered(lead, repeated(6, append([]float64{12, 12}, repeated(28, 3)...)...)...)
	if got := spikes.worth(); got != 0 {
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
	best := r.worth()
	for keep := 0.; keep <= 1; keep += 1. / returnSteps {
		if cost(keep) < cost(best)-1e-9 {
			t.Errorf("kept for %v: %v, for %v: %v", best, cost(best), keep, cost(keep))
		}
	}
}
