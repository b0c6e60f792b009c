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
	// Scale multiplies what is forecast, to try what a wrong forecast costs; zero changes nothing.
	Scale float64
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
	// Values are the quantiles of the predictive distribution, ascending, of the levels Quantiles, Quantile among them.
	Values, Quantiles []float64
	// Skill is how the mixture has done; its Coverage is of Quantiles.
	Skill Skill
}

// Known reports whether there is a forecast at all.
func (f Forecast) Known() bool { return f.Horizon > 0 }

// Coverage is the share of due forecasts whose Upper was not exceeded; it should come out near Quantile.
func (f Forecast) Coverage() float64 {
	i := slices.Index(f.Quantiles, f.Quantile)
	if i < 0 || i >= len(f.Skill.Coverage) {
		return 0
	}
	return f.Skill.Coverage[i]
}

const (
	// rowsPerHorizon is how finely the time to the horizon is divided: the noise of single seconds is the business of
	// staffing, and would be paid for twice. longestRow bounds it: seasons are seen by the minute.
	rowsPerHorizon = 4
	longestRow     = time.Minute
	// horizonSlack is how far the lead time may drift before the errors seen at the old one are given up.
	horizonSlack = 0.12
	// maxHorizon bounds the horizon, in rows.
	maxHorizon = 360
	// staleRows is the age in rows at which a forecast is too old to be told.
	staleRows = 3
	// relearned and relearnedRows bound the past from which errors are learned anew for a new horizon; seasons are from
	// all that is kept. A change waits until relearnPause after the one before, once there is much to learn from.
	relearned     = 2 * 24 * time.Hour
	relearnedRows = 2880
	relearnPause  = time.Hour
	// farAhead is a step of the clock that is only believed when the next time confirms it.
	farAhead = 3 * 24 * time.Hour
)

// State is what the forecaster of one target's demand has learned: plain data, the zero value knows nothing. It is
// advanced in place; a copy shares its slices.
type State struct {
	// Resampler makes the even rows that Forecaster observes.
	Resampler timeseries.Resampler
	// Rows is the number of rows of the horizon, zero before the first one; Quantile and Zone are the Config's quantile and
	// the name of its time zone.
	Rows       int
	Quantile   float64
	Zone       string
	Forecaster Forecaster
	// Doubted is the last demand that was too large to believe at once, Ahead a time that was too far ahead.
	Doubted float64
	Ahead   time.Time
	// Relearned is when the horizon was changed last.
	Relearned time.Time
	// Newest is the forecast from the newest row.
	Newest Forecast
}

// Advance takes demand, the mean rate since the previous call, and returns what is expected one horizon ahead. The
// horizon is rounded up to whole rows, of which it has about four, each of at least a Step and, where a Step is no longer,
// at most a minute; it keeps the one in use while it drifts by less than an eighth, since errors are learned for one
// horizon. A demand that no load can be (negative, not finite, beyond believing) is left out as Skip does.
func (s *State) Advance(now time.Time, demand float64, horizon time.Duration, c Config) Forecast {
	now = now.Round(0) // a wall clock may be set, the monotonic one would hide it
	if !s.follow(now) {
		return Forecast{At: now}
	}
	s.setHorizon(now, horizon, c)
	if s.Forecaster.believes(demand, &s.Doubted) {
		s.Forecaster.Doubted = s.Doubted // what is confirmed is not doubted again as a row
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

// follow goes with a clock that was set: back, where later times are forgotten, or far ahead, which is believed the
// second time. It reports whether now can be gone on from.
func (s *State) follow(now time.Time) bool {
	switch at, step := s.Resampler.At, s.Resampler.Step; {
	case at.IsZero():
	case now.Sub(at) > farAhead:
		confirmed := !s.Ahead.IsZero() && now.Sub(s.Ahead).Abs() < farAhead
		if s.Ahead = now; !confirmed {
			return false
		}
	case at.Sub(now) > step:
		s.Resampler = timeseries.Resampler{Step: step, At: now}
		s.Forecaster.forget(now.Truncate(step), step)
		s.Newest = Forecast{}
	}
	s.Ahead = time.Time{}
	return true
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
	now = now.Round(0)
	if s.follow(now) && now.After(s.Resampler.At) && !s.Resampler.At.IsZero() {
		s.Resampler.At = now
		s.Resampler.Sum, s.Resampler.Known = 0, 0
	}
}

// spec is what the Forecaster is asked.
func (s *State) spec(c Config) Spec {
	step := s.Resampler.Step
	out := Spec{Step: step, Horizons: []time.Duration{time.Duration(s.Rows) * step}, Quantiles: levels(c.Quantile), Calendar: c.Calendar}
	if c.Only != "" {
		out.Without = slices.DeleteFunc(append(Experts(), stageWithdrawal), func(name string) bool { return name == c.Only })
	}
	return out
}

// levels are the quantiles that a decision is made of, ascending, the one that is told among them. Replicas are a matter of
// the upper half; further out there is too little to learn from.
func levels(told float64) []float64 {
	out := []float64{0.5, 0.9, 0.97}
	if slices.Contains(out, told) {
		return out
	}
	out = append(out, told)
	slices.Sort(out)
	return out
}

func (s *State) predict(spec *Spec, c Config) Forecast {
	p := s.Forecaster.Predict(spec)[0]
	values := slices.Clone(p.Values)
	median := slices.Index(spec.Quantiles, 0.5)
	for i := range values {
		if i > median && !p.Skill.Known && c.Only == "" {
			values[i] = math.Max(values[i], p.LastValue[i]) // replicas are not saved on a forecast nobody knows yet
		}
		if c.Scale > 0 {
			values[i] *= c.Scale
		}
	}
	upper := math.Max(values[slices.Index(spec.Quantiles, c.Quantile)], values[median])
	f := Forecast{
		At: p.At, Horizon: p.Horizon, Point: values[median], Upper: upper, Quantile: c.Quantile,
		Model: p.Source, Withdrawn: p.Withdrawn, Weights: p.Weights, Skill: p.Skill, Values: values, Quantiles: spec.Quantiles,
	}
	if c.Only != "" {
		f.Model = c.Only
	}
	return f
}

// setHorizon divides the horizon into rows, unless it is about the one in use.
func (s *State) setHorizon(now time.Time, horizon time.Duration, c Config) {
	zone := c.Calendar.Location.String() // of nil: UTC
	same := s.Quantile == c.Quantile && s.Zone == zone
	used := time.Duration(s.Rows) * s.Resampler.Step
	if drift := math.Abs(float64(horizon - used)); s.Rows > 0 && drift <= horizonSlack*float64(used) && same {
		return
	}
	step := rowStep(horizon, c.Step)
	rows := min(max(1, int(math.Ceil(float64(horizon)/float64(step)))), maxHorizon)
	if rows == s.Rows && step == s.Resampler.Step && same {
		return
	}
	if same && s.Forecaster.Known > relearnedRows && now.Sub(s.Relearned) < relearnPause {
		return
	}
	s.Quantile, s.Zone, s.Relearned = c.Quantile, zone, now
	s.relearn(step, rows, c)
}

// rowStep is the length of a row: as many ticks as are at most a quarter of the horizon and a minute, and go into an
// hour where any number of them does, so that what comes at a minute of the hour comes in one row.
func rowStep(horizon, tick time.Duration) time.Duration {
	most := max(1, int(min(horizon/rowsPerHorizon, longestRow)/tick))
	for n := most; n > 0; n-- {
		if step := time.Duration(n) * tick; time.Hour%step == 0 {
			return step
		}
	}
	return time.Duration(most) * tick
}

// relearn begins a forecaster of another horizon with what is known of the past.
func (s *State) relearn(step time.Duration, rows int, c Config) {
	old, oldStep := s.Forecaster, s.Resampler.Step
	s.Rows, s.Forecaster, s.Newest = rows, Forecaster{}, Forecast{}
	s.Resampler = timeseries.Resampler{Step: step, At: s.Resampler.At}
	if old.Known == 0 {
		return
	}
	spec := s.spec(c)
	late := old.End.Add(-min(relearned, relearnedRows*step))
	old.retell(oldStep, step, func(end time.Time, v float64) {
		if end.Before(late) {
			s.Forecaster.remember(&spec, end, v)
		} else {
			s.Forecaster.Observe(&spec, end, v)
		}
	})
	if s.Forecaster.Seen > 0 {
		s.Newest = s.predict(&spec, c)
	}
}

// retell tells the rows of the past that are known as rows of another step.
func (f *Forecaster) retell(from, to time.Duration, tell func(end time.Time, v float64)) {
	means := timeseries.Resampler{Step: to}
	n := len(f.Past.Values)
	for i := range n {
		v, end := float64(f.Past.at(i)), f.End.Add(-time.Duration(n-1-i)*from)
		if v < 0 {
			continue // the gap shows in the time of the next
		}
		if begin := end.Add(-from); !means.At.Equal(begin) {
			means = timeseries.Resampler{Step: to, At: begin}
		}
		rows := means.Add(end, v, int(from/to)+2)
		first := end.Truncate(to).Add(-time.Duration(len(rows)) * to)
		for k, y := range rows {
			tell(first.Add(time.Duration(k+1)*to), y)
		}
	}
}
