package timeseries

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func series(values ...float64) Series {
	var s Series
	for i, v := range values {
		s = s.Append(Sample{Time: t0.Add(time.Duration(i) * time.Second), Value: v}, time.Hour)
	}
	return s
}

func TestAppendForgetsWhatIsOlderThanKeep(t *testing.T) {
	var s Series
	for i := range 10 {
		s = s.Append(Sample{Time: t0.Add(time.Duration(i) * time.Second), Value: float64(i)}, 3*time.Second)
	}
	if got := len(s); got != 4 { // 6, 7, 8, 9: keep is inclusive
		t.Fatalf("kept %d samples, want 4: %v", got, s)
	}
}

func TestAppendDropsASampleThatGoesBackInTime(t *testing.T) {
	s := series(1, 2)
	s = s.Append(Sample{Time: t0, Value: 9}, time.Hour)
	if last, _ := s.Last(); len(s) != 2 || last.Value != 2 {
		t.Fatalf("got %v", s)
	}
}

func TestStatisticsOfNothingAreUnknown(t *testing.T) {
	var s Series
	for name, f := range map[string]func() (float64, bool){"max": s.Max, "min": s.Min, "mean": s.Mean} {
		if _, ok := f(); ok {
			t.Errorf("%s of an empty series is known", name)
		}
	}
}

func TestStatistics(t *testing.T) {
	s := series(3, 1, 2)
	maximum, _ := s.Max()
	minimum, _ := s.Min()
	mean, _ := s.Mean()
	if diff := cmp.Diff([]float64{3, 1, 2, 6}, []float64{maximum, minimum, mean, s.Sum()}); diff != "" {
		t.Error(diff)
	}
	if got := len(s.Since(t0.Add(time.Second))); got != 2 {
		t.Errorf("Since kept %d, want 2", got)
	}
}

func TestResamplerGivesTimeWeightedMeans(t *testing.T) {
	r := Resampler{Step: 10 * time.Second}
	r.Add(t0, 7, 100) // only sets the instant
	if got := r.Add(t0.Add(4*time.Second), 10, 100); got != nil {
		t.Fatalf("step ended early: %v", got)
	}
	// 4 s at 10, then 6 s at 20 → 16; two whole steps at 20; 5 s into the fourth.
	got := r.Add(t0.Add(35*time.Second), 20, 100)
	if diff := cmp.Diff([]float64{16, 20, 20}, got); diff != "" {
		t.Error(diff)
	}
}

func TestResamplerReturnsNoMoreThanTheLimitAfterAGap(t *testing.T) {
	r := Resampler{Step: time.Second}
	r.Add(t0, 0, 5)
	if got := r.Add(t0.Add(time.Hour), 3, 5); len(got) != 5 {
		t.Fatalf("got %d steps, want 5", len(got))
	}
}

// The integral over all finished steps equals the integral of what went in.
func TestResamplerKeepsTheIntegral(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	r := Resampler{Step: 7 * time.Second}
	now, in, out, steps := t0.Truncate(7*time.Second), 0.0, 0.0, 0
	r.Add(now, 0, 1000)
	for range 500 {
		dt, v := time.Duration(1+rng.IntN(20_000))*time.Millisecond, rng.Float64()*10
		now = now.Add(dt)
		in += v * dt.Seconds()
		for _, m := range r.Add(now, v, 1000) {
			out += m * 7
			steps++
		}
	}
	if steps < 500 || math.Abs(in-out-r.Sum) > 1e-6*in {
		t.Fatalf("in %.6f, out %.6f + %.6f over %d steps", in, out, r.Sum, steps)
	}
}
