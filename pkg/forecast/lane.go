package forecast

import (
	"math"
	"slices"
	"time"
)

const (
	// numStates is the number of bands of levels whose futures are kept apart: an on/off service has two.
	numStates = 6
	// minStateResiduals and minCalibration are the fewest residuals that a state or a calibrated regression speaks on.
	minStateResiduals = 20
	minCalibration    = 50
	// residualSpan is the time that residuals cover.
	residualSpan = 7 * 24 * time.Hour
	// forecastsPerHorizon is how many forecasts are scored within one horizon: more of them overlap and tell the same.
	forecastsPerHorizon = 5
	// densely is for how many rows each one is forecast from all the same.
	densely = 200
	// startWeight is the number of residuals, each an independent one, that the start quantiles weigh.
	startWeight = 6
	// firstRecord is by how much the most seen is taken to be exceeded within one horizon before anything is known of it;
	// recordHalfLife is in how many horizons half of what is known of it, as a logarithm, is forgotten.
	firstRecord, recordHalfLife = 2, 8
)

// Lane is what is learned at one horizon.
type Lane struct {
	// Rows is the horizon, Stride the number of rows from one forecast that is scored to the next.
	Rows, Stride int
	// Near and Far are the mean size of a change over the horizon, over the last hour and the last day; Changes counts.
	Near, Far float64
	Changes   int
	// Trend says how much of the present slope goes on.
	Trend Trend
	// Pending are the forecasts that have not come due, a ring of Waiting with the oldest at First.
	Pending        []Pending
	First, Waiting int
	// Residuals are the errors of the rules, States what came of each band of levels, in units.
	Residuals []Residuals
	States    []Residuals
	// Regressions are one for each quantile, Calibrations the errors of each ridge of them.
	Regressions  []Regression
	Calibrations [][numRidges]Residuals
	// Losses and Weights are those of the experts.
	Losses  Losses
	Weights []float64
	// Spread is by how much the quantiles are drawn out from the median, by quantile; see widen.
	Spread []float64
	// Record is the logarithm of by how much the most seen of late was exceeded within one horizon, fading.
	Record float64
	// Skill is how the mixture has done.
	Skill Record
}

// Pending is a forecast that has not come due.
type Pending struct {
	// Due is the number of the row that it is for, Rows the number of rows that it stands for.
	Due, Rows int
	// Unit, Points, Scales, Features, Slope and State are what the experts saw; Most is the most seen by then.
	Unit, Most     float64
	Points, Scales [numRules]float64
	Features       [numFeatures]float64
	Slope          float64
	State          int
	// Raw are the regressions' quantiles, Quantiles those of all experts, quantile by quantile, Mixed the mixture's; in
	// the series' unit.
	Raw, Quantiles, Mixed []float64
}

func newLane(s *Spec, rows int) Lane {
	stride := max(1, int(math.Round(float64(rows)/forecastsPerHorizon)))
	cover := max(1, memoryOf(residualSpan, s.Step)/stride)
	quantiles := len(s.Quantiles)
	l := Lane{
		Rows: rows, Stride: stride, Residuals: make([]Residuals, numRules), States: make([]Residuals, numStates),
		Pending: make([]Pending, min(rows, densely)+1), Calibrations: make([][numRidges]Residuals, quantiles),
		Losses: newLosses(quantiles), Weights: make([]float64, quantiles*numExperts), Trend: newTrend(rows), Skill: newRecord(quantiles), Spread: make([]float64, quantiles),
		Record: math.Log(firstRecord),
	}
	for i := range l.Residuals {
		l.Residuals[i] = newResiduals(cover)
	}
	for i := range l.States {
		l.States[i] = newResiduals(max(1, cover/numStates))
	}
	for i, q := range s.Quantiles {
		l.Regressions = append(l.Regressions, newRegression(q))
		for k := range l.Calibrations[i] {
			l.Calibrations[i][k] = newResiduals(cover)
		}
	}
	for i := range l.Pending {
		l.Pending[i].Raw = make([]float64, quantiles*numRidges)
		l.Pending[i].Quantiles = make([]float64, quantiles*numExperts)
		l.Pending[i].Mixed = make([]float64, quantiles)
	}
	l.weigh(s, 0)
	return l
}

// volatility returns Near and Far, drawn to a tenth and a half of the unit while there are few changes.
func (l *Lane) volatility(unit float64, seen int) (near, far float64) {
	const start = 0.18
	w := float64(l.Rows) / (float64(l.Rows) + math.Max(0, float64(seen-l.Rows)))
	return l.Near*(1-w) + start*unit*w, l.Far*(1-w) + start*unit*w
}

// ahead is the number of rows to the one whose season matters: the last, or of a maximum the one expected to be largest.
func (l *Lane) ahead(s *Spec, f *Forecaster) int {
	if s.Statistic != Maximum || f.Day.Period == 0 {
		return l.Rows
	}
	best, most := l.Rows, float32(-1)
	for h := l.Rows; h > 0; h-- {
		at := s.place(f.End.Add(time.Duration(h) * s.Step))
		if mean := f.Day.Mean[f.Day.phase(at, s.Step)]; mean > most {
			best, most = h, mean
		}
	}
	return best
}

// actual returns what the statistic has come to at the newest row, false where that is not known: a maximum needs four in
// five of its rows, fewer would say too little.
func (l *Lane) actual(s *Spec, f *Forecaster) (float64, bool) {
	if s.Statistic != Maximum {
		return f.Recent.back(0)
	}
	most, known := 0.0, 0
	for i := range l.Rows {
		if v, ok := f.Recent.back(i); ok {
			most = math.Max(most, v)
			known++
		}
	}
	return most, 5*known >= 4*l.Rows
}

// judge learns from the forecasts that have come due at the newest row. What was due in a gap is dropped.
func (l *Lane) judge(s *Spec, f *Forecaster) {
	for l.Waiting > 0 && l.Pending[l.First].Due <= f.Row {
		p := &l.Pending[l.First]
		l.First = (l.First + 1) % len(l.Pending)
		l.Waiting--
		if actual, ok := l.actual(s, f); ok && p.Due == f.Row {
			l.learn(s, p, actual, f.Levels.unit())
			l.Losses.add(s, p, actual)
			l.widen(s, p, actual)
			l.Skill.add(s, p, actual)
			l.Skill.reconsider(l.verdict())
			l.weighSometimes(s, f.Seen)
		}
	}
}

// learn takes what came true of a forecast. Errors are in units; where the unit has grown since, in those of now: the first
// busy minute after a quiet night is an error of many thousand quiet units, which says nothing of the busy day that follows.
func (l *Lane) learn(s *Spec, p *Pending, actual, unit float64) {
	grown := math.Max(1, unit/p.Unit)
	unit = p.Unit * grown
	for i := range l.Residuals {
		l.Residuals[i].add((actual - p.Points[i]) / (p.Scales[i] * grown))
	}
	l.States[p.State].add(actual / unit)
	l.Record *= math.Exp2(-float64(p.Rows) / (recordHalfLife * float64(l.Rows)))
	l.Record = math.Max(l.Record, math.Log(math.Min(actual/p.Most, firstRecord)))
	l.Trend.learn(p.Slope/unit, (actual-p.Points[ruleLastValue])/unit)
	if grown > 1 {
		for i := range p.Features {
			p.Features[i] /= grown
		}
	}
	for i, q := range s.Quantiles {
		for k := range numRidges {
			l.Calibrations[i][k].add((actual - p.Raw[i*numRidges+k]) / unit)
		}
		l.Regressions[i].learn(q, &p.Features, actual/unit, p.Raw[i*numRidges]/unit, l, float64(p.Rows))
	}
}

// extend takes the newest row into the volatilities, and every so often makes a forecast from it that will be scored.
func (l *Lane) extend(s *Spec, f *Forecaster) {
	before, ok := f.Recent.back(l.Rows)
	if now, known := l.actual(s, f); ok && known {
		change := math.Abs(now - before)
		l.Changes++
		first := 1 / float64(l.Changes)
		l.Near += math.Max(first, 1/rowsOf(time.Hour, s.Step)) * (change - l.Near)
		l.Far += math.Max(first, 1/math.Max(48, rowsOf(24*time.Hour, s.Step))) * (change - l.Far)
	}
	rows := l.Stride
	if f.Seen < densely {
		rows = 1
	}
	if !chosen(f.Row, rows) || l.Waiting == len(l.Pending) {
		return
	}
	p := &l.Pending[(l.First+l.Waiting)%len(l.Pending)]
	l.Waiting++
	p.Due, p.Rows = f.Row+l.Rows, rows
	l.ask(s, f, p)
}

// chosen picks one row of stride. The picks have no period of their own, so that they meet every phase of a clock: the
// fractions of multiples of the golden ratio are spread evenly.
func chosen(row, stride int) bool {
	const golden = 0.6180339887498949
	_, fraction := math.Modf(float64(row) * golden)
	return fraction < 1/float64(stride)
}

// ask lets all experts and the mixture forecast from the newest row.
func (l *Lane) ask(s *Spec, f *Forecaster, p *Pending) {
	v := f.look(s, l)
	p.Unit, p.Scales, p.Features, p.Slope, p.State = v.unit, v.scales, v.features, v.slope, min(v.state, numStates-1)
	p.Most = f.Levels.Most
	for i := range l.Regressions {
		for k := range numRidges {
			p.Raw[i*numRidges+k] = f.bounded(v.unit * l.Regressions[i].predict(&v.features, k))
		}
	}
	v.points[ruleAutoregression] = p.Raw[middle(s.Quantiles)*numRidges]
	p.Points = v.points
	for i, q := range s.Quantiles {
		l.quantiles(s, p, i, q, v.volatility)
	}
	for i := range p.Quantiles {
		p.Quantiles[i] = f.bounded(p.Quantiles[i])
	}
	l.mix(s, p)
	l.unsurpassed(f, p.Mixed)
}

// unsurpassed keeps forecasts from exceeding the most that was seen by more than it has been exceeded of late within one
// horizon: a service that is on or off, or has its peak each day, does not go beyond what it can be just because nobody
// knows when it will be there.
func (l *Lane) unsurpassed(f *Forecaster, values []float64) {
	most := f.Levels.Most * math.Exp(l.Record)
	for i, v := range values {
		values[i] = math.Min(f.bounded(v), most)
	}
}

// bounded keeps what is forecast within what can be believed: from nothing to twice the most seen of late. The first
// busy minute after a quiet night is an error of many units of that night, which are larger the next minute.
func (f *Forecaster) bounded(v float64) float64 { return math.Min(math.Max(0, v), 2*f.Levels.Peak) }

// quantiles sets the i-th quantile of all experts.
func (l *Lane) quantiles(s *Spec, p *Pending, i int, q, volatility float64) {
	out := p.Quantiles[i*numExperts : (i+1)*numExperts]
	start := startQuantile(q) * volatility
	weight := startWeight * math.Max(1, float64(l.Rows)/float64(l.Stride))
	uncalibrated := slices.Contains(s.Without, stageCalibration)
	if uncalibrated {
		weight = math.MaxFloat64
	}
	for k := range numRules {
		error := l.Residuals[k].quantile(q, start/p.Scales[k], weight)
		out[k] = p.Points[k] + p.Scales[k]*error
	}
	out[expertStates] = out[ruleLastValue]
	if state := &l.States[p.State]; len(state.Sorted) >= minStateResiduals {
		out[expertStates] = p.Unit * state.quantile(q, 0, 0)
	}
	for k := range numRidges {
		raw := p.Raw[i*numRidges+k]
		out[expertRegressions+2*k], out[expertRegressions+2*k+1] = raw, raw
		if c := &l.Calibrations[i][k]; len(c.Sorted) >= minCalibration && !uncalibrated {
			out[expertRegressions+2*k+1] = raw + p.Unit*c.quantile(q, 0, 0)
		}
	}
}

// middle is the number of the quantile nearest to the median.
func middle(quantiles []float64) int {
	best := 0
	for i, q := range quantiles {
		if math.Abs(q-0.5) < math.Abs(quantiles[best]-0.5) {
			best = i
		}
	}
	return best
}
