package backtest

import (
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// The baselines, none of which learns anything but its own errors.
const (
	// LastValue is the last known row: the reference of every Ratio, "naive_conf" in the literature of this project.
	LastValue = forecast.LastValue
	// RecentMean is the mean of the last 30 minutes, of at least 3 rows.
	RecentMean = "recent-mean"
	// SeasonalDay is the value of one day before, SeasonalWeek of one week before, or one day where that is unknown; both are
	// the last value where that is unknown too. Days are of 24 hours: they know no time zone.
	SeasonalDay  = "seasonal-day"
	SeasonalWeek = "seasonal-week"
	// Drift is the last value and, for each row ahead, the mean change per row since the first one.
	Drift = "drift"
)

// A residual is remembered for a week, of at most maxResiduals rows.
const (
	residualSpan = 7 * 24 * time.Hour
	maxResiduals = 4000
)

// Baselines are the names of the baselines, the reference first.
func Baselines() []string { return []string{LastValue, RecentMean, SeasonalDay, SeasonalWeek, Drift} }

// Baseline is a rule for a point, and quantiles of it: the point plus the conformal rank quantile, the ceil((m+1)q)-th
// smallest, of the m errors that the rule made at this horizon on the rows of the last 7 days, at most 4000. Of the
// statistic max the errors are those of the largest row up to the horizon. An error counts where the row that the point
// was made at is known and the rows that it was for are. With m too small for a rank the largest error stands in, so that
// a new series is covered less often than it should be; with no error at all every quantile is the point: the rule itself
// knows of no spread. Quantiles are never below zero.
//
// A copy shares its slices. It is a Forecaster.
type Baseline struct {
	name    string
	rule    rule
	history history
	tracks  []track
}

// track is what is kept for one horizon.
type track struct {
	ahead   int
	pending []float64 // ring of the points made at the last ahead rows, NaN at unknown rows
	errors  window
}

// NewBaseline returns the baseline of that name, nil where there is none. It knows nothing yet.
func NewBaseline(name string) *Baseline {
	rules := map[string]rule{
		LastValue: lastValue, RecentMean: recentMean, SeasonalDay: seasonalDay, SeasonalWeek: seasonalWeek, Drift: drift,
	}
	if rules[name] == nil {
		return nil
	}
	return &Baseline{name: name, rule: rules[name]}
}

// Observe takes a row. Rows left out are unknown rows; a row that ends no later than the newest is dropped.
func (b *Baseline) Observe(s *forecast.Spec, end time.Time, value float64) {
	if b.tracks == nil {
		b.start(s)
	}
	if b.history.n > 0 {
		missing := int(end.Sub(b.history.end)/s.Step) - 1
		if missing < 0 {
			return
		}
		for i := min(missing, len(b.history.rows)); i > 0; i-- { // what is older is forgotten by then
			b.push(s, end.Add(-time.Duration(i)*s.Step), math.NaN())
		}
	}
	b.push(s, end, value)
}

// start makes room: for a week of rows, which seasons need and residuals do not exceed, and for the longest horizon.
func (b *Baseline) start(s *forecast.Spec) {
	longest := int(slices.Max(s.Horizons) / s.Step)
	week := int(residualSpan/s.Step) + 1
	b.history = history{rows: make([]float64, week+longest), step: s.Step}
	for _, h := range s.Horizons {
		ahead := int(h / s.Step)
		t := track{ahead: ahead, pending: make([]float64, ahead), errors: newWindow(min(maxResiduals, week-1))}
		for i := range t.pending {
			t.pending[i] = math.NaN()
		}
		b.tracks = append(b.tracks, t)
	}
}

// push takes the next row of the grid: what was said of it is judged, and what is said now is kept until it is due.
func (b *Baseline) push(s *forecast.Spec, end time.Time, value float64) {
	b.history.push(end, value)
	for i := range b.tracks {
		t := &b.tracks[i]
		due := &t.pending[b.history.n%t.ahead]
		t.errors.push(b.arrived(t.ahead, s.Statistic) - *due)
		*due = math.NaN()
		if known(value) {
			*due = b.rule(&b.history, t.ahead, s.Statistic)
		}
	}
}

// arrived is what came true of a forecast for the newest row.
func (b *Baseline) arrived(ahead int, statistic forecast.Statistic) float64 {
	if statistic == forecast.Maximum {
		return b.history.most(0, ahead)
	}
	return b.history.back(0)
}

// Predict returns one Prediction for each horizon, nil before the first known row.
func (b *Baseline) Predict(s *forecast.Spec) []forecast.Prediction {
	if b.history.firstEnd.IsZero() {
		return nil
	}
	out := make([]forecast.Prediction, len(b.tracks))
	for i := range b.tracks {
		t := &b.tracks[i]
		point := b.rule(&b.history, t.ahead, s.Statistic)
		out[i] = forecast.Prediction{At: b.history.end, Horizon: s.Horizons[i], Source: b.name, Values: make([]float64, len(s.Quantiles))}
		for k, q := range s.Quantiles {
			out[i].Values[k] = max(0, point+t.errors.rank(q))
		}
	}
	return out
}
