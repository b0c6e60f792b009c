package forecast

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const phase = 6000

// walkAndSeason is a walk, a season of 120 rows, and the walk again, each for phase rows.
func walkAndSeason(seed uint64) []float64 {
	rng, walk := seeded(seed), 60.
	return series(3*phase, func(i int) float64 {
		if i/phase == 1 {
			return 60 + 40*math.Sin(2*math.Pi*float64(i)/120) + rng.NormFloat64()
		}
		walk = math.Max(20, walk+3*rng.NormFloat64())
		return walk
	})
}

// On a walk nothing beats the last value: the mixture is withdrawn, or says of itself that it is little better. When a
// season comes it is back within a thousand rows.
func TestTheMixtureIsWithdrawnOnAWalkAndComesBackOnASeason(t *testing.T) {
	var withdrawn, rows float64
	for seed := range uint64(3) {
		values := walkAndSeason(seed)
		x := newStream(asked(time.Minute, 15))
		x.follow(2*phase, at(values), func(i int, p []Prediction) {
			checkWithdrawal(t, i, p[0])
			switch away := p[0].Withdrawn != ""; {
			case i >= 1000 && i < phase:
				rows++
				if away {
					withdrawn++
				} else if p[0].Skill.Days > 0.12 {
					t.Fatalf("row %d: on a walk it claims a skill of %.2f", i, p[0].Skill.Days)
				}
			case i >= phase+1000 && away:
				t.Fatalf("row %d, %d rows after a season came: %s", i, i-phase, p[0].Withdrawn)
			}
		})
	}
	t.Logf("withdrawn in %.0f %% of the rows of walks", 100*withdrawn/rows)
	if withdrawn < 0.3*rows {
		t.Errorf("withdrawn in %.0f %% of the rows of walks", 100*withdrawn/rows)
	}
}

// A mixture that lived on a season does not live on its merits when the season ends.
func TestTheMixtureIsGivenUpSoonWhereItFails(t *testing.T) {
	for seed := range uint64(4) {
		x := newStream(asked(time.Minute, 15))
		x.follow(2*phase+1000, at(walkAndSeason(seed)), func(i int, p []Prediction) {
			if k := p[0].Skill; k.Known && k.Hours < -0.3 && p[0].Withdrawn == "" {
				t.Fatalf("row %d, %d after the season: in use with a skill of %+.2f over hours", i, i-2*phase, k.Hours)
			}
		})
	}
}

// checkWithdrawal fails where a Prediction does not say what it comes from, or that without cause.
func checkWithdrawal(t *testing.T, row int, p Prediction) {
	t.Helper()
	switch p.Source {
	case Mixture:
		if p.Withdrawn != "" {
			t.Fatalf("row %d: in use and withdrawn: %+v", row, p)
		}
	case LastValue:
		if !strings.HasPrefix(p.Withdrawn, "does not beat the last value: skill ") || !p.Skill.Known {
			t.Fatalf("row %d: withdrawn with %+v: %s", row, p.Skill, p.Withdrawn)
		}
	default:
		t.Fatalf("row %d: source %q", row, p.Source)
	}
}

// Skill, coverage and bias are those of all forecasts that have come due, discounted.
func TestSkillIsThatOfTheForecastsThatCameDue(t *testing.T) {
	s := asked(time.Minute, 5)
	rng := seeded(5)
	r := newRecord(len(s.Quantiles))
	var forecasts []*Pending
	var actuals []float64
	for range 400 {
		p, actual := due(rng, &s, 1+rng.IntN(3)), 10+rng.NormFloat64()
		forecasts, actuals = append(forecasts, p), append(actuals, actual)
		r.add(&s, p, actual)
	}
	l := newLane(&s, 5)
	l.Skill = r
	got := l.verdict()
	loss := func(halfLife time.Duration, of func(p *Pending, i int) float64) (sum float64) {
		age := 0.0
		for k, p := range slices.Backward(forecasts) {
			for i, q := range s.Quantiles {
				if q >= 0.8 && q < 0.985 {
					sum += float64(p.Rows) * math.Exp2(-age/float64(halfLife)) * pinball(actuals[k], of(p, i), q)
				}
			}
			age += float64(p.Rows) * float64(s.Step)
		}
		return sum
	}
	mixed := func(p *Pending, i int) float64 { return p.Mixed[i] }
	rule := func(e int) func(*Pending, int) float64 {
		return func(p *Pending, i int) float64 { return p.Quantiles[i*numExperts+e] }
	}
	hours, days := 6*time.Hour, 3*24*time.Hour
	for what, pair := range map[string][2]float64{
		"over hours":         {got.Hours, 1 - loss(hours, mixed)/loss(hours, rule(ruleLastValue))},
		"over days":          {got.Days, 1 - loss(days, mixed)/loss(days, rule(ruleLastValue))},
		"against the season": {got.Seasonal, 1 - loss(days, mixed)/loss(days, rule(ruleSeasonalNaive))},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("skill %s is %v, should be %v", what, pair[0], pair[1])
		}
	}
	if got.Due != 400 || !got.Known {
		t.Errorf("%+v", got)
	}
	checkBias(t, &s, got.Bias, forecasts, actuals)
}

func checkBias(t *testing.T, s *Spec, got float64, forecasts []*Pending, actuals []float64) {
	t.Helper()
	var off, all, age float64
	for k, p := range slices.Backward(forecasts) {
		w := float64(p.Rows) * math.Exp2(-age/float64(3*24*time.Hour))
		off += w * (p.Mixed[0] - actuals[k])
		all += w * actuals[k]
		age += float64(p.Rows) * float64(s.Step)
	}
	if math.Abs(got-off/all) > 1e-9 {
		t.Errorf("bias %v, should be %v", got, off/all)
	}
}

// What a Forecaster says of itself is what a caller who keeps account finds.
func TestTheStatedCoverageAndSkillAreTrue(t *testing.T) {
	s := asked(10*time.Minute, 3)
	s.Without = []string{stageWithdrawal}
	rng := seeded(6)
	values := series(12*144+3, func(i int) float64 { return 50 + 30*math.Sin(2*math.Pi*float64(i)/144) + 5*rng.NormFloat64() })
	x := newStream(s)
	covered, own, last, n := make([]float64, 4), 0., 0., 0.
	var told Skill
	x.follow(12*144, at(values), func(i int, p []Prediction) {
		keep := math.Exp2(-float64(s.Step) / float64(3*24*time.Hour))
		actual := values[i+3]
		for k, v := range p[0].Values {
			covered[k] *= keep
			if actual <= v {
				covered[k]++
			}
		}
		n = keep*n + 1
		own = keep*own + pinball(actual, p[0].Values[1], 0.9) + pinball(actual, p[0].Values[2], 0.95)
		last = keep*last + pinball(actual, x.now()[ruleLastValue], 0.9) // about: of one quantile of two
		told = p[0].Skill
	})
	for k := range covered {
		if got := told.Coverage[k]; math.Abs(got-covered[k]/n) > 0.01 {
			t.Errorf("quantile %v: it says it covers %.3f, it covers %.3f", s.Quantiles[k], got, covered[k]/n)
		}
	}
	if told.Days < 0.2 || told.Hours < 0.1 || math.Abs(told.Bias) > 0.05 {
		t.Errorf("on a clear season: %+v, own loss %.3f, of the last value about %.3f", told, own, 1.6*last)
	}
}

// Where no season is known there is none to be compared with.
func TestSkillAgainstTheSeasonIsZeroWhileNoneIsKnown(t *testing.T) {
	x := newStream(asked(10*time.Minute, 1))
	x.follow(140, noise(seeded(7), 50, 5), func(i int, p []Prediction) {
		if p[0].Skill.Seasonal != 0 {
			t.Fatalf("row %d: skill %v against a season of which not one day is known", i, p[0].Skill.Seasonal)
		}
	})
}
