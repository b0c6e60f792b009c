package forecast

import "math"

// numRules is the number of point rules, numFeatures that of the regressions' inputs, numRidges that of the strengths
// with which they are drawn to what they start from.
const (
	numRules    = 15
	numFeatures = 27
	numRidges   = 2
)

// ruleNames name the rules, in the order of points. The first is the last value with its errors alone: what the
// mixture is measured against, and what it starts from.
var ruleNames = [numRules]string{
	LastValue, "last-value-root", "mean-4", "mean-8", "mean-32", "mean-64", "trend",
	"shape", "day", "week", "day-mean", "week-mean", "clock", "seasonal-naive", "autoregression",
}

// Numbers of the rules that something else refers to.
const (
	ruleLastValue      = 0
	ruleSeasonalNaive  = 13
	ruleAutoregression = 14
)

// After the rules come the states and the regressions, each as it is and calibrated.
const (
	expertStates      = numRules
	expertRegressions = numRules + 1
	numExperts        = expertRegressions + 2*numRidges
)

// Stages that Spec.Without may name, beside experts: "calibration" are the residuals that quantiles rest on, without
// which they are those that a new series starts with; "aggregation" is the weighting by recent losses, without which
// all experts weigh the same; "seasons" are the clocks; "withdrawal" is the return to the last value.
const (
	stageCalibration = "calibration"
	stageAggregation = "aggregation"
	stageSeasons     = "seasons"
	stageWithdrawal  = "withdrawal"
)

// Experts returns the names of all experts, in order.
func Experts() []string {
	return append(ruleNames[:], "states", "regression", "regression-calibrated", "regression-firm", "regression-firm-calibrated")
}

// Stages returns the names of the stages that Spec.Without may name.
func Stages() []string {
	return []string{stageCalibration, stageAggregation, stageSeasons, stageWithdrawal}
}

// priors are the weights that the rules start with. They matter in the first two days.
var priors = [numRules]float64{32, 1, 3, 1, 1, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1}

// view is all that the experts see of a series at one row, for one horizon.
type view struct {
	// unit is the mean of days, volatility the usual size of a change over the horizon, slope that of the last rows, a row.
	unit, volatility, slope float64
	// points and scales are the rules' point forecasts and the units of their errors.
	points, scales [numRules]float64
	// features are the inputs of the regressions, in units.
	features [numFeatures]float64
	// state is the band of levels that the present one is in.
	state int
}

// look lets the experts look at the series. All but the autoregression's point is set.
func (f *Forecaster) look(s *Spec, l *Lane) view {
	g := &f.Levels
	v := view{unit: g.unit(), state: int(f.States.rank(g.Averages[1]) * numStates)}
	near, far := l.volatility(v.unit, f.Seen)
	v.volatility = 0.5*near + 0.5*far + 0.02*v.unit
	seasons := f.seasons(s, l.ahead(s, f))
	v.slope = (g.Averages[1] - g.Averages[4]) / slopeRows
	a := &g.Averages
	v.points = [numRules]float64{
		g.Last, g.Last, a[2], a[3], a[5], a[6], g.Last + l.Trend.rows()*v.slope,
		seasons.shape, seasons.addDay, seasons.addWeek, seasons.day, seasons.week, seasons.addHour, seasons.yesterdayRaw,
	}
	for i := range v.points {
		v.points[i], v.scales[i] = math.Max(0, v.points[i]), v.volatility
	}
	// a fixed scale, and that of counting noise, which grows with the root
	v.scales[ruleLastValue], v.scales[5] = v.unit, v.unit
	v.scales[1], v.scales[2] = rootScale(g.Last, v.unit), rootScale(a[2], v.unit)
	v.features = [numFeatures]float64{
		g.Last, g.Before, a[1], a[2], a[3], a[4], a[5], a[6], a[7],
		seasons.day, seasons.dayRaw, seasons.yesterdayRaw, seasons.yesterday, seasons.week, seasons.weekRaw,
		seasons.shape, seasons.addDay, seasons.addWeek, seasons.peak, seasons.hour, seasons.addHour,
		near, far, g.Change, math.Abs(seasons.dayRaw - seasons.yesterdayRaw), math.Sqrt(math.Max(a[2], 0) * v.unit), v.unit,
	}
	for i := range v.features {
		v.features[i] /= v.unit
	}
	return v
}

// slopeRows is about how many rows the means over 2 and 16 rows are apart.
const slopeRows = 6

// Trend is how many rows' worth of the present slope are still to come over a horizon: the damping of a trend, fitted by
// discounted least squares.
type Trend struct {
	// Moved is Σ slope·change, Sloped Σ slope², of the values relative to their unit.
	Moved, Sloped float64
	// Start is what it starts from, Most the number of rows of the horizon.
	Start, Most float64
}

// newTrend starts with six tenths of a slope over six rows (Gardner and McKenzie, Forecasting trends in time series, 1985,
// damp so).
func newTrend(rows int) Trend {
	return Trend{Start: 0.6 * math.Min(float64(rows), 6), Most: float64(rows)}
}

const (
	// trendMemory is the number of forecasts over which it is fitted, trendStart what its start weighs: a slope of a tenth
	// of the unit in as many rows as slopeRows, twenty times.
	trendMemory = 2000
	trendStart  = 20 * 0.01 / (slopeRows * slopeRows)
)

func (t *Trend) learn(slope, change float64) {
	t.Moved += slope*change - t.Moved/trendMemory
	t.Sloped += slope*slope - t.Sloped/trendMemory
}

// rows returns it, from none to all of the horizon.
func (t *Trend) rows() float64 {
	return math.Min(math.Max((t.Moved+trendStart*t.Start)/(t.Sloped+trendStart), 0), t.Most)
}

// Numbers of features that the regressions start from.
const (
	featureLast = 0
	featureNear = 21
	featureFar  = 22
)

func rootScale(level, unit float64) float64 { return math.Sqrt(math.Max(level, 0.02*unit) * unit) }

// startQuantile is the quantile, in units of the usual size of a change, that a new series starts with: of a Laplace
// distribution, a little narrower since part of a change is there already when the present level is taken.
func startQuantile(q float64) float64 {
	const narrower, outermost = 0.87, 1e-9
	if q < 0.5 {
		return narrower * math.Log(2*math.Max(q, outermost))
	}
	return -narrower * math.Log(2*math.Max(1-q, outermost))
}
