package forecast

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
)

// without are the 0.9 quantiles over a restless series with a season when some parts are left out.
func without(t *testing.T, names ...string) (values []float64, weights []Weight) {
	t.Helper()
	s := asked(10*time.Minute, 1, 6)
	s.Without = names
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	rng := seeded(9)
	walk := 0.0
	x := newStream(s)
	for range 6 * 36 {
		x.feed(4, func(i int) float64 {
			walk += rng.NormFloat64()
			return math.Max(0, 40+15*math.Sin(2*math.Pi*float64(i)/144)+walk)
		})
		p := x.Predict(&s)
		sane(t, &s, p)
		values = append(values, p[0].Values[1], p[1].Values[1])
		weights = p[1].Weights
	}
	return values, weights
}

func TestEachExpertAndStageCanBeLeftOut(t *testing.T) {
	whole, _ := without(t)
	for _, name := range append(Experts(), Stages()...) {
		t.Run(name, func(t *testing.T) {
			values, weights := without(t, name)
			if slices.Equal(whole, values) {
				t.Error("that changes nothing")
			}
			i := slices.IndexFunc(weights, func(w Weight) bool { return w.Expert == name })
			if i >= 0 && weights[i].Share != 0 {
				t.Errorf("it still has a share of %v", weights[i].Share)
			}
		})
	}
}

// What takes no part has no say, whatever it says.
func TestAloneAnExpertIsTheWhole(t *testing.T) {
	for _, name := range Experts() {
		others := slices.DeleteFunc(append(Experts(), stageWithdrawal), func(other string) bool { return other == name })
		_, weights := without(t, others...)
		if weights[0].Expert != name || math.Abs(weights[0].Share-1) > 1e-9 {
			t.Errorf("all but %s left out, the shares are %v", name, weights[:2])
		}
	}
}

func TestSharesAreThoseOfAllExpertsAndSumToOne(t *testing.T) {
	_, weights := without(t)
	var sum float64
	var names []string
	for i, w := range weights {
		if w.Share < 0 || i > 0 && w.Share > weights[i-1].Share {
			t.Errorf("shares are to descend, not below zero: %v", weights)
		}
		sum += w.Share
		names = append(names, w.Expert)
	}
	slices.Sort(names)
	want := Experts()
	slices.Sort(want)
	if math.Abs(sum-1) > 1e-9 || !reflect.DeepEqual(names, want) || len(slices.Compact(names)) != numExperts {
		t.Errorf("shares %v sum to %v", weights, sum)
	}
}

// Without aggregation the last value's share is what it starts with, with it a season's experts come to have most.
func TestWithoutAggregationSharesStayAsTheyStart(t *testing.T) {
	_, still := without(t, stageAggregation)
	start := startWeights(&Spec{Without: []string{stageAggregation}}, 6*144)
	var sum float64
	for _, w := range start {
		sum += w
	}
	for _, w := range still {
		if want := start[slices.Index(Experts(), w.Expert)] / sum; math.Abs(w.Share-want) > 0.01 {
			t.Errorf("%s has a share of %.3f, started with %.3f", w.Expert, w.Share, want)
		}
	}
}

// Experts hands out a slice of its own each time.
func TestNamesCannotBeChanged(t *testing.T) {
	Experts()[0] = "nobody"
	if Experts()[0] != LastValue {
		t.Errorf("the first expert is now %q", Experts()[0])
	}
}
