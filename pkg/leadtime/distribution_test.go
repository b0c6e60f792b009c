package leadtime

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// someDistribution draws what could have been learned.
func someDistribution(r *rand.Rand) Distribution {
	var loads []time.Duration
	for range r.IntN(maxSamples) {
		loads = append(loads, jittered(r, seconds(20, 60, 60, 60, 600)[r.IntN(5)], 1)...)
	}
	return learned(loads...).Estimate(Config{}).Whole
}

func TestQuantilesAscend(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		d := someDistribution(r)
		was := time.Duration(0)
		for q := -0.1; q < 1.1; q += 0.003 {
			if now := d.Quantile(q); now < was || now <= 0 {
				t.Fatalf("%v: the %.3f-quantile is %v, after %v", d, q, now, was)
			} else {
				was = now
			}
			if back := d.Below(was); q >= levels[0] && q < 1 && back < q-1e-3 {
				t.Fatalf("%v: %.4f are below the %.4f-quantile", d, back, q)
			}
		}
	}
}

// TestRemainingIsWhatOutlivesTheAge compares with the quantiles of many draws that took longer.
func TestRemainingIsWhatOutlivesTheAge(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const draws = 400_000
	for range 20 {
		d := someDistribution(r)
		all := make([]time.Duration, draws)
		for i := range all {
			all[i] = d.Quantile((float64(i) + 0.5) / draws) // ascending
		}
		for _, share := range []float64{0, 0.3, 0.7, 1, 1.3, 2} {
			age := time.Duration(share * float64(d[atP50]))
			first, _ := slices.BinarySearchFunc(all, age, func(x, age time.Duration) int {
				if x > age {
					return 1
				}
				return -1
			})
			outlived := all[first:]
			for _, q := range []float64{0.1, 0.5, 0.9} {
				want := outlived[int(q*float64(len(outlived)))] - age
				got := d.Remaining(age, q)
				if want < longestStart && math.Abs(float64(got-want)) > 0.02*float64(want)+float64(100*time.Millisecond) {
					t.Errorf("%v: at %v the %.1f-quantile of what remains is %v, want %v", d, age, q, got, want)
				}
			}
		}
	}
}

func TestWhatIsLateTakesTheLongerTheLaterItIs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		d := someDistribution(r)
		for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
			was := time.Duration(0)
			for age := d[top]; age < 10*time.Hour; age = age*11/10 + time.Second {
				left := d.Remaining(age, q)
				if left < was || left <= 0 || left > max(longestStart, d[top]) {
					t.Fatalf("%v: %v remain at %v, %v before", d, left, age, was)
				}
				was = left
			}
		}
	}
}

func TestRemainingIsNeverShorterThanTimeHasPassed(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 100 {
		d := someDistribution(r)
		for _, q := range []float64{0.1, 0.5, 0.9} {
			done := time.Duration(0)
			for age := time.Duration(0); age < 2*d[top]; age += time.Second {
				left := d.Remaining(age, q)
				if left < 0 || age+left < done-20*time.Millisecond {
					t.Fatalf("%v: at %v it will be done at %v, before that was %v", d, age, age+left, done)
				}
				done = age + left
			}
		}
	}
}

func TestFewStartsAreShrunkTowardsThePrior(t *testing.T) {
	for _, load := range seconds(20, 60, 900) {
		prior := 5 * time.Minute
		was := math.Inf(1)
		for n := range maxSamples {
			e := learned(repeat(load, n)...).Estimate(Config{Prior: prior})
			low, high := min(load, prior), max(load, prior)
			off := math.Abs(math.Log(e.P50.Seconds() / load.Seconds()))
			if e.P50 < low-time.Second || e.P50 > high+time.Second || off >= was {
				t.Errorf("after %d starts of %v P50 is %v, further off than before or beyond the prior", n, load, e.P50)
			}
			was = off
		}
	}
}

func TestOutOfBounds(t *testing.T) {
	d := learned(repeat(time.Minute, 9)...).Estimate(Config{}).Whole
	for _, q := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 2} {
		for _, age := range []time.Duration{math.MinInt64, -1, 0, time.Minute, math.MaxInt64} {
			if left := d.Remaining(age, q); left < 0 || left > longestStart {
				t.Errorf("%v remain at %v with probability %v", left, age, q)
			}
		}
		if x := d.Quantile(q); x < d[0] {
			t.Errorf("the %v-quantile is %v", q, x)
		}
	}
	if (Distribution{}).Below(0) != 1 || (Distribution{}).Remaining(time.Minute, 0.9) != 0 {
		t.Error("what takes no time takes some")
	}
}
