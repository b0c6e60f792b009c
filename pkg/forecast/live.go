package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// SeasonalNaive expects what was a day before, and the last value while no day is known. It is no choice of ours.
const SeasonalNaive = "seasonal-naive"

// Config says what is forecast of a target's demand.
type Config struct {
	// Step is the time between two observations of demand.
	Step time.Duration
	// Quantile is that of Forecast.Upper, 0 to 1.
	Quantile float64
	// Disabled leaves forecasting out of decisions.
	Disabled bool
	// Calendar is the local time by which demand goes.
	Calendar Calendar
	// Only fixes the forecaster, for comparisons in replay: one of Experts. Empty, as it is in production, leaves the
	// choice to their recent scores.
	Only string
}

// Forecast is what is expected of demand at one instant ahead, in the unit of the series (requests per second).
type Forecast struct {
	// At is the instant it is made, Horizon how far ahead it looks; Horizon zero means that there is no forecast.
	At      time.Time
	Horizon time.Duration
	// Point is the median, Upper the Quantile (0 to 1). Upper is never below Point.
	Point, Upper, Quantile float64
	// Model is what it comes from: Mixture, or LastValue where the mixture is withdrawn.
	Model string
	// Withdrawn says why the mixture is not in use, empty where it is.
	Withdrawn string
	// Weights are the experts' shares in the mixture, largest first; they sum to 1.
	Weights []Weight
	// Skill is how the mixture has done; its Coverage is of Quantiles, the last of which is Quantile.
	Skill     Skill
	Quantiles []float64
}

// Known reports whether there is a forecast at all.
func (f Forecast) Known() bool { return f.Horizon > 0 }

// Coverage is the share of due forecasts whose Upper was not exceeded; it should come out near Quantile.
func (f Forecast) Coverage() float64 {
	if n := len(f.Skill.Coverage); n > 0 {
		return f.Skill.Coverage[n-1]
	}
	return 0
}

const (
	// rowsPerHorizon is how finely the time to the horizon is divided: the noise of single seconds is the business of
	// staffing, and would be paid for twice. longestRow bounds it: seasons are seen by the minute.
	rowsPerHorizon = 4
	longestRow     = time.Minute
	// horizonSlack is how far the lead time may drift before the errors seen at the old one are given up.
	horizonSlack = 0.25
	// maxHorizon bounds the horizon, in rows.
	maxHorizon = 360
	// staleRows is the age in rows at which a forecast is too old to be told.
	staleRows = 3
	// relearned is the span from which errors are learned anew for a new horizon; levels and seasons are from all that
	// is kept.
	relearned = 2 * 24 * time.Hour
)

// State is what the forecaster of one target's demand has learned: plain data, the zero value knows nothing. It is
// advanced in place; a copy shares its slices.
type State struct {
	// Resampler makes the even rows that Forecaster observes.
	Resampler timeseries.Resampler
	// Rows is the number of rows of the horizon, zero before the first one, Quantile the Config's.
	Rows       int
	Quantile   float64
	Forecaster Forecaster
	// Doubtful is set while the newest demand was too large to believe before another one confirms it.
	Doubtful bool
	// Newest is the forecast from the newest row.
	Newest Forecast
}

// Advance takes demand, the mean rate since the previous call, and returns what is expected one horizon ahead. The
// horizon is rounded up to whole rows, of which it has about four, each of at least a Step and at most a minute; it
// keeps the one in use while it drifts by less than a quarter, since errors are learned for one horizon. A demand that
// no load can be (negative, not finite, beyond believing) is left out as Skip does.
func (s *State) Advance(now time.Time, demand float64, horizon time.Duration, c Config) Forecast {
	s.follow(now)
	s.setHorizon(horizon, c)
	if s.Forecaster.believes(demand, &s.Doubtful) {
		s.take(now, demand, c)
	} else {
		s.Skip(now)
	}
	if now.Sub(s.Newest.At) > staleRows*s.Resampler.Step {
		s.Newest = Forecast{} // made before a gap
	}
	if !s.Newest.Known() {
		return Forecast{At: now}
	}
	return s.Newest
}

// follow goes back with a clock that was set back: what was observed stays, later times are forgotten.
func (s *State) follow(now time.Time) {
	if s.Resampler.At.Sub(now) <= s.Resampler.Step || s.Resampler.At.IsZero() {
		return
	}
	s.Resampler = timeseries.Resampler{Step: s.Resampler.Step, At: now}
	s.Forecaster.End = now.Truncate(s.Resampler.Step)
	s.Newest = Forecast{}
}

// take resamples demand and goes through the rows that have come to their end, the last of them not after now.
func (s *State) take(now time.Time, demand float64, c Config) {
	step := s.Resampler.Step
	rows := s.Resampler.Add(now, demand, 4*s.Rows)
	first := now.Truncate(step).Add(-time.Duration(len(rows)) * step)
	spec := s.spec(c)
	for i, y := range rows {
		s.Forecaster.Observe(&spec, first.Add(time.Duration(i+1)*step), y)
	}
	if len(rows) > 0 && s.Forecaster.Seen > 0 {
		s.Newest = s.predict(&spec, c)
	}
}

// Skip tells that nothing is known of demand up to now: the time is left out.
func (s *State) Skip(now time.Time) {
	s.follow(now)
	if now.After(s.Resampler.At) && !s.Resampler.At.IsZero() {
		s.Resampler.At = now
		s.Resampler.Sum, s.Resampler.Known = 0, 0
	}
}

// spec is what the Forecaster is asked.
func (s *State) spec(c Config) Spec {
	step := s.Resampler.Step
	out := Spec{Step: step, Horizons: []time.Duration{time.Duration(s.Rows) * step}, Quantiles: []float64{0.5, c.Quantile}, Calendar: c.Calendar}
	if c.Quantile <= 0.5 {
		out.Quantiles = out.Quantiles[1:]
	}
	if c.Only != "" {
		out.Without = slices.DeleteFunc(append(Experts(), stageWithdrawal), func(name string) bool { return name == c.Only })
	}
	return out
}

func (s *State) predict(spec *Spec, c Config) Forecast {
	p := s.Forecaster.Predict(spec)[0]
	upper := p.Values[len(p.Values)-1]
	f := Forecast{
		At: p.At, Horizon: p.Horizon, Point: p.Values[0], Upper: upper, Quantile: c.Quantile,
		Model: p.Source, Withdrawn: p.Withdrawn, Weights: p.Weights, Skill: p.Skill, Quantiles: spec.Quantiles,
	}
	if c.Only != "" {
		f.Model = c.Only
	}
	return f
}

// setHorizon divides the horizon into rows, unless it is about the one in use.
func (s *State) setHorizon(horizon time.Duration, c Config) {
	used := time.Duration(s.Rows) * s.Resampler.Step
	if drift := math.Abs(float64(horizon - used)); s.Rows > 0 && drift <= horizonSlack*float64(used) && s.Quantile == c.Quantile {
		return
	}
	steps := max(1, min(horizon/rowsPerHorizon, longestRow)/c.Step)
	step := steps * c.Step
	rows := min(max(1, int(math.Ceil(float64(horizon)/float64(step)))), maxHorizon)
	if rows == s.Rows && step == s.Resampler.Step && s.Quantile == c.Quantile {
		return
	}
	s.relearn(step, rows, c)
}

// relearn begins a forecaster of another horizon with what is known of the past.
func (s *State) relearn(step time.Duration, rows int, c Config) {
	old := s.Forecaster
	oldStep := s.Resampler.Step
	s.Rows, s.Quantile, s.Forecaster, s.Newest = rows, c.Quantile, Forecaster{}, Forecast{}
	s.Resampler = timeseries.Resampler{Step: step, At: s.Resampler.At}
	if old.Seen == 0 {
		return
	}
	spec := s.spec(c)
	from := timeseries.Resampler{Step: step}
	end := old.End.Add(-time.Duration(len(old.Past.Values)) * oldStep)
	var lanes []Lane
	for i := range old.Past.Values {
		end = end.Add(oldStep)
		v := float64(old.Past.at(i))
		if v < 0 {
			continue // the gap shows in the time of the next
		}
		if lanes != nil && old.End.Sub(end) < relearned {
			s.Forecaster.Lanes, lanes = lanes, nil
		}
		if !from.At.IsZero() && end.Sub(from.At) > oldStep {
			from = timeseries.Resampler{Step: step, At: end.Add(-oldStep)}
		} else if from.At.IsZero() {
			from.At = end.Add(-oldStep)
		}
		means := from.Add(end, v, int(oldStep/step)+2)
		first := end.Truncate(step).Add(-time.Duration(len(means)) * step)
		for k, y := range means {
			s.Forecaster.Observe(&spec, first.Add(time.Duration(k+1)*step), y)
			if lanes == nil && s.Forecaster.Seen == 1 && old.End.Sub(end) >= relearned {
				lanes, s.Forecaster.Lanes = s.Forecaster.Lanes, []Lane{}
			}
		}
	}
	if lanes != nil {
		s.Forecaster.Lanes = lanes
	}
	if s.Forecaster.Seen > 0 {
		s.Newest = s.predict(&spec, c)
	}
}
