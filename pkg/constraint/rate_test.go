package constraint

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// hpaTwin is the HPA's rule (autoscaling/v2, behavior) in the dumbest words: replicas at the period's beginning are the
// present ones without what was added since and with what was removed; each policy proposes a limit from there.
func hpaTwin(r Rules, in scaling.Input, up bool) int32 {
	if r.Select == SelectDisabled {
		return in.Current
	}
	var limits []int64
	for _, p := range r.Policies {
		begin := int64(in.Current)
		for _, c := range in.State.Changes {
			if c.Time.After(in.Now.Add(-p.Period)) {
				begin -= int64(c.Value)
			}
		}
		switch {
		case up && p.Percent:
			limits = append(limits, int64(math.Ceil(float64(begin)*(1+float64(p.Value)/100))))
		case up:
			limits = append(limits, begin+int64(p.Value))
		case p.Percent:
			limits = append(limits, int64(math.Floor(float64(begin)*(1-float64(p.Value)/100))))
		default:
			limits = append(limits, begin-int64(p.Value))
		}
	}
	lowest, highest := limits[0], limits[0]
	for _, l := range limits {
		lowest, highest = min(lowest, l), max(highest, l)
	}
	limit := highest
	if up == (r.Select == SelectMin) {
		limit = lowest
	}
	if up {
		return int32(min(max(limit, int64(in.Current)), math.MaxInt32))
	}
	return int32(max(min(limit, int64(in.Current)), 0))
}

func TestRateIsTheHPAsRule(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	bound := 0
	for range 20000 {
		r := rules(rng)
		if len(r.Policies) == 0 {
			continue
		}
		in := scaling.Input{Now: t0, Current: 1 + rng.Int32N(200), State: &scaling.State{}}
		for at := t0.Add(-70 * time.Second); at.Before(t0) && rng.IntN(8) > 0; at = at.Add(time.Duration(1+rng.IntN(20)) * time.Second) {
			in.State.Changes = in.State.Changes.Append(timeseries.Sample{Time: at, Value: float64(rng.IntN(31) - 15)}, time.Hour)
		}
		wanted := rng.Int32N(400)
		want := wanted
		if wanted > in.Current {
			want = min(wanted, hpaTwin(r, in, true))
		} else if wanted < in.Current {
			want = max(wanted, hpaTwin(r, in, false))
		}
		got := Rate{Up: r, Down: r}.Apply(in, wanted).Replicas
		if got != want {
			t.Fatalf("%+v, changes %v: %d -> %d: got %d, the HPA allows %d", r, in.State.Changes, in.Current, wanted, got, want)
		}
		if got != wanted {
			bound++
		}
	}
	if bound < 1000 {
		t.Fatalf("a policy was bound to act only %d times", bound)
	}
}

func TestRate(t *testing.T) {
	minute := time.Minute
	cases := map[string]struct {
		rules        Rules
		changes      timeseries.Series
		current      int32
		wanted, want int32
	}{
		"no policies allow any change up":                       {Rules{}, nil, 4, 90, 90},
		"no policies allow any change down":                     {Rules{}, nil, 90, 1, 1},
		"disabled allows none":                                  {Rules{Policies: []Policy{{Value: 9, Period: minute}}, Select: SelectDisabled}, nil, 4, 9, 4},
		"four pods a minute":                                    {Rules{Policies: []Policy{{Value: 4, Period: minute}}}, nil, 4, 20, 8},
		"100 % of one is one":                                   {Rules{Policies: []Policy{{Value: 100, Percent: true, Period: minute}}}, nil, 1, 20, 2},
		"50 % of three rounds up on the way up":                 {Rules{Policies: []Policy{{Value: 50, Percent: true, Period: minute}}}, nil, 3, 20, 5},
		"50 % of three rounds in favour of change down":         {Rules{Policies: []Policy{{Value: 50, Percent: true, Period: minute}}}, nil, 3, 1, 1},
		"the larger of two by default":                          {Rules{Policies: []Policy{{Value: 4, Period: minute}, {Value: 10, Percent: true, Period: minute}}}, nil, 10, 90, 14},
		"the smaller of two where Min is selected":              {Rules{Policies: []Policy{{Value: 4, Period: minute}, {Value: 20, Percent: true, Period: minute}}, Select: SelectMin}, nil, 10, 90, 12},
		"what was added within the period counts":               {Rules{Policies: []Policy{{Value: 4, Period: minute}}}, timeseries.Series{{Time: t0.Add(-30 * time.Second), Value: 3}}, 7, 20, 8},
		"what was added a period ago does not":                  {Rules{Policies: []Policy{{Value: 4, Period: minute}}}, timeseries.Series{{Time: t0.Add(-minute), Value: 3}}, 7, 20, 11},
		"what was removed within the period may come back":      {Rules{Policies: []Policy{{Value: 4, Period: minute}}}, timeseries.Series{{Time: t0.Add(-30 * time.Second), Value: -5}}, 5, 20, 14},
		"somebody else added more than allowed: none go":        {Rules{Policies: []Policy{{Value: 4, Period: minute}}}, timeseries.Series{{Time: t0.Add(-30 * time.Second), Value: 20}}, 24, 30, 24},
		"100 % down within a period empties it":                 {Rules{Policies: []Policy{{Value: 100, Percent: true, Period: minute}}}, nil, 50, 1, 1},
		"a value beyond every number of replicas does not wrap": {Rules{Policies: []Policy{{Value: math.MaxInt32, Period: minute}}}, nil, 4, 20, 20},
		"nor does a percentage":                                 {Rules{Policies: []Policy{{Value: math.MaxInt32, Percent: true, Period: minute}}}, nil, 4000, 5000, 5000},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			in := scaling.Input{Now: t0, Current: x.current, State: &scaling.State{Changes: x.changes}}
			r := Rate{Up: x.rules, Down: x.rules}.Apply(in, x.wanted)
			if r.Replicas != x.want {
				t.Fatalf("got %d, want %d", r.Replicas, x.want)
			}
			if held := x.want != x.wanted; held != (r.Reason == scaling.RateLimited) || r.Limited != (held && x.wanted > x.current) {
				t.Errorf("held %v: %+v", held, r)
			}
		})
	}
}
