package forecast

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Names of the models.
const (
	// LastValue expects what was of late.
	LastValue = "last-value"
	// SeasonalNaive expects what was a day before, and the last value while no day is known. It is no choice of ours.
	SeasonalNaive  = "seasonal-naive"
	autoregressive = "autoregressive"
)

// predict makes the forecast of the step that ends at end.
func (s *State) predict(end time.Time, c Config) Pending {
	last := s.smoothedLast()
	p := Pending{Last: last, Level: math.Max(s.Slow, 1e-9), Scale: s.scale(c)}
	p.Features = s.features(end, last, p.Level, c)
	most := s.most()
	p.Auto = bounded(last+p.Level*s.Regression.predict(p.Features), most)
	if c.Only == SeasonalNaive {
		p.Auto = s.dayBefore(end, last, c)
	}
	p.UpperLast = s.upper(&s.Last, p.Last, p.Scale, most, c)
	p.UpperAuto = s.upper(&s.Auto, p.Auto, p.Scale, most, c)
	return p
}

// smoothedLast is the mean of the newest quarter of a horizon: one step is too noisy a last value for a fair rival.
func (s *State) smoothedLast() float64 {
	n := min(s.quarter(), len(s.Recent))
	var sum float64
	for _, y := range s.Recent[len(s.Recent)-n:] {
		sum += y
	}
	return sum / float64(n)
}

// quarter is a quarter of a horizon, in steps.
func (s *State) quarter() int { return max(1, s.Horizon/4) }

// poisson is the standard deviation of a Poisson stream's rate averaged over a quarter of a horizon.
func (s *State) poisson(rate float64, c Config) float64 {
	return math.Sqrt(math.Max(rate, 0) / (float64(s.quarter()) * c.Step.Seconds()))
}

// features are what the change over the next horizon is regressed on, each relative to the last value and in units of
// the level: four running means (reversion), two past changes (trend and its bend), and the change that the last day
// saw over the same span of the clock, by difference and against yesterday's level (season; zero until a day is
// known).
func (s *State) features(end time.Time, last, level float64, c Config) [numFeatures]float64 {
	var x [numFeatures]float64
	for i, m := range s.Means {
		x[i] = (m - last) / level
	}
	if one, ok := s.ago(s.Horizon); ok {
		x[4] = (last - one) / level
		if two, ok := s.ago(2 * s.Horizon); ok {
			x[5] = (one - two) / level
		}
	}
	ahead, okA := s.yesterday(end.Add(time.Duration(s.Horizon) * c.Step))
	here, okH := s.yesterday(end)
	if okA && okH {
		x[6] = (ahead - here) / level
		x[7] = (ahead - last) / level
	}
	return x
}

// dayBefore is the value of a day before the instant one horizon after end, the last value where it is not known.
func (s *State) dayBefore(end time.Time, last float64, c Config) float64 {
	if y, ok := s.yesterday(end.Add(time.Duration(s.Horizon) * c.Step)); ok {
		return y
	}
	return last
}

// bounded keeps a point forecast within what can be believed: from nothing to twice the most seen of late.
func bounded(point, most float64) float64 {
	return math.Min(math.Max(point, 0), 2*most)
}

// most is the largest value of late: of the newest steps and of the last day's minutes.
func (s *State) most() float64 {
	most := slices.Max(s.Recent)
	for _, v := range s.Day {
		if v > most { // not math.Max, which costs a tenth of a tick here
			most = v
		}
	}
	return most
}

// scale is the local volatility: the mean size of a change over one horizon, of late and for longer, and 2 % of the
// level so that it is never nothing. Errors relative to it are far more alike than raw ones, which makes their
// quantile hold through quiet and busy hours.
func (s *State) scale(c Config) float64 {
	return 0.5*s.Moves[0] + 0.5*s.Moves[1] + 0.02*s.Slow + 0.1*s.poisson(s.Slow, c) + 1e-9
}

// prejudice is the upper quantile of a service that has not been seen for long, as a multiple of the point. On recorded
// series last value × 1.2 covers 0.79 of what comes, where 0.9 is wanted.
const prejudice = 1.3

// upper returns the quantile around a point: by the errors seen, once there are enough, and until then by three tenths
// of the point and the noise of a Poisson stream, whichever is more. Errors seen are believed up to twice the most seen of
// late: relative to a quiet hour's scale the first busy minute is an error of many thousand, which says nothing of the
// busy hour that follows.
func (s *State) upper(r *Record, point, scale, most float64, c Config) float64 {
	const z = 1.8 // normal quantile at 0.9, times √2: both the present and the coming value are noisy
	unseen := math.Max(prejudice*point, point+z*s.poisson(point, c))
	if len(r.Errors) < minErrors {
		return unseen
	}
	seen := math.Max(point, math.Min(point+scale*r.Quantile, math.Max(unseen, 2*most)))
	w := s.experience()
	return (1-w)*unseen + w*seen
}

// experience is how much the errors seen are worth, 0 to 1. Forecasts made at every step overlap, so that only one a
// horizon tells something new: a service that was switched on two horizons ago has seen its start and little else.
func (s *State) experience() float64 {
	const half = 4 // horizons after which errors and prejudice weigh the same
	horizons := math.Max(0, float64(s.Steps)/float64(s.Horizon)-2)
	return horizons / (horizons + half)
}

// quantile returns the conformal rank quantile of ascending errors, the ⌈(n+1)q⌉-th smallest.
func quantile(sorted []float64, q float64) float64 {
	rank := int(math.Ceil(float64(len(sorted)+1) * q))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// forecast states the newest prediction as the model in use has it.
func (s *State) forecast(now time.Time, p Pending, c Config) Forecast {
	f := Forecast{
		At: now, Horizon: time.Duration(s.Horizon) * c.Step, Quantile: c.Quantile,
		Point: p.Last, Upper: p.UpperLast, Model: LastValue,
	}
	record := &s.Last
	if s.UsingAuto || c.Only == SeasonalNaive {
		f.Point, f.Upper, f.Model = p.Auto, p.UpperAuto, cmp.Or(c.Only, autoregressive)
		record = &s.Auto
	}
	f.Errors = len(record.Errors)
	f.Coverage = record.Covered / math.Max(record.Weight, 1)
	if c.Only != "" {
		return f
	}
	if need := minErrors + s.Horizon; len(s.Auto.Errors) < need {
		f.Withdrawn = fmt.Sprintf("%d of %d forecasts have come due", len(s.Auto.Errors), need)
		return f
	}
	f.SkillKnown = true
	f.Skill = 1 - s.Auto.loss()/math.Max(s.Last.loss(), 1e-12)
	if !s.UsingAuto {
		f.Withdrawn = fmt.Sprintf("does not beat the last value: skill %+.3f", f.Skill)
	}
	return f
}
