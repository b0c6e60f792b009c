package forecast

import (
	"testing"
	"time"
)

// After hours of being on or off nothing above what it is when it is on is expected of a service; one that climbs may go on.
func TestNothingFarAboveTheMostSeenIsExpected(t *testing.T) {
	spec := Spec{Step: time.Minute, Horizons: []time.Duration{5 * time.Minute}, Quantiles: []float64{0.5, 0.9, 0.97}}
	highest := func(value func(minute int) float64, minutes int) (most, expected float64) {
		var f Forecaster
		rng := seeded(3)
		for i := range minutes {
			v := value(i) * (1 + 0.02*rng.NormFloat64())
			f.Observe(&spec, t0.Add(time.Duration(i+1)*time.Minute), v)
			most = max(most, v)
			expected = f.Predict(&spec)[0].Values[2]
		}
		return most, expected
	}
	rng := seeded(4)
	on := false
	most, expected := highest(func(int) float64 {
		if rng.Float64() < 0.1 {
			on = !on
		}
		if on {
			return 50
		}
		return 0.1
	}, 480)
	if expected > 1.1*most {
		t.Errorf("on or off for eight hours: %.1f expected, never more than %.1f seen", expected, most)
	}
	most, expected = highest(func(i int) float64 { return 10 + float64(i) }, 240)
	if expected < most {
		t.Errorf("a climb: %.1f expected, %.1f seen already", expected, most)
	}
}
