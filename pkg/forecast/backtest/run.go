package backtest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// Forecaster is what a Run asks: a *forecast.Forecaster or a baseline. It is given every row in order of time and owns
// what it has learned of them. It is used by one goroutine, with one Spec.
type Forecaster interface {
	// Observe takes the row that ends at end; NaN is a row of which nothing is known.
	Observe(s *forecast.Spec, end time.Time, value float64)
	// Predict returns one Prediction for each of the Spec's horizons, made at the end of the newest row; nil before the
	// first row of which something is known. The caller may keep it.
	Predict(s *forecast.Spec) []forecast.Prediction
}

// Run is one pass over a series.
type Run struct {
	Series Series
	Spec   forecast.Spec
	// Origins are when forecasts are made, ascending, each the end of a row of the series. What is forecast at an origin
	// rests on the rows that end at or before it and on no other.
	Origins []time.Time
}

// Row is one forecast and what came true of it.
type Row struct {
	// Origin is when it was made, Horizon how far ahead it is for.
	Origin  time.Time
	Horizon time.Duration
	// Values are the quantiles, one for each of the Spec's, in the series' unit.
	Values []float64
	// Actual is what came true, NaN where that is unknown or lies beyond the series.
	Actual float64
	// Source is what the forecast comes from, Withdrawn why it is not the forecaster's own, empty where it is.
	Source, Withdrawn string
	// Weights are the experts' shares, largest first; nil of a forecaster that has none.
	Weights []forecast.Weight
}

// Validate reports every fault of the run.
func (r *Run) Validate() error {
	faults := []error{r.Series.Validate(), r.Spec.Validate()}
	if r.Spec.Step != r.Series.Step {
		faults = append(faults, fmt.Errorf("series %s: its step is %v, that of the spec %v", r.Series.Name, r.Series.Step, r.Spec.Step))
	}
	if !slices.IsSortedFunc(r.Origins, time.Time.Compare) {
		faults = append(faults, fmt.Errorf("series %s: sort the origins by time", r.Series.Name))
	}
	for _, origin := range r.Origins {
		if _, ok := r.Series.Row(origin); !ok {
			faults = append(faults, fmt.Errorf("series %s: no row of %v ends at the origin %v: rows end from %v to %v", r.Series.Name,
				r.Series.Step, origin.UTC(), r.Series.End(0).UTC(), r.Series.End(len(r.Series.Values)-1).UTC()))
			break
		}
	}
	return errors.Join(faults...)
}

// Forecast feeds the series to the forecaster, which must be new, and calls each with every forecast, by origin and then
// by horizon. An origin at which the forecaster knows nothing yet has none. The pass ends with the last origin.
func (r *Run) Forecast(f Forecaster, each func(Row)) error {
	if err := r.Validate(); err != nil {
		return err
	}
	next := 0
	for i, v := range r.Series.Values {
		if next == len(r.Origins) {
			break
		}
		end := r.Series.End(i)
		f.Observe(&r.Spec, end, v)
		for ; next < len(r.Origins) && r.Origins[next].Equal(end); next++ {
			r.predict(f, i, each)
		}
	}
	return nil
}

// predict makes the forecasts at the end of row i.
func (r *Run) predict(f Forecaster, i int, each func(Row)) {
	for _, p := range f.Predict(&r.Spec) {
		ahead := int(p.Horizon / r.Spec.Step)
		each(Row{
			Origin: r.Series.End(i), Horizon: p.Horizon, Values: p.Values,
			Actual: r.Series.Actual(i, ahead, r.Spec.Statistic),
			Source: p.Source, Withdrawn: p.Withdrawn, Weights: p.Weights,
		})
	}
}
