package replica

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The buckets of a tally are those that a Histogram finds by searching: at every
// bound and beside it, and at random.
func TestTallyAgreesWithHistogram(t *testing.T) {
	rulers := map[string]*ruler{
		"TTFT":              newRuler(TTFTBounds, 1e-9),
		"ITL in picosecond": newRuler(ITLBounds, 1e-12),
		"TPOT":              newRuler(ITLBounds, 1e-9),
		"latency":           newRuler(LatencyBounds, 1e-9),
		"iteration":         newRuler(iterationBounds, 1),
		"short prompts":     newRuler(TokenBounds(7), 1),
		"long prompts":      newRuler(TokenBounds(10_000_000), 1),
	}
	for name, r := range rulers {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewSource(1))
			values := []int64{0, 1, 2, 3, 4, 5, math.MaxInt64 / 2}
			for _, b := range r.bounds[:len(r.bounds)-1] {
				values = append(values, b-1, b, b+1)
			}
			for range 10_000 {
				values = append(values, int64(math.Exp(rng.Float64()*math.Log(1e16))))
			}
			h, tally := NewHistogram(r.floats), newTally(r)
			var got Histogram
			for _, v := range values {
				h.Observe(float64(v)/math.Round(1/r.unit), 1)
				tally.observe(v)
			}
			tally.into(&got)
			if diff := cmp.Diff(h.Counts, got.Counts); diff != "" {
				t.Errorf("counts (-histogram +tally):\n%s", diff)
			}
			if math.Abs(got.Sum/h.Sum-1) > 1e-9 {
				t.Errorf("sum %v, want %v", got.Sum, h.Sum)
			}
		})
	}
}

// A mean just above a bound is above it, though it is not a whole nanosecond.
func TestPerTokenMeansAreNotRoundedDown(t *testing.T) {
	m := newMeters(plain())
	m.perToken(75_000_000, 3)
	m.perToken(75_000_001, 3)
	if got := m.tpot.counts[:3]; got[1] != 1 || got[2] != 1 {
		t.Errorf("buckets %v, want 25 ms in the second and a third of a nanosecond more in the third", got)
	}
}

// Whoever looks splits the strides that are passed, and what is added up in other parts must come to the same sum, to the
// last bit: otherwise a policy would see another replica where another one looks too.
func TestLookingChangesNoHistogram(t *testing.T) {
	for seed := range int64(10) {
		times, reqs := workload(rand.New(rand.NewSource(seed)), 120)
		end := times[len(times)-1] + time.Hour
		var seen [2]Stats
		for i := range seen {
			rng := rand.New(rand.NewSource(seed))
			r := newReplica(t, busy(rng))
			for k := range reqs {
				r.Advance(times[k] - time.Duration(i*rng.Intn(50))*time.Millisecond)
				if i == 1 {
					r.Stats()
				}
				submit(t, r, times[k], reqs[k])
			}
			r.Advance(end)
			seen[i] = r.Stats()
		}
		if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
			t.Fatalf("seed %d (-left alone +looked at):\n%s", seed, diff)
		}
	}
}

func TestBigSumIsExactBeyond64Bits(t *testing.T) {
	var s bigSum
	for range 3 {
		s.add(math.MaxUint64, 1<<20)
	}
	if want := 3 * math.Ldexp(1, 84); s.float() != want {
		t.Errorf("the sum is %v, want %v", s.float(), want)
	}
}
