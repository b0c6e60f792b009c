package leadtime

import (
	stdcmp "cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// jittered draws n starts around a median, with the spread that starts have in replays.
func jittered(r *rand.Rand, median time.Duration, n int) []time.Duration {
	ds := make([]time.Duration, n)
	for i := range ds {
		ds[i] = time.Duration(float64(median) * math.Exp(0.2*r.NormFloat64()))
	}
	return ds
}

func TestOneLongStartMovesNothing(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		loads := jittered(r, 2*time.Minute, 4+int(seed))
		spared, hit := learned(loads...), learned(append(loads, 26*time.Minute)...)
		for n := range 12 {
			want, got := spared.Estimate(Config{}), hit.Estimate(Config{})
			if got.P50 > want.P50*3/2 || got.P90 > want.P90*3/2 {
				t.Errorf("seed %d, %d starts after it: P50 %v, P90 %v, without it %v and %v", seed, n, got.P50, got.P90, want.P50, want.P90)
			}
			next := Start{Loading: jittered(r, 2*time.Minute, 1)[0]}
			spared.Learn(next)
			hit.Learn(next)
		}
	}
}

// TestThreeStartsOfThreeTimesTheLengthAreBelieved goes there and back. Where the start before the change was itself a long
// one, or the first three after it short ones, it takes one or two more.
func TestThreeStartsOfThreeTimesTheLengthAreBelieved(t *testing.T) {
	const seeds = 50
	late, wrong := 0, 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := learned(jittered(r, 2*time.Minute, 5+int(seed)%25)...)
		for turn, median := range []time.Duration{6 * time.Minute, 2 * time.Minute, 6 * time.Minute} {
			near := func() bool {
				e := s.Estimate(Config{})
				return e.P50 > median*2/3 && e.P50 < median*3/2 && e.P90 > median
			}
			for n, l := range jittered(r, median, 6) {
				s.Learn(Start{Loading: l})
				switch {
				case n == 2 && !near():
					late++
				case n == 5 && !near():
					wrong++
					t.Logf("seed %d, turn %d: %v after six starts of about %v", seed, turn, s.Estimate(Config{}), median)
				}
			}
			for _, l := range jittered(r, median, 8) {
				s.Learn(Start{Loading: l})
			}
		}
	}
	if late > seeds*3/10 || wrong > seeds*3/50 {
		t.Errorf("of %d changes %d were not believed after three starts, %d not after six", 3*seeds, late, wrong)
	}
	t.Logf("of %d changes %d were not believed after three starts, %d not after six", 3*seeds, late, wrong)
}

func TestTheSecondLongStartRaisesP90(t *testing.T) {
	s := learned(repeat(2*time.Minute, 14)...)
	s.Learn(Start{Loading: 6 * time.Minute})
	s.Learn(Start{Loading: 6 * time.Minute})
	if e := s.Estimate(Config{}); e.P90 < 5*time.Minute {
		t.Errorf("P90 %v, want the new 6m to be expected", e.P90)
	}
}

func TestAMixOfTwoKindsIsNoChange(t *testing.T) {
	var loads []time.Duration
	for i := range maxSamples {
		loads = append(loads, seconds(60, 60, 300)[i%3])
	}
	s := learned(loads...)
	if e := s.Estimate(Config{}); e.P50 > 80*time.Second || e.P90 < 4*time.Minute {
		t.Errorf("P50 %v, P90 %v of starts of which one in three takes five times as long as a minute", e.P50, e.P90)
	}
	least := slices.MinFunc(s.Trust, func(a, b Trust) int { return stdcmp.Compare(a.Any, b.Any) })
	most := slices.MaxFunc(s.Trust, func(a, b Trust) int { return stdcmp.Compare(a.Any, b.Any) })
	if least.Any < most.Any/2 {
		t.Errorf("trust from %.2f to %.2f, want all alike", least.Any, most.Any)
	}
}

func TestCircumstancesAreLearnedApart(t *testing.T) {
	quick := Start{Circumstance: Circumstance{Image: ImageCached}, Startup: 3 * time.Second, Loading: time.Minute}
	slow := Start{Circumstance: Circumstance{Image: ImagePulled}, Startup: 5 * time.Minute, Loading: 2 * time.Minute}
	var s State
	for range 5 {
		for _, x := range []Start{quick, quick, slow} {
			s.Learn(x)
		}
	}
	if e := s.Estimate(Config{}); e.P50 > 80*time.Second || e.P90 < 5*time.Minute || e.Pulls != 5 || e.Pulled.P50 != 5*time.Minute {
		t.Errorf("%v of both", e)
	}
	with, without := s.EstimateUnder(quick.Circumstance, Config{}), s.EstimateUnder(slow.Circumstance, Config{})
	if with.P90 > 90*time.Second || without.P50 < 6*time.Minute {
		t.Errorf("%v with the image, %v without it", with, without)
	}
	for range 6 {
		s.Learn(slow)
	}
	if e := s.Estimate(Config{}); e.P50 < 6*time.Minute {
		t.Errorf("%v when all images are pulled of late", e)
	}
	if e := s.EstimateUnder(quick.Circumstance, Config{}); e.P50 > with.P50*11/10 || e.P90 > with.P90*11/10 {
		t.Errorf("%v with the image, after it was %v: pulls are no change of that", e, with)
	}
}

// TestAChangeOfAllStartsIsOneOfTheNext is the lead time that triples, the pull of the image with it: so long, a startup
// looks like that of an image that is not there.
func TestAChangeOfAllStartsIsOneOfTheNext(t *testing.T) {
	var s State
	learn := func(n int, factor time.Duration) {
		for range n {
			startup := factor * 10 * time.Second
			s.Learn(Start{Circumstance: Circumstance{Image: ImageOf(startup)}, Startup: startup, Loading: factor * time.Minute})
		}
	}
	learn(14, 1)
	for range 2 {
		learn(3, 3)
		if e := s.Estimate(Config{}); e.P50 < 3*time.Minute || e.P50 > 5*time.Minute {
			t.Errorf("%v after three starts that take three times as long", e)
		}
		learn(3, 1)
		if e := s.Estimate(Config{}); e.P50 > 100*time.Second {
			t.Errorf("%v after three starts as before", e)
		}
		learn(9, 1)
	}
}

// TestTrustIsThatOfAllRuns compares with the sum over all ways in which the past may fall into runs.
func TestTrustIsThatOfAllRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 30 {
		lengths := make([]float64, 2+r.IntN(7))
		for i := range lengths {
			lengths[i] = math.Log([]float64{60, 65, 180}[r.IntN(3)])
		}
		weights := make([]float64, len(lengths))
		var total float64
		for cuts := range 1 << (len(lengths) - 1) { // bit i: a run begins with start i+1
			p, begin := 1.0, 0
			for i := 1; i < len(lengths); i++ {
				if cuts>>(i-1)&1 == 1 {
					p *= changeRate * anything
					begin = i
					continue
				}
				density := surprise * anything
				for j := begin; j < i; j++ {
					density += likeness(lengths[i], lengths[j]) / (kinship * math.Sqrt(2*math.Pi))
				}
				p *= (1 - changeRate) * density / (surprise + float64(i-begin))
			}
			total += p
			for i := begin; i < len(lengths); i++ {
				weights[i] += p
			}
		}
		for i := range weights {
			weights[i] /= total
		}
		if diff := cmp.Diff(borneOut(weights, lengths), trust(lengths), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
			t.Fatalf("%v (-dumb +clever):\n%s", lengths, diff)
		}
	}
}
