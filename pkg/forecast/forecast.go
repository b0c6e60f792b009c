// Package forecast says what demand will be one lead time ahead, as a quantile and not only as a point, and whether
// it knows better than the last value.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness. A State is plain data; all that a
// forecaster has learned is in it.
package forecast

import "time"

// Forecast is what is expected of demand at one instant ahead, in the unit of the series (requests per second).
type Forecast struct {
	// At is the instant it is made, Horizon how far ahead it looks; Horizon zero means that there is no forecast.
	At      time.Time
	Horizon time.Duration
	// Point is the expected value, Upper the Quantile of it (0 to 1). Upper is never below Point.
	Point, Upper, Quantile float64
	// Model is the name of the forecaster in use: "last-value" or "autoregressive".
	Model string
	// Withdrawn says why the autoregressive model is not in use, empty where it is.
	Withdrawn string
	// Skill is 1 − (pinball loss of the autoregressive model / that of the last value) over the recent past: above
	// zero it is the better one. SkillKnown is false where too few forecasts have come due to tell.
	Skill      float64
	SkillKnown bool
	// Coverage is the share of due forecasts whose Upper was not exceeded; it should come out near Quantile.
	Coverage float64
	// Errors is the number of forecasts that have come due and on whose errors Upper rests.
	Errors int
}

// Known reports whether there is a forecast at all.
func (f Forecast) Known() bool { return f.Horizon > 0 }
