package forecast

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Statistic is what of the coming demand is forecast.
type Statistic string

// The statistics.
const (
	// Value is the value of the row that ends one horizon ahead.
	Value Statistic = "value"
	// Maximum is the largest value of the rows from now to one horizon ahead.
	Maximum Statistic = "max"
)

// Spec says what a Forecaster forecasts. One Forecaster is used with one Spec.
type Spec struct {
	// Step is the length of a row: the interval over which each observed value is a mean.
	Step time.Duration
	// Horizons are how far ahead is forecast, ascending whole multiples of Step.
	Horizons []time.Duration
	// Quantiles are those of the predictive distribution, ascending, each above 0 and below 1.
	Quantiles []float64
	// Statistic is what of the time up to the horizon is forecast; empty means Value.
	Statistic Statistic
	// Calendar is the local time by which seasons go.
	Calendar Calendar
	// Without names Experts and Stages that take no part: for ablations.
	Without []string
}

// Calendar is the local time and the days off that demand follows. The zero value is UTC without holidays.
type Calendar struct {
	// Location is the time zone, nil for UTC. Days begin at its midnight, and its changes of the clock shift seasons.
	Location *time.Location
	// Holidays are the first instants, ascending, of days in Location on which demand is that of a Sunday.
	Holidays []time.Time
}

// Validate reports every fault of the spec.
func (s *Spec) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(s.Step > 0, "step %v: must be positive", s.Step)
	check(len(s.Horizons) > 0, "no horizon")
	for i, h := range s.Horizons {
		check(s.Step > 0 && h > 0 && h%s.Step == 0, "horizon %v: must be a whole multiple of the step %v", h, s.Step)
		check(i == 0 || h > s.Horizons[i-1], "horizon %v: must be above the one before, %v", h, s.Horizons[max(i, 1)-1])
	}
	check(len(s.Quantiles) > 0, "no quantile")
	for i, q := range s.Quantiles {
		check(q > 0 && q < 1, "quantile %v: must lie between 0 and 1", q)
		check(i == 0 || q > s.Quantiles[i-1], "quantile %v: must be above the one before", q)
	}
	for _, name := range s.Without {
		check(slices.Contains(Experts(), name) || slices.Contains(Stages(), name),
			"without %q: no such expert or stage; there are %s and %s", name, strings.Join(Experts(), ", "), strings.Join(Stages(), ", "))
	}
	left := slices.DeleteFunc(Experts(), func(name string) bool { return slices.Contains(s.Without, name) })
	check(len(left) > 0, "without %s: leave at least one expert", strings.Join(s.Without, ", "))
	holidays := s.Calendar.Holidays
	check(slices.IsSortedFunc(holidays, time.Time.Compare), "holidays must be in ascending order")
	check(s.Statistic == "" || s.Statistic == Value || s.Statistic == Maximum, "statistic %q: must be value or max", s.Statistic)
	return errors.Join(faults...)
}

// Prediction is what is expected at one horizon.
type Prediction struct {
	// At is the end of the newest row, Horizon how far ahead the prediction is for.
	At      time.Time
	Horizon time.Duration
	// Values are the quantiles, one for each of the Spec's, ascending; in the series' unit.
	Values []float64
	// LastValue are the quantiles that the last value has by its own errors.
	LastValue []float64
	// Source is Mixture where the experts together are in use and LastValue where they are withdrawn.
	Source string
	// Withdrawn says why the mixture is not in use, empty where it is.
	Withdrawn string
	// Weights are the experts' shares, largest first; they sum to 1.
	Weights []Weight
	// Skill is how the mixture has done at this horizon.
	Skill Skill
}

// Weight is an expert's share in a Prediction, 0 to 1, averaged over the quantiles.
type Weight struct {
	Expert string
	Share  float64
}

// Skill is how the mixture has done of late at one horizon, in forecasts that have come due. Losses are pinball losses
// at the upper quantiles (see tail), discounted.
type Skill struct {
	// Hours and Days are 1 − loss/(loss of the last value) over about the last six hours and the last three days: above
	// zero the mixture is the better one. NaN is never stated: where Known is false they are zero.
	Hours, Days float64
	// Seasonal is the same against the value of one round of the day's clock before, over days; zero while none is known.
	Seasonal float64
	// Known is false while too few forecasts have come due.
	Known bool
	// Coverage is, for each of the Spec's quantiles, the share of due forecasts that were not exceeded, over days.
	Coverage []float64
	// Bias is the mean of (forecast − actual) over the mean of actual, over days; of the quantile nearest the median.
	Bias float64
	// Due is the number of forecasts that have come due.
	Due int
}
