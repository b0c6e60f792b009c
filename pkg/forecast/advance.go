package forecast

import (
	"math"
	"slices"
	"time"
)

// Advance takes demand, the mean rate since the previous call, and returns what is expected one horizon ahead. The
// horizon is rounded up to whole steps; it keeps the one in use while it drifts by less than a quarter, since errors
// are learned for one horizon. A demand that no load can be (negative, not finite, beyond believing) is left out as Skip
// does.
func (s *State) Advance(now time.Time, demand float64, horizon time.Duration, c Config) Forecast {
	s.Resampler.Step = c.Step
	s.setHorizon(horizon, c)
	if demand >= 0 && demand < unbelievable {
		s.take(now, demand, c)
	} else {
		s.Skip(now)
	}
	if len(s.Pending) == 0 {
		return Forecast{At: now}
	}
	return s.forecast(now, s.Pending[len(s.Pending)-1], c)
}

// take resamples demand and goes through the steps that have come to their end, the last of them not after now.
func (s *State) take(now time.Time, demand float64, c Config) {
	steps := s.Resampler.Add(now, demand, 4*s.Horizon)
	first := now.Truncate(c.Step).Add(-time.Duration(len(steps)) * c.Step)
	for i, y := range steps {
		if s.Steps == 0 && y <= 0 {
			continue // before the first demand there was nothing to forecast, and no error to learn from
		}
		s.step(first.Add(time.Duration(i+1)*c.Step), y, c)
	}
}

// Skip tells that nothing is known of demand up to now: the time is left out, as if it had not been.
func (s *State) Skip(now time.Time) {
	if now.After(s.Resampler.At) && !s.Resampler.At.IsZero() {
		s.Resampler.At = now
		s.Resampler.Sum, s.Resampler.Known = 0, 0
	}
}

func (s *State) setHorizon(horizon time.Duration, c Config) {
	h := min(max(1, int(math.Ceil(float64(horizon)/float64(c.Step)))), maxHorizon)
	if drift := math.Abs(float64(h - s.Horizon)); s.Horizon > 0 && drift <= horizonSlack*float64(s.Horizon) {
		return
	}
	s.Horizon = h
	s.Pending, s.Last, s.Auto, s.UsingAuto = nil, Record{}, Record{}, false
}

// step takes one step's mean: scores the forecast that has come due, learns from it, and makes the next one. Forecasts
// are of demand averaged over a quarter of a horizon: the noise of single steps is the business of staffing, and would
// be paid for twice.
func (s *State) step(end time.Time, y float64, c Config) {
	s.remember(end, y)
	s.Steps++
	if len(s.Pending) >= s.Horizon {
		if s.Steps > 2*s.Horizon { // what was forecast in the first horizon, while a new service filled, was no forecast
			s.score(s.smoothedLast(), s.Pending[0], c)
		}
		s.Pending = append(s.Pending[:0], s.Pending[1:]...)
	}
	s.Pending = append(s.Pending, s.predict(end, c))
}

func (s *State) score(actual float64, p Pending, c Config) {
	h := float64(s.Horizon)
	memory := math.Max(100, 20*h)
	s.Last.add(actual, p.Last, p.UpperLast, p, c, memory)
	s.Auto.add(actual, p.Auto, p.UpperAuto, p, c, memory)
	s.Regression.learn(p.Features, (actual-p.Last)/p.Level, math.Pow(forgetting, 1/h))
	s.choose(c)
}

// choose switches to the autoregressive model when its recent loss is 2 % below that of the last value, and away from
// it as soon as it is above.
func (s *State) choose(c Config) {
	if c.Only != "" || len(s.Auto.Errors) < minErrors+s.Horizon {
		s.UsingAuto = false
		return
	}
	ratio := s.Auto.loss() / math.Max(s.Last.loss(), 1e-12)
	switch {
	case ratio < 0.98:
		s.UsingAuto = true
	case ratio > 1:
		s.UsingAuto = false
	}
}

// remember takes a step into the running statistics.
func (s *State) remember(end time.Time, y float64) {
	h := float64(s.Horizon)
	first := s.Steps == 0
	for i, span := range [...]float64{h / 2, h, 2 * h, 4 * h} {
		s.Means[i] = ewma(s.Means[i], y, span, first)
	}
	s.Slow = ewma(s.Slow, y, 40*h, first)
	if s.Recent = append(s.Recent, y); len(s.Recent) > 4*s.Horizon {
		s.Recent = append(s.Recent[:0], s.Recent[len(s.Recent)-4*s.Horizon:]...)
	}
	if before, ok := s.ago(s.Horizon); ok {
		started := s.Moves == [2]float64{}
		move := math.Abs(y - before)
		s.Moves[0] = ewma(s.Moves[0], move, 4*h, started)
		s.Moves[1] = ewma(s.Moves[1], move, 40*h, started)
	}
	s.profile(end, y)
}

// ewma is the exponentially weighted mean over about span steps.
func ewma(mean, y, span float64, first bool) float64 {
	if first {
		return y
	}
	return mean + (y-mean)/math.Max(1, span)
}

// ago returns the value n steps before the newest.
func (s *State) ago(n int) (float64, bool) {
	if n >= len(s.Recent) {
		return 0, false
	}
	return s.Recent[len(s.Recent)-1-n], true
}

// profile keeps the mean of each minute of the last day.
func (s *State) profile(end time.Time, y float64) {
	index := minuteOfDay(end)
	if s.Minute.Num > 0 && index != s.Minute.Index {
		if s.Day == nil {
			s.Day = slices.Repeat([]float64{-1}, minutesADay) // -1: a minute not seen
		}
		s.Day[s.Minute.Index] = s.Minute.Sum / s.Minute.Num
		s.Minute = Minute{}
	}
	s.Minute.Index = index
	s.Minute.Sum += y
	s.Minute.Num++
}

// minuteOfDay is that of the UTC day, also before 1970.
func minuteOfDay(t time.Time) int {
	return int((t.Unix()/60%minutesADay + minutesADay) % minutesADay)
}

// yesterday returns the mean of the minutes of the day around t as they were up to a day ago, false where not seen.
func (s *State) yesterday(t time.Time) (float64, bool) {
	if s.Day == nil {
		return 0, false
	}
	var sum, n float64
	for d := -2; d <= 2; d++ {
		if v := s.Day[(minuteOfDay(t)+d+minutesADay)%minutesADay]; v >= 0 {
			sum, n = sum+v, n+1
		}
	}
	return sum / math.Max(n, 1), n >= 3
}
