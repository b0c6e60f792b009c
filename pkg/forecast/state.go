package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// Config says what is forecast.
type Config struct {
	// Step is the length of the even steps into which demand is resampled.
	Step time.Duration
	// Quantile is that of Forecast.Upper, 0 to 1.
	Quantile float64
	// Disabled leaves forecasting out of decisions.
	Disabled bool
	// Only fixes the forecaster, for comparisons in replay: LastValue or SeasonalNaive. Empty, as it is in production,
	// leaves the choice between the last value and the autoregressive model to their recent scores.
	Only string
}

const (
	// maxErrors is how many due forecasts the error quantiles rest on.
	maxErrors = 512
	// minErrors is the fewest on which an empirical quantile, or a verdict on skill, can rest.
	minErrors = 20
	// maxError bounds an error, in units of the scale of its time. A change of four times the usual size is a jump: the
	// scale grows with it, and both together would count it twice. A normal error goes beyond it once in a thousand times.
	maxError = 4
	// horizonSlack is how far the lead time may drift before the errors seen at the old one are given up.
	horizonSlack = 0.25
	// maxHorizon bounds the pending forecasts, in steps.
	maxHorizon = 720
	// unbelievable demand, in requests per second, is a fault of what measured it; its square is still a number.
	unbelievable = 1e15
	// minutesADay is the length of the daily profile.
	minutesADay = 24 * 60
)

// Pending is a forecast that has not come due.
type Pending struct {
	// Features are the regression's inputs in units of Level.
	Features [numFeatures]float64
	// Level is the scale of the series then, Last the smoothed last value, Auto the autoregressive point.
	Level, Last, Auto float64
	// Scale is the local volatility by which errors are measured; UpperLast and UpperAuto the quantiles given then.
	Scale, UpperLast, UpperAuto float64
}

// State is what the forecaster of one series has learned: plain data, the zero value knows nothing. It is advanced in
// place; a copy shares its slices.
type State struct {
	// Resampler makes even steps; Steps counts them.
	Resampler timeseries.Resampler
	Steps     int
	// Horizon is how many steps ahead is forecast.
	Horizon int
	// Recent are the newest steps, oldest first, up to four horizons.
	Recent []float64
	// Means are exponentially weighted means over half, one, two and four horizons and Slow one over forty.
	Means [4]float64
	Slow  float64
	// Moves are exponentially weighted means of the size of a change over one horizon, over four and forty horizons.
	Moves [2]float64
	// Day is the mean of each minute of the last day, Known for the minutes seen; Minute collects the present one.
	Day    []float64
	Minute Minute
	// Pending are the forecasts not yet due, oldest first; one for each step.
	Pending []Pending
	// Regression predicts the change over one horizon.
	Regression Regression
	// Last and Auto are the track records of the two models.
	Last, Auto Record
	// UsingAuto is set while the autoregressive model is the better one.
	UsingAuto bool
}

// Minute collects the steps of one minute of the day.
type Minute struct {
	Index    int
	Sum, Num float64
}

// Record is how a model has done: its newest errors in units of the scale of their time, its discounted pinball loss
// and the coverage of its quantile.
type Record struct {
	// Errors are a ring with the next place at Next; Sorted are the same ones in ascending order.
	Errors   []float64
	Next     int
	Sorted   []float64
	Loss     float64
	Covered  float64
	Weight   float64
	Quantile float64
}

// add takes the error of a due forecast; memory is the number of forecasts over which losses are averaged.
func (r *Record) add(actual, point, upper float64, p Pending, c Config, memory float64) {
	r.remember(math.Min((actual-point)/p.Scale, maxError))
	k := 1 - 1/memory
	r.Loss = k*r.Loss + pinball(actual, upper, c.Quantile)
	r.Covered *= k
	if actual <= upper {
		r.Covered++
	}
	r.Weight = k*r.Weight + 1
	r.Quantile = quantile(r.Sorted, c.Quantile)
}

// remember puts an error in the place of the oldest.
func (r *Record) remember(e float64) {
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, e)
	} else {
		oldest, _ := slices.BinarySearch(r.Sorted, r.Errors[r.Next])
		r.Sorted = slices.Delete(r.Sorted, oldest, oldest+1)
		r.Errors[r.Next] = e
	}
	r.Next = (r.Next + 1) % maxErrors
	place, _ := slices.BinarySearch(r.Sorted, e)
	r.Sorted = slices.Insert(r.Sorted, place, e)
}

// loss returns the mean pinball loss.
func (r *Record) loss() float64 { return r.Loss / math.Max(r.Weight, 1e-12) }

// pinball is the quantile loss: what an upper bound costs, too low being q/(1−q) times as dear as too high.
func pinball(actual, upper, q float64) float64 {
	if d := actual - upper; d > 0 {
		return q * d
	}
	return (1 - q) * (upper - actual)
}
