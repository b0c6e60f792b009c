package score_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// The exact quantile by nearest rank, from all values.
func exact(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func TestQuantilesAreWithinHalfAPercentOfTheExactOnes(t *testing.T) {
	draws := map[string]func(*rand.Rand) float64{
		"exponential":              func(r *rand.Rand) float64 { return r.ExpFloat64() },
		"log-normal, six decades":  func(r *rand.Rand) float64 { return math.Exp(3 * r.NormFloat64()) },
		"uniform":                  func(r *rand.Rand) float64 { return r.Float64() },
		"two values far apart":     func(r *rand.Rand) float64 { return []float64{0.001, 4000}[r.IntN(2)] },
		"nanoseconds":              func(r *rand.Rand) float64 { return float64(r.IntN(300)) * 1e-9 },
		"constant":                 func(*rand.Rand) float64 { return 0.1 },
		"zero half of the time":    func(r *rand.Rand) float64 { return math.Max(0, r.NormFloat64()) },
		"powers of two and around": func(r *rand.Rand) float64 { return float64(int64(1)<<r.IntN(50)+r.Int64N(3)-1) * 1e-9 },
	}
	for name, draw := range draws {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 7))
				var s score.Sketch
				var all []time.Duration
				for range 1 + rng.IntN(3000) {
					d := time.Duration(draw(rng) * 1e9)
					all = append(all, d)
					s.Observe(d)
				}
				slices.Sort(all)
				for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
					got, ok := s.Quantile(q)
					want := exact(all, q)
					if off := math.Abs(float64(got - want)); !ok || off > 0.005*float64(want) {
						t.Fatalf("seed %d, %d values: quantile %v is %v, exactly %v", seed, len(all), q, got, want)
					}
				}
			}
		})
	}
}

func TestNoValuesHaveNoQuantile(t *testing.T) {
	var s score.Sketch
	s.Observe(-1)
	if d, ok := s.Quantile(0.5); ok || s.Count() != 0 {
		t.Fatalf("got %v of %d values", d, s.Count())
	}
}

func TestTheLongestDurationHasABucket(t *testing.T) {
	var s score.Sketch
	s.Observe(math.MaxInt64)
	s.Observe(math.MaxInt64 - 1)
	if d, _ := s.Quantile(0.5); float64(d) < 0.995*math.MaxInt64 {
		t.Fatalf("got %v", d)
	}
}

func BenchmarkSketch(b *testing.B) {
	var s score.Sketch
	d := time.Duration(1)
	for b.Loop() {
		d = d*6364136223846793005 + 1442695040888963407
		s.Observe(d & math.MaxInt64)
	}
}
